//! The most used prompts of each pool, with the training items that select them first.

use std::ops::Range;
use std::path::Path;

use ptu_data::collate::Origin;
use ptu_data::manifest::MANIFEST_FILE;
use ptu_data::{Preparation, ShardFolder, Source, Split, TextChoice};
use ptu_input::{Batch, Image, Images, Input, Picture, Slot, Text, Texts};
use ptu_kernels::{Pass, in_pool};
use ptu_model::forward::{ChosenRows, ForwardPlan, Inputs};
use ptu_model::{Bundle, Model, Read, StandIn};
use ptu_random::{Key, Place};
use ptu_report::{Example, ExampleGroup, ExampleKind, Item, Retrieved};
use ptu_train::folder;

use super::THUMBNAIL;
use crate::WorkflowError;

/// Number of training records that are searched.
const SAMPLES: usize = 200;
/// Number of prompts shown for each pool.
const PROMPTS_SHOWN: usize = 3;
/// Number of items shown for each prompt.
const ITEMS_SHOWN: usize = 4;

/// A training record: its image and text as model inputs, each together with the PNG or the words that the page shows.
struct Sample {
    id: String,
    image: Option<(Image, Vec<u8>)>,
    text: Option<(Text, String)>,
}

impl Sample {
    /// The item for the page: its image (`as_image`) or its text.
    fn item(&self, as_image: bool) -> Item {
        Item {
            id: self.id.clone(),
            image_png: self.image.as_ref().map(|(_, png)| png.clone()).filter(|_| as_image),
            text: self.text.as_ref().map(|(_, words)| words.clone()).filter(|_| !as_image),
        }
    }
}

/// How often the most used prompts were selected: (prompt, times), most used first.
pub struct PromptCounts<'a> {
    /// Prompts in place of images.
    pub image: &'a [(usize, u64)],
    /// Prompts in place of texts.
    pub text: &'a [(usize, u64)],
    /// The training steps that were counted.
    pub counted_steps: Range<u64>,
}

/// Training records, and the prompts that each of them selects.
pub struct PromptItems {
    samples: Vec<Sample>,
    /// The rows that the texts select in place of an image, most similar first; the numbers of their samples.
    by_texts: Vec<(usize, Vec<usize>)>,
    /// The rows that the images select in place of a text.
    by_images: Vec<(usize, Vec<usize>)>,
    /// How the records were selected.
    selection: &'static str,
}

impl PromptItems {
    /// Draws records of a training split and lets them select prompts.
    ///
    /// # Errors
    /// If records cannot be read.
    pub fn read(bundle: &Bundle, preparation: &Preparation, train: &ShardFolder) -> Result<Self, WorkflowError> {
        let samples = draw_samples(preparation, train)?;
        let selection = if samples.len() < train.len() { "drawn at random by seed 0" } else { "all of the split" };
        let (model, off) = (&bundle.model, Pass::off());
        let with = |has: fn(&Sample) -> bool| -> Vec<usize> {
            (0..samples.len()).filter(|number| has(&samples[*number])).collect()
        };
        let (texts, images) = (with(|one| one.text.is_some()), with(|one| one.image.is_some()));
        let ids = texts.iter().filter_map(|one| Some(samples[*one].text.as_ref()?.0.ids.as_slice()));
        let ids = Texts::collect(ids);
        let pixels = images.iter().filter_map(|one| Some(&samples[*one].image.as_ref()?.0));
        let pixels = Images::collect(pixels);
        let by_texts = match model.image_prompts.is_encoded() {
            true => model.image_stand_ins(&model.embed_text(&ids, &off), StandIn::Prompts, &off).1.rows,
            false => {
                let order = (0..ids.count()).map(Slot::Text).collect();
                composed(model, &Batch { texts: ids, order, ..Batch::default() }).image
            }
        };
        let by_images = match model.text_prompts.is_encoded() {
            true => {
                let edges = model.embed_text(&model.edges(images.len()), &off);
                model.text_stand_ins(&model.embed_image(&pixels, &off), &edges, StandIn::Prompts, &off).1.rows
            }
            false => {
                let order = (0..pixels.count).map(Slot::Image).collect();
                composed(model, &Batch { images: pixels, order, ..Batch::default() }).text
            }
        };
        let (by_texts, by_images) =
            (texts.into_iter().zip(by_texts).collect(), images.into_iter().zip(by_images).collect());
        Ok(Self { samples, by_texts, by_images, selection })
    }

    /// The records that rank a prompt highest among those that they select: images (`as_images`) for a prompt in place of a text, or texts
    /// for one in place of an image. The score is the rank of the prompt, 1 for the most similar.
    pub fn nearest(&self, row: usize, as_images: bool) -> Vec<Retrieved> {
        let selected = if as_images { &self.by_images } else { &self.by_texts };
        let rank = |rows: &Vec<usize>| rows.iter().position(|prompt| *prompt == row);
        let mut ranked: Vec<(usize, usize)> =
            selected.iter().filter_map(|(sample, rows)| Some((rank(rows)?, *sample))).collect();
        ranked.sort_unstable();
        let item = |&(rank, sample): &(usize, usize)| Retrieved {
            item: self.samples[sample].item(as_images),
            score: Some((rank + 1) as f64),
            hit: None,
        };
        ranked.iter().take(ITEMS_SHOWN).map(item).collect()
    }

