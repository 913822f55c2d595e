use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ptu_import::{
    AssembleOptions, CheckpointOptions, ImageOptions, Imported, Origin, Part, Report, TextOptions, UnusedReason,
    assemble, parts, read_checkpoint, read_image_encoder, read_text_encoder,
};
use ptu_input::files::try_folder;
use ptu_model::config::ImageActivation;
use ptu_model::files::{read as read_bytes, write_bytes};
use serde::{Deserialize, Serialize};

use crate::memory;
use crate::output::{print, say};
use crate::usage::WrongArguments;

/// The file of the report in the folder of the bundle.
const REPORT: &str = "import.json";
/// The start of the names of the weights of the fusion.
const FUSION: &str = "multi_modal_";
/// The largest report that is read, in bytes.
const LARGEST_REPORT: u64 = 1 << 24;

/// Make a bundle of published weights: a PTUnifier or METER checkpoint, or an image encoder and a text encoder
///
/// Reads safetensors, PyTorch and ONNX files, or a folder with one and the settings beside it, without running code. Image encoders: CLIP,
/// SigLIP, ViT and DINOv2 in the layouts of transformers, timm, open_clip and BiomedCLIP. Text encoders: BERT and RoBERTa. A layout is
/// recognised by the names of the tensors. An imported encoder computes what its own program computes; what cannot be described, such as
/// a convolutional network, is refused. The report of every weight is written to `import.json` in the bundle. Fusion, prompts and
/// heads of a model that is made of two encoders are new: train them.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier import ptunifier.ckpt --tokenizer biomed_roberta_base --out bundles/published
  ptunifier import --image clip-vit-base-patch16 --drop-last 1 --size 288 --text biomed_roberta_base --out bundles/start
  ptunifier import biomedclip --out bundles/biomedclip           both encoders of one folder
  ptunifier import --image vit.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 --text minilm --out bundles/small
  ptunifier import --image dinov2-base --text biobert --out bundles/dino --json > report.json")]
