//! Saving and loading of weights.

use burn::tensor::Device;
use ptu_model::Model;
use ptu_model::weights::{Array, Arrays};

use crate::fixtures::{config, model};

#[test]
fn weights_survive_saving_and_loading_to_the_bit() {
    let (config, device) = (config(), Device::flex().autodiff());
    let arrays = model(&config).to_arrays();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    ptu_model::weights::write_arrays(&file, &arrays).unwrap();
    let read = ptu_model::weights::read_arrays(&file).unwrap();
    assert_eq!(read, arrays);
    let (again, unused) = Model::from_arrays(&config, read, &device, &file).unwrap();
    assert!(unused.is_empty());
    assert_eq!(again.to_arrays(), arrays);
}

#[test]
fn a_file_of_another_model_is_refused_with_the_name_of_the_weight() {
    let (config, device) = (config(), Device::flex());
    let refused = |change: &dyn Fn(&mut Arrays)| {
        let mut arrays = model(&config).to_arrays();
        change(&mut arrays);
        Model::from_arrays(&config, arrays, &device, std::path::Path::new("w.safetensors")).unwrap_err().to_string()
    };
    let missing = refused(&|arrays| drop(arrays.remove("itm_head.fc.bias")));
    assert!(missing.contains("itm_head.fc.bias") && missing.contains("w.safetensors"), "{missing}");
    let unknown = refused(&|arrays| drop(arrays.insert("extra".into(), arrays["itm_head.fc.bias"].clone())));
    assert!(unknown.contains("extra"), "{unknown}");
    let longer = Array { shape: vec![41], values: vec![0.0; 41] };
    let shape = refused(&|arrays| drop(arrays.insert("mlm_head.bias".into(), longer.clone())));
    assert!(shape.contains("[41]") && shape.contains("[40]"), "{shape}");
}
