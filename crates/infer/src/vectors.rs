//! Vectors of images and of texts: in the contrastive (ITC) space, or pooled features.

use burn::tensor::{Tensor, TensorData};
use ptu_input::{Batch, Image, Images, Input, Slot, Text, Texts};
use ptu_kernels::ComputePrecision;
use ptu_model::{ItcHead, Model, ModelError, StandIn};

/// Vectors of equal width, one per row. Those of the contrastive space have unit length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    /// Number of elements of a vector.
    pub width: usize,
    /// All vectors, row by row.
    pub values: Vec<f32>,
}

impl Vectors {
    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// True if there is no vector.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The vectors, one after another.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// Adds vectors at the end.
    ///
    /// # Panics
    /// If both are not empty and have different widths.
    pub fn append(&mut self, mut others: Self) {
        assert!(self.is_empty() || others.is_empty() || self.width == others.width, "vectors of one width");
        self.width = if self.is_empty() { others.width } else { self.width };
        self.values.append(&mut others.values);
    }

    /// Dot product of each vector with each of `others`, `[len, others.len]`, row by row. It is summed in f64 and always in the
    /// same order, so that a value does not depend on the number of vectors.
    pub fn similarity(&self, others: &Self) -> Vec<f32> {
        let rows = self.values.chunks_exact(self.width.max(1));
        rows.flat_map(|x| others.values.chunks_exact(others.width.max(1)).map(move |y| dot(x, y))).collect()
    }

    /// The mean of each group of consecutive vectors, scaled to unit length; `counts` has the number of vectors of each group. The vector
    /// of a group of one stays as it is. If vectors sum to zero, their mean has no direction: it stays zero, so that its similarity to
    /// every vector is 0.
    ///
    /// # Panics
    /// If the counts do not add up to the number of vectors.
    pub fn unit_means(&self, counts: &[usize]) -> Self {
        assert_eq!(counts.iter().sum::<usize>(), self.len(), "each vector belongs to a group");
        let (mut rows, mut values) = (self.rows(), Vec::with_capacity(counts.len() * self.width));
        for &count in counts {
            let group: Vec<&[f32]> = rows.by_ref().take(count).collect();
            if let [only] = group.as_slice() {
                values.extend_from_slice(only);
                continue;
            }
            let sum = |place: usize| group.iter().map(|row| f64::from(row[place])).sum::<f64>();
            let sums: Vec<f64> = (0..self.width).map(sum).collect();
            let length = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
            values.extend(sums.iter().map(|sum| if length > 0.0 { (sum / length) as f32 } else { 0.0 }));
        }
        Self { width: self.width, values }
    }

    fn extend(&mut self, vectors: Tensor<2>) {
        self.width = vectors.dims()[1];
        let values: Vec<f32> = vectors.inner().into_data().try_into_vec().expect("the model computes in f32");
        self.values.extend(values);
    }
}

fn dot(x: &[f32], y: &[f32]) -> f32 {
    x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>() as f32
}

/// Computes vectors of inputs with a model.
#[derive(Clone, Copy)]
pub struct Embedder<'a> {
    /// The network.
    pub model: &'a Model,
    /// Precision of the model's matrix products.
    pub precision: ComputePrecision,
}

impl<'a> Embedder<'a> {
    /// An embedder that computes in f32.
    pub fn new(model: &'a Model) -> Self {
        Self { model, precision: ComputePrecision::F32 }
    }

    /// Vectors of images without a text in the contrastive space, `batch` at a time. `done` is called with the number of finished
    /// images.
    ///
    /// # Errors
    /// If the model has no ITC head, or images do not have the model's size.
    pub fn images(self, images: &[&Image], batch: usize, done: &mut dyn FnMut(usize)) -> Result<Vectors, ModelError> {
        let (head, mut vectors) = (self.head()?, Vectors::default());
        for chunk in images.chunks(batch.max(1)) {
            let images = Images::collect(chunk.iter().copied());
            let order = (0..images.count).map(Slot::Image).collect();
            let batch = Batch { images, order, ..Batch::default() };
            vectors.extend(head.image(self.model.features(&batch, self.precision)?));
            done(vectors.len());
        }
        Ok(vectors)
    }

    /// Vectors of images in the contrastive space from their features ([`Self::features`] of images without a text), `batch` at
    /// a time. They are equal to those of [`Self::images`].
    ///
    /// # Errors
    /// If the model has no ITC head.
    pub fn image_vectors(self, features: &Vectors, batch: usize) -> Result<Vectors, ModelError> {
        let head = self.head()?;
        Ok(self.project(features, batch, |features| head.image(features)))
    }

    /// Vectors of texts in the contrastive space from their features ([`Self::features`] of texts without an image), `batch` at
    /// a time. They are equal to those of [`Self::texts`].
    ///
    /// # Errors
    /// If the model has no ITC head.
    pub fn text_vectors(self, features: &Vectors, batch: usize) -> Result<Vectors, ModelError> {
        let head = self.head()?;
        Ok(self.project(features, batch, |features| head.text(features)))
    }

