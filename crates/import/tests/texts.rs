//! Text encoders in all layouts, and what is refused. The fixtures are those of `forward.rs`.

#![expect(clippy::unwrap_used, reason = "a test ends where something unexpected happens, and says so")]

mod common;

use std::path::PathBuf;

use common::{copy, counting, fixture, renamed, weights};
use ptu_import::{ImportError, Part, TextOptions, Unsupported, UnusedReason, read_text_encoder};
use ptu_model::TextStyle;
use ptu_model::config::TextConfig;

fn refused(settings: &str, change: Option<(&str, &[usize])>) -> ImportError {
    let mut weights = weights("bert");
    weights.extend(change.map(|(name, shape)| (name.to_string(), counting(shape))));
    let folder = copy("bert", &weights);
    std::fs::write(folder.path().join("config.json"), settings).unwrap();
    read_text_encoder(folder.path(), &TextOptions::default()).unwrap_err()
}

#[test]
fn configurations_follow_from_shapes_settings_and_tokenizer() {
    let bert = TextConfig {
        style: TextStyle::Bert,
        vocabulary: 40,
        width: 8,
        layers: 2,
        heads: 2,
        positions: 12,
        eps: 1e-12,
        start: 2,
        end: 3,
        padding: 0,
    };
    let roberta =
        TextConfig { style: TextStyle::Roberta, positions: 14, eps: 1e-5, start: 0, end: 2, padding: 1, ..bert };
    for (name, expected) in [("bert", bert), ("roberta", roberta)] {
        let found = read_text_encoder(&fixture(name), &TextOptions::default()).unwrap();
        assert_eq!((found.config, found.longest()), (expected, 12), "{name}");
        assert_eq!((found.arrays.len(), &found.report.assumed), (5 + 2 * 16, &vec![]), "{name}");
        let heads = found.report.unused.iter().filter(|tensor| tensor.reason == UnusedReason::Head).count();
        assert_eq!(heads, 2, "the pooler of {name}");
    }
}

#[test]
fn an_encoder_inside_of_a_larger_model_is_the_same() {
    let plain = read_text_encoder(&fixture("bert"), &TextOptions::default()).unwrap();
    for prefix in ["bert.", "text.transformer.", "text_model."] {
        let mut moved = renamed(&weights("bert"), "", prefix);
        moved.insert("cls.predictions.bias".into(), counting(&[40]));
        let found = read_text_encoder(copy("bert", &moved).path(), &TextOptions::default()).unwrap();
        assert_eq!((found.config, &found.arrays), (plain.config, &plain.arrays), "{prefix}");
    }
    // The names of TensorFlow's time.
    let old = weights("bert").into_iter().map(|(name, array)| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        (name, array)
    });
    let found = read_text_encoder(copy("bert", &old.collect()).path(), &TextOptions::default()).unwrap();
    assert_eq!(found.arrays, plain.arrays);
}

#[test]
fn encoders_that_cannot_be_described_are_refused_by_name() {
    let what = |error| match error {
        ImportError::Unsupported { what, .. } => what,
        other => panic!("{other}"),
    };
    let relu = what(refused(r#"{"model_type": "bert", "hidden_act": "relu"}"#, None));
    assert_eq!(relu, Unsupported::Activation("relu".into()));
    let relative = what(refused(r#"{"model_type": "bert", "position_embedding_type": "relative_key"}"#, None));
    assert_eq!(relative, Unsupported::PositionKind("relative_key".into()));
    let inner = ("encoder.layer.0.intermediate.dense.weight", &[24, 8][..]);
    assert_eq!(what(refused("{}", Some(inner))), Unsupported::TextMlpWidth { found: 24, expected: 32 });
    let types = ("embeddings.token_type_embeddings.weight", &[4, 8][..]);
    assert_eq!(what(refused("{}", Some(types))), Unsupported::TokenTypes(4));
    let cross = ("encoder.layer.0.crossattention.self.query.weight", &[8, 8][..]);
    assert!(matches!(refused("{}", Some(cross)), ImportError::Unexplained { .. }));
    let many = refused(r#"{"model_type": "bert", "num_hidden_layers": 1000000000000}"#, None).to_string();
    assert!(many.contains("`text.layers` is 1000000000000"), "{many}");
    let image = read_text_encoder(&fixture("vit"), &TextOptions::default()).unwrap_err();
    assert!(matches!(image, ImportError::OtherPart { found: Part::Image, wanted: Part::Text, .. }), "{image}");
}

#[test]
fn a_tokenizer_is_needed_that_belongs_to_the_weights() {
    let folder = copy("bert", &weights("bert"));
    let list: Vec<String> = (0..41).map(|number| format!("word{number}")).collect();
    let words = format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n{}\n", list.join("\n"));
    std::fs::write(folder.path().join("vocab.txt"), words).unwrap();
    let error = read_text_encoder(folder.path(), &TextOptions::default()).unwrap_err();
    assert!(error.to_string().contains("46 entries") && error.to_string().contains("40 rows"), "{error}");
    std::fs::remove_file(folder.path().join("vocab.txt")).unwrap();
    let error = read_text_encoder(folder.path(), &TextOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::Tokenizer(_)), "{error}");
    let tokenizer: Option<PathBuf> = Some(fixture("bert"));
    read_text_encoder(folder.path(), &TextOptions { tokenizer, ..TextOptions::default() }).unwrap();
}

#[test]
fn without_settings_the_heads_are_assumed() {
    let folder = copy("bert", &weights("bert"));
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    let found = read_text_encoder(folder.path(), &TextOptions { heads: Some(4), ..TextOptions::default() }).unwrap();
    assert_eq!((found.config.heads, found.report.assumed.len()), (4, 1));
    let found = read_text_encoder(folder.path(), &TextOptions::default()).unwrap();
    assert_eq!((found.report.assumed[0].key, found.report.assumed[0].value.as_str()), ("text.heads", "0"));
}
