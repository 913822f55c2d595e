//! The model card of a run, in the form that the Hugging Face Hub shows: what the model is, what it learned from and under which licences,
//! its scores with intervals and receipts, what it loses without the right image, its limits, and how to use it.

use std::fmt::Write;
use std::path::Path;

use ptu_data::Manifest;
use ptu_evaluate::Score;
use ptu_evaluate::task::TaskReport;
use ptu_export::ExportFormat;
use ptu_infer::task::{TaskDescription, TaskOutput};
use ptu_model::{ABOUT_LEARNED, BundleConfig, ModelError, TASK, files};
use ptu_prepare::named::Description;
use serde_json::{Value, json};

use super::page::Run;
use crate::WorkflowError;

/// The largest file that is read for a card, in bytes.
const LARGEST: u64 = 1 << 24;
/// Digits of a hash that are shown.
const SHOWN: usize = 12;
/// What the licence of data or weights is called if nobody stated it.
const NOT_STATED: &str = "not stated";

/// The card of the model of a run that is exported in a format; `bundle` is the folder of the model.
///
/// # Errors
/// When the run or the bundle cannot be read.
pub fn of_run(run: &Path, bundle: &Path, format: ExportFormat) -> Result<String, WorkflowError> {
    let run = Run::open(run, String::new())?;
    let config = BundleConfig::from_json(&files::read(&bundle.join("config.json"), LARGEST)?).map_err(|cause| {
        ModelError::Format { path: bundle.join("config.json"), expected: "a model configuration", cause }
    })?;
    let task = if bundle.join(TASK).exists() { Some(TaskDescription::read(bundle)?) } else { None };
    let name = run.path.file_name().map_or("model".into(), |name| name.to_string_lossy().into_owned());
    let scores = scores(&run);
    let mut card = front_matter(&name, (task.as_ref(), format), &scores);
    let _ = write!(card, "\n# {name}: a PTUnifier model\n\n{}\n", what(task.as_ref()));
    card.push_str(
        "\n## Intended use and limits\n\nFor research. This model is not a medical device: do not use it for decisions about \
         patients. Its scores below hold for data like those that were scored; on images of other machines, countries or \
         patients they may be much lower. It has not been checked for differences between groups of patients.\n",
    );
    card.push_str(&learned_from(&run, &config));
    card.push_str(&table_of(&scores));
    card.push_str(&reliance(&run));
    card.push_str(&network(&run, &config));
    card.push_str(&usage(format, config.model.image.size));
    let _ = writeln!(card, "\n## Hashes of the training data\n\n{ABOUT_LEARNED}");
    Ok(card)
}

/// How the exported files are used, with images of `size` pixels.
fn usage(format: ExportFormat, size: usize) -> String {
    match format {
        ExportFormat::Hf => WITH_TRANSFORMERS.into(),
        ExportFormat::Onnx => WITH_ONNX_RUNTIME.replace("SIZE", &size.to_string()),
        ExportFormat::Ptunifier => AS_CHECKPOINT.into(),
    }
}

const WITH_ONNX_RUNTIME: &str = "\n## Use\n\n```python\nimport numpy, onnxruntime\n\nimage = onnxruntime.InferenceSession(\"image.onnx\")\n\
    pixels = numpy.zeros([1, 3, SIZE, SIZE], numpy.float32)  # resized and normalised as preprocessor_config.json says\n\
    print([output.name for output in image.get_outputs()], image.run(None, {\"pixel_values\": pixels}))\n```\n\n\
    `image.onnx`, `text.onnx` and `pair.onnx` give features, vectors and logits; `image_encoder.onnx` and `text_encoder.onnx` the tokens of one \
    encoder. Texts are `input_ids` and `attention_mask` of `tokenizer.json`, cut at the number of tokens above. All weights lie in \
    `weights.bin`.\n";

const AS_CHECKPOINT: &str = "\n## Use\n\n```sh\nptunifier import ptunifier.ckpt --tokenizer . --out bundle\n```\n\n\
    ```python\nimport torch\n\nweights = torch.load(\"ptunifier.ckpt\", weights_only=True)[\"state_dict\"]  # under the published names\n```\n";

