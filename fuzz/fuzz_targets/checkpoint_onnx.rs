//! Fuzzes the reader of ONNX models, beside which lies a file of elements.
#![no_main]

use ptu_checkpoint::Checkpoint;
use ptu_fuzz::TemporaryFolder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = TemporaryFolder::default();
    folder.write("model.onnx_data", &[1; 128]);
    let Ok(checkpoint) = Checkpoint::open(&folder.write("model.onnx", bytes)) else { return };
    for name in checkpoint.names() {
        let elements: usize = checkpoint.info(name).expect("a tensor").shape.iter().product();
        if let Ok(values) = checkpoint.read(name) {
            assert_eq!(values.len(), elements);
        }
    }
    for node in checkpoint.nodes() {
        assert!(node.inputs.iter().all(|input| input.len() <= bytes.len()));
    }
});
