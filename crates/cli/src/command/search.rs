use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::{ArgGroup, ValueEnum};
use ptu_data::files::read_image;
use ptu_data::picture::PictureLocation;
use ptu_data::vectors::{Modality, VectorRow};
use ptu_data::{Label, Split};
use ptu_infer::search::{Hit, Query, SearchCounts, SearchOptions, VectorIndex, query_vector, rank_by_matching};
use ptu_input::{ImageFile, Picture, Processed};
use ptu_model::Bundle;
use ptu_model::files::write_bytes;
use ptu_prepare::PictureReader;
use ptu_report::{Example, ExampleGroup, Item, Page, Retrieved};
use serde::Serialize;

use super::AtWork;
use crate::output::{print, say};

/// At most so many letters of a text are shown in a line.
const SHOWN: usize = 60;

/// Side of the pictures on a page, in pixels.
const THUMBNAIL: usize = 160;

/// Find the images or texts that are nearest to an image, a sentence or both
///
/// Compares the query with every vector in a file of `embed` (exact search), with the model that computed them. Searches images if
/// the file has any, else texts. Each hit is printed with its similarity, id, file, labels, fields and text.
///
/// A filter is written as in SQL: a value in quotation marks is a text (patient = "0012"), one without is a number (age >= 60).
/// A value that is not a number never matches a comparison with a number; such values are counted and reported. If a row has several
/// values of a name, a comparison holds if it holds for one of them; it does not hold for a row without a value; `!=` means `not =`.
/// Write a name that is not a plain word in backticks.
#[derive(clap::Args)]
#[command(group(ArgGroup::new("asked").required(true).multiple(true).args(["image", "text"])))]
#[command(after_help = "Examples:
  ptunifier search scans.parquet --model runs/own --text \"effusion on the left\"
  ptunifier search reports.parquet --model runs/own --image new.png --find texts --rerank 20
  ptunifier search scans.parquet --model runs/own --image new.png --where 'finding = \"pneumonia\" and age >= 60'
  ptunifier search scans.parquet --model runs/own --text \"fracture\" --page found.html
  ptunifier search scans.parquet --model runs/own --text \"fracture\" --paths | xargs -d '\\n' cp -t found

Exit codes: 0 done, even if nothing was found (stderr and --json say why), 1 failed,
2 wrong arguments or a filter that cannot be used, 130 interrupted")]
pub struct Arguments {
    /// A .parquet file of `embed`
    vectors: PathBuf,
    /// The run folder or bundle that made the vectors
    #[arg(long)]
    model: PathBuf,
    /// Query image
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Query sentence
    #[arg(long, value_parser = sentence)]
    text: Option<String>,
    /// What to search (default: images if there are any)
    #[arg(long)]
    find: Option<Find>,
    /// Only rows that this SQL condition keeps; names are id, modality, patient, source, split, text, path, labels and
    /// fields
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,
    /// Number of hits
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    top: u16,
    /// Re-rank so many of the nearest by image-text matching, which sees query and candidate together
    #[arg(long, value_name = "MANY", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rerank: Option<u16>,
    /// Write a page with pictures: one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Print only the files of the hits, one per line; for records of shards, as the original table or data set named them
    #[arg(long, conflicts_with = "json")]
    paths: bool,
    #[command(flatten)]
    work: AtWork,
}

#[derive(Clone, Copy, ValueEnum)]
enum Find {
    Images,
    Texts,
    Pairs,
}

