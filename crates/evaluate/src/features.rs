//! What a model makes of the pairs of an evaluation, each computed once, whatever asks for it and how often.

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
use crate::gallery::{BATCH, Gallery, Pair};
use crate::words::{Guesses, ImageContext, guess};

/// What of a pair is given to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Given {
    /// Both.
    Both,
    /// The image; something stands in for the text.
    Image(StandIn),
    /// The text; something stands in for the image.
    Text(StandIn),
}

/// What a model makes of a gallery. All that was asked for stays in memory: a vector of `2 d` numbers a pair and [`Given`].
pub struct GalleryFeatures<'a> {
    /// The model.
    pub embedder: Embedder<'a>,
    /// The pairs.
    pub gallery: &'a Gallery,
    features: RefCell<HashMap<Given, Rc<Vectors>>>,
    words: RefCell<HashMap<ImageContext, Rc<Guesses>>>,
}

impl<'a> GalleryFeatures<'a> {
    /// Nothing is computed yet.
    pub fn new(embedder: Embedder<'a>, gallery: &'a Gallery) -> Self {
        Self { embedder, gallery, features: RefCell::default(), words: RefCell::default() }
    }

    /// Features of each pair, of which the model is given some; `done` is told how many are finished.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    pub fn of(&self, given: Given, done: &mut dyn FnMut(usize)) -> Result<Rc<Vectors>, EvaluateError> {
        if let Some(kept) = self.features.borrow().get(&given) {
            return Ok(Rc::clone(kept));
        }
        let input = |pair: &Pair| match given {
            Given::Both => Input::Pair { image: pair.image.clone(), text: pair.text.clone() },
            Given::Image(_) => Input::Image(pair.image.clone()),
            Given::Text(_) => Input::Text(pair.text.clone()),
        };
        let stand_in = match given {
            Given::Both => StandIn::default(),
            Given::Image(stand_in) | Given::Text(stand_in) => stand_in,
        };
        let mut features = Vectors::default();
        for pairs in self.gallery.records.chunks(BATCH) {
            let inputs: Vec<Input> = pairs.iter().map(input).collect();
            features.append(self.embedder.features_with(stand_in, &inputs, BATCH, &mut |_| {})?);
            done(features.len());
        }
        let features = Rc::new(features);
        self.features.borrow_mut().insert(given, Rc::clone(&features));
        Ok(features)
    }

    /// Vectors of the images alone, in the space of the contrast.
    ///
    /// # Errors
    /// A model without the contrast head; inputs that do not fit the model.
    pub fn images(&self, done: &mut dyn FnMut(usize)) -> Result<Vectors, EvaluateError> {
        let features = self.of(Given::Image(StandIn::Prompts), done)?;
        Ok(self.embedder.image_vectors(&features, BATCH)?)
    }

    /// Vectors of the texts alone, in the space of the contrast.
    ///
    /// # Errors
    /// As [`Self::images`].
    pub fn texts(&self, done: &mut dyn FnMut(usize)) -> Result<Vectors, EvaluateError> {
        let features = self.of(Given::Text(StandIn::Prompts), done)?;
        Ok(self.embedder.text_vectors(&features, BATCH)?)
    }

    /// The guesses of the masked words.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    pub fn words(&self, beside: ImageContext) -> Result<Rc<Guesses>, EvaluateError> {
        if let Some(kept) = self.words.borrow().get(&beside) {
            return Ok(Rc::clone(kept));
        }
        let guesses = Rc::new(guess(self.embedder, self.gallery, beside)?);
        self.words.borrow_mut().insert(beside, Rc::clone(&guesses));
        Ok(guesses)
    }
}

/// Features of pairs that probes are fitted to. They stay in memory, a vector of `2 d` numbers a pair.
pub struct TrainFeatures<'a> {
    /// The model.
    pub embedder: Embedder<'a>,
    /// The records.
    pub source: &'a dyn Source,
    /// Records to inputs.
    pub preparation: &'a Preparation,
    /// Which text of a record.
    pub text: TextChoice,
    kept: HashMap<usize, Vec<f32>>,
    waiting: Vec<(usize, Record)>,
}

impl<'a> TrainFeatures<'a> {
    /// Nothing is computed yet.
    pub fn new(embedder: Embedder<'a>, source: &'a dyn Source, preparation: &'a Preparation, text: TextChoice) -> Self {
        Self { embedder, source, preparation, text, kept: HashMap::new(), waiting: vec![] }
    }

    /// Adds the pair at `place` of the source; features are computed for several pairs together.
    ///
    /// # Errors
    /// An image that cannot be decoded; inputs that do not fit the model.
    pub fn add(&mut self, place: usize, record: Record) -> Result<(), EvaluateError> {
        if self.kept.contains_key(&place) {
            return Ok(());
        }
        self.waiting.push((place, record));
        if self.waiting.len() == BATCH { self.compute() } else { Ok(()) }
    }

    /// Features of pairs that were added, in the order of `places`.
    ///
    /// # Errors
    /// Inputs that do not fit the model.
    ///
    /// # Panics
    /// If one was not added.
    pub fn of(&mut self, places: &[usize]) -> Result<Vectors, EvaluateError> {
        self.compute()?;
        let rows = || places.iter().map(|place| self.kept.get(place).expect("added before"));
        Ok(Vectors { width: rows().next().map_or(0, Vec::len), values: rows().flatten().copied().collect() })
    }

    fn compute(&mut self) -> Result<(), EvaluateError> {
        let input = |(place, record): (usize, Record)| {
            let origin = Origin { source: 0, name: self.source.name(), position: place };
            let example = self.preparation.evaluate(record, origin, self.text, None)?;
            Ok::<_, DataError>(example.map(|example| (place, example.input)))
        };
        // Images are decoded on all cores; of several that cannot be, the first is told.
        let inputs: Vec<Result<_, _>> = std::mem::take(&mut self.waiting).into_par_iter().map(input).collect();
        let inputs: Vec<_> = inputs.into_iter().collect::<Result<_, _>>()?;
        let (places, inputs): (Vec<usize>, Vec<Input>) = inputs.into_iter().flatten().unzip();
        let vectors = self.embedder.features(&inputs, BATCH, &mut |_| {})?;
        self.kept.extend(places.into_iter().zip(vectors.rows().map(<[f32]>::to_vec)));
        Ok(())
    }
}
