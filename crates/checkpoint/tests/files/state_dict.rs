//! Which tensors of a PyTorch file are its weights.

use ptu_checkpoint::Value;

use crate::build::{Pickle, Zip, open};

/// A dictionary with a tensor of this name.
fn weights(pickle: Pickle, name: &str) -> Pickle {
    pickle.dict().text(name).tensor(("FloatStorage", "0", 2), 0, &[2], &[1]).set_item()
}

fn names(pickle: Pickle) -> Vec<String> {
    let checkpoint = open(&Zip::checkpoint(&pickle.finish()).finish()).unwrap();
    checkpoint.names().map(str::to_owned).collect()
}

#[test]
fn a_key_of_training_programs_goes_before_all_else() {
    for key in ["state_dict", "model_state_dict", "model", "module", "net"] {
        let pickle = weights(Pickle::new(), "beside").text(key);
        assert_eq!(names(weights(pickle, "w").set_item()), ["w"], "{key}");
    }
    let both = weights(Pickle::new().dict().text("model"), "of_model").set_item().text("state_dict");
    assert_eq!(names(weights(both, "of_state_dict").set_item()), ["of_state_dict"]);
    // A key of this name without tensors is a value: the name of a model, or its settings.
    let settings = weights(Pickle::new(), "w").text("model").dict().text("layers").int(2).set_item().set_item();
    assert_eq!(names(settings), ["w"]);
}

#[test]
fn levels_are_joined_by_dots() {
    let pickle = weights(Pickle::new().dict().text("encoder"), "w").set_item().text("decoders").list();
    let pickle = weights(weights(pickle, "a").append(), "b").append().set_item();
    assert_eq!(names(pickle), ["decoders.0.a", "decoders.1.b", "encoder.w"]);
    let numbered = Pickle::new().dict().int(5).tensor(("FloatStorage", "0", 2), 0, &[2], &[1]).set_item();
    assert_eq!(names(numbered), ["5"]);
}

#[test]
fn what_is_no_tensor_is_a_value() {
    let pickle = weights(Pickle::new(), "w").text("step").int(4).set_item().text("encoder");
    let pickle = weights(pickle, "v").set_item().finish();
    let checkpoint = open(&Zip::checkpoint(&pickle).finish()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["encoder.v", "w"]);
    assert_eq!(checkpoint.values().keys().collect::<Vec<_>>(), ["step"]);
}

#[test]
fn dictionaries_of_lightning_and_python_2_are_read() {
    let lightning =
        |pickle: Pickle| pickle.global("pytorch_lightning.utilities.parsing", "AttributeDict").raw(b")\x81");
    let pickle = lightning(weights(Pickle::new(), "w").text("hyper_parameters")).text("lr").int(3).set_item();
    // A class as a key, as the callbacks of Lightning 1.x have it, and an empty namespace.
    let pickle = pickle.set_item().text("callbacks").dict().global("pytorch_lightning.callbacks", "EarlyStopping");
    let pickle =
        pickle.int(1).set_item().set_item().text("args").global("argparse", "Namespace").raw(b")\x81").set_item();
    let checkpoint = open(&Zip::checkpoint(&pickle.finish()).finish()).unwrap();
    let map = |key: &str, value| Value::Map(vec![(key.to_owned(), Value::Int(value))]);
    assert_eq!(checkpoint.values()["hyper_parameters"], map("lr", 3));
    assert_eq!(checkpoint.values()["callbacks"], map("(pytorch_lightning.callbacks.EarlyStopping)", 1));
    assert_eq!(checkpoint.values()["args"], Value::Map(vec![]));

    // An ordered dictionary of Python 2 is made from a list of pairs; its texts are bytes, which may be no UTF-8.
    let start = Pickle::new().global("collections", "OrderedDict").list().list().raw(b"U\x01w").append();
    let pairs = start.tensor(("FloatStorage", "0", 2), 0, &[2], &[1]).append().append();
    let pairs = pairs.list().raw(b"U\x01b").append().raw(b"U\x01\xff").append().append();
    let checkpoint = open(&Zip::checkpoint(&pairs.raw(&[0x85]).reduce().finish()).finish()).unwrap();
    assert_eq!(checkpoint.read("w").unwrap(), [1.0, 2.0]);
    assert_eq!(checkpoint.values()["b"], Value::NotPlain("bytes".to_owned()));
}