const WITH_TRANSFORMERS: &str = "\n## Use\n\n```sh\nptunifier embed FOLDER scans/ --out vectors.parquet\nptunifier export FOLDER --to hf exported\n```\n\n\
    ```python\nimport torch\nfrom PIL import Image\nfrom transformers import AutoModel, AutoProcessor\n\nmodel = AutoModel.from_pretrained(\"exported\", trust_remote_code=True).eval()\n\
    processor = AutoProcessor.from_pretrained(\"exported\", trust_remote_code=True, use_fast=False)\n\
    image, texts = Image.open(\"scan.png\"), [\"No effusion.\", \"Effusion on the left.\"]\nwith torch.no_grad():\n    \
    output = model(**processor(images=image, text=texts[0]))  # features; logits of a fine-tuned model; either input may be missing\n    \
    similar = model.get_image_features(**processor(images=image)) @ model.get_text_features(**processor(text=texts)).T\n```\n\n\
    The last line needs a model that learned by contrast. Longer texts are cut at the number of tokens above.\n";

/// A score that a card shows.
struct Shown {
    /// The data set, its split, and the name of the score.
    data: String,
    split: String,
    name: String,
    score: Score,
    /// Number of records, seed, and the beginnings of the hashes of model and data.
    receipt: String,
}

fn short(hash: &str) -> &str {
    hash.get(..SHOWN).unwrap_or(hash)
}

fn scores(run: &Run) -> Vec<Shown> {
    let mut shown = vec![];
    for scores in run.saved.scores.values() {
        let Some(on) = &scores.scored_on else { continue };
        let receipt =
            format!("{} pairs, seed {}, model {}, data {}", on.pairs, on.seed, short(&on.model), short(&on.manifest));
        shown.extend(scores.rows().into_iter().map(|(name, score)| Shown {
            data: on.source.clone(),
            split: on.split.to_string(),
            name,
            score,
            receipt: receipt.clone(),
        }));
    }
    for report in run.task.reports.values() {
        let receipt = receipt(report);
        let on = &report.receipt;
        shown.extend(report.scores.iter().map(|one| Shown {
            data: on.source.clone(),
            split: on.split.to_string(),
            name: one.name.clone(),
            score: one.score,
            receipt: receipt.clone(),
        }));
    }
    shown
}

fn receipt(report: &TaskReport) -> String {
    let on = &report.receipt;
    format!(
        "{} records of {} patients, seed {}, model {}, data {}",
        report.records,
        report.patients,
        on.seed,
        short(&on.model),
        short(&on.manifest)
    )
}

/// The block at the beginning that the Hub reads.
fn front_matter(name: &str, (task, format): (Option<&TaskDescription>, ExportFormat), scores: &[Shown]) -> String {
    let kind = pipeline(task);
    let library = match format {
        ExportFormat::Hf => "transformers",
        ExportFormat::Onnx => "onnx",
        ExportFormat::Ptunifier => "pytorch",
    };
    let mut card = format!(
        "---\nlibrary_name: {library}\npipeline_tag: {kind}\nlicense: other\nlicense_name: see-card\nlicense_link: README.md\n\
         language: en\ntags: [ptunifier, medical, radiology, image-text]\n"
    );
    let results: Vec<Value> = scores
        .iter()
        .filter_map(|one| {
            Some(json!({
                "task": { "type": kind },
                "dataset": { "name": one.data, "type": one.data, "split": one.split },
                "metrics": [{ "type": one.name, "name": one.name, "value": one.score.value? }],
            }))
        })
        .collect();
    if !results.is_empty() {
        // JSON is YAML.
        let _ = writeln!(card, "model-index: {}", json!([{ "name": name, "results": results }]));
    }
    card.push_str("---\n");
    card
}

/// The Hub's name of the task.
fn pipeline(task: Option<&TaskDescription>) -> &'static str {
    match task.map(|task| &task.output) {
        None | Some(TaskOutput::Retrieval { .. }) => "zero-shot-image-classification",
        Some(TaskOutput::Vqa { .. }) => "visual-question-answering",
        Some(TaskOutput::Classification { .. } | TaskOutput::Multilabel { .. }) => "image-classification",
        Some(TaskOutput::Report(_)) => "image-to-text",
        Some(TaskOutput::Summary(_)) => "summarization",
    }
}