    fn project(self, features: &Vectors, batch: usize, head: impl Fn(Tensor<2>) -> Tensor<2>) -> Vectors {
        let (width, mut vectors, device) = (features.width.max(1), Vectors::default(), self.model.device());
        for rows in features.values.chunks(batch.max(1) * width) {
            let data = TensorData::new(rows.to_vec(), [rows.len() / width, width]);
            vectors.extend(head(Tensor::from_data(data, &device)));
        }
        vectors
    }

    /// Vectors of texts without an image in the contrastive space, `batch` at a time. `done` is called with the number of
    /// finished texts.
    ///
    /// # Errors
    /// If the model has no ITC head, a text has more tokens than the model has positions, or a token is not in its vocabulary.
    pub fn texts(self, texts: &[&Text], batch: usize, done: &mut dyn FnMut(usize)) -> Result<Vectors, ModelError> {
        let (head, mut vectors) = (self.head()?, Vectors::default());
        for chunk in texts.chunks(batch.max(1)) {
            let texts = Texts::collect(chunk.iter().map(|text| text.ids.as_slice()));
            let order = (0..texts.count()).map(Slot::Text).collect();
            let batch = Batch { texts, order, ..Batch::default() };
            vectors.extend(head.text(self.model.features(&batch, self.precision)?));
            done(vectors.len());
        }
        Ok(vectors)
    }

    /// Pooled features of inputs with either or both modalities, in their order, `batch` at a time. Soft prompts take the place
    /// of a missing modality. `done` is called with the number of finished inputs.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn features(self, inputs: &[Input], batch: usize, done: &mut dyn FnMut(usize)) -> Result<Vectors, ModelError> {
        self.features_with(StandIn::Prompts, inputs, batch, done)
    }

    /// As [`Self::features`], with this stand-in in the place of a missing modality.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn features_with(
        self,
        stand_in: StandIn,
        inputs: &[Input],
        batch: usize,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vectors, ModelError> {
        let mut vectors = Vectors::default();
        for chunk in inputs.chunks(batch.max(1)) {
            let chunk = Batch::collect(chunk);
            vectors.extend(self.model.features_with(stand_in, &chunk, self.precision)?);
            done(vectors.len());
        }
        Ok(vectors)
    }

    /// The states of the first tokens of text and image after each layer of the fusion, and the pooled features
    /// ([`Model::states_by_layer`]), `batch` at a time.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn states_by_layer(
        self,
        stand_in: StandIn,
        inputs: &[Input],
        batch: usize,
    ) -> Result<(Vec<Vectors>, Vectors), ModelError> {
        let (mut layers, mut features): (Vec<Vectors>, Vectors) = Default::default();
        for chunk in inputs.chunks(batch.max(1)) {
            let (states, pooled) = self.model.states_by_layer(&Batch::collect(chunk), stand_in, self.precision)?;
            layers.resize_with(states.len(), Vectors::default);
            layers.iter_mut().zip(states).for_each(|(layer, states)| layer.extend(states));
            features.extend(pooled);
        }
        Ok((layers, features))
    }

    /// Features of inputs of the same modalities by the encoders alone ([`Model::image_encoder_features`],
    /// [`Model::text_encoder_features`]), `batch` at a time. A pair has those of its image, then those of its text.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    ///
    /// # Panics
    /// If the inputs are of different modalities.
    pub fn encoder_features(self, inputs: &[Input], batch: usize) -> Result<Vectors, ModelError> {
        let mut vectors = Vectors::default();
        for chunk in inputs.chunks(batch.max(1)) {
            let chunk = Batch::collect(chunk);
            self.model.check_batch(&chunk)?;
            let images = |images: &Images| self.model.image_encoder_features(images, self.precision);
            let texts = |texts: &Texts| self.model.text_encoder_features(texts, self.precision);
            vectors.extend(match [chunk.pair_images.count, chunk.images.count, chunk.texts.count()] {
                [_, 0, 0] => Tensor::cat(vec![images(&chunk.pair_images), texts(&chunk.pair_texts)], 1),
                [0, _, 0] => images(&chunk.images),
                [0, 0, _] => texts(&chunk.texts),
                _ => panic!("inputs of the same modalities"),
            });
        }
        Ok(vectors)
    }

    fn head(self) -> Result<&'a ItcHead, ModelError> {
        self.model.heads.itc.as_ref().ok_or(ModelError::NoHead { head: "contrast (itc)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_group_has_unit_length() {
        let vectors = Vectors { width: 2, values: vec![1.0, 0.0, 0.0, 1.0, 0.6, 0.8, 0.6, 0.8] };
        let means = vectors.unit_means(&[2, 2]);
        let half = 0.5f32.sqrt();
        for (value, expected) in means.values.iter().zip([half, half, 0.6, 0.8]) {
            assert!((value - expected).abs() < 1e-6, "{means:?}");
        }
        assert_eq!(vectors.unit_means(&[1; 4]), vectors);
        assert_eq!(vectors.unit_means(&[3, 1]).values[2..], [0.6, 0.8], "groups of several sizes");
        let opposite = Vectors { width: 1, values: vec![1.0, -1.0] };
        assert_eq!(opposite.unit_means(&[2]).values, [0.0]);
    }
}
