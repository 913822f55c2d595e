mod page;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use ptu_data::Split;
use ptu_data::vectors::numpy_array;
use ptu_explain::{Explainer, Explanation, Goal, Method, StandInRows, WeightedWord, words};
use ptu_infer::task::TaskOutput;
use ptu_input::{ImageFile, Input};
use ptu_model::files::write_bytes;
use ptu_report::HeatMap;
use ptu_workflow::explanations::{ExplanationCheck, ExplanationCheckOptions, check_explanations};
use ptu_workflow::page::{PromptItems, prompt_items};
use serde::Serialize;

use super::evaluate::{interval, with_bar};
use super::{AtWork, bundle_folder, check_model, check_page};
use crate::output::{print, say};
use crate::usage::{WrongArguments, at_least_one};

/// Number of records that `--check` explains, unless the user asks for others.
const RECORDS: usize = 200;
/// The file of everything that is explained.
const FILE: &str = "explanation.json";
/// Longest bar beside a word in the terminal, in characters.
const BAR: usize = 24;

/// Show why a model gives a score: a heat map over the image, and what each word is worth
///
/// A fine-tuned model: the logit of the output that it predicts, or of --output. A pre-trained one: how well an image and a text go
/// together, by --score.
///
/// attention: attention weighted by its gradient, carried through all layers (Chefer et al., 2021): where the model looks. gradients:
/// integrated gradients (Sundararajan et al., 2017): what speaks for the score (above 0, red) and against it (below 0, blue). What is missing
/// is not explained; the prompts that stood in for it are named.
///
/// With --out, the heat maps are written as pictures (.png) and as numbers of the patches (.npy), and everything as explanation.json.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier explain quickstart/ask --image scan.png --text \"Which side?\" --out why
  ptunifier explain runs/finding --image scan.png --output fracture
  ptunifier explain quickstart/run --image scan.png --text \"Fracture of the left hand.\" --score contrast --out why
  ptunifier explain runs/nli --text \"No effusion.\" --json
  ptunifier explain runs/finding --check        do its explanations say something about the model?")]
