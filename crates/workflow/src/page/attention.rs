//! Attention of each word of a text over the patches of its image, in the last layer of the fusion.

use ptu_evaluate::{EvaluateError, Gallery, Pair};
use ptu_input::image::resample::Size;
use ptu_input::{Image, Images, Picture, Text, Texts};
use ptu_kernels::Pass;
use ptu_model::Bundle;
use ptu_model::forward::Encoded;
use ptu_report::{Example, ExampleGroup, ExampleKind, HeatMap, Item, Retrieved};

use super::THUMBNAIL;

/// Number of words shown for each text: those with the least uniform attention.
const WORDS: usize = 5;

/// A word and its attention over the patches.
struct Word {
    text: String,
    patches: Vec<f32>,
    /// Share of the word's attention that goes to the image patches; the rest goes to the class token.
    share: f32,
}

/// An example for each pair, with an attention map for some of its words. `picked` is a sentence that says how the pairs
/// were selected.
///
/// # Errors
/// If an image cannot be read any more.
pub fn group(bundle: &Bundle, gallery: &Gallery, picked: &str) -> Result<ExampleGroup, EvaluateError> {
    let example = |(pair, image): (&Pair, &Image)| {
        let mut words = words(bundle, image, &pair.text);
        words.sort_by(|one, other| unevenness(other).total_cmp(&unevenness(one)));
        words.truncate(WORDS);
        let maps = words.iter().map(|word| Retrieved {
            item: Item { id: String::new(), image_png: Some(overlay(image, word)), text: Some(word.text.clone()) },
            score: Some(f64::from(word.share)),
            hit: None,
        });
        let own = Item {
            id: pair.id.clone(),
            image_png: Some(grey(image).thumbnail_png(THUMBNAIL)),
            text: Some(pair.words.clone()),
        };
        Example { query: own, partner: None, found: maps.collect() }
    };
    let images = gallery.images(&gallery.rows())?;
    Ok(ExampleGroup {
        title: "Attention of words to image patches".into(),
        explanation: format!(
            "Attention of a word over the patches of its image in the last layer of the fusion, averaged over the heads; red marks \
             high attention. The number is the share of the word's attention that goes to the patches; the rest goes to the class \
             token. {picked} For each text, the {WORDS} words with the least uniform attention are shown. Attention is not an \
             explanation of a result."
        ),
        kind: ExampleKind::Retrieval,
        examples: gallery.records.iter().zip(&images).map(example).collect(),
    })
}

/// The largest attention to a patch, divided by the mean over the patches; 1 if the attention is uniform.
fn unevenness(word: &Word) -> f32 {
    let mean = word.patches.iter().sum::<f32>() / word.patches.len().max(1) as f32;
    word.patches.iter().copied().fold(0.0, f32::max) / mean.max(f32::MIN_POSITIVE)
}

/// The words of a text that is shown with an image. The attention of a word is the mean over its tokens.
fn words(bundle: &Bundle, image: &Image, text: &Text) -> Vec<Word> {
    let (model, off) = (&bundle.model, Pass::off());
    let image = model.encode_image(&model.embed_image(&Images::collect([image]), &off), &off);
    let tokens = image.lengths[0];
    let encoded = model.encode_text(model.embed_text(&Texts::collect([text.ids.as_slice()]), &off), &off);
    let weights = model.text_attention(Encoded::of(image, encoded)).pop().unwrap_or_default();
    let count = text.words.iter().flatten().max().map_or(0, |last| last + 1);
    let word = |number: u32| {
        let positions: Vec<usize> =
            (0..text.words.len()).filter(|position| text.words[*position] == Some(number)).collect();
        let ids: Vec<u32> = positions.iter().map(|position| text.ids[*position]).collect();
        let text = bundle.tokenizer.decode(&ids).ok()?.trim().to_string();
        if text.chars().filter(|letter| letter.is_alphanumeric()).count() < 3 {
            return None;
        }
        let mut patches = vec![0.0; tokens - 1];
        for position in &positions {
            let row = &weights[position * tokens + 1..(position + 1) * tokens];
            patches.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight / positions.len() as f32);
        }
        let share = patches.iter().sum();
        Some(Word { text, patches, share })
    };
    (0..count).filter_map(word).collect()
}

/// The preprocessed image as the model gets it: its first channel as a grey image.
fn grey(image: &Image) -> Picture {
    Picture::new(Size { width: image.side, height: image.side }, 1, image.grey_levels())
}

/// The grey image with the attention drawn over it in red, interpolated bilinearly between the patches.
fn overlay(image: &Image, word: &Word) -> Vec<u8> {
    let (side, grid) = (image.side, (word.patches.len() as f64).sqrt().round() as usize);
    let map =
        HeatMap { grey: &image.grey_levels(), size: [side; 2], values: &word.patches, grid: [grid; 2], plain: 0.0 };
    let pixels = map.pixels(1).chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    Picture::new(Size { width: side, height: side }, 3, pixels).thumbnail_png(THUMBNAIL)
}
