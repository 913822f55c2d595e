//! Embeds any number of inputs into one file, in constant memory. Interrupted work can be continued.
//!
//! Finished rows are written to part files in a hidden folder next to the output file. At the end the parts are joined into the
//! output file. Inputs are read in chunks of a fixed size, so the result does not depend on where the work was interrupted.

mod parts;
mod write;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use ptu_data::collate::Origin;
use ptu_data::inputs::{Inputs, Pending, SkippedInput};
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

/// Number of batches that are read together: enough to keep all cores busy with decoding.
const BATCHES_PER_CHUNK: usize = 8;

/// Options of embedding.
#[derive(Clone, Debug)]
pub struct EmbedOptions {
    /// Which vectors are computed.
    pub space: Space,
    /// Use only this modality of each record; `None` for every modality that the record has.
    pub only: Option<Modality>,
    /// Which text of a record is used.
    pub text: TextChoice,
    /// Batch size of the model.
    pub batch: usize,
    /// Precision of the model's matrix products.
    pub precision: ComputePrecision,
    /// Continue work that was interrupted.
    pub resume: bool,
    /// Time between two saves of finished vectors. A crash loses at most the work of this time.
    pub save_every: Duration,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        let (space, only, text) = (Space::default(), None, TextChoice::All);
        let save_every = Duration::from_secs(20);
        Self { space, only, text, batch: 16, precision: ComputePrecision::F32, resume: false, save_every }
    }
}

/// Progress of embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbedProgress {
    /// Number of finished inputs, including those of earlier runs.
    pub inputs: u64,
    /// Number of all inputs.
    pub all: u64,
    /// Number of inputs that were skipped because they cannot be used.
    pub skipped: u64,
}

/// The result of embedding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Embedded {
    /// Number of vectors in the file.
    pub rows: u64,
    /// Inputs that were skipped because they cannot be used, each once.
    pub skipped: Vec<SkippedInput>,
    /// Number of texts that are longer than the model's limit. The model saw only the beginning of them.
    pub cut: u64,
    /// Number of inputs without the requested modality ([`EmbedOptions::only`]).
    pub without_modality: u64,
    /// True if all inputs are finished. Then the file exists, unless it would hold no vector. False if the work was stopped and
    /// can be continued.
    pub finished: bool,
}

/// Embeds inputs into a file with one model.
pub struct EmbedJob<'a> {
    bundle: &'a Bundle,
    model: String,
    options: EmbedOptions,
    preparation: Preparation,
}

/// One record, preprocessed for the model.
struct Prepared {
    input: Input,
    /// The output row of the record. Its modality and vector are set later.
    row: VectorRow,
    /// True if the text is too long and the model sees only its beginning.
    cut: bool,
}

/// The results of a chunk of inputs.
#[derive(Default)]
struct Chunk {
    rows: Vec<VectorRow>,
    skipped: Vec<SkippedInput>,
    /// Number of texts that are longer than the model's limit.
    cut: u64,
    /// Number of inputs without the requested modality.
    without_modality: u64,
}

impl<'a> EmbedJob<'a> {
    /// A job for a bundle; `model` is its [`Bundle::fingerprint`].
    pub fn new(bundle: &'a Bundle, model: String, options: EmbedOptions) -> Self {
        let preparation = crate::preparation(bundle);
        Self { bundle, model, options, preparation }
    }

