//! Hugging Face layout: a folder that `transformers` opens with `trust_remote_code=True`. It stays a bundle of this project.

use std::fs;
use std::path::Path;

use ptu_infer::task::{TaskDescription, TaskOutput};
use ptu_model::files::write_bytes;
use ptu_model::{Bundle, FILES, LEARNED, TASK, WEIGHTS};
use serde_json::{Map, Value, json};

use crate::ExportError;
use crate::files::{copy, read};

/// The modules that `transformers` loads: name and content.
const MODULES: [(&str, &str); 4] = [
    ("configuration_ptunifier.py", include_str!("../python/configuration_ptunifier.py")),
    ("modeling_ptunifier.py", include_str!("../python/modeling_ptunifier.py")),
    ("image_processing_ptunifier.py", include_str!("../python/image_processing_ptunifier.py")),
    ("processing_ptunifier.py", include_str!("../python/processing_ptunifier.py")),
];

/// Writes a bundle in this layout; the names of the files.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn write(
    (from, out): (&Path, &Path),
    bundle: &Bundle,
    task: Option<&TaskDescription>,
) -> Result<Vec<String>, ExportError> {
    let mut files = vec![];
    let mut put = |name: &str, bytes: &[u8]| -> Result<(), ExportError> {
        files.push(name.to_string());
        Ok(write_bytes(&out.join(name), bytes)?)
    };
    for name in FILES.into_iter().filter(|name| *name != WEIGHTS) {
        let text = read(&from.join(name))?;
        match added(name, task) {
            Some(more) => put(name, with(&from.join(name), &text, more)?.as_bytes())?,
            None => put(name, text.as_bytes())?,
        }
    }
    put("tokenizer_config.json", pretty(&tokenizer(bundle)).as_bytes())?;
    for (name, module) in MODULES {
        put(name, module.as_bytes())?;
    }
    copy(&[LEARNED, TASK, "README.md"], (from, out), &mut files)?;
    let weights = [from, out].map(|folder| folder.join(WEIGHTS));
    fs::copy(&weights[0], &weights[1]).map_err(|source| ExportError::write(&weights[1], source))?;
    files.push(WEIGHTS.into());
    Ok(files)
}

/// What `transformers` needs in a file of a bundle beside its content.
fn added(name: &str, task: Option<&TaskDescription>) -> Option<Value> {
    match name {
        "config.json" => {
            let mut more = json!({
                "architectures": ["PTUnifierModel"],
                "auto_map": {
                    "AutoConfig": "configuration_ptunifier.PTUnifierConfig",
                    "AutoModel": "modeling_ptunifier.PTUnifierModel",
                },
            });
            if let Some(names) = task.and_then(outputs) {
                let numbered: Map<String, Value> =
                    names.into_iter().enumerate().map(|(number, name)| (number.to_string(), json!(name))).collect();
                more["id2label"] = Value::Object(numbered);
            }
            Some(more)
        }
        "preprocessor_config.json" => Some(json!({
            "image_processor_type": "PTUnifierImageProcessor",
            "processor_class": "PTUnifierProcessor",
            "auto_map": {
                "AutoImageProcessor": "image_processing_ptunifier.PTUnifierImageProcessor",
                "AutoProcessor": "processing_ptunifier.PTUnifierProcessor",
            },
        })),
        _ => None,
    }
}

/// The meaning of each logit.
fn outputs(task: &TaskDescription) -> Option<Vec<String>> {
    match &task.output {
        TaskOutput::Classification { classes, .. } => Some(classes.clone()),
        TaskOutput::Multilabel { labels, .. } => Some(labels.iter().map(|label| label.name().to_string()).collect()),
        TaskOutput::Vqa { answers, .. } => Some(answers.clone()),
        TaskOutput::Retrieval { .. } | TaskOutput::Report(_) | TaskOutput::Summary(_) => None,
    }
}

/// `tokenizer_config.json`: names of special tokens, and how texts are cut and padded. Names of special tokens in a text are ordinary
/// characters, as in this project.
fn tokenizer(bundle: &Bundle) -> Value {
    let special = bundle.tokenizer.special();
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": bundle.max_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
        "padding_side": "right",
        "truncation_side": "right",
        "split_special_tokens": true,
        "clean_up_tokenization_spaces": false,
    });
    let ids = [
        ("cls_token", special.start),
        ("sep_token", special.end),
        ("pad_token", special.pad),
        ("mask_token", special.mask),
        ("unk_token", special.unknown),
    ];
    for (key, id) in ids {
        if let Some(token) = bundle.tokenizer.token(id) {
            config[key] = token.into();
        }
    }
    config
}

/// A JSON object with more keys.
fn with(path: &Path, text: &str, more: Value) -> Result<String, ExportError> {
    let mut object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| ExportError::read(path, error.into()))?;
    if let Value::Object(more) = more {
        object.extend(more);
    }
    Ok(pretty(&Value::Object(object)))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
