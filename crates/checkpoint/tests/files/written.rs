//! Files that PyTorch 2.15, safetensors 0.8 and ONNX 1.23 wrote (`tools/reference/checkpoints.py`), with the values that these
//! read: every bit is the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ptu_checkpoint::{Attribute, Checkpoint, CheckpointError, Format, Value};
use serde_json::Value as Json;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(&fixture(name)).unwrap()
}

#[test]
fn every_value_has_the_bits_of_its_writer() {
    let expected: Json = serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    let mut compared = BTreeMap::new();
    for group in expected.as_array().unwrap() {
        let tensors = group["tensors"].as_object().unwrap();
        for file in group["files"].as_array().unwrap() {
            let file = file.as_str().unwrap();
            let checkpoint = open(file);
            let mut names: Vec<&str> = tensors.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(checkpoint.names().collect::<Vec<_>>(), names, "{file}");
            for (name, tensor) in tensors {
                let info = checkpoint.info(name).unwrap();
                assert_eq!(info.dtype.to_string(), tensor["dtype"].as_str().unwrap(), "{file} {name}");
                assert_eq!(serde_json::json!(info.shape), tensor["shape"], "{file} {name}");
                let Some(bits) = tensor["bits"].as_array() else {
                    assert!(matches!(checkpoint.read(name), Err(CheckpointError::NotFloat { .. })), "{file} {name}");
                    continue;
                };
                let bits: Vec<u32> = bits.iter().map(|bits| u32::try_from(bits.as_u64().unwrap()).unwrap()).collect();
                let read: Vec<u32> = checkpoint.read(name).unwrap().into_iter().map(f32::to_bits).collect();
                assert_eq!(read, bits, "{file} {name}");
            }
            compared.insert(file.to_owned(), checkpoint.format());
        }
    }
    assert_eq!(compared.len(), 10);
    assert_eq!(compared["zip.pt"], Format::Torch);
    assert_eq!(compared["legacy-protocol-4.pt"], Format::TorchLegacy);
    assert_eq!(compared["external"], Format::Onnx);
}

#[test]
fn values_of_lightning_are_told_and_classes_are_named() {
    for file in ["lightning.ckpt", "lightning-legacy.ckpt"] {
        let checkpoint = open(file);
        let values = checkpoint.values();
        assert_eq!((&values["epoch"], &values["global_step"]), (&Value::Int(3), &Value::Int(10)));
        assert!(!values.contains_key("state_dict") && values.contains_key("optimizer_states"));
        let milestones = [("1", 1), ("2", 2)].map(|(key, count)| (key.to_owned(), Value::Int(count)));
        let Value::List(schedules) = &values["lr_schedulers"] else { panic!("no list") };
        assert_eq!(schedules[0].get("milestones"), Some(&Value::Map(milestones.to_vec())));
        let parameters = &values["hyper_parameters"];
        let text = |text: &str| Value::Text(text.to_owned());
        let class = |name: &str| Value::NotPlain(name.to_owned());
        let inner = Value::Map(vec![("c".to_owned(), text("d"))]);
        for (key, value) in [
            ("lr", Value::Float(1e-3)),
            ("name", text("é")),
            ("sizes", Value::List(vec![Value::Int(1), Value::List(vec![Value::Int(2), Value::Null])])),
            ("flag", Value::Bool(true)),
            ("negative", Value::Int(-(1 << 40))),
            ("namespace", Value::Map(vec![("a".to_owned(), Value::Int(1)), ("b".to_owned(), inner)])),
            ("set", Value::List(vec![Value::Int(7)])),
            ("path", class("pathlib.PosixPath")),
            ("number", class("numpy._core.multiarray.scalar")),
            ("array", class("numpy._core.multiarray._reconstruct")),
            ("big", class("an integer of more than 64 bits")),
            ("type", class("torch.float16")),
            ("device", class("torch.device")),
        ] {
            assert_eq!(parameters.get(key), Some(&value), "{file} {key}");
        }
        assert_eq!(parameters.get("unknown"), None);
    }
}

#[test]
fn nodes_tell_where_a_matrix_is_used() {
    for file in ["raw.onnx", "typed.onnx", "external"] {
        let checkpoint = open(file);
        let [product, constant, transpose, gemm] = checkpoint.nodes() else { panic!("{file}") };
        assert_eq!((&product.name[..], &product.op_type[..]), ("/encoder/MatMul", "MatMul"));
        assert_eq!(
            (&product.inputs[..], &product.outputs[..]),
            (&["x".into(), "single".into()][..], &["y".into()][..])
        );
        assert_eq!((&constant.outputs[0][..], &constant.attributes["value"]), ("constant", &Attribute::Other));
        assert_eq!(transpose.attributes["perm"], Attribute::Ints(vec![1, 0]));
        assert_eq!(gemm.attributes["alpha"], Attribute::Float(0.5));
        assert_eq!(gemm.attributes["transB"], Attribute::Int(1));
        assert_eq!(gemm.attributes["mode"], Attribute::Text("text".into()));
        assert_eq!(gemm.attributes["scales"], Attribute::Floats(vec![0.25, 2.0]));
    }
}

#[test]
fn programs_are_refused() {
    let script = Checkpoint::open(&fixture("torchscript.pt")).unwrap_err();
    assert!(matches!(script, CheckpointError::TorchScript { .. }), "{script}");
    let module = Checkpoint::open(&fixture("module.pt")).unwrap_err();
    assert!(matches!(&module, CheckpointError::RunsCode { global, .. } if global == "torch.nn.modules.linear.Linear"));
}
