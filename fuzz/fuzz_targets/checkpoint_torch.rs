//! Fuzzes the reader of PyTorch files and, because the first bytes decide, of safetensors. After an odd first byte the input is
//! the pickle of a zip archive, which a fuzzer would seldom write by itself.
#![no_main]

use std::io::Write;

use ptu_checkpoint::Checkpoint;
use ptu_fuzz::TemporaryFolder;
use zip::write::SimpleFileOptions;

/// An archive with this pickle and one storage of 16 floats.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("archive/data.pkl", pickle), ("archive/data/0", &[1; 64])] {
        archive.start_file(name, stored).expect("a record");
        archive.write_all(bytes).expect("a record");
    }
    archive.finish().expect("an archive").into_inner()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let folder = TemporaryFolder::default();
    let path = if choice % 2 == 1 { folder.write("file", &archive(bytes)) } else { folder.write("file", bytes) };
    let Ok(checkpoint) = Checkpoint::open(&path) else { return };
    for name in checkpoint.names() {
        let elements: usize = checkpoint.info(name).expect("a tensor").shape.iter().product();
        if let Ok(values) = checkpoint.read(name) {
            assert_eq!(values.len(), elements);
        }
    }
});