pub struct Arguments {
    /// Run folder, or bundle
    model: PathBuf,
    /// Image file; several are explained one by one, each with the text
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Text, or question
    #[arg(long)]
    text: Option<String>,
    /// The class, label or answer whose logit is explained (default: the one that the model predicts)
    #[arg(long, value_name = "NAME", conflicts_with = "score")]
    output: Option<String>,
    /// The score of an image with a text that is explained (default: contrast, or the one that the model has)
    #[arg(long)]
    score: Option<ScoreName>,
    /// Check the explanations on records of the run's data: deletion of the patches that are worth most, random weights and, on the phantom
    /// corpus, whether they point to the finding
    #[arg(long, conflicts_with_all = ["image", "text", "output", "score", "out"])]
    check: bool,
    /// Shard folders for --check (default: those of the run's recipe)
    #[arg(long)]
    data: Vec<PathBuf>,
    /// Which split for --check: train, validate or test (default: test)
    #[arg(long)]
    split: Option<Split>,
    /// Largest number of records for --check (default: 200)
    #[arg(long, value_parser = at_least_one)]
    records: Option<usize>,
    /// How it is explained
    #[arg(long, default_value = "both")]
    method: MethodName,
    /// Points between the baseline and the input, for gradients
    #[arg(long, default_value = "32", value_parser = at_least_one)]
    steps: usize,
    /// Folder for pictures, numbers and explanation.json
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Write a page with everything: one self-contained HTML file
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    page: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    work: AtWork,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScoreName {
    Contrast,
    Match,
    Ranking,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodName {
    Both,
    Attention,
    Gradients,
}

/// One explanation in the output.
#[derive(Serialize)]
struct Explained {
    /// The image file, or `text`.
    #[serde(rename = "input")]
    name: String,
    /// What is explained.
    explained: String,
    method: &'static str,
    score: f32,
    /// Relevance of the patches, row by row.
    #[serde(skip_serializing_if = "Option::is_none")]
    patches: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<Vec<WeightedWord>>,
    /// The prompts that stood in for what is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    stand_in: Option<StandInRows>,
    /// For each of them the ids of the training items that rank it highest, if the data of the run are there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nearest: Vec<Vec<String>>,
    /// The score of the baseline: an image of one colour, and padding in the place of words.
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<f32>,
    /// How far the parts are from adding up to the score minus that of the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<f32>,
    /// Pictures and arrays that were written.
    files: Vec<PathBuf>,
    /// The picture with the map over it.
    #[serde(skip)]
    map: Option<Vec<u8>>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let _ = arguments.work.start()?;
    check_model(&arguments.model)?;
    if arguments.check {
        return check(arguments);
    }
    if !arguments.data.is_empty() || arguments.split.is_some() || arguments.records.is_some() {
        return Err(WrongArguments(
            "`--data`, `--split` and `--records` are for `--check`; add it, or remove them".into(),
        )
        .into());
    }
    if arguments.image.is_empty() && arguments.text.is_none() {
        let text = "there is nothing to explain; give --image, --text, or both, or check the explanations with --check";
        return Err(WrongArguments(text.into()).into());
    }
    check_page(arguments.page.as_deref())?;
    if let Some(out) = &arguments.out {
        let is_foreign = out.read_dir().is_ok_and(|mut files| files.next().is_some()) && !out.join(FILE).exists();
        if is_foreign {
            let text = format!(
                "`{}` is not empty and has no explanation of before; name an empty or a new folder",
                out.display()
            );
            return Err(WrongArguments(text).into());
        }
        std::fs::create_dir_all(out).with_context(|| format!("cannot create `{}`", out.display()))?;
    }
    let explainer = Explainer::open(&bundle_folder(&arguments.model)?)?;
    let inputs = inputs(arguments, &explainer)?;
    let goals = inputs.iter().map(|input| goal(arguments, &explainer, &input.1)).collect::<anyhow::Result<Vec<_>>>()?;
    let is_anything_missing = inputs.iter().any(|(_, input)| !matches!(input, Input::Pair { .. }));
    // The terminal shows the numbers of prompts only.
    let is_shown = arguments.json || arguments.page.is_some() || arguments.out.is_some();
    let items = if is_anything_missing && is_shown { prompt_items(&arguments.model, &explainer.bundle)? } else { None };
    let mut all = vec![];
    for method in methods(arguments) {
        let only: Vec<Input> = inputs.iter().map(|(_, input)| input.clone()).collect();
        let asked: Vec<Goal> = goals.iter().map(|(goal, _)| *goal).collect();
        let found = explainer.explain(&only, &asked, method)?;
        for (input, ((_, what), explanation)) in inputs.iter().zip(goals.iter().zip(found)) {
            let mut one = explained(arguments, &explainer, input, (what, method, explanation))?;
            one.nearest = nearest(one.stand_in.as_ref(), items.as_ref());
            all.push(one);
        }
    }
    if let Some(file) = &arguments.page {
        let page = page::page(arguments, (&inputs, &all), items.as_ref());
        write_bytes(file, ptu_report::render(&page).as_bytes())?;
    }
    if let Some(out) = &arguments.out {
        write_bytes(&out.join(FILE), serde_json::to_string_pretty(&all)?.as_bytes())?;
    }
    if arguments.json {
        return print(&serde_json::json!({ "explanations": all }).to_string());
    }
    all.iter().try_for_each(show)
}

/// Prints what the checks of explanations found.
fn check(arguments: &Arguments) -> anyhow::Result<()> {
    let split = arguments.split.unwrap_or(Split::Test);
    let options = ExplanationCheckOptions {
        model: arguments.model.clone(),
        data: arguments.data.clone(),
        split,
        records: arguments.records.unwrap_or(RECORDS),
        methods: methods(arguments),
    };
    let found = with_bar("checking", |done| check_explanations(&options, done))?;
    if arguments.json {
        return print(&serde_json::json!({ "split": split, "checks": found }).to_string());
    }
    for check in found {
        let verdict = check.verdict();
        let ExplanationCheck {
            method,
            records,
            deletion,
            random_deletion,
            deletion_difference,
            random_weights,
            pointing,
        } = check;
        print(&format!("{method}, {records} records of the {split} split"))?;
        let row = |name: &str, score| print(&format!("  {name:52}{}", interval(score)));
        row("score lost without the tenth that is worth most", deletion)?;
        row("score lost without a random tenth", random_deletion)?;
        row("difference", deletion_difference)?;
        row("rank correlation with maps of random weights", random_weights)?;
        print(&format!("  in short: {verdict}"))?;
        let Some(pointing) = pointing else { continue };
        print(&format!("  the patch that is worth most lies in the finding, {} records", pointing.records))?;
        row("  share", pointing.most)?;
        row("  the centre of the picture", pointing.centre)?;
        row("  difference", pointing.centre_difference)?;
        row("  the best single patch of the training records", pointing.fixed)?;
        row("  difference", pointing.fixed_difference)?;
    }
    Ok(())
}

fn methods(arguments: &Arguments) -> Vec<Method> {
    let gradients = Method::IntegratedGradients { steps: arguments.steps };
    match arguments.method {
        MethodName::Both => vec![Method::Attention, gradients],
        MethodName::Attention => vec![Method::Attention],
        MethodName::Gradients => vec![gradients],
    }
}

/// The ids of the training items that rank each prompt highest.
fn nearest(stand_in: Option<&StandInRows>, items: Option<&PromptItems>) -> Vec<Vec<String>> {
    let (Some(stand_in), Some(items)) = (stand_in, items) else { return vec![] };
    let (rows, as_images) = match stand_in {
        StandInRows::Image(rows) => (rows, false),
        StandInRows::Text(rows) => (rows, true),
    };
    rows.iter().map(|row| items.nearest(*row, as_images).into_iter().map(|found| found.item.id).collect()).collect()
}

/// The inputs of the model, with their names.
fn inputs(arguments: &Arguments, explainer: &Explainer) -> anyhow::Result<Vec<(String, Input)>> {
    let processor = explainer.bundle.processor();
    // Without white space at its ends, as texts of records are.
    let text = arguments.text.as_deref().map(str::trim);
    if text == Some("") {
        return Err(WrongArguments("the text is empty; write one, or none at all".into()).into());
    }
    let one = |file: Option<&PathBuf>| -> anyhow::Result<(String, Input)> {
        let bytes = file.map(|file| std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display())));
        let bytes = bytes.transpose()?;
        let name = file.map_or("text".into(), |file| file.display().to_string());
        let image = bytes.as_deref().map(|bytes| ImageFile { bytes, name: &name });
        let processed = processor.input(image, text)?.context("there is neither an image nor a text")?;
        if processed.cut {
            say("the text is longer than the model reads; its end is not explained");
        }
        Ok((name, processed.input))
    };
    if arguments.image.is_empty() {
        return Ok(vec![one(None)?]);
    }
    arguments.image.iter().map(|file| one(Some(file))).collect()
}

