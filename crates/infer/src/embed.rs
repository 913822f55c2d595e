//! Any number of inputs embedded into one file: in constant memory, and from where it was interrupted.
//!
//! Finished rows go to parts in a hidden folder beside the file; at the end the parts become the file. Inputs are taken in
//! chunks of a fixed size, so the result does not depend on where work was interrupted.

mod parts;
mod write;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ptu_data::collate::Origin;
use ptu_data::inputs::{Inputs, LeftOut, Pending};
use ptu_data::vectors::{Modality, Space, VectorRow, VectorsHeader};
use ptu_data::{DataError, Example, Preparation, Record, TextChoice};
use ptu_input::{Image, Input, Text};
use ptu_kernels::ComputePrecision;
use ptu_model::{Bundle, ModelError};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{Embedder, InferError};
use parts::Parts;
pub use write::noted;

/// Batches that are read at once: enough to keep all cores busy with decoding.
const BATCHES_A_CHUNK: usize = 8;

/// What is embedded, and how.
#[derive(Clone, Debug)]
pub struct EmbedOptions {
    /// Which vectors.
    pub space: Space,
    /// Takes only this half of each record; `None` for whatever is there.
    pub only: Option<Modality>,
    /// Which text of a record.
    pub text: TextChoice,
    /// Inputs that go through the model at once.
    pub batch: usize,
    /// In what the model multiplies.
    pub products: ComputePrecision,
    /// Goes on with work that was interrupted.
    pub resume: bool,
    /// Finished vectors are saved this often: a crash costs no more than this time.
    pub save_every: Duration,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        let (space, only, text) = (Space::default(), None, TextChoice::All);
        let save_every = Duration::from_secs(20);
        Self { space, only, text, batch: 16, products: ComputePrecision::F32, resume: false, save_every }
    }
}

/// How far embedding has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedProgress {
    /// Inputs that are done, those of earlier runs included.
    pub inputs: u64,
    /// Inputs in all.
    pub all: u64,
    /// Inputs that could not be used.
    pub left_out: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Embedded {
    /// Vectors in the file.
    pub rows: u64,
    /// Inputs that could not be used, each once.
    pub left_out: Vec<LeftOut>,
    /// Texts that are longer than the model's limit, so that it saw their beginning only.
    pub cut: u64,
    /// Inputs that have nothing of the modality that is asked for ([`EmbedOptions::only`]).
    pub passed: u64,
    /// Whether all is done; else work was stopped and can go on. Then the file is there, unless it would hold no vector.
    pub finished: bool,
}

/// A model that embeds inputs.
pub struct EmbedJob<'a> {
    bundle: &'a Bundle,
    model: String,
    options: EmbedOptions,
    preparation: Preparation,
}

/// One record, ready for the model.
struct Prepared {
    input: Input,
    /// Its rows without modality and vector.
    row: VectorRow,
    /// Whether the model sees the beginning of its text only.
    cut: bool,
}

/// What came of some inputs.
#[derive(Default)]
struct Chunk {
    rows: Vec<VectorRow>,
    left_out: Vec<LeftOut>,
    cut: u64,
    /// Inputs without the modality that is asked for.
    passed: u64,
}

impl<'a> EmbedJob<'a> {
    /// A job of a bundle whose [`Bundle::fingerprint`] is `model`.
    pub fn new(bundle: &'a Bundle, model: String, options: EmbedOptions) -> Self {
        let preparation = Preparation::new(Arc::clone(&bundle.tokenizer), bundle.preprocess.clone(), bundle.max_tokens);
        Self { bundle, model, options, preparation }
    }

    /// Embeds inputs into `out`, a file that is not there yet, ending in `.parquet`, `.npy` (with `.jsonl` beside it) or
    /// `.jsonl`. `observe` is told how far it is, and can stop it; then nothing is lost. Where no input gives a vector, no file is
    /// written.
    ///
    /// # Errors
    /// A file that is there; interrupted work that is not to be resumed, or of other inputs; a model without what is asked of
    /// it; the system. Inputs that cannot be used are none: they are left out and named.
    pub fn run(
        &self,
        inputs: &dyn Inputs,
        out: &Path,
        observe: &mut dyn FnMut(EmbedProgress) -> ControlFlow<()>,
    ) -> Result<Embedded, InferError> {
        let header = self.header(inputs)?;
        let format = write::Format::of(out)?;
        if let Some(done) = write::finished(out, format, &header, self.options.resume)? {
            Parts::forget(out)?;
            return Ok(done);
        }
        let mut parts = Parts::open(out, &header, self.options.resume)?;
        let size = self.options.batch.max(1) * BATCHES_A_CHUNK;
        let mut stream = inputs.stream(parts.next_input());
        let (mut opened, mut stopped) = (Instant::now(), false);
        loop {
            let chunk: Vec<Pending> = stream.by_ref().take(size).collect::<Result<_, DataError>>()?;
            if chunk.is_empty() || stopped {
                break;
            }
            let count = chunk.len() as u64;
            parts.add(self.chunk(chunk)?, count)?;
            if opened.elapsed() >= self.options.save_every {
                parts.close()?;
                opened = Instant::now();
            }
            let (inputs_done, left_out) = (parts.next_input(), parts.left_out().len() as u64);
            stopped = observe(EmbedProgress { inputs: inputs_done, all: inputs.count(), left_out }).is_break();
        }
        parts.close()?;
        if parts.next_input() < inputs.count() {
            return Ok(parts.so_far());
        }
        if parts.rows() == 0 {
            let nothing = Embedded { finished: true, ..parts.so_far() };
            parts.remove()?;
            return Ok(nothing);
        }
        write::assemble(parts, out, format, &header)
    }

