//! ONNX files that were made to do harm, or are damaged: each is refused, and the message says why.

use crate::build::{Folder, Message, floats, open, refusal};
use ptu_checkpoint::Checkpoint;

/// A model with this initializer.
fn model(tensor: &Message) -> Vec<u8> {
    Message::model(&Message::new().message(5, tensor))
}

fn right() -> Message {
    Message::tensor("w", 1, &[2]).bytes(9, &floats(&[1.0, 2.0]))
}

#[test]
fn the_file_that_is_changed_here_is_right_before() {
    assert_eq!(open(&model(&right())).unwrap().read("w").unwrap(), [1.0, 2.0]);
}

#[test]
fn damaged_tensors_are_refused() {
    let raw = |kind, shape: &[i64], bytes: &[u8]| model(&Message::tensor("w", kind, shape).bytes(9, bytes));
    let field = |kind, number, bytes: &[u8]| model(&Message::tensor("w", kind, &[2]).bytes(number, bytes));
    let twice = Message::model(&Message::new().message(5, &right()).message(5, &right()));
    let constant = Message::new().text(2, "w").text(4, "Constant");
    let constant = constant.message(5, &Message::new().text(1, "value").message(5, &right()).varint(20, 4));
    for (cause, file) in [
        ("needs 3 elements", raw(1, &[3], &[0; 8])),
        ("needs 1 elements", raw(1, &[1], &[0; 8])),
        ("needs 2 elements", raw(11, &[2], &[0; 8])),
        ("needs 2 elements", model(&Message::tensor("w", 1, &[2]))),
        ("dimension is negative", raw(1, &[-1], &[])),
        ("more elements than any memory", raw(1, &[i64::MAX, 4], &[])),
        ("more elements than any memory", raw(7, &[i64::MAX, 4], &[])),
        ("more elements than any memory", raw(10, &[i64::MAX, 4], &[])),
        ("17 dimensions", raw(1, &[1; 20], &[0; 4])),
        ("needs 2 elements", field(1, 4, &[0; 7])),
        ("fewer values than elements", field(10, 5, &[1])),
        ("no name", model(&Message::tensor("", 1, &[]).bytes(9, &[0; 4]))),
        ("not UTF-8", model(&Message::new().bytes(8, &[0xff]))),
        ("at most 4096", model(&Message::tensor(&"w".repeat(5000), 1, &[]))),
        ("segments", model(&right().bytes(3, &[]))),
        ("several pieces", model(&right().bytes(9, &[0; 8]))),
        ("not packed", model(&Message::tensor("w", 1, &[1]).float(4, 1.0))),
        ("occurs twice", twice),
        ("occurs twice", Message::model(&Message::new().message(5, &right()).message(1, &constant))),
        ("sparse", Message::model(&Message::new().bytes(15, &[]))),
        ("no graph", Message::new().varint(1, 8).0),
        ("two graphs", Message::new().varint(1, 8).bytes(7, &[]).bytes(7, &[]).0),
        ("longer than its message", Message::new().varint(1, 8).0.into_iter().chain([0x3a, 100, 1]).collect()),
        ("longer than its message", Message::model(&Message(vec![0x2a, 0xff, 0xff, 0xff, 0xff, 0x0f]))),
        ("more than 64 bits", Message::model(&Message([&[0x10][..], &[0xff; 11]].concat()))),
        ("does not use", Message::model(&Message(vec![0x0b]))),
    ] {
        let message = refusal(&file);
        assert!(message.contains(cause), "{cause}: {message}");
    }
    // What is wrong with 16-bit values shows when they are read.
    for values in [&[1, 2, 3][..], &[0xff, 0xff, 0xff, 1], &[1, 0x80]] {
        assert!(open(&field(10, 5, values)).unwrap().read("w").is_err());
    }
}

#[test]
fn other_files_are_in_the_folder_of_the_model() {
    let folder = Folder::new();
    folder.write("secret", &[0; 8]);
    folder.write("model/data", &[&[0; 4][..], &floats(&[3.0, 4.0])].concat());
    let at = |entries: &[(&str, &str)]| {
        let file = model(&Message::external("w", &[2], entries));
        Checkpoint::open(&folder.write("model/model.onnx", &file))
    };
    let right = at(&[("location", "data"), ("offset", "4"), ("length", "8")]).unwrap();
    assert_eq!(right.read("w").unwrap(), [3.0, 4.0]);
    let absolute = folder.path().join("secret");
    let outside = "outside of the folder";
    for (cause, entries) in [
        (outside, &[("location", "../secret")][..]),
        (outside, &[("location", "a/../../secret")]),
        (outside, &[("location", "./../secret")]),
        (outside, &[("location", absolute.to_str().unwrap())]),
        (outside, &[("location", "")]),
        (outside, &[("location", "/")]),
        (outside, &[("offset", "4")]),
        ("cannot open", &[("location", "gone")]),
        ("no regular file", &[("location", "folder")]),
        ("beyond the end of `data`", &[("location", "data"), ("offset", "8"), ("length", "8")]),
        ("beyond the end of `data`", &[("location", "data"), ("offset", "13")]),
        ("beyond the end of `data`", &[("location", "data"), ("offset", "8"), ("length", "18446744073709551615")]),
        ("needs 2 elements", &[("location", "data"), ("offset", "8"), ("length", "4")]),
        ("no number", &[("location", "data"), ("offset", "-1")]),
        ("not named", &[]),
    ] {
        std::fs::create_dir_all(folder.path().join("model/folder")).unwrap();
        let message = at(entries).unwrap_err().to_string();
        assert!(message.contains(cause), "{cause}: {message}");
    }
}

#[test]
fn a_small_file_takes_little_memory() {
    let nodes = Message::new().bytes(1, &[]).0.repeat(1 << 20);
    assert!(refusal(&Message::model(&Message(nodes))).contains("more than 2097152 nodes"));
    let inputs = Message::new().bytes(1, &[]).0.repeat(3 << 20);
    assert!(refusal(&Message::model(&Message::new().bytes(1, &inputs))).contains("more than 2097152 nodes"));
    let ints = Message::new().bytes(8, &vec![1; 3 << 20]);
    let node = Message::new().message(5, &ints);
    assert!(refusal(&Message::model(&Message::new().message(1, &node))).contains("too many numbers"));
    // Graphs in graphs are not entered.
    let deep = (0..2000).fold(Message::new(), |inner, _| {
        Message::new().message(1, &Message::new().message(5, &Message::new().message(6, &inner)))
    });
    assert_eq!(open(&Message::model(&deep)).unwrap().nodes().len(), 1);
}
