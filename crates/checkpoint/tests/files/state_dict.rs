//! Which tensors of a PyTorch file are its weights.

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
