//! A small model with random weights.

use std::sync::Arc;

use ptu_explain::{Explainer, device};
use ptu_input::{Preprocess, Tokenizer};
use ptu_model::{Bundle, HeadKind, Model, ModelConfig, Outputs, Preset, TextStyle};
use ptu_random::Key;

pub const SIDE: usize = 32;
pub const REPORTS: [&str; 2] = ["No fracture of the left hand.", "There is a large effusion on the right side."];

/// A model with these changes.
pub fn explainer(change: impl Fn(&mut ModelConfig), add_mean: bool) -> Explainer {
    let tokenizer = Tokenizer::train(REPORTS, 300).unwrap();
    let special = tokenizer.special();
    let ids = [special.start, special.end, special.pad];
    let mut config = Preset::Tiny.config(TextStyle::Roberta, tokenizer.vocabulary_size(), ids);
    (config.image.size, config.deviation, config.fusion.add_mean) = (SIDE, 0.12, add_mean);
    change(&mut config);
    config.heads = vec![HeadKind::Itm, HeadKind::Itc, HeadKind::Classification];
    config.outputs = Outputs { classification: Some(3), ..Outputs::default() };
    let bundle = Bundle {
        model: Model::new(&config, Key::new(4), &device()).unwrap(),
        tokenizer: Arc::new(tokenizer),
        preprocess: Preprocess::clip(config.image.size),
        max_tokens: 32,
        trained_on: vec![],
        weights_from: vec![],
        learned: None,
        task: None,
    };
    Explainer::new(bundle, None)
}