impl Find {
    fn modality(self) -> Modality {
        match self {
            Self::Images => Modality::Image,
            Self::Texts => Modality::Text,
            Self::Pairs => Modality::Pair,
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    found: Vec<Line<'a>>,
    /// Number of vectors in the file, of the searched modality, and of those that the filter keeps.
    vectors: usize,
    of_modality: usize,
    kept: usize,
    /// For each name that the filter compares with a number, how many of its values are not numbers.
    no_numbers: &'a BTreeMap<String, u64>,
    /// Notes to the user.
    notes: &'a [String],
    /// Milliseconds that the search itself took, without loading and the model.
    search_ms: f64,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    modality: Modality,
    similarity: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<f32>,
    patient: &'a str,
    source: &'a str,
    split: Option<Split>,
    text: Option<&'a str>,
    /// The file that it came from.
    path: Option<&'a str>,
    /// Where its picture lies: a file, a record of shards or a row of a table.
    file: Option<String>,
    labels: Vec<(&'a str, &'a str)>,
    fields: Vec<(&'a str, &'a str)>,
}

/// Hits, and notes to the user.
struct Answer<'a> {
    hits: Vec<Hit<'a>>,
    looked: SearchCounts,
    notes: Vec<String>,
    search_ms: f64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let precision = arguments.work.start()?;
    super::check_page(arguments.page.as_deref())?;
    let folder = super::bundle_folder(&arguments.model)?;
    let index = VectorIndex::open(&arguments.vectors)?;
    index.check_model(&folder, &Bundle::fingerprint(&folder)?)?;
    let filter = arguments.filter.as_deref().map(|filter| index.filter(filter)).transpose()?;
    let image = arguments.image.as_deref().map(read_image).transpose()?;
    let bundle = Bundle::load(&folder, &arguments.work.compute.device.plain())?;
    let name = arguments.image.as_ref().map_or(String::new(), |path| path.display().to_string());
    let file = image.as_deref().map(|bytes| ImageFile { bytes, name: &name });
    let asked = bundle.processor().input(file, arguments.text.as_deref())?;
    let Processed { input, cut, .. } = asked.context("there is no query; give an image, a text or both")?;
    let query = Query { input, precision };
    let most = usize::from(arguments.rerank.unwrap_or(0).max(arguments.top));
    let options = SearchOptions { modality: modality(arguments, &index), filter, most };
    let answer = answer(arguments, (&index, &options), &bundle, (&query, cut))?;
    if let Some(file) = &arguments.page {
        let page = page(arguments, image.as_deref(), &answer);
        write_bytes(file, ptu_report::render(&page).as_bytes())?;
    }
    show(arguments, &answer)
}

fn answer<'a>(
    arguments: &Arguments,
    (index, options): (&'a VectorIndex, &SearchOptions),
    bundle: &Bundle,
    (query, cut): (&Query, bool),
) -> anyhow::Result<Answer<'a>> {
    let vector = query_vector(bundle, index.header().space, query)?;
    let start = Instant::now();
    let hits = index.nearest(&vector, options);
    let search_ms = start.elapsed().as_secs_f64() * 1000.0;
    let mut pictures = PictureReader::default();
    let mut hits = match arguments.rerank {
        Some(_) => rank_by_matching(bundle, query, hits, &mut |at| pictures.read(at))?,
        None => hits,
    };
    hits.truncate(arguments.top.into());
    let looked = index.looked(options);
    let mut notes = looked.filter_notes.lines();
    if cut {
        let tokens = bundle.max_tokens;
        notes.push(format!("the sentence is longer than the model's {tokens} tokens: only its beginning is used"));
    }
    if hits.is_empty() {
        notes.push(nothing(options.modality, &looked));
    }
    Ok(Answer { hits, looked, notes, search_ms })
}

/// The message for the case that nothing was found.
fn nothing(modality: Option<Modality>, looked: &SearchCounts) -> String {
    let what = match modality {
        Some(Modality::Image) => "an image",
        Some(Modality::Text) => "a text",
        Some(Modality::Pair) => "a pair",
        None => "anything",
    };
    match looked.of_modality {
        0 => format!(
            "nothing was found: none of the {} vectors is of {what}; choose what to search with --find",
            looked.vectors
        ),
        of_modality => {
            format!(
                "nothing was found: --where keeps none of the {of_modality} vectors of {what} ({} in all)",
                looked.vectors
            )
        }
    }
}

fn show(arguments: &Arguments, answer: &Answer<'_>) -> anyhow::Result<()> {
    let Answer { hits, looked, notes, search_ms } = answer;
    notes.iter().for_each(|note| say(note));
    if arguments.json {
        let found = hits.iter().map(line).collect();
        let SearchCounts { vectors, of_modality, kept, filter_notes } = looked;
        let (vectors, of_modality, kept, search_ms) = (*vectors, *of_modality, *kept, *search_ms);
        let report =
            Report { found, vectors, of_modality, kept, no_numbers: &filter_notes.no_numbers, notes, search_ms };
        return print(&serde_json::to_string(&report)?);
    }
    if arguments.paths {
        let paths: Vec<&str> = hits.iter().filter_map(|hit| hit.row.path.as_deref()).collect();
        if paths.len() < hits.len() {
            say(&format!("{} of {} hits have no file of their own", hits.len() - paths.len(), hits.len()));
        }
        return paths.into_iter().try_for_each(print);
    }
    for (place, hit) in hits.iter().enumerate() {
        print(&row(place + 1, hit))?;
    }
    say(&format!("{} of {} vectors searched in {search_ms:.1} ms", looked.kept, looked.vectors));
    Ok(())
}

/// Reads a query sentence.
fn sentence(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is empty; write what the image shows".into()),
        _ => Ok(text.to_string()),
    }
}

