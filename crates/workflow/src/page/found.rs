//! What was found for what, with pictures.

use ptu_evaluate::{Evaluated, Query};
use ptu_random::{Key, Place};
use ptu_report::{Example, ExampleGroup, Item, Retrieved};

use super::THUMBNAIL;

/// Items shown for a query.
const SHOWN: usize = 5;
/// Queries shown, whether they were answered or not.
const EXAMPLES: usize = 6;

/// Queries of both directions, drawn by the seed; none where the model has not learned to compare.
pub fn examples(evaluated: &Evaluated, seed: u64) -> Vec<ExampleGroup> {
    let Some(found) = &evaluated.found else { return vec![] };
    let size = evaluated.gallery.records.len();
    let image = |row: usize, shown: bool| evaluated.thumbnail(row, THUMBNAIL).filter(|_| shown);
    let item = |row: usize, with_image: bool| Item {
        id: evaluated.gallery.records[row].id.clone(),
        image_png: image(row, with_image),
        text: (!with_image).then(|| evaluated.gallery.records[row].words.clone()),
    };
    let group = |title: &str, explanation: &str, asks: Query| {
        let (ranking, query_is_image) = (found.of(asks), asks == Query::Image);
        let mut order: Vec<usize> = (0..size).collect();
        Key::new(seed).stream(Place::Sample, 1).shuffle(&mut order);
        let ranked = |query: usize| {
            let scores = &ranking.similarity[query * size..(query + 1) * size];
            let mut items: Vec<usize> = (0..size).collect();
            items.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
            items
        };
        // The first of a random order: what is shown is no better and no worse than the rest.
        order.truncate(EXAMPLES);
        let shown = match order.len() < size {
            true => format!("Shown are {} of {size} queries, drawn at random by seed {seed}.", order.len()),
            false => format!("Shown are all {size} queries."),
        };
        ExampleGroup {
            title: title.into(),
            explanation: format!("{explanation} {shown}"),
            examples: order
                .into_iter()
                .map(|query| Example {
                    query: item(query, query_is_image),
                    partner: Some(item(query, !query_is_image)),
                    found: ranked(query)
                        .into_iter()
                        .take(SHOWN)
                        .map(|other| Retrieved {
                            item: item(other, !query_is_image),
                            score: f64::from(ranking.similarity[query * size + other]),
                            hit: Some(evaluated.gallery.is_hit(asks, query, other)),
                        })
                        .collect(),
                })
                .collect(),
        }
    };
    vec![
        group(
            &format!("{}: an image looks for its text", evaluated.name),
            "The model saw the image alone, prompts standing in for its text.",
            Query::Image,
        ),
        group(
            &format!("{}: a text looks for its image", evaluated.name),
            "The model saw the text alone, prompts standing in for its image.",
            Query::Text,
        ),
    ]
}
