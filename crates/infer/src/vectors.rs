//! Vectors of images alone and of texts alone, in the space where the contrast compares them.

use burn::tensor::{Tensor, TensorData};
use ptu_input::{Batch, Image, Images, Input, Slot, Text, Texts};
use ptu_kernels::ComputePrecision;
use ptu_model::{ItcHead, Model, ModelError, StandIn};

/// Unit vectors, one a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    /// Elements of a vector.
    pub width: usize,
    /// All vectors, row by row.
    pub values: Vec<f32>,
}

impl Vectors {
    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The vectors, one after another.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// Adds vectors behind these.
    ///
    /// # Panics
    /// If both have vectors, of different widths.
    pub fn append(&mut self, mut others: Self) {
        assert!(self.is_empty() || others.is_empty() || self.width == others.width, "vectors of one width");
        self.width = if self.is_empty() { others.width } else { self.width };
        self.values.append(&mut others.values);
    }

    /// Product of each vector with each of `others`, `[len, others.len]` row by row; in f64 and one order, so that a score
    /// does not depend on how many are compared.
    pub fn similarity(&self, others: &Self) -> Vec<f32> {
        let rows = self.values.chunks_exact(self.width.max(1));
        rows.flat_map(|x| others.values.chunks_exact(others.width.max(1)).map(move |y| dot(x, y))).collect()
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

/// A model that embeds.
#[derive(Clone, Copy)]
pub struct Embedder<'a> {
    /// The network.
    pub model: &'a Model,
    /// In what it multiplies.
    pub products: ComputePrecision,
}

impl<'a> Embedder<'a> {
    /// In f32.
    pub fn new(model: &'a Model) -> Self {
        Self { model, products: ComputePrecision::F32 }
    }

    /// Vectors of images whose text is missing, `batch` at a time; `done` is told how many are finished.
    ///
    /// # Errors
    /// A model without the contrast head; images of another size than the model's.
    pub fn images(self, images: &[&Image], batch: usize, done: &mut dyn FnMut(usize)) -> Result<Vectors, ModelError> {
        let (head, mut vectors) = (self.head()?, Vectors::default());
        for chunk in images.chunks(batch.max(1)) {
            let images = Images::collect(chunk.iter().copied());
            let order = (0..images.count).map(Slot::Image).collect();
            let batch = Batch { images, order, ..Batch::default() };
            vectors.extend(head.image(self.model.features(&batch, self.products)?));
            done(vectors.len());
        }
        Ok(vectors)
    }

    /// Vectors of images from their features ([`Self::features`] of images whose text is missing), `batch` at a time: what
    /// [`Self::images`] gives.
    ///
    /// # Errors
    /// A model without the contrast head.
    pub fn image_vectors(self, features: &Vectors, batch: usize) -> Result<Vectors, ModelError> {
        let head = self.head()?;
        Ok(self.project(features, batch, |features| head.image(features)))
    }

    /// The same of texts: what [`Self::texts`] gives.
    ///
    /// # Errors
    /// A model without the contrast head.
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

    /// Vectors of texts whose image is missing, `batch` at a time; `done` is told how many are finished.
    ///
    /// # Errors
    /// A model without the contrast head; texts longer than the model's positions, tokens it does not know.
    pub fn texts(self, texts: &[&Text], batch: usize, done: &mut dyn FnMut(usize)) -> Result<Vectors, ModelError> {
        let (head, mut vectors) = (self.head()?, Vectors::default());
        for chunk in texts.chunks(batch.max(1)) {
            let texts = Texts::collect(chunk.iter().map(|text| text.ids.as_slice()));
            let order = (0..texts.count()).map(Slot::Text).collect();
            let batch = Batch { texts, order, ..Batch::default() };
            vectors.extend(head.text(self.model.features(&batch, self.products)?));
            done(vectors.len());
        }
        Ok(vectors)
    }

    /// Features of records, whichever modality is there, `batch` at a time, in their order; `done` is told how many are finished.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    pub fn features(self, inputs: &[Input], batch: usize, done: &mut dyn FnMut(usize)) -> Result<Vectors, ModelError> {
        self.features_with(StandIn::Prompts, inputs, batch, done)
    }

    /// As [`Self::features`], with anything in place of a modality that is missing.
    ///
    /// # Errors
    /// As there.
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
            vectors.extend(self.model.features_with(stand_in, &chunk, self.products)?);
            done(vectors.len());
        }
        Ok(vectors)
    }

    fn head(self) -> Result<&'a ItcHead, ModelError> {
        self.model.heads.itc.as_ref().ok_or(ModelError::NoHead { head: "contrast (itc)" })
    }
}
