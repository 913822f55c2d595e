//! Safetensors files, shards and folders.

use crate::build::{Folder, Pickle, Zip, floats, open, refusal, safetensors};
use ptu_checkpoint::{Checkpoint, Dtype, Format};

/// A file with one tensor of two 32-bit floats.
fn one(name: &str, values: [f32; 2]) -> Vec<u8> {
    safetensors(&format!(r#"{{"{name}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#), &floats(&values))
}

#[test]
fn tensors_are_listed_and_read() {
    let header = r#"{"__metadata__":{"format":"pt"},
        "i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},
        "h":{"dtype":"BF16","shape":[1,2],"data_offsets":[8,12]}}"#;
    let checkpoint = open(&safetensors(header, &[1, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0xc0])).unwrap();
    assert_eq!((checkpoint.format(), checkpoint.names().collect::<Vec<_>>()), (Format::Safetensors, vec!["h", "i"]));
    let info = checkpoint.info("h").unwrap();
    assert_eq!((&info.shape[..], info.dtype), (&[1, 2][..], Dtype::BF16));
    assert_eq!(checkpoint.read("h").unwrap(), [1.0, -2.0]);
    assert!(checkpoint.read("i").unwrap_err().to_string().contains("has the type int64; only floating-point"));
    assert!(checkpoint.read("j").unwrap_err().to_string().contains("no tensor `j`"));
}

#[test]
fn the_length_of_a_header_is_not_taken_for_another_format() {
    let tensor = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    // The first bytes of a pickle, a web page, gzip and ONNX.
    for length in [0x80, 0x3c + 0x100, 0x8b1f, 0x308] {
        let file = safetensors(&format!("{tensor:length$}"), &floats(&[1.0, 2.0]));
        assert_eq!(open(&file).unwrap().read("w").unwrap(), [1.0, 2.0], "{length:#x}");
    }
}

#[test]
fn damaged_files_are_refused() {
    let tensor = |shape: &str, offsets: &str| format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}"#);
    let file = |header: String| safetensors(&header, &[0; 8]);
    let right = tensor("[2]", "[0,8]");
    for (cause, file) in [
        ("`w` occurs twice", file(format!(r#"{{"w":{right},"w":{right}}}"#))),
        ("header", file(format!(r#"{{"w":{}}}"#, tensor("[3]", "[0,12]")))),
        ("header", file(format!(r#"{{"w":{}}}"#, tensor("[1]", "[0,4]")))),
        ("header", file(format!(r#"{{"a":{right},"b":{right}}}"#))),
        ("header", file(format!(r#"{{"w":{}}}"#, tensor("[18446744073709551615,2]", "[0,8]")))),
        ("header", file(format!(r#"{{"w":{}}}"#, tensor("[-1]", "[0,8]")))),
        ("header", file(format!(r#"{{"w":{}}}"#, right.replace("F32", "EVIL")))),
        ("more elements than any memory", {
            let shape = tensor("[0,9223372036854775807,2]", "[0,0]");
            safetensors(&format!(r#"{{"w":{shape}}}"#), &[])
        }),
        ("header", file(format!(r#"{{"w":{}}}"#, "[".repeat(100_000)))),
        ("ends early", [&1000_u64.to_le_bytes()[..], b"{}"].concat()),
        ("header", [&one("w", [0.0; 2])[..], b"x"].concat()),
        ("at most 16777216", safetensors(&format!("{{{}}}", " ".repeat(17 << 20)), &[])),
    ] {
        let message = refusal(&file);
        assert!(message.contains(cause), "{cause}: {message}");
    }
}

#[test]
fn shards_are_one_checkpoint() {
    let folder = Folder::new();
    folder.write("model-00001-of-00002.safetensors", &one("a", [1.0, 2.0]));
    folder.write("model-00002-of-00002.safetensors", &one("b", [3.0, 4.0]));
    folder.write("twice.safetensors", &one("a", [3.0, 4.0]));
    let [a, b] = [1, 2].map(|part| format!("model-0000{part}-of-00002.safetensors"));
    let index = |map: &str| {
        let json = format!(r#"{{"metadata":{{"total_size":16}},"weight_map":{map}}}"#);
        Checkpoint::open(folder.write("model.safetensors.index.json", json.as_bytes()).parent().unwrap())
    };
    let whole = index(&format!(r#"{{"a":"{a}","b":"{b}"}}"#)).unwrap();
    assert_eq!(whole.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(whole.read("b").unwrap(), [3.0, 4.0]);
    let absolute = folder.path().join("twice.safetensors");
    for (cause, map) in [
        ("`gone.safetensors`, which is missing", r#"{"a":"gone.safetensors"}"#.to_owned()),
        ("`../x.safetensors`, which is not a file of the same folder", r#"{"a":"../x.safetensors"}"#.to_owned()),
        ("not a file of the same folder", format!(r#"{{"a":"{}"}}"#, absolute.display())),
        ("not a file of the same folder", r#"{"a":""}"#.to_owned()),
        ("does not hold the tensor `c`", format!(r#"{{"a":"{a}","c":"{b}"}}"#)),
        ("which should be in", format!(r#"{{"a":"{b}","b":"{a}"}}"#)),
        ("should be in", format!(r#"{{"a":"{a}","b":"{b}","x":"twice.safetensors"}}"#)),
        ("`a` occurs twice", format!(r#"{{"a":"{a}","a":"{b}"}}"#)),
        ("names no shard", "{}".to_owned()),
        ("index", "[]".to_owned()),
        ("index", r#"{"a":1}"#.to_owned()),
    ] {
        let message = index(&map).unwrap_err().to_string();
        assert!(message.contains(cause), "{cause}: {message}");
    }
    // Names that the index leaves out may still not be in two shards.
    folder.write("more.safetensors", &safetensors(r#"{"z":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"y":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, &[]));
    folder.write("other.safetensors", &safetensors(r#"{"z":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, &[]));
    let message = index(r#"{"y":"more.safetensors","x":"other.safetensors"}"#).unwrap_err().to_string();
    assert!(message.contains("`z`, which another shard holds too"), "{message}");
}

#[test]
fn a_folder_has_one_meaning_or_none() {
    let torch = Zip::checkpoint(&Pickle::state_dict().finish()).finish();
    let single = one("w", [1.0, 2.0]);
    let chosen = |files: &[&str]| {
        let folder = Folder::new();
        for file in files {
            folder.write(file, if file.ends_with(".safetensors") { &single } else { &torch });
        }
        let opened = Checkpoint::open(folder.path());
        opened
            .map(|it| it.path().strip_prefix(folder.path()).unwrap().display().to_string())
            .map_err(|it| it.to_string())
    };
    let only = |files: &[&str]| chosen(files).unwrap();
    assert_eq!(only(&["config.json", "pytorch_model.bin", "model.safetensors"]), "model.safetensors");
    assert_eq!(only(&["open_clip_pytorch_model.bin", "open_clip_config.json"]), "open_clip_pytorch_model.bin");
    assert_eq!(only(&["pytorch_model.bin", "training_args.bin", "optimizer.pt"]), "pytorch_model.bin");
    assert_eq!(only(&["epoch=3.ckpt", "hparams.yaml"]), "epoch=3.ckpt");
    assert_eq!(only(&["weights.safetensors", "weights.ckpt"]), "weights.safetensors");
    assert_eq!(only(&["onnx/model.onnx", "onnx/model_quantized.onnx"]), "onnx/model.onnx");
    for (cause, files) in [
        ("several files of weights (`a.ckpt`, `b.pt`)", &["a.ckpt", "b.pt"][..]),
        ("several files", &["model.safetensors", "open_clip_model.safetensors"]),
        ("it contains `config.json`, `vocab.txt`", &["vocab.txt", "config.json"]),
        ("it contains no file", &[]),
    ] {
        let message = chosen(files).unwrap_err();
        assert!(message.contains(cause), "{cause}: {message}");
    }
    assert!(Checkpoint::open(std::path::Path::new("no such file")).unwrap_err().to_string().contains("cannot open"));
}