/// What is explained of an input, and its name.
fn goal(arguments: &Arguments, explainer: &Explainer, input: &Input) -> anyhow::Result<(Goal, String)> {
    match &explainer.task {
        Some(task) if !matches!(task.output, TaskOutput::Retrieval { .. }) => {
            if task.output.written().is_some() {
                bail!(
                    "`{}` writes texts; scores of classes, labels and answers can be explained, and how well an image and a text go together",
                    arguments.model.display()
                );
            }
            if arguments.score.is_some() {
                let text =
                    "`--score` is for pre-trained models; this one is fine-tuned: name an output with `--output`";
                return Err(WrongArguments(text.into()).into());
            }
            let names = task.output.names();
            let number = match &arguments.output {
                Some(name) => names
                    .iter()
                    .position(|one| one == name)
                    .with_context(|| format!("the model has no output `{name}`; it has {}", names.join(", ")))?,
                None => match explainer.goal(input)? {
                    Goal::Output(number) => number,
                    other => return Ok((other, name_of(other).into())),
                },
            };
            Ok((Goal::Output(number), names[number].to_string()))
        }
        _ => {
            if arguments.output.is_some() {
                let text = "`--output` is for models that are fine-tuned for classes, labels or answers";
                return Err(WrongArguments(text.into()).into());
            }
            let goal = match arguments.score {
                Some(ScoreName::Contrast) => Goal::Contrast,
                Some(ScoreName::Match) => Goal::Match,
                Some(ScoreName::Ranking) => Goal::Ranking,
                None => explainer.goal(input)?,
            };
            if arguments.score.is_none() && goal == Goal::Contrast {
                say(
                    "explaining the cosine similarity of the contrast, by which `search` ranks; `match` prints another score: --score match",
                );
            }
            Ok((goal, name_of(goal).into()))
        }
    }
}

/// What a score of an image with a text is called.
fn name_of(goal: Goal) -> &'static str {
    match goal {
        Goal::Ranking => "how well image and text go together (retrieval head)",
        Goal::Match => "how well image and text go together (matching head)",
        _ => "how well image and text go together (contrast)",
    }
}

