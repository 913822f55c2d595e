use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use ptu_data::picture::{PictureAt, Pictures, read_image};
use ptu_data::vectors::{Half, VectorRow};
use ptu_infer::search::{Hit, Query, SearchOptions, VectorIndex, encode, prepare, query_vector, rank_by_matching};
use ptu_input::Picture;
use ptu_model::Bundle;
use ptu_model::files::write_bytes;
use ptu_report::{Example, ExampleGroup, Found, Item, Page};
use serde::Serialize;

use super::Compute;
use crate::progress::{print, say};

/// Letters of a text that a line shows.
const SHOWN: usize = 60;

/// Side of the pictures on a page, in pixels.
const THUMBNAIL: usize = 160;

/// Find the nearest images or texts to an image, a sentence or both
///
/// Searches the vectors that `embed` wrote, all of them, with the model that made them. Images are looked for where there are
/// any, else texts.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier search scans.parquet --model runs/own --text \"effusion on the left\"
  ptunifier search reports.parquet --model runs/own --image new.png --find texts --rerank 20
  ptunifier search scans.parquet --model runs/own --image new.png --where 'finding = \"pneumonia\" and age >= 60'
  ptunifier search scans.parquet --model runs/own --text \"fracture\" --page found.html")]
pub struct Arguments {
    /// A .parquet file of `embed`
    vectors: PathBuf,
    /// The run folder or bundle that made the vectors
    #[arg(long)]
    model: PathBuf,
    /// Ask with an image
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Ask with a sentence
    #[arg(long)]
    text: Option<String>,
    /// What to look for (default: images if there are any)
    #[arg(long)]
    find: Option<Find>,
    /// Only rows for which this holds, in the words of SQL; names are id, patient, source, split, text and labels
    #[arg(long = "where", value_name = "FILTER")]
    filter: Option<String>,
    /// How many
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    top: u16,
    /// Rank so many of the nearest again by matching: the fusion sees both halves
    #[arg(long, value_name = "MANY", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    rerank: Option<u16>,
    /// Write a sheet with pictures, one self-contained HTML file
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    compute: Compute,
}

#[derive(Clone, Copy, ValueEnum)]
enum Find {
    Images,
    Texts,
    Pairs,
}

impl Find {
    fn half(self) -> Half {
        match self {
            Self::Images => Half::Image,
            Self::Texts => Half::Text,
            Self::Pairs => Half::Pair,
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    found: Vec<Line<'a>>,
    /// Milliseconds that the search itself took, without loading and the model.
    search_ms: f64,
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    half: Half,
    similarity: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<f32>,
    patient: &'a str,
    source: &'a str,
    text: Option<&'a str>,
    file: Option<String>,
    labels: Vec<(&'a str, &'a str)>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    arguments.compute.start()?;
    let folder = super::bundle_folder(&arguments.model);
    let index = VectorIndex::open(&arguments.vectors)?;
    index.check_model(&folder, &Bundle::fingerprint(&folder)?)?;
    let filter = arguments.filter.as_deref().map(|filter| index.filter(filter)).transpose()?;
    let bundle = Bundle::load(&folder, &arguments.compute.device.plain())?;
    let image = arguments.image.as_deref().map(read_image).transpose()?;
    let query = Query {
        image: match (&image, &arguments.image) {
            (Some(bytes), Some(path)) => Some(prepare(&bundle, bytes, &path.display().to_string())?),
            _ => None,
        },
        text: arguments.text.as_deref().map(|text| encode(&bundle, text)).transpose()?,
    };
    let vector = query_vector(&bundle, index.header().space, &query)?;
    let top = usize::from(arguments.top);
    let most = arguments.rerank.map_or(top, |many| usize::from(many).max(top));
    let start = Instant::now();
    let hits = index.nearest(&vector, &SearchOptions { half: half(arguments, &index), filter, most });
    let search_ms = start.elapsed().as_secs_f64() * 1000.0;
    let mut hits = if arguments.rerank.is_some() { rank_by_matching(&bundle, &query, hits)? } else { hits };
    hits.truncate(top);
    if let Some(file) = &arguments.page {
        let page = page(arguments, image.as_deref(), &hits);
        write_bytes(file, ptu_report::render(&page).as_bytes())?;
    }
    if arguments.json {
        let found = hits.iter().map(line).collect();
        return print(&serde_json::to_string(&Report { found, search_ms })?);
    }
    if hits.is_empty() {
        say("nothing was found: no row passes the filter, or none is of the half that is looked for");
    }
    for (place, hit) in hits.iter().enumerate() {
        print(&row(place + 1, hit))?;
    }
    say(&format!("{} vectors searched in {search_ms:.1} ms", index.rows().len()));
    Ok(())
}

/// What is looked for: what was asked, else images where there are any, else whatever there is.
fn half(arguments: &Arguments, index: &VectorIndex) -> Option<Half> {
    let images = || index.rows().iter().any(|row| row.half == Half::Image);
    arguments.find.map(Find::half).or_else(|| images().then_some(Half::Image))
}

fn line<'a>(hit: &Hit<'a>) -> Line<'a> {
    let row = hit.row;
    Line {
        id: &row.id,
        half: row.half,
        similarity: hit.similarity,
        matching: hit.matching,
        patient: &row.patient,
        source: &row.source,
        text: row.text.as_deref(),
        file: file(row),
        labels: row.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect(),
    }
}

fn file(row: &VectorRow) -> Option<String> {
    row.picture.as_ref().map(|picture| match picture {
        PictureAt::File(path) => path.display().to_string(),
        PictureAt::Shards { folder, split, record } => format!("{}, {split} record {record}", folder.display()),
    })
}

/// `  1  0.713  scans/a.png  finding=mass  Text that begins...`
fn row(place: usize, hit: &Hit<'_>) -> String {
    let labels: Vec<String> = hit.row.labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
    let labels = shortened(&labels.join(" "));
    let matching = hit.matching.map_or(String::new(), |score| format!("  matching {score:+.2}"));
    let text = shortened(hit.row.text.as_deref().unwrap_or_default());
    let line = format!("{place:>4}  {:.3}{matching}  {}  {labels}  {text}", hit.similarity, hit.row.id);
    line.trim_end().to_string()
}

/// The first words, on one line.
fn shortened(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

/// A sheet of what was found.
fn page(arguments: &Arguments, image: Option<&[u8]>, hits: &[Hit<'_>]) -> Page {
    let mut pictures = Pictures::default();
    let mut lost = 0;
    let thumbnail =
        |bytes: &[u8]| Picture::decode(bytes, "picture").ok().map(|picture| picture.thumbnail_png(THUMBNAIL));
    let found = hits.iter().map(|hit| {
        let read = hit.row.picture.as_ref().and_then(|at| pictures.read(at).ok().flatten());
        let image_png = read.and_then(|image| thumbnail(&image.bytes));
        lost += usize::from(image_png.is_none() && hit.row.picture.is_some());
        let item = Item { id: hit.row.id.clone(), image_png, text: hit.row.text.clone() };
        Found { item, score: hit.matching.unwrap_or(hit.similarity).into(), hit: None }
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
    let warning = format!("{lost} pictures are not where they lay when they were embedded");
    Page {
        title: "Search".into(),
        subtitle: format!("{} found, {ranked}", hits.len()),
        warnings: if lost > 0 { vec![warning] } else { vec![] },
        facts,
        examples: vec![ExampleGroup { title: "Found".into(), examples: vec![example], ..ExampleGroup::default() }],
        ..Page::default()
    }
}
