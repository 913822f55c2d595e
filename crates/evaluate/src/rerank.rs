//! Ranking by the fusion, which sees query and candidate together: reranking of the best candidates of a search by the ITM head, and
//! the ranking of all pairs by the retrieval head of a fine-tuned model.

use ptu_infer::{Embedder, Matcher};

use crate::EvaluateError;
use crate::gallery::{BATCH, Gallery, Query};
use crate::retrieval::{Ranking, RetrievalResults};

/// Reranks the `keep` candidates that are nearest in the contrastive space by their ITM score, and puts them ahead of all other
/// candidates. If `keep` is as large as the gallery, every pair goes through the fusion, as in the published method
/// (specification, section 7). A pair that both directions need is computed once.
///
/// # Errors
/// If the model has no ITM head, or an image cannot be read any more.
pub fn rerank(
    embedder: Embedder<'_>,
    gallery: &Gallery,
    found: &RetrievalResults,
    keep: usize,
) -> Result<RetrievalResults, EvaluateError> {
    let (size, matcher) = (gallery.records.len(), matcher(embedder, gallery)?);
    let shortlists = [Query::Image, Query::Text].map(|query| shortlists(&found.of(query).similarity, size, keep));
    let pair = |query, row, item| if query == Query::Image { (row, item) } else { (item, row) };
    let mut pairs: Vec<(usize, usize)> = vec![];
    for (query, shortlists) in [Query::Image, Query::Text].into_iter().zip(&shortlists) {
        for (row, items) in shortlists.iter().enumerate() {
            pairs.extend(items.iter().map(|&item| pair(query, row, item)));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    let scores = matcher.scores(&pairs, BATCH);
    let rank = |query: Query, shortlists: &[Vec<usize>]| {
        let similarity = found.of(query).similarity.clone();
        // The candidates of a shortlist come first, ordered by ITM score. The others follow, ordered by similarity.
        let mut order: Vec<(bool, f32)> = similarity.iter().map(|&similarity| (false, similarity)).collect();
        for (row, items) in shortlists.iter().enumerate() {
            for &item in items {
                let place = pairs.binary_search(&pair(query, row, item)).expect("listed above");
                order[row * size + item] = (true, scores[place]);
            }
        }
        let ranks = ptu_metrics::ranks(&order, size, |row, item| gallery.is_hit(query, row, item));
        Ranking { similarity, ranks }
    };
    let [of_images, of_texts] = &shortlists;
    Ok(RetrievalResults { image_to_text: rank(Query::Image, of_images), text_to_image: rank(Query::Text, of_texts) })
}

/// Ranks every image with every text of a gallery by the score of the fused pair, as published for fine-tuned models (specification,
/// section 7). The score is that of the retrieval head, or of the ITM head if the model has no retrieval head. `done` is called with
/// the number of images that were compared with all texts. The time grows with the square of the number of pairs.
///
/// # Errors
/// If the model has neither of the two heads, or an image cannot be read any more.
pub fn rank_all(
    embedder: Embedder<'_>,
    gallery: &Gallery,
    done: &mut dyn FnMut(usize),
) -> Result<RetrievalResults, EvaluateError> {
    let (size, matcher) = (gallery.records.len(), matcher(embedder, gallery)?);
    let mut scores = Vec::with_capacity(size * size);
    for image in 0..size {
        let pairs: Vec<(usize, usize)> = (0..size).map(|text| (image, text)).collect();
        scores.extend(matcher.scores(&pairs, BATCH));
        done(image + 1);
    }
    Ok(RetrievalResults::of_pairs(gallery, scores))
}

/// The encoded images and texts of a gallery.
fn matcher<'a>(embedder: Embedder<'a>, gallery: &Gallery) -> Result<Matcher<'a>, EvaluateError> {
    let (rows, texts) = (gallery.rows(), gallery.records.iter().map(|record| &record.text).collect::<Vec<_>>());
    gallery.encoded.start(embedder.model, embedder.precision);
    let images = rows.chunks(BATCH).map(|rows| gallery.encoded_images(embedder, rows));
    Matcher::of_batches(embedder, images, &texts, BATCH)
}