/// The searched modality: the requested one, else images if there are any, else all.
fn modality(arguments: &Arguments, index: &VectorIndex) -> Option<Modality> {
    let images = || index.rows().iter().any(|row| row.modality == Modality::Image);
    arguments.find.map(Find::modality).or_else(|| images().then_some(Modality::Image))
}

fn line<'a>(hit: &Hit<'a>) -> Line<'a> {
    let row = hit.row;
    let named = |labels: &'a [Label]| labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
    Line {
        id: &row.id,
        modality: row.modality,
        similarity: hit.similarity,
        matching: hit.matching,
        patient: &row.patient,
        source: &row.source,
        split: row.split,
        text: row.text.as_deref(),
        path: row.path.as_deref(),
        file: file(row),
        labels: named(&row.labels),
        fields: named(&row.fields),
    }
}

fn file(row: &VectorRow) -> Option<String> {
    row.picture.as_ref().map(|picture| match picture {
        PictureLocation::File(path) => path.display().to_string(),
        PictureLocation::Shards { folder, split, record } => format!("{}, {split} record {record}", folder.display()),
        PictureLocation::Table { table, row } => format!("{}, row {row}", table.display()),
    })
}

/// `  1  0.713  r7  scans/a.png  finding=mass age=61  Text that begins...`
fn row(place: usize, hit: &Hit<'_>) -> String {
    let row = hit.row;
    let matching = hit.matching.map_or(String::new(), |score| format!("  matching {score:+.2}"));
    let text = shortened(row.text.as_deref().unwrap_or_default());
    let parts = [row.id.clone(), path(row), known(row), text];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{place:>4}  {:.3}{matching}  {}", hit.similarity, parts.join("  "))
}

/// The file that a row came from, as it is found from here; nothing where its id says it already.
fn path(row: &VectorRow) -> String {
    let path = row.path.as_deref().unwrap_or_default();
    let here = std::env::current_dir().ok();
    let near = here.and_then(|here| Path::new(path).strip_prefix(here).ok().map(|near| near.display().to_string()));
    let path = near.filter(|near| !near.is_empty()).unwrap_or_else(|| path.to_string());
    if path == row.id { String::new() } else { path }
}

/// `finding=mass age=61`
fn known(row: &VectorRow) -> String {
    let all = row.labels.iter().chain(&row.fields);
    let all: Vec<String> = all.map(|label| format!("{}={}", label.name, shortened(&label.value))).collect();
    shortened(&all.join(" "))
}

/// The first words, on one line.
fn shortened(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

/// A page of the hits.
fn page(arguments: &Arguments, image: Option<&[u8]>, answer: &Answer<'_>) -> Page {
    let hits = &answer.hits;
    let mut pictures = PictureReader::default();
    let mut lost = 0;
    let thumbnail =
        |bytes: &[u8]| Picture::decode(bytes, "picture").ok().map(|picture| picture.thumbnail_png(THUMBNAIL));
    let found = hits.iter().map(|hit| {
        let read = hit.row.picture.as_ref().and_then(|at| pictures.read(at).ok().flatten());
        let image_png = read.and_then(|image| thumbnail(&image.bytes));
        lost += usize::from(image_png.is_none() && hit.row.picture.is_some());
        let id = [hit.row.id.clone(), path(hit.row), known(hit.row)].into_iter().filter(|part| !part.is_empty());
        let item = Item { id: id.collect::<Vec<_>>().join("  "), image_png, text: hit.row.text.clone() };
        Retrieved { item, score: Some(hit.matching.unwrap_or(hit.similarity).into()), hit: None }
    });
    let found = found.collect();
    let asked = match (&arguments.image, &arguments.text) {
        (Some(image), _) => image.display().to_string(),
        _ => "the sentence".into(),
    };
    let query = Item { id: asked, image_png: image.and_then(thumbnail), text: arguments.text.clone() };
    let example = Example { query, found, ..Example::default() };
    let ranked = if arguments.rerank.is_some() { "the nearest, ranked by matching" } else { "by nearness" };
    let mut facts = vec![
        ("vectors".to_string(), arguments.vectors.display().to_string()),
        ("model".to_string(), arguments.model.display().to_string()),
    ];
    facts.extend(arguments.filter.clone().map(|filter| ("filter".to_string(), filter)));
    let mut warnings = answer.notes.clone();
    if lost > 0 {
        warnings.push(format!("{lost} pictures are no longer where they were when they were embedded"));
    }
    Page {
        title: "Search".into(),
        subtitle: format!("{} found, {ranked}", hits.len()),
        warnings,
        facts,
        examples: vec![ExampleGroup { title: "Found".into(), examples: vec![example], ..ExampleGroup::default() }],
        ..Page::default()
    }
}