/// Writes the pictures of an explanation, and turns it into what is printed.
fn explained(
    arguments: &Arguments,
    explainer: &Explainer,
    (name, input): &(String, Input),
    (what, method, explanation): (&str, Method, Explanation),
) -> anyhow::Result<Explained> {
    let gap = explanation.sum_and_gap().map(|(_, gap)| gap);
    let Explanation { score, patches, tokens, stand_in, baseline } = explanation;
    let (mut files, mut map) = (vec![], None);
    if let (Some(patches), Some(image)) = (&patches, input.image()) {
        let grid = patches.len().isqrt();
        // Attention is above 0 everywhere: its colours begin with its lowest value.
        let plain =
            if method == Method::Attention { patches.iter().copied().fold(f32::INFINITY, f32::min) } else { 0.0 };
        let grey = image.grey_levels();
        let drawn = HeatMap { grey: &grey, size: [image.side; 2], values: patches, grid: [grid; 2], plain }.png();
        if let Some(out) = &arguments.out {
            // Images of different folders may have the same name.
            let number = arguments.image.iter().position(|image| image == Path::new(name)).unwrap_or(0) + 1;
            let first = if arguments.image.len() > 1 { format!("{number}-") } else { String::new() };
            let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
            let stem = format!("{first}{stem}-{}", method.name().replace(' ', "-"));
            for (ending, bytes) in [("png", drawn.as_slice()), ("npy", &numpy_array(patches, grid))] {
                let path = out.join(format!("{stem}.{ending}"));
                write_bytes(&path, bytes)?;
                files.push(path);
            }
        }
        map = Some(drawn);
    }
    let weighed = input.text().zip(tokens).map(|(text, tokens)| words(text, &tokens, &explainer.bundle.tokenizer));
    let (name, explained, method) = (name.clone(), what.to_string(), method.name());
    let nearest = vec![];
    Ok(Explained {
        name,
        explained,
        method,
        score,
        patches,
        words: weighed,
        stand_in,
        nearest,
        baseline,
        gap,
        files,
        map,
    })
}

/// Prints an explanation.
fn show(one: &Explained) -> anyhow::Result<()> {
    print(&format!("{}: {} {:.4}, explained by {}", one.name, one.explained, one.score, one.method))?;
    let most = one.words.iter().flatten().fold(0.0f32, |most, word| most.max(word.weight.abs()));
    for WeightedWord { word, weight } in one.words.iter().flatten() {
        let length = if most > 0.0 { (weight.abs() / most * BAR as f32).round() as usize } else { 0 };
        let bar = if *weight < 0.0 { "-" } else { "#" }.repeat(length);
        print(&format!("  {word:20} {weight:>10.4} {bar}"))?;
    }
    if let Some(patches) = &one.patches {
        print(&format!("  image: {}", strongest(patches)))?;
    }
    match &one.stand_in {
        Some(StandInRows::Image(rows)) => print(&format!("  no image: prompts {rows:?} stood in for it"))?,
        Some(StandInRows::Text(rows)) => print(&format!("  no text: prompts {rows:?} stood in for it"))?,
        None => {}
    }
    if let (Some(gap), Some(baseline)) = (one.gap, one.baseline) {
        let difference = one.score - baseline;
        let share =
            if difference == 0.0 { String::new() } else { format!(" ({:.0} % of it)", 100.0 * gap / difference.abs()) };
        print(&format!(
            "  the parts should add up to {difference:.4}, the score minus that of a blank image and an empty text; they miss it by \
             {gap:.4}{share}; more --steps bring them closer"
        ))?;
    }
    one.files.iter().try_for_each(|file| print(&format!("  {}", file.display())))
}

/// Where the patches are that are worth most, for the score and against it.
fn strongest(patches: &[f32]) -> String {
    let grid = patches.len().isqrt();
    let place = |least: bool| {
        let sign = if least { -1.0 } else { 1.0 };
        let order = |one: &(usize, &f32), other: &(usize, &f32)| (sign * one.1).total_cmp(&(sign * other.1));
        let (place, value) = patches.iter().enumerate().max_by(order).unwrap_or((0, &0.0));
        format!("row {} and column {} of {grid} ({value:.4})", place / grid + 1, place % grid + 1)
    };
    let most = format!("worth most: the patch in {}", place(false));
    if patches.iter().any(|value| *value < 0.0) { format!("{most}; against the score: {}", place(true)) } else { most }
}
