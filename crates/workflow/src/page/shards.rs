//! The page of a folder of shards: its counts, some of its records, and duplicates within and between its splits.

use std::collections::BTreeMap;
use std::path::Path;

use ptu_data::manifest::describe_overlap;
use ptu_data::survey::{LONGEST, SplitSurvey};
use ptu_data::{Record, Split, Survey};
use ptu_input::Picture;
use ptu_prepare::named::Description;
use ptu_report::{Bars, Item, Page, SampleGroup, Section, Table};

use super::THUMBNAIL;
use crate::WorkflowError;

/// Number of bars for the values of a label, and for answers.
const BARS: usize = 20;

/// Number of bars of the histogram of text lengths.
const BINS: usize = 12;

/// Number of causes of skipped records that are listed.
const CAUSES: usize = 30;

/// The page of a folder of shards.
///
/// # Errors
/// If the folder is not a folder of shards, or if a shard is missing or damaged.
pub fn of_shards(folder: &Path) -> Result<Page, WorkflowError> {
    let survey = Survey::of(folder)?;
    let manifest = &survey.manifest;
    let all = |of: fn(&ptu_data::Counts) -> u64| manifest.splits.values().map(of).sum::<u64>();
    let records = all(|counts| counts.records);
    let mut page = Page {
        title: format!("Data set {}", manifest.source),
        subtitle: folder.display().to_string(),
        verdict: format!(
            "{records} records: {} pairs, {} images without text, {} texts without image.",
            all(|counts| counts.pairs),
            all(|counts| counts.images_only),
            all(|counts| counts.texts_only)
        ),
        ..Page::default()
    };
    if let Some(about) = Description::of(&manifest.dataset).filter(|about| about.name != "table") {
        page.facts
            .extend([("licence", about.licence), ("citation", about.citation)].map(|(a, b)| (a.into(), b.into())));
    }
    page.facts.push(("data hash".into(), manifest.hash().chars().take(16).collect()));
    let leaks = manifest.overlaps.iter().filter(|one| one.splits[0] != one.splits[1] && one.removed == 0);
    let warning =
        |leak| format!("{}; they were kept, so a high score may come from memorised records", describe_overlap(leak));
    page.warnings = leaks.map(warning).collect();
    page.samples = survey.splits.iter().map(|(split, survey)| samples(*split, survey)).collect();
    page.bars = survey.splits.iter().flat_map(|(split, survey)| bars(*split, survey)).collect();
    page.tables = vec![splits(&survey), overlaps(&survey), skipped(&survey), noted(&survey)];
    page.tables.retain(|table| !table.rows.is_empty());
    let steps: Vec<String> = manifest.preprocessing.iter().map(|step| format!("- {step}")).collect();
    page.sections.push(Section { title: "Preprocessing of the raw data".into(), body: steps.join("\n") });
    page.sections.push(Section { title: "Command".into(), body: manifest.made_by.arguments.join(" ") });
    Ok(page)
}

fn samples(split: Split, survey: &SplitSurvey) -> SampleGroup {
    let text = |record: &Record| {
        let sentences = record.sentences.iter().map(|pair| format!("{} / {}", pair.premise, pair.hypothesis));
        let questions = record.questions.iter().take(3).map(|one| format!("{} {}", one.question, one.answer));
        let labels = record.labels.iter().filter(|label| label.value != "unmentioned").take(6);
        let labels: Vec<String> = labels.map(|label| format!("{}: {}", label.name, label.value)).collect();
        let labels = (!labels.is_empty()).then(|| format!("[{}]", labels.join(", ")));
        let all: Vec<String> = record.texts.iter().cloned().chain(sentences).chain(questions).chain(labels).collect();
        (!all.is_empty()).then(|| all.join(" \u{b7} "))
    };
    let item = |record: &Record| Item {
        id: record.id.clone(),
        image_png: record.image.as_ref().and_then(|image| {
            Picture::decode(&image.bytes, &record.id).ok().map(|picture| picture.thumbnail_png(THUMBNAIL))
        }),
        text: text(record),
    };
    SampleGroup {
        title: split.to_string(),
        explanation: "Records at equal distances over the whole split, in the order of the split.".into(),
        items: survey.samples.iter().map(item).collect(),
    }
}

