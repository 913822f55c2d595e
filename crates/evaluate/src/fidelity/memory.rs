//! What a completion can take from the training split: its means, and the record that is most similar.

use ptu_data::collate::Origin;
use ptu_data::{Preparation, Source, TextChoice};
use ptu_infer::{Embedder, Vectors};
use ptu_input::{Batch, Image, Input, Text};
use ptu_model::Model;
use ptu_random::{Key, Place};
use rayon::prelude::*;

use super::memory_file::{MemoryFile, MemoryVectors};
use super::similarity::{Centred, mean};
use crate::EvaluateError;
use crate::gallery::BATCH;
use crate::scores::Removed;

/// Pairs of the training split, by the features of each encoder alone.
pub struct TrainingMemory<'a> {
    source: &'a dyn Source,
    preparation: &'a Preparation,
    text: TextChoice,
    vectors: MemoryVectors,
}

impl<'a> TrainingMemory<'a> {
    /// Largest number of pairs.
    pub const MOST: usize = 5000;

    /// Reads at most 5,000 pairs, drawn with `key`; `done` is called with the number of pairs. `None` if there is no pair. With a file, the
    /// vectors are read from it, or, if it does not exist, written to it.
    ///
    /// # Errors
    /// If a record cannot be read, inputs do not fit the model, or the file belongs to another model, to other data or to other settings.
    pub fn read(
        embedder: Embedder<'_>,
        (source, preparation, text): (&'a dyn Source, &'a Preparation, TextChoice),
        key: Key,
        file: Option<&MemoryFile>,
        done: &mut dyn FnMut(usize),
    ) -> Result<Option<Self>, EvaluateError> {
        let model = embedder.model;
        let vectors = MemoryVectors {
            positions: vec![],
            texts: vec![],
            image_features: Vectors::default(),
            text_features: Vectors::default(),
            sums: model.no_embeddings(),
        };
        let mut all = Self { source, preparation, text, vectors };
        if let Some(vectors) = file.map(|file| file.read(&all.vectors.sums)).transpose()?.flatten() {
            return Ok(Some(Self { vectors, ..all }));
        }
        let mut order: Vec<usize> = (0..source.len()).collect();
        key.stream(Place::Sample, 4).shuffle(&mut order);
        for chunk in order.chunks(BATCH) {
            let pairs: Vec<Result<_, EvaluateError>> = chunk.par_iter().map(|position| all.pair(*position)).collect();
            let pairs: Vec<_> = pairs.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
            all.add(embedder, pairs)?;
            done(all.len());
            if all.len() >= Self::MOST {
                break;
            }
        }
        if all.len() == 0 {
            return Ok(None);
        }
        file.map_or(Ok(()), |file| file.write(&all.vectors))?;
        Ok(Some(all))
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.vectors.positions.len()
    }

    /// The image and the text of a record; `None` if it lacks one.
    fn pair(&self, position: usize) -> Result<Option<(usize, Image, Text)>, EvaluateError> {
        let origin = Origin { source: 0, name: self.source.name(), position };
        let record = self.source.get(position)?;
        let example = self.preparation.evaluate(record, origin, self.text, None)?;
        Ok(match example.map(|example| example.input) {
            Some(Input::Pair { image, text }) => Some((position, image, text)),
            _ => None,
        })
    }

    fn add(&mut self, embedder: Embedder<'_>, pairs: Vec<(usize, Image, Text)>) -> Result<(), EvaluateError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let inputs = |input: fn(&(usize, Image, Text)) -> Input| pairs.iter().map(input).collect::<Vec<Input>>();
        let images = inputs(|(_, image, _)| Input::Image(image.clone()));
        let texts = inputs(|(.., text)| Input::Text(text.clone()));
        let both = inputs(|(_, image, text)| Input::Pair { image: image.clone(), text: text.clone() });
        let vectors = &mut self.vectors;
        vectors.image_features.append(embedder.encoder_features(&images, BATCH)?);
        vectors.text_features.append(embedder.encoder_features(&texts, BATCH)?);
        embedder.model.add_embeddings(&Batch::collect(&both), &mut vectors.sums)?;
        for (position, _, text) in pairs {
            vectors.positions.push(position);
            vectors.texts.push(text.ids);
        }
        Ok(())
    }

    /// The model with the mean of the training embeddings in place of a missing modality.
    ///
    /// # Errors
    /// If the model cannot be built.
    pub fn mean_model(&self, model: &Model) -> Result<Model, EvaluateError> {
        Ok(model.with_mean_prompts(&self.vectors.sums)?)
    }

    /// The text of the training pair whose image is most similar to each of these images.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn texts_of_nearest_images(
        &self,
        embedder: Embedder<'_>,
        images: &[Input],
    ) -> Result<Vec<Text>, EvaluateError> {
        let text = |place: usize| {
            let ids = self.vectors.texts[place].clone();
            Text { words: vec![None; ids.len()], ids }
        };
        Ok(self.nearest(embedder, Removed::Texts, images)?.into_iter().map(text).collect())
    }

    /// The image of the training pair whose text is most similar to each of these texts.
    ///
    /// # Errors
    /// If inputs do not fit the model, or an image cannot be read any more.
    pub fn images_of_nearest_texts(
        &self,
        embedder: Embedder<'_>,
        texts: &[Input],
    ) -> Result<Vec<Image>, EvaluateError> {
        let image = |position: usize| -> Result<Image, EvaluateError> {
            let changed =
                || EvaluateError::Changed { id: format!("record {position}"), source_name: self.source.name().into() };
            Ok(self.pair(position)?.ok_or_else(changed)?.1)
        };
        let nearest = self.positions_of_nearest(embedder, Removed::Images, texts)?;
        nearest.into_par_iter().map(image).collect::<Vec<_>>().into_iter().collect()
    }

    /// The position in the source of the training pair that is most similar to each of these inputs, which are all images (texts were
    /// removed) or all texts (images were removed).
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn positions_of_nearest(
        &self,
        embedder: Embedder<'_>,
        removed: Removed,
        inputs: &[Input],
    ) -> Result<Vec<usize>, EvaluateError> {
        let places = self.nearest(embedder, removed, inputs)?.into_iter();
        Ok(places.map(|place| self.vectors.positions[place]).collect())
    }

    /// The place in this memory of the nearest pair.
    fn nearest(&self, embedder: Embedder<'_>, removed: Removed, inputs: &[Input]) -> Result<Vec<usize>, EvaluateError> {
        let MemoryVectors { image_features, text_features, .. } = &self.vectors;
        let known = match removed {
            Removed::Texts => image_features,
            Removed::Images => text_features,
        };
        Ok(nearest(known, &embedder.encoder_features(inputs, BATCH)?))
    }
}

/// For each query the place of the memory whose features are most similar; features are compared less the mean of the memory.
fn nearest(memory: &Vectors, queries: &Vectors) -> Vec<usize> {
    let centre = mean(memory);
    let cosines = Centred::new(queries, &centre).all_cosines(&Centred::new(memory, &centre));
    let best = |row: &[f64]| (0..row.len()).max_by(|x, y| row[*x].total_cmp(&row[*y]).then(y.cmp(x))).unwrap_or(0);
    cosines.chunks_exact(memory.len().max(1)).map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_record_is_found_and_of_equal_ones_the_first() {
        let memory = Vectors { width: 2, values: vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, -2.0] };
        let queries = Vectors { width: 2, values: vec![3.0, 0.1, 0.1, 5.0, -1.0, -0.1] };
        assert_eq!(nearest(&memory, &queries), [0, 2, 1]);
    }
}