pub struct Arguments {
    /// A PTUnifier or METER checkpoint, or a file or folder with an image encoder and a text encoder
    #[arg(conflicts_with_all = ["image", "text"])]
    source: Option<PathBuf>,
    /// File or folder of the image encoder
    #[arg(long, value_name = "PATH")]
    image: Option<PathBuf>,
    /// File or folder of the text encoder
    #[arg(long, value_name = "PATH")]
    text: Option<PathBuf>,
    /// Folder of the bundle; it must not exist or be empty
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    #[command(flatten)]
    of_image: OfImage,
    #[command(flatten)]
    of_text: OfText,
    #[command(flatten)]
    of_model: OfModel,
    /// Prompts in place of a missing image and of a missing text, of a whole checkpoint (default: 49,32, as published)
    #[arg(long, value_name = "IMAGE,TEXT", value_parser = prompts)]
    prompts: Option<[usize; 2]>,
    /// Weights that may be missing or unknown (`*` stands for any characters); missing ones are initialised anew
    #[arg(long, value_name = "PATTERN")]
    allow_missing: Vec<String>,
    /// One JSON object on stdout: the report of every weight
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Image encoder")]
struct OfImage {
    /// Height and width of the images in pixels; positions are resized (default: those of the encoder)
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Number of blocks at the end that are not used; PTUnifier uses CLIP with 1
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    drop_last: usize,
    /// Attention heads, if the files do not say
    #[arg(long, value_name = "HEADS")]
    image_heads: Option<usize>,
    /// Activation of the MLPs, if the files do not say: quick_gelu, gelu or gelu_tanh
    #[arg(long, value_parser = activation)]
    activation: Option<ImageActivation>,
    /// Mean of red, green and blue in [0, 1], if the files do not say
    #[arg(long, value_name = "R,G,B", value_parser = colours, requires = "std", allow_hyphen_values = true)]
    mean: Option<[f32; 3]>,
    /// Standard deviation of red, green and blue
    #[arg(long, value_name = "R,G,B", value_parser = colours, requires = "mean", allow_hyphen_values = true)]
    std: Option<[f32; 3]>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Text encoder")]
struct OfText {
    /// Folder of the tokenizer (default: that of the weights)
    #[arg(long, value_name = "FOLDER")]
    tokenizer: Option<PathBuf>,
    /// Attention heads, if the files do not say; of a whole checkpoint also those of the fusion
    #[arg(long, value_name = "HEADS")]
    text_heads: Option<usize>,
    /// The largest number of tokens of a text (default: that of the files)
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<usize>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "New parts, of a model of two encoders")]
struct OfModel {
    /// Width of the fusion (default: that of the text encoder)
    #[arg(long, value_name = "WIDTH")]
    fusion_width: Option<usize>,
    /// Layers of the fusion (default: half as many as the text encoder has)
    #[arg(long, value_name = "LAYERS")]
    fusion_layers: Option<usize>,
    /// Attention heads of the fusion (default: as the text encoder, or one for every 64 of the width)
    #[arg(long, value_name = "HEADS")]
    fusion_heads: Option<usize>,
    /// Seed of new weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// The report of the whole import, as JSON.
#[derive(Serialize)]
struct Output<'a> {
    bundle: &'a Path,
    reports: &'a [Report],
    initialised: &'a [String],
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // A checkpoint of gigabytes is read and written once: its buffers are not needed again.
    memory::give_back();
    let sources = sources(arguments)?;
    let was_there = arguments.out.exists();
    check_out(&arguments.out)?;
    let imported = read(arguments, &sources).inspect_err(|_| {
        if !was_there {
            // It is empty; if it cannot be removed, the next call uses it.
            let _ = std::fs::remove_dir(&arguments.out);
        }
    })?;
    imported.bundle.save(&arguments.out, &imported.card)?;
    let output = Output { bundle: &arguments.out, reports: &imported.reports, initialised: &imported.initialised };
    write_bytes(&arguments.out.join(REPORT), serde_json::to_string_pretty(&output)?.as_bytes())?;
    if arguments.json {
        return print(&serde_json::to_string(&output)?);
    }
    imported.reports.iter().flat_map(lines).try_for_each(|line| print(&line))?;
    if !imported.initialised.is_empty() {
        print(&format!("{} weights are new; train them before the model is used", imported.initialised.len()))?;
    }
    print(&format!("bundle {}", arguments.out.display()))
}

/// What is read of the report again.
#[derive(Deserialize)]
struct Initialised {
    initialised: Vec<String>,
}

/// Says that a model was made of two encoders and not trained since, so that its scores say nothing.
pub fn say_if_untrained(bundle: &Path) -> anyhow::Result<()> {
    let path = bundle.join(REPORT);
    if !path.exists() {
        return Ok(());
    }
    let cure = || format!("`{}` is not the report of an import; remove it", path.display());
    let Initialised { initialised } = serde_json::from_slice(&read_bytes(&path, LARGEST_REPORT)?).with_context(cure)?;
    if initialised.iter().any(|name| name.starts_with(FUSION)) {
        say(&format!(
            "note: {} weights of `{}` are new and were never trained (fusion, prompts, heads): what it says means nothing before \
             `pretrain` or `finetune`; only `embed --space encoder` does not need them",
            initialised.len(),
            bundle.display()
        ));
    }
    Ok(())
}

/// Checks before long work that the bundle can be written.
fn check_out(out: &Path) -> anyhow::Result<()> {
    let used = out.is_file() || out.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if used {
        return Err(
            WrongArguments(format!("`{}` exists and is not an empty folder; name another one", out.display())).into()
        );
    }
    std::fs::create_dir_all(out).and_then(|()| try_folder(out)).map_err(|error| {
        anyhow::anyhow!("cannot write into `{}`: {error}; name a folder that can be written", out.display())
    })
}

/// Where the weights come from.
enum Sources<'a> {
    /// A whole checkpoint, or one file with both encoders.
    One(&'a Path),
    /// An image encoder and a text encoder.
    Two(&'a Path, &'a Path),
}

fn sources(arguments: &Arguments) -> Result<Sources<'_>, WrongArguments> {
    match (&arguments.source, &arguments.image, &arguments.text) {
        (Some(source), ..) => Ok(Sources::One(source)),
        (None, Some(image), Some(text)) => Ok(Sources::Two(image, text)),
        _ => Err(WrongArguments("no weights are named; name a SOURCE, or both --image and --text".into())),
    }
}

fn read(arguments: &Arguments, sources: &Sources<'_>) -> anyhow::Result<Imported> {
    let source = match *sources {
        Sources::One(source) => source,
        Sources::Two(image, text) => return encoders(arguments, image, text),
    };
    match parts(source)?.as_slice() {
        [Part::Image, Part::Text] => encoders(arguments, source, source),
        [part @ (Part::Image | Part::Text)] => {
            let cure = "a model needs both encoders: name them with --image and --text";
            bail!("`{}` holds only {part}; {cure}", source.display())
        }
        [Part::Bundle] => bail!(
            "`{}` is a bundle of this program already; use it as it is (`finetune --model`, `embed`, `model.init.model` in a recipe)",
            source.display()
        ),
        _ => Ok(read_checkpoint(source, &checkpoint_options(arguments)?)?.bundle()?),
    }
}

