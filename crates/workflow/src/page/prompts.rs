//! What the most used prompts stand for: the training items that choose them first.

use ptu_data::collate::Origin;
use ptu_data::{Preparation, ShardFolder, Source, TextChoice};
use ptu_input::{Image, Images, Input, Picture, Text, Texts};
use ptu_kernels::Pass;
use ptu_model::{Bundle, StandIn};
use ptu_random::{Key, Place};
use ptu_report::{Example, ExampleGroup, Item, Retrieved};

use super::THUMBNAIL;
use crate::WorkflowError;

/// Training records that are looked at.
const LOOKED_AT: usize = 200;
/// Prompts shown of a pool.
const PROMPTS: usize = 3;
/// Items shown for a prompt.
const ITEMS: usize = 4;

/// A training record: its halves as the model gets them, and as a person sees them.
struct Looked {
    id: String,
    image: Option<(Image, Vec<u8>)>,
    text: Option<(Text, String)>,
}

impl Looked {
    /// As a page shows it: its picture or its text.
    fn item(&self, picture: bool) -> Item {
        Item {
            id: self.id.clone(),
            image_png: self.image.as_ref().map(|(_, png)| png.clone()).filter(|_| picture),
            text: self.text.as_ref().map(|(_, words)| words.clone()).filter(|_| !picture),
        }
    }
}

/// For each pool its most used prompts (`most_used`: of stand-ins for images, of stand-ins for texts), each with the items that
/// choose it ahead of others.
///
/// # Errors
/// Records that cannot be read.
pub fn groups(
    bundle: &Bundle,
    preparation: &Preparation,
    train: &ShardFolder,
    most_used: [&[(usize, u64)]; 2],
) -> Result<Vec<ExampleGroup>, WorkflowError> {
    let looked = look(preparation, train)?;
    let picked = if looked.len() < train.len() { "drawn at random by seed 0" } else { "all there are" };
    let (model, off) = (&bundle.model, Pass::off());
    let texts: Vec<&Looked> = looked.iter().filter(|one| one.text.is_some()).collect();
    let images: Vec<&Looked> = looked.iter().filter(|one| one.image.is_some()).collect();
    let ids = texts.iter().filter_map(|one| Some(one.text.as_ref()?.0.ids.as_slice()));
    let (_, by_texts) = model.image_stand_ins(&model.embed_text(&Texts::collect(ids), &off), StandIn::Prompts);
    let pixels = images.iter().filter_map(|one| Some(&one.image.as_ref()?.0));
    let edges = model.embed_text(&model.edges(images.len()), &off);
    let (_, by_images) =
        model.text_stand_ins(&model.embed_image(&Images::collect(pixels), &off), &edges, StandIn::Prompts);
    let group = |title: &str, items: &[&Looked], chosen: &[Vec<usize>], used: &[(usize, u64)], picture: bool| {
        let example = |(row, times): &(usize, u64)| {
            let place = |which: &usize| chosen[*which].iter().position(|chosen| chosen == row);
            let mut choosing: Vec<(usize, usize)> =
                (0..items.len()).filter_map(|which| Some((place(&which)?, which))).collect();
            choosing.sort_unstable();
            let found = choosing.iter().take(ITEMS).map(|(place, which)| Retrieved {
                item: items[*which].item(picture),
                score: (place + 1) as f64,
                hit: None,
            });
            let query = Item {
                id: format!("prompt {row}"),
                text: Some(format!("chosen {times} times since the last count")),
                image_png: None,
            };
            Example { query, partner: None, found: found.collect() }
        };
        ExampleGroup {
            title: title.into(),
            explanation: format!(
                "The prompts that were chosen most often. Of {} training records, {picked}, those that choose the prompt ahead of \
                 others; the number is its place in their choice.",
                items.len()
            ),
            examples: used.iter().take(PROMPTS).map(example).collect(),
        }
    };
    let groups = [
        group(
            "Prompts that stand in for images, and the texts that choose them",
            &texts,
            &by_texts.rows,
            most_used[0],
            false,
        ),
        group(
            "Prompts that stand in for texts, and the images that choose them",
            &images,
            &by_images.rows,
            most_used[1],
            true,
        ),
    ];
    Ok(groups.into_iter().filter(|group| !group.examples.is_empty()).collect())
}

fn look(preparation: &Preparation, train: &ShardFolder) -> Result<Vec<Looked>, WorkflowError> {
    let mut order: Vec<usize> = (0..train.len()).collect();
    Key::new(0).stream(Place::Sample, 4).shuffle(&mut order);
    let mut looked = vec![];
    for index in order.into_iter().take(LOOKED_AT) {
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
        looked.push(Looked { id: example.record.id, image: image.zip(png), text: text.zip(example.text) });
    }
    Ok(looked)
}
