//! The most used prompts of each pool, with the training items that select them first.

use std::ops::Range;

use ptu_data::collate::Origin;
use ptu_data::{Preparation, ShardFolder, Source, TextChoice};
use ptu_input::{Image, Images, Input, Picture, Text, Texts};
use ptu_kernels::Pass;
use ptu_model::{Bundle, StandIn};
use ptu_random::{Key, Place};
use ptu_report::{Example, ExampleGroup, ExampleKind, Item, Retrieved};

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
    let samples = draw_samples(preparation, train)?;
    let selection = if samples.len() < train.len() { "drawn at random by seed 0" } else { "all of the split" };
    let (model, off, steps) = (&bundle.model, Pass::off(), &usage.counted_steps);
    let texts: Vec<&Sample> = samples.iter().filter(|one| one.text.is_some()).collect();
    let images: Vec<&Sample> = samples.iter().filter(|one| one.image.is_some()).collect();
    let ids = texts.iter().filter_map(|one| Some(one.text.as_ref()?.0.ids.as_slice()));
    let (_, by_texts) = model.image_stand_ins(&model.embed_text(&Texts::collect(ids), &off), StandIn::Prompts);
    let pixels = images.iter().filter_map(|one| Some(&one.image.as_ref()?.0));
    let edges = model.embed_text(&model.edges(images.len()), &off);
    let (_, by_images) =
        model.text_stand_ins(&model.embed_image(&Images::collect(pixels), &off), &edges, StandIn::Prompts);
    let group = |title: &str, items: &[&Sample], selected: &[Vec<usize>], counts: &[(usize, u64)], as_images: bool| {
        let example = |(row, times): &(usize, u64)| {
            let rank = |item: &usize| selected[*item].iter().position(|prompt| prompt == row);
            let mut ranked: Vec<(usize, usize)> =
                (0..items.len()).filter_map(|item| Some((rank(&item)?, item))).collect();
            ranked.sort_unstable();
            let first_items = ranked.iter().take(ITEMS_SHOWN).map(|(rank, item)| Retrieved {
                item: items[*item].item(as_images),
                score: Some((rank + 1) as f64),
                hit: None,
            });
            let query = Item {
                id: format!("prompt {row}"),
                text: Some(format!("selected {times} times in training steps {} to {}", steps.start + 1, steps.end)),
                image_png: None,
            };
            Example { query, partner: None, found: first_items.collect() }
        };
        ExampleGroup {
            title: title.into(),
            explanation: format!(
                "The prompts that were selected most often in training. For each prompt: those of {} training records ({selection}) \
                 that rank it highest. The number is the rank of the prompt among the prompts that the record selects (1 is the most \
                 similar).",
                items.len()
            ),
            kind: ExampleKind::Retrieval,
            examples: counts.iter().take(PROMPTS_SHOWN).map(example).collect(),
        }
    };
    let groups = [
        group(
            "Prompts in place of missing images, and the texts that select them",
            &texts,
            &by_texts.rows,
            usage.image,
            false,
        ),
        group(
            "Prompts in place of missing texts, and the images that select them",
            &images,
            &by_images.rows,
            usage.text,
            true,
        ),
    ];
    Ok(groups.into_iter().filter(|group| !group.examples.is_empty()).collect())
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
