//! Files that are cut off or changed at any byte: they are refused or read, without a panic.

use crate::build::{Message, Pickle, Zip, floats, safetensors};
use ptu_checkpoint::{Checkpoint, CheckpointError};

/// A small file of each format.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let namespace = Pickle::state_dict().text("hyper_parameters").global("argparse", "Namespace").raw(b")\x81");
    let pickle = namespace.dict().text("lr").int(3).set_item().raw(b"b").set_item();
    let magic = Pickle::new().raw(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19").finish();
    let system = Pickle::new().dict().text("little_endian").raw(&[0x88]).set_item().finish();
    let keys = Pickle::new().list().text("0").append().finish();
    let storage = [&2_i64.to_le_bytes()[..], &floats(&[1.0, 2.0])].concat();
    let header = [magic, Pickle::new().int(1001).finish(), system].concat();
    let tensor = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let attribute = Message::new().text(1, "perm").bytes(8, &[1, 0]).varint(20, 7);
    let node = Message::new().text(1, "x").text(2, "y").text(3, "n").text(4, "Transpose").message(5, &attribute);
    let raw = Message::tensor("w", 1, &[2]).bytes(9, &floats(&[1.0, 2.0]));
    let half = Message::tensor("h", 10, &[2]).bytes(5, &[1, 0x80, 0x78]);
    vec![
        ("zip", Zip::checkpoint(&pickle.clone().finish()).finish()),
        ("legacy", [header, pickle.finish(), keys, storage].concat()),
        ("safetensors", safetensors(tensor, &floats(&[1.0, 2.0]))),
        ("onnx", Message::model(&Message::new().message(1, &node).message(5, &raw).message(5, &half))),
    ]
}

/// Opens these bytes and reads all there is.
fn read(folder: &crate::build::Folder, bytes: &[u8]) -> Result<(), CheckpointError> {
    let path = folder.write("file", bytes);
    let checkpoint = Checkpoint::open(&path);
    // Removed, not overwritten: some file systems wait for the disk when a file is written anew.
    std::fs::remove_file(path).unwrap();
    let checkpoint = checkpoint?;
    for name in checkpoint.names() {
        let elements: usize = checkpoint.info(name).unwrap().shape.iter().product();
        if let Ok(values) = checkpoint.read(name) {
            assert_eq!(values.len(), elements);
        }
    }
    Ok(())
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let folder = crate::build::Folder::new();
    for (format, file) in files() {
        read(&folder, &file).unwrap();
        for length in 0..file.len() {
            assert!(read(&folder, &file[..length]).is_err(), "{length} bytes of {format}");
        }
    }
}

#[test]
fn a_file_with_one_wrong_byte_is_refused_or_read() {
    let folder = crate::build::Folder::new();
    for (_, file) in files() {
        for at in 0..file.len() {
            for wrong in [0, 0xff, file[at] ^ 0x80, file[at].wrapping_add(1), b'.'] {
                let mut file = file.clone();
                file[at] = wrong;
                let _ = read(&folder, &file);
            }
        }
    }
}