/// For each row the `keep` items with the highest similarity. Of items with equal similarity the first comes first.
fn shortlists(similarity: &[f32], size: usize, keep: usize) -> Vec<Vec<usize>> {
    let shortlist = |row: &[f32]| {
        let mut items: Vec<usize> = (0..row.len()).collect();
        items.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
        items.truncate(keep);
        items
    };
    similarity.chunks_exact(size.max(1)).map(shortlist).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::Device;
    use ptu_data::Masked;
    use ptu_input::Text;
    use ptu_model::{Model, Preset, TextStyle};
    use ptu_random::Key;

    use super::*;
    use crate::features::GalleryFeatures;
    use crate::gallery::Pair;
    use crate::retrieval::search;
    use crate::testing::{noise, processor};

    fn gallery() -> Gallery {
        let source = noise(6, 32);
        let pair = |number: u64| {
            let text = Text { ids: vec![0, 7 + number as u32, 20 - number as u32, 2], words: vec![] };
            Pair {
                id: number.to_string(),
                patient: number.to_string(),
                source: Arc::clone(&source),
                record: number as usize,
                masked: Masked { ids: text.ids.clone(), labels: vec![None; 4] },
                text,
                words: String::new(),
                image_hash: number,
                text_hash: number,
                own_texts: vec![number],
                hits: vec![],
                groups: vec![],
                labels: vec![],
            }
        };
        Gallery {
            records: (0..6).map(pair).collect(),
            incomplete: 0,
            processor: processor(32),
            encoded: Arc::default(),
        }
    }

    #[test]
    fn only_the_shortlist_is_reranked() {
        let mut config = Preset::Tiny.config(TextStyle::Roberta, 50, [0, 2, 1]);
        config.image.size = 32;
        let model = Model::new(&config, Key::new(1), &Device::flex()).unwrap();
        let gallery = gallery();
        let embedder = Embedder::new(&model);
        let found = search(&GalleryFeatures::new(embedder, &gallery), &mut |_| ()).unwrap();
        let rerank = |keep| rerank(embedder, &gallery, &found, keep).unwrap();
        let places = |found: &RetrievalResults| [Query::Image, Query::Text].map(|query| found.of(query).ranks.clone());
        assert_eq!(places(&rerank(0)), places(&found));
        assert_eq!(places(&rerank(1)), places(&found), "the first stays the first");
        let all = rerank(usize::MAX);
        assert_ne!(places(&all), places(&found));
        let mut finished = vec![];
        let ranked = rank_all(embedder, &gallery, &mut |images| finished.push(images)).unwrap();
        assert_eq!((places(&ranked), finished), (places(&all), vec![1, 2, 3, 4, 5, 6]), "both rank all pairs");
        // The expected rank, computed directly: the number of other texts that match image 0 better than its own text.
        let images = gallery.images(&gallery.rows()).unwrap();
        let images: Vec<_> = images.iter().collect();
        let texts: Vec<_> = gallery.records.iter().map(|record| &record.text).collect();
        let matcher = Matcher::new(embedder, &images, &texts, 6).unwrap();
        let scores = matcher.scores(&(0..6).map(|text| (0, text)).collect::<Vec<_>>(), 6);
        let better = scores[1..].iter().filter(|score| **score >= scores[0]).count();
        assert_eq!(all.of(Query::Image).ranks[0], Some(better));
        // A hit outside a shortlist of three keeps its rank behind the three.
        let three = rerank(3);
        for query in [Query::Image, Query::Text] {
            for (new, old) in three.of(query).ranks.iter().zip(&found.of(query).ranks) {
                assert_eq!(new.unwrap() < 3, old.unwrap() < 3);
                assert!(old.unwrap() < 3 || new == old);
            }
        }
    }
}