    fn header(&self, inputs: &dyn Inputs) -> Result<VectorsHeader, InferError> {
        let EmbedOptions { space, only, text, batch, products, .. } = &self.options;
        let fusion = self.bundle.model.config().fusion.width;
        let width = match space {
            Space::Contrast => fusion,
            Space::Features => 2 * fusion,
        };
        let what = format!("{}\n{only:?} {text:?} {batch} {products:?}", inputs.hash()?);
        let hash = format!("{:x}", Sha256::digest(what));
        let version = env!("CARGO_PKG_VERSION").to_string();
        Ok(VectorsHeader { model: self.model.clone(), space: *space, width, inputs: hash, version })
    }

    /// Rows of some inputs, in order.
    fn chunk(&self, chunk: Vec<Pending>) -> Result<Chunk, InferError> {
        let (mut prepared, mut left_out, mut passed) = (vec![], vec![], 0);
        let read: Vec<_> = chunk.into_par_iter().map(|pending| self.prepare(pending)).collect();
        for one in read {
            match one {
                Ok(Some(one)) => prepared.push(one),
                Ok(None) => passed += 1,
                Err(one) => left_out.push(one),
            }
        }
        let cut = prepared.iter().filter(|one: &&Prepared| one.cut).count() as u64;
        let rows = match self.options.space {
            Space::Contrast => self.contrast(prepared)?,
            Space::Features => self.features(prepared)?,
        };
        Ok(Chunk { rows, left_out, cut, passed })
    }

    /// Reads an input; `None` where it has nothing of the modality that is asked for.
    fn prepare(&self, pending: Pending) -> Result<Option<Prepared>, LeftOut> {
        let loaded = pending.load()?;
        let record = loaded.record;
        let (id, source) = (record.id.clone(), record.source.clone());
        let (labels, fields) = (record.labels.clone(), record.fields.clone());
        let origin = Origin { source: 0, name: &source, position: 0 };
        let example = self.preparation.evaluate(record, origin, self.options.text, None).map_err(|error| {
            let cause = match error {
                DataError::Record { source, .. } => source.to_string(),
                other => other.to_string(),
            };
            LeftOut { name: loaded.name.clone(), cause }
        })?;
        let Some(Example { input, record: Record { patient, .. }, text, cut, .. }) = example else { return Ok(None) };
        let Some(input) = only(input, self.options.only) else { return Ok(None) };
        let cut = cut && text_of(&input).is_some();
        let (modality, split, picture, path) = (Modality::Pair, loaded.split, loaded.picture, loaded.path);
        let vector = vec![];
        let row = VectorRow { id, modality, patient, source, split, labels, fields, text, picture, path, vector };
        Ok(Some(Prepared { input, row, cut }))
    }

    fn embedder(&self) -> Embedder<'_> {
        Embedder { model: &self.bundle.model, products: self.options.products }
    }

    /// A row for each modality that is there.
    fn contrast(&self, prepared: Vec<Prepared>) -> Result<Vec<VectorRow>, ModelError> {
        let images: Vec<&Image> = prepared.iter().filter_map(|one| image_of(&one.input)).collect();
        let texts: Vec<&Text> = prepared.iter().filter_map(|one| text_of(&one.input)).collect();
        let images = self.embedder().images(&images, self.options.batch, &mut |_| {})?;
        let texts = self.embedder().texts(&texts, self.options.batch, &mut |_| {})?;
        let (mut images, mut texts) = (images.rows(), texts.rows());
        let mut rows = vec![];
        for Prepared { input, row, .. } in &prepared {
            let modalities = [
                (Modality::Image, image_of(input).and_then(|_| images.next())),
                (Modality::Text, text_of(input).and_then(|_| texts.next())),
            ];
            for (modality, vector) in modalities {
                rows.extend(vector.map(|vector| VectorRow { modality, vector: vector.to_vec(), ..row.clone() }));
            }
        }
        Ok(rows)
    }

    /// A row for each record.
    fn features(&self, prepared: Vec<Prepared>) -> Result<Vec<VectorRow>, ModelError> {
        let (inputs, rows): (Vec<Input>, Vec<VectorRow>) = prepared.into_iter().map(|one| (one.input, one.row)).unzip();
        let vectors = self.embedder().features(&inputs, self.options.batch, &mut |_| {})?;
        let modality = |input: &Input| match input {
            Input::Pair { .. } => Modality::Pair,
            Input::Image(_) => Modality::Image,
            Input::Text(_) => Modality::Text,
        };
        let rows = rows.into_iter().zip(&inputs).zip(vectors.rows());
        Ok(rows
            .map(|((row, input), vector)| VectorRow { modality: modality(input), vector: vector.to_vec(), ..row })
            .collect())
    }
}

/// What is to be embedded of an input; `None` where it has nothing of it.
fn only(input: Input, modality: Option<Modality>) -> Option<Input> {
    match (modality, input) {
        (None, input) => Some(input),
        (Some(Modality::Image), Input::Pair { image, .. } | Input::Image(image)) => Some(Input::Image(image)),
        (Some(Modality::Text), Input::Pair { text, .. } | Input::Text(text)) => Some(Input::Text(text)),
        (Some(Modality::Pair), input @ Input::Pair { .. }) => Some(input),
        _ => None,
    }
}

fn image_of(input: &Input) -> Option<&Image> {
    match input {
        Input::Pair { image, .. } | Input::Image(image) => Some(image),
        Input::Text(_) => None,
    }
}

fn text_of(input: &Input) -> Option<&Text> {
    match input {
        Input::Pair { text, .. } | Input::Text(text) => Some(text),
        Input::Image(_) => None,
    }
}
