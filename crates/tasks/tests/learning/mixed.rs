//! The vector of a record does not depend on the other records of its batch.

use burn::tensor::{Device, Tensor};
use ptu_input::{Batch, Image, Input, Text};
use ptu_kernels::ComputePrecision;
use ptu_model::Model;
use ptu_random::Key;

use crate::fixtures::{config, image, text, with_each_fusion};

fn rows(features: Tensor<2>) -> Vec<Vec<f32>> {
    let d = features.dims()[1];
    let values: Vec<f32> = features.into_data().try_into_vec().unwrap();
    values.chunks_exact(d).map(<[f32]>::to_vec).collect()
}

#[test]
fn each_record_of_a_mixed_batch_has_the_same_vector_as_alone() {
    for config in with_each_fusion() {
        each_record_has_the_same_vector_as_alone(&Model::new(&config, Key::new(7), &Device::flex()).unwrap());
    }
}

fn each_record_has_the_same_vector_as_alone(model: &Model) {
    let inputs = [
        Input::Text(text(0)),
        Input::Pair { image: image(1), text: text(1) },
        Input::Image(image(2)),
        Input::Pair { image: image(3), text: text(3) },
        Input::Text(text(4)),
        Input::Image(image(5)),
    ];
    let together = rows(model.features(&Batch::collect(&inputs), ComputePrecision::F32).unwrap());
    for (input, together) in inputs.iter().zip(&together) {
        let alone = rows(model.features(&Batch::collect(std::slice::from_ref(input)), ComputePrecision::F32).unwrap());
        let difference = alone[0].iter().zip(together).fold(0.0f32, |largest, (x, y)| largest.max((x - y).abs()));
        assert!(difference < 1e-5, "{difference}");
    }
    assert_ne!(together[0], together[4]);
}

#[test]
fn an_empty_batch_has_no_features() {
    let config = config();
    let model = Model::new(&config, Key::new(7), &Device::flex()).unwrap();
    assert_eq!(model.features(&Batch::default(), ComputePrecision::F32).unwrap().dims(), [0, 64]);
}

#[test]
fn inputs_that_do_not_fit_the_model_are_an_error() {
    let config = config();
    let model = Model::new(&config, Key::new(7), &Device::flex()).unwrap();
    let message =
        |input: Input| model.features(&Batch::collect(&[input]), ComputePrecision::F32).unwrap_err().to_string();
    assert!(message(Input::Image(Image::new(8, vec![0.0; 192]))).contains("8 x 8 pixels"));
    assert!(message(Input::Text(Text { ids: vec![0, 99, 2], words: vec![None; 3] })).contains("99"));
    assert!(message(Input::Text(Text { ids: vec![5; 100], words: vec![None; 100] })).contains("100 tokens"));
}
