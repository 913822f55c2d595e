//! Features and masked-word predictions for the pairs of an evaluation. Each is computed once and then taken from a cache.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use ptu_data::collate::Origin;
use ptu_data::{DataError, Preparation, Record, Source, TextChoice};
use ptu_infer::{Embedder, Vectors};
use ptu_input::Input;
use ptu_model::StandIn;
use rayon::prelude::*;

use crate::EvaluateError;
use crate::gallery::{BATCH, Gallery};
use crate::words::{ImageContext, WordPredictions, predict};

/// The modalities of a pair that the model is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AvailableModalities {
    /// Image and text.
    Both,
    /// The image alone; the stand-in takes the place of the text.
    ImageOnly(StandIn),
    /// The text alone; the stand-in takes the place of the image.
    TextOnly(StandIn),
}

/// Features and masked-word predictions of a model for a gallery. All results stay in memory: one vector of `2 d` numbers for
/// each pair and each [`AvailableModalities`] that was requested.
pub struct GalleryFeatures<'a> {
    /// The model.
    pub embedder: Embedder<'a>,
    /// The pairs.
    pub gallery: &'a Gallery,
    features: RefCell<HashMap<AvailableModalities, Rc<Vectors>>>,
    words: RefCell<HashMap<ImageContext, Rc<WordPredictions>>>,
}

impl<'a> GalleryFeatures<'a> {
    /// An empty cache: nothing is computed yet.
    pub fn new(embedder: Embedder<'a>, gallery: &'a Gallery) -> Self {
        gallery.encoded.start(embedder.model, embedder.precision);
        Self { embedder, gallery, features: RefCell::default(), words: RefCell::default() }
    }

    /// Features of each pair, computed from the available modalities; `done` is called with the number of finished pairs.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn of(
        &self,
        available: AvailableModalities,
        done: &mut dyn FnMut(usize),
    ) -> Result<Rc<Vectors>, EvaluateError> {
        if let Some(cached) = self.features.borrow().get(&available) {
            return Ok(Rc::clone(cached));
        }
        let stand_in = match available {
            AvailableModalities::Both => StandIn::default(),
            AvailableModalities::ImageOnly(stand_in) | AvailableModalities::TextOnly(stand_in) => stand_in,
        };
        let mut features = Vectors::default();
        for rows in self.gallery.rows().chunks(BATCH) {
            let inputs = self.inputs(rows, available)?;
            features.append(self.embedder.features_with(stand_in, &inputs, BATCH, &mut |_| {})?);
            done(features.len());
        }
        let features = Rc::new(features);
        self.features.borrow_mut().insert(available, Rc::clone(&features));
        Ok(features)
    }

    /// The available modalities of some pairs.
    fn inputs(&self, rows: &[usize], available: AvailableModalities) -> Result<Vec<Input>, EvaluateError> {
        let texts = rows.iter().map(|&row| self.gallery.records[row].text.clone());
        Ok(match available {
            AvailableModalities::Both => {
                let images = self.gallery.encoded_images(self.embedder, rows)?.into_iter();
                images.zip(texts).map(|(image, text)| Input::Pair { image, text }).collect()
            }
            AvailableModalities::ImageOnly(_) => {
                self.gallery.encoded_images(self.embedder, rows)?.into_iter().map(Input::Image).collect()
            }
            AvailableModalities::TextOnly(_) => texts.map(Input::Text).collect(),
        })
    }

    /// Vectors of the images without their texts, in the space of the contrastive (ITC) head.
    ///
    /// # Errors
    /// If the model has no ITC head, or inputs do not fit the model.
    pub fn images(&self, done: &mut dyn FnMut(usize)) -> Result<Vectors, EvaluateError> {
        let features = self.of(AvailableModalities::ImageOnly(StandIn::Prompts), done)?;
        Ok(self.embedder.image_vectors(&features, BATCH)?)
    }

    /// Vectors of the texts without their images, in the space of the contrastive (ITC) head.
    ///
    /// # Errors
    /// As [`Self::images`].
    pub fn texts(&self, done: &mut dyn FnMut(usize)) -> Result<Vectors, EvaluateError> {
        let features = self.of(AvailableModalities::TextOnly(StandIn::Prompts), done)?;
        Ok(self.embedder.text_vectors(&features, BATCH)?)
    }

    /// Predictions of the masked words, with this image context.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    pub fn words(&self, context: ImageContext) -> Result<Rc<WordPredictions>, EvaluateError> {
        if let Some(cached) = self.words.borrow().get(&context) {
            return Ok(Rc::clone(cached));
        }
        let predictions = Rc::new(predict(self.embedder, self.gallery, context)?);
        self.words.borrow_mut().insert(context, Rc::clone(&predictions));
        Ok(predictions)
    }
}

/// Features of the training pairs that probes are fitted to. They stay in memory: one vector of `2 d` numbers for each pair.
pub struct TrainFeatures<'a> {
    /// The model.
    pub embedder: Embedder<'a>,
    /// The records.
    pub source: &'a dyn Source,
    /// Turns records into inputs of the model.
    pub preparation: &'a Preparation,
    /// Which text of a record is used.
    pub text: TextChoice,
    /// Computed features, by the position of the pair in the source.
    computed: HashMap<usize, Vec<f32>>,
    /// Pairs whose features are computed with the next batch.
    pending: Vec<(usize, Record)>,
}

impl<'a> TrainFeatures<'a> {
    /// An empty cache: nothing is computed yet.
    pub fn new(embedder: Embedder<'a>, source: &'a dyn Source, preparation: &'a Preparation, text: TextChoice) -> Self {
        Self { embedder, source, preparation, text, computed: HashMap::new(), pending: vec![] }
    }

    /// Adds the pair at `position` of the source. Features are computed in batches.
    ///
    /// # Errors
    /// If an image cannot be decoded, or inputs do not fit the model.
    pub fn add(&mut self, position: usize, record: Record) -> Result<(), EvaluateError> {
        if self.computed.contains_key(&position) {
            return Ok(());
        }
        self.pending.push((position, record));
        if self.pending.len() == BATCH { self.compute() } else { Ok(()) }
    }

    /// Features of pairs that were added, in the order of `positions`.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    ///
    /// # Panics
    /// If the pair at one of the positions was not added.
    pub fn of(&mut self, positions: &[usize]) -> Result<Vectors, EvaluateError> {
        self.compute()?;
        let rows = || positions.iter().map(|position| self.computed.get(position).expect("added before"));
        Ok(Vectors { width: rows().next().map_or(0, Vec::len), values: rows().flatten().copied().collect() })
    }

    fn compute(&mut self) -> Result<(), EvaluateError> {
        let input = |(position, record): (usize, Record)| {
            let origin = Origin { source: 0, name: self.source.name(), position };
            let example = self.preparation.evaluate(record, origin, self.text, None)?;
            Ok::<_, DataError>(example.map(|example| (position, example.input)))
        };
        // Images are decoded on all cores. If several cannot be decoded, the error of the first one is reported.
        let inputs: Vec<Result<_, _>> = std::mem::take(&mut self.pending).into_par_iter().map(input).collect();
        let inputs: Vec<_> = inputs.into_iter().collect::<Result<_, _>>()?;
        let (positions, inputs): (Vec<usize>, Vec<Input>) = inputs.into_iter().flatten().unzip();
        let vectors = self.embedder.features(&inputs, BATCH, &mut |_| {})?;
        self.computed.extend(positions.into_iter().zip(vectors.rows().map(<[f32]>::to_vec)));
        Ok(())
    }
}