fn encoders(arguments: &Arguments, image: &Path, text: &Path) -> anyhow::Result<Imported> {
    let Arguments { of_image, of_text, of_model, .. } = arguments;
    if arguments.prompts.is_some() {
        let cause = "--prompts is for a whole checkpoint, but the sources are two encoders; omit it";
        return Err(WrongArguments(cause.into()).into());
    }
    let allow_missing = arguments.allow_missing.clone();
    let image_options = ImageOptions {
        size: of_image.size,
        drop_last: of_image.drop_last,
        heads: of_image.image_heads,
        activation: of_image.activation,
        normalisation: of_image.mean.zip(of_image.std).map(|(mean, deviation)| [mean, deviation]),
        allow_missing: allow_missing.clone(),
    };
    let text_options = TextOptions { heads: of_text.text_heads, tokenizer: of_text.tokenizer.clone(), allow_missing };
    let options = AssembleOptions {
        fusion_width: of_model.fusion_width,
        fusion_layers: of_model.fusion_layers,
        fusion_heads: of_model.fusion_heads,
        max_tokens: of_text.max_tokens,
        seed: of_model.seed,
    };
    let (image, text) = (read_image_encoder(image, &image_options)?, read_text_encoder(text, &text_options)?);
    Ok(assemble(image, text, &options)?)
}

/// The options of a whole checkpoint, whose image encoder and fusion are as published.
fn checkpoint_options(arguments: &Arguments) -> anyhow::Result<CheckpointOptions> {
    let Arguments { of_image, of_text, of_model, .. } = arguments;
    let given = [
        ("--size", of_image.size.is_some()),
        ("--drop-last", of_image.drop_last != 0),
        ("--image-heads", of_image.image_heads.is_some()),
        ("--activation", of_image.activation.is_some()),
        ("--mean", of_image.mean.is_some()),
        ("--fusion-width", of_model.fusion_width.is_some()),
        ("--fusion-layers", of_model.fusion_layers.is_some()),
        ("--fusion-heads", of_model.fusion_heads.is_some()),
    ];
    if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(WrongArguments(format!(
            "{option} is for two encoders, but the source is a whole checkpoint; omit it"
        ))
        .into());
    }
    Ok(CheckpointOptions {
        heads: of_text.text_heads,
        prompts: arguments.prompts,
        max_tokens: of_text.max_tokens,
        tokenizer: of_text.tokenizer.clone(),
        allow_missing: arguments.allow_missing.clone(),
        seed: of_model.seed,
    })
}

/// The report of one file in a few lines.
fn lines(report: &Report) -> Vec<String> {
    let matched = report.weights.iter().filter(|weight| weight.origin != Origin::Initialised).count();
    let mut lines = vec![format!("{}: {}, {matched} weights", report.source.display(), report.layout)];
    lines.extend(report.weights.iter().filter_map(|weight| match &weight.origin {
        Origin::Resized { grid, to, .. } => {
            Some(format!("  positions resized from {grid} x {grid} to {to} x {to} patches"))
        }
        Origin::Matched { .. } | Origin::Initialised => None,
    }));
    lines.extend(report.assumed.iter().map(|one| format!("  assumed: {} is {}, {}", one.key, one.value, one.because)));
    let mut unused: BTreeMap<UnusedReason, Vec<&str>> = BTreeMap::new();
    for tensor in &report.unused {
        unused.entry(tensor.reason).or_default().push(&tensor.name);
    }
    for (reason, names) in unused {
        let first = names.first().copied().unwrap_or_default();
        lines.push(format!(
            "  not used: {} tensor{}, {}, such as `{first}`",
            names.len(),
            if names.len() == 1 { "" } else { "s" },
            because(reason)
        ));
    }
    lines
}

fn because(reason: UnusedReason) -> &'static str {
    match reason {
        UnusedReason::Head => "of a head behind the encoder",
        UnusedReason::OtherPart => "of another part of the model",
        UnusedReason::PretrainingOnly => "of pre-training only",
        UnusedReason::NotLearned => "without learned values",
        UnusedReason::DroppedBlock => "of blocks that are dropped",
        UnusedReason::Allowed => "allowed by --allow-missing",
    }
}

/// Three numbers that are separated by commas.
fn colours(word: &str) -> Result<[f32; 3], String> {
    let numbers: Vec<f32> = word.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    let wrong = || format!("`{word}` is not three numbers that are separated by commas, such as 0.5,0.5,0.5");
    if word.split(',').count() != 3 || !numbers.iter().all(|number| number.is_finite()) {
        return Err(wrong());
    }
    numbers.try_into().map_err(|_| wrong())
}

/// Two whole numbers that are separated by a comma.
fn prompts(word: &str) -> Result<[usize; 2], String> {
    let numbers: Result<Vec<usize>, _> = word.split(',').map(|number| number.trim().parse()).collect();
    let pair = numbers.ok().and_then(|numbers| numbers.try_into().ok());
    pair.ok_or_else(|| format!("`{word}` is not two whole numbers that are separated by a comma, such as 49,32"))
}

fn activation(word: &str) -> Result<ImageActivation, String> {
    serde_json::from_value(word.into()).map_err(|_| format!("`{word}` is none of quick_gelu, gelu and gelu_tanh"))
}