    /// Number of records of this modality, and how they were selected, in words.
    fn searched(&self, as_images: bool) -> String {
        let count = if as_images { self.by_images.len() } else { self.by_texts.len() };
        format!("{count} training records ({})", self.selection)
    }
}

/// The rows that a batch chooses whose sequences are composed behind the encoders.
fn composed(model: &Model, batch: &Batch) -> ChosenRows {
    let plan = ForwardPlan::of_batch(batch, &vec![Read::Pooled; batch.len()]);
    in_pool(|| model.encode(&Inputs::of(batch), &plan, StandIn::Prompts, &Pass::off())).chosen
}

/// For each pool its most used prompts, each with the training items that rank this prompt highest among their selected
/// prompts.
///
/// # Errors
/// If records cannot be read.
pub fn groups(
    bundle: &Bundle,
    preparation: &Preparation,
    train: &ShardFolder,
    usage: &PromptCounts<'_>,
) -> Result<Vec<ExampleGroup>, WorkflowError> {
    let (items, steps) = (PromptItems::read(bundle, preparation, train)?, &usage.counted_steps);
    let group = |title: &str, counts: &[(usize, u64)], as_images: bool| {
        let example = |(row, times): &(usize, u64)| {
            let text = format!("selected {times} times in training steps {} to {}", steps.start + 1, steps.end);
            let query = Item { id: format!("prompt {row}"), text: Some(text), image_png: None };
            Example { query, partner: None, found: items.nearest(*row, as_images) }
        };
        ExampleGroup {
            title: title.into(),
            explanation: format!(
                "The prompts that were selected most often in training. For each prompt: those of {} that rank it highest. The number is \
                 the rank of the prompt among the prompts that the record selects (1 is the most similar).",
                items.searched(as_images)
            ),
            kind: ExampleKind::Retrieval,
            examples: counts.iter().take(PROMPTS_SHOWN).map(example).collect(),
        }
    };
    let groups = [
        group("Prompts in place of missing images, and the texts that select them", usage.image, false),
        group("Prompts in place of missing texts, and the images that select them", usage.text, true),
    ];
    Ok(groups.into_iter().filter(|group| !group.examples.is_empty()).collect())
}

/// The training items of a run that tell what prompts stand for; `None` if the data of the run are not there any more.
///
/// # Errors
/// If the data or the recipe is damaged.
pub fn prompt_items(run: &Path, bundle: &Bundle) -> Result<Option<PromptItems>, WorkflowError> {
    if !run.join(folder::RECIPE).exists() {
        return Ok(None);
    }
    let recipe = folder::recipe(run)?;
    let Some(data) = recipe.data.first().map(|entry| entry.path.as_path()) else { return Ok(None) };
    if !data.join(MANIFEST_FILE).exists() {
        return Ok(None);
    }
    let preparation = ptu_infer::preparation(bundle);
    Ok(Some(PromptItems::read(bundle, &preparation, &ShardFolder::open(data, Split::Train)?)?))
}

/// The prompts that stood in for something that was missing, each with its nearest training items.
pub fn stand_in_group(rows: &[usize], is_image_missing: bool, items: &PromptItems) -> ExampleGroup {
    let example = |row: &usize| Example {
        query: Item { id: format!("prompt {row}"), text: None, image_png: None },
        partner: None,
        found: items.nearest(*row, !is_image_missing),
    };
    let missing = if is_image_missing { "image" } else { "text" };
    ExampleGroup {
        title: format!("The prompts that stood in for the missing {missing}"),
        explanation: format!(
            "Most similar first. For each prompt: those of {} that rank it highest; the number is its rank there.",
            items.searched(!is_image_missing)
        ),
        kind: ExampleKind::Retrieval,
        examples: rows.iter().map(example).collect(),
    }
}

/// Draws training records by a fixed seed and prepares them.
fn draw_samples(preparation: &Preparation, train: &ShardFolder) -> Result<Vec<Sample>, WorkflowError> {
    let mut order: Vec<usize> = (0..train.len()).collect();
    Key::new(0).stream(Place::Sample, 4).shuffle(&mut order);
    let mut samples = vec![];
    for index in order.into_iter().take(SAMPLES) {
        let record = train.get(index)?;
        let origin = Origin { source: 0, name: train.name(), position: index };
        let bytes = record.image.as_ref().map(|image| image.bytes.clone());
        let Some(example) = preparation.evaluate(record, origin, TextChoice::All, None)? else { continue };
        let png =
            bytes.and_then(|bytes| Some(Picture::decode(&bytes, &example.record.id).ok()?.thumbnail_png(THUMBNAIL)));
        let (image, text) = match example.input {
            Input::Pair { image, text } => (Some(image), Some(text)),
            Input::Image(image) => (Some(image), None),
            Input::Text(text) => (None, Some(text)),
        };
        samples.push(Sample { id: example.record.id, image: image.zip(png), text: text.zip(example.text) });
    }
    Ok(samples)
}
