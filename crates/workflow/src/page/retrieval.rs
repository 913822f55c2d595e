//! Retrieval examples: queries with the items that the model ranks first.

use ptu_evaluate::{Evaluated, Query, RetrievalProtocol};
use ptu_random::{Key, Place};
use ptu_report::{Example, ExampleGroup, ExampleKind, Item, Retrieved};

use super::THUMBNAIL;

/// Number of results shown for a query.
const RESULTS: usize = 5;
/// Number of queries shown, with correct and with wrong results.
const QUERIES: usize = 6;

/// Queries of both directions, drawn at random by the seed. Empty if the model was not trained to compare images with texts.
pub fn examples(evaluated: &Evaluated, seed: u64) -> Vec<ExampleGroup> {
    let Some(rankings) = &evaluated.retrieval else { return vec![] };
    let size = evaluated.gallery.records.len();
    let item = |row: usize, with_image: bool| Item {
        id: evaluated.gallery.records[row].id.clone(),
        image_png: evaluated.thumbnail(row, THUMBNAIL).filter(|_| with_image),
        text: (!with_image).then(|| evaluated.gallery.records[row].words.clone()),
    };
    let group = |title: &str, explanation: &str, direction: Query| {
        let (ranking, query_is_image) = (rankings.of(direction), direction == Query::Image);
        let mut order: Vec<usize> = (0..size).collect();
        Key::new(seed).stream(Place::Sample, 1).shuffle(&mut order);
        let ranked = |query: usize| {
            let scores = &ranking.similarity[query * size..(query + 1) * size];
            let mut items: Vec<usize> = (0..size).collect();
            items.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
            items
        };
        // The first queries of a random order: an unbiased selection.
        order.truncate(QUERIES);
        let shown = match order.len() < size {
            true => format!("Shown are {} of {size} queries, drawn at random by seed {seed}.", order.len()),
            false => format!("Shown are all {size} queries."),
        };
        ExampleGroup {
            title: title.into(),
            explanation: format!("{explanation} {shown}"),
            kind: ExampleKind::Retrieval,
            examples: order
                .into_iter()
                .map(|query| Example {
                    query: item(query, query_is_image),
                    partner: Some(item(query, !query_is_image)),
                    found: ranked(query)
                        .into_iter()
                        .take(RESULTS)
                        .map(|other| Retrieved {
                            item: item(other, !query_is_image),
                            score: Some(f64::from(ranking.similarity[query * size + other])),
                            hit: Some(evaluated.gallery.is_hit(direction, query, other)),
                        })
                        .collect(),
                })
                .collect(),
        }
    };
    let [of_images, of_texts] = explanations(evaluated);
    vec![
        group(&format!("{}: image-to-text retrieval", evaluated.name), of_images, Query::Image),
        group(&format!("{}: text-to-image retrieval", evaluated.name), of_texts, Query::Text),
    ]
}

/// What the model knows of a query, for images and for texts.
fn explanations(evaluated: &Evaluated) -> [&'static str; 2] {
    let set = evaluated.scores.scored_on.as_ref();
    match set.map_or_else(RetrievalProtocol::default, |set| set.protocol) {
        RetrievalProtocol::Contrast => [
            "The query is an image without its text; the model uses prompts in place of the text.",
            "The query is a text without its image; the model uses prompts in place of the image.",
        ],
        RetrievalProtocol::Ranking => [
            "The query is an image; the model scores it together with each text.",
            "The query is a text; the model scores it together with each image.",
        ],
    }
}