    /// Embeds inputs into the new file `out`. Its extension is `.parquet`, `.npy` (a file `.npy.jsonl` is written next to it)
    /// or `.jsonl`. `observe` is called with the progress and can stop the work; then nothing is lost. If no input gives a
    /// vector, no file is written.
    ///
    /// # Errors
    /// If the file exists already; if there is interrupted work, but `resume` is not set or the work belongs to other inputs;
    /// if the model does not have the head that is needed; or if the operating system refuses an operation. Inputs that cannot
    /// be used are not an error: they are skipped and listed in the result.
    pub fn run(
        &self,
        inputs: &dyn Inputs,
        out: &Path,
        observe: &mut dyn FnMut(EmbedProgress) -> ControlFlow<()>,
    ) -> Result<Embedded, InferError> {
        let header = self.header(inputs)?;
        let format = write::Format::of(out)?;
        if let Some(done) = write::finished(out, format, &header, self.options.resume)? {
            Parts::remove_leftover(out)?;
            return Ok(done);
        }
        let mut parts = Parts::open(out, &header, self.options.resume)?;
        let size = self.options.batch.max(1) * BATCHES_PER_CHUNK;
        let mut stream = inputs.stream(parts.next_input());
        let (mut last_save, mut stopped) = (Instant::now(), false);
        loop {
            let chunk: Vec<Pending> = stream.by_ref().take(size).collect::<Result<_, DataError>>()?;
            if chunk.is_empty() || stopped {
                break;
            }
            let count = chunk.len() as u64;
            parts.add(self.chunk(chunk)?, count)?;
            if last_save.elapsed() >= self.options.save_every {
                parts.close()?;
                last_save = Instant::now();
            }
            let (inputs_done, skipped) = (parts.next_input(), parts.skipped().len() as u64);
            stopped = observe(EmbedProgress { inputs: inputs_done, all: inputs.count(), skipped }).is_break();
        }
        parts.close()?;
        if parts.next_input() < inputs.count() {
            return Ok(parts.result());
        }
        if parts.rows() == 0 {
            let empty = Embedded { finished: true, ..parts.result() };
            parts.remove()?;
            return Ok(empty);
        }
        write::assemble(parts, out, format, &header)
    }

    /// The header of the file: the model, and a hash of inputs and options by which resumed work is compared.
    fn header(&self, inputs: &dyn Inputs) -> Result<VectorsHeader, InferError> {
        let EmbedOptions { space, only, text, batch, precision, .. } = &self.options;
        let fusion = self.bundle.model.config().fusion.width;
        let width = match space {
            Space::Contrast => fusion,
            Space::Features => 2 * fusion,
            Space::Encoder => match only {
                Some(Modality::Image) => 2 * self.bundle.model.config().image.width,
                Some(Modality::Text) => 2 * self.bundle.model.config().text.width,
                Some(Modality::Pair) | None => return Err(InferError::OneModality),
            },
        };
        let inputs_and_options = format!("{}\n{only:?} {text:?} {batch} {precision:?}", inputs.hash()?);
        let hash = format!("{:x}", Sha256::digest(inputs_and_options));
        let version = env!("CARGO_PKG_VERSION").to_string();
        Ok(VectorsHeader { model: self.model.clone(), space: *space, width, inputs: hash, version })
    }

    /// The results of a chunk of inputs, in the order of the inputs.
    fn chunk(&self, chunk: Vec<Pending>) -> Result<Chunk, InferError> {
        let (mut prepared, mut skipped, mut without_modality) = (vec![], vec![], 0);
        let read: Vec<_> = chunk.into_par_iter().map(|pending| self.prepare(pending)).collect();
        for one in read {
            match one {
                Ok(Some(one)) => prepared.push(one),
                Ok(None) => without_modality += 1,
                Err(one) => skipped.push(one),
            }
        }
        let cut = prepared.iter().filter(|one: &&Prepared| one.cut).count() as u64;
        let rows = match self.options.space {
            Space::Contrast => self.contrast(prepared)?,
            Space::Features | Space::Encoder => self.features(prepared)?,
        };
        Ok(Chunk { rows, skipped, cut, without_modality })
    }

    /// Reads and preprocesses an input; `None` if it does not have the requested modality.
    fn prepare(&self, pending: Pending) -> Result<Option<Prepared>, SkippedInput> {
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
            SkippedInput { name: loaded.name.clone(), cause }
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
        Embedder { model: &self.bundle.model, precision: self.options.precision }
    }

    /// Vectors of the contrastive space: one row for each modality of a record.
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

    /// Pooled features, or those of an encoder alone: one row for each record.
    fn features(&self, prepared: Vec<Prepared>) -> Result<Vec<VectorRow>, ModelError> {
        let (inputs, rows): (Vec<Input>, Vec<VectorRow>) = prepared.into_iter().map(|one| (one.input, one.row)).unzip();
        let vectors = match self.options.space {
            Space::Encoder => self.embedder().encoder_features(&inputs, self.options.batch)?,
            Space::Contrast | Space::Features => self.embedder().features(&inputs, self.options.batch, &mut |_| {})?,
        };
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

/// Restricts an input to one modality, if one is requested; `None` if the input does not have it.
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