fn bars(split: Split, survey: &SplitSurvey) -> Vec<Bars> {
    let mut all = vec![];
    if !survey.words.is_empty() {
        let most = survey.words.keys().next_back().copied().unwrap_or(0) + 1;
        let width = most.div_ceil(BINS);
        let mut bins: BTreeMap<usize, u64> = (0..most.div_ceil(width)).map(|bin| (bin, 0)).collect();
        for (words, count) in &survey.words {
            *bins.entry(words / width).or_default() += count;
        }
        let name = |bin: usize| match (bin * width, (bin + 1) * width - 1) {
            (first, last) if first == last => first.to_string(),
            (first, last) if last >= LONGEST => format!("{first} or more"),
            (first, last) => format!("{first} to {last}"),
        };
        all.push(Bars {
            title: format!("{split}: words per text"),
            explanation: String::new(),
            counts: bins.into_iter().map(|(bin, count)| (name(bin), count)).collect(),
        });
    }
    let mut labels: BTreeMap<&str, Vec<(String, u64)>> = BTreeMap::new();
    for ((name, value), count) in &survey.labels {
        labels.entry(name).or_default().push((value.clone(), *count));
    }
    all.extend(labels.into_iter().map(|(name, counts)| most_of(format!("{split}: {name}"), counts)));
    if !survey.answers.is_empty() {
        let answers = survey.answers.iter().map(|(answer, count)| (answer.clone(), *count)).collect();
        let mut bars = most_of(format!("{split}: answers"), answers);
        let (questions, closed) = survey.questions;
        bars.explanation =
            format!("{questions} questions, {closed} of them closed-ended. {}", bars.explanation).trim().into();
        all.push(bars);
    }
    all
}

/// Bars of the most frequent values.
fn most_of(title: String, mut counts: Vec<(String, u64)>) -> Bars {
    counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let different = counts.len();
    counts.truncate(BARS);
    let explanation = match different > BARS {
        true => format!("The {BARS} most frequent of {different} values."),
        false => String::new(),
    };
    Bars { title, explanation, counts }
}

fn splits(survey: &Survey) -> Table {
    let row = |(split, counts): (&Split, &ptu_data::Counts)| {
        let numbers = [counts.records, counts.patients, counts.pairs, counts.images_only, counts.texts_only];
        let texts: u64 = survey.splits.get(split).map_or(0, |one| one.words.values().sum());
        let sentences = survey.splits.get(split).map_or(0, |one| one.sentences);
        let numbers = numbers.into_iter().chain([texts, sentences]).map(|number| number.to_string());
        std::iter::once(split.to_string()).chain(numbers).collect()
    };
    let columns = [
        "split",
        "records",
        "patients",
        "pairs",
        "images without text",
        "texts without image",
        "texts",
        "sentence pairs",
    ];
    Table {
        title: "Splits".into(),
        explanation: String::new(),
        columns: columns.map(String::from).to_vec(),
        rows: survey.manifest.splits.iter().map(row).collect(),
    }
}

fn overlaps(survey: &Survey) -> Table {
    let row = |one: &ptu_data::manifest::Overlap| {
        let [first, second] = one.splits.map(|split| split.to_string());
        let examples = one.examples.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        vec![one.of.name().into(), first, second, one.count.to_string(), one.removed.to_string(), examples]
    };
    Table {
        title: "Duplicates and leaks".into(),
        explanation:
            "For two splits: how many items of the first split also occur in the second. Within one split: how many items repeat \
             another. Two images look alike if their perceptual hashes of 256 bits differ in at most 7 bits."
                .into(),
        columns: ["what", "in", "also in", "count", "removed", "examples"].map(String::from).to_vec(),
        rows: survey.manifest.overlaps.iter().map(row).collect(),
    }
}

/// Skipped records, grouped by cause. Causes that differ only in the parts within backticks are one group.
fn skipped(survey: &Survey) -> Table {
    let mut causes: BTreeMap<String, (u64, Vec<&str>)> = BTreeMap::new();
    for one in &survey.manifest.skipped {
        let plain: Vec<&str> =
            one.cause.split('`').enumerate().map(|(n, part)| if n % 2 == 0 { part } else { ".." }).collect();
        let (count, examples) = causes.entry(plain.concat()).or_default();
        *count += 1;
        if examples.len() < 3 {
            examples.push(&one.place);
        }
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by(|one, other| other.1.0.cmp(&one.1.0).then_with(|| one.0.cmp(&other.0)));
    let rows = causes
        .into_iter()
        .take(CAUSES)
        .map(|(cause, (count, examples))| vec![cause, count.to_string(), examples.join(", ")]);
    Table {
        title: "Skipped records".into(),
        explanation: "Grouped by cause. `manifest.json` lists every skipped record.".into(),
        columns: ["cause", "records", "examples"].map(String::from).to_vec(),
        rows: rows.collect(),
    }
}

fn noted(survey: &Survey) -> Table {
    let manifest = &survey.manifest;
    let examples = |what: &String| {
        let details = manifest.details.get(what).into_iter().flatten();
        details.take(3).map(|one| format!("{}: {}", one.place, one.cause)).collect::<Vec<_>>().join("; ")
    };
    Table {
        title: "Remarks of the preparation".into(),
        explanation: "For problems that you can correct, `manifest.json` lists every case.".into(),
        columns: ["remark", "count", "examples"].map(String::from).to_vec(),
        rows: manifest
            .noted
            .iter()
            .map(|(what, count)| vec![what.clone(), count.to_string(), examples(what)])
            .collect(),
    }
}