fn what(task: Option<&TaskDescription>) -> String {
    let base = "One model for images, texts and pairs of both; learned soft prompts take the place of a missing image or text (Chen et al., \
                \"Towards Unifying Medical Vision-and-Language Pre-training via Soft Prompts\", ICCV 2023).";
    match task {
        None => base.into(),
        Some(task) => {
            let names = task.output.names();
            let listed =
                if names.is_empty() || names.len() > 30 { String::new() } else { format!(": {}", names.join(", ")) };
            let count = if names.is_empty() { String::new() } else { format!(", {} outputs{listed}", names.len()) };
            format!("{base} Fine-tuned for: {}{count}.", task.output.kind())
        }
    }
}

/// Data and weights with their licences.
fn learned_from(run: &Run, config: &BundleConfig) -> String {
    let mut text = String::from(
        "\n## What it learned from\n\n| data | records of the training split | licence |\n|---|---|---|\n",
    );
    let manifests: Vec<Manifest> =
        run.recipe.data.iter().filter_map(|entry| Manifest::read(&entry.path).ok()).collect();
    for one in &config.trained_on {
        let manifest = manifests.iter().find(|manifest| manifest.hash() == one.manifest);
        let records = manifest.and_then(|manifest| manifest.splits.get(&ptu_data::Split::Train));
        let licence = match manifest.map(|manifest| manifest.dataset.as_str()) {
            Some("table") => "that of the table's owner",
            Some("phantom") => "synthetic, free",
            Some(dataset) => Description::of(dataset).map_or(NOT_STATED, |about| about.licence),
            None => "not known any more: the data were moved or changed",
        };
        let records = records.map_or("unknown".into(), |counts| counts.records.to_string());
        let _ = writeln!(text, "| {} | {records} | {licence} |", one.source);
    }
    if config.weights_from.is_empty() {
        text.push_str("\nIt started from random weights.\n");
        return text;
    }
    text.push_str("\n| weights from which it started | layout | licence |\n|---|---|---|\n");
    for source in &config.weights_from {
        let _ = writeln!(text, "| `{}` | {} | {} |", source.name, source.layout, source.stated_licence());
    }
    text
}

fn table_of(scores: &[Shown]) -> String {
    if scores.is_empty() {
        return "\n## Scores\n\nNone yet: `ptunifier evaluate` computes them.\n".into();
    }
    let mut text = String::from(
        "\n## Scores\n\nIntervals are 95 %, by resampling patients.\n\n| data | score | value | interval | chance | receipt |\n|---|---|---|---|---|---|\n",
    );
    for one in scores {
        let Score { value, low, high, chance } = one.score;
        let _ = writeln!(
            text,
            "| {}, {} | {} | {} | [{}, {}] | {} | {} |",
            one.data,
            one.split,
            one.name,
            number(value),
            number(low),
            number(high),
            number(chance),
            one.receipt
        );
    }
    text
}

/// What scores lose without the right image.
fn reliance(run: &Run) -> String {
    let rows: Vec<String> = run
        .task
        .reports
        .values()
        .flat_map(|report| report.reliance.iter().map(move |one| (report.receipt.source.as_str(), one)))
        .map(|(data, one)| {
            let (score, cost) = (one.score, one.cost);
            format!(
                "| {data} | {} | {} | {} | {} [{}, {}] |\n",
                one.metric,
                one.image.name(),
                number(score.value),
                number(cost.value),
                number(cost.low),
                number(cost.high)
            )
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let head = "\n## Image reliance\n\nScores with another image in place of the right one, and what that costs. A cost near 0 means that the \
                model answers without looking.\n\n| data | score | in place of the image | value | cost |\n|---|---|---|---|---|\n";
    format!("{head}{}", rows.concat())
}

fn network(run: &Run, config: &BundleConfig) -> String {
    let (model, recipe) = (&config.model, &run.recipe);
    let learned = match recipe.task.is_pretraining() {
        true => recipe.objectives.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "),
        false => recipe.task.name().into(),
    };
    format!(
        "\n## The network\n\n| | |\n|---|---|\n| learned by | {learned} |\n| steps | {}, batch {}, seed {} |\n| image | {} px, patches of {} px |\n| \
         text | {} tokens at most, vocabulary {} |\n",
        run.steps(),
        recipe.train.batch,
        recipe.seed,
        model.image.size,
        model.image.patch,
        config.max_tokens,
        model.text.vocabulary
    )
}

fn number(value: Option<f64>) -> String {
    value.map_or("undefined".into(), |value| format!("{value:.3}"))
}
