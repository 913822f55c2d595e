//! Writes texts with the decoder of a fine-tuned model.

use ptu_input::{Batch, Input, Tokenizer};
use ptu_kernels::{ComputePrecision, Pass};
use ptu_model::generate::{Generated, GenerationConfig};
use ptu_model::{Model, ModelError};
use ptu_random::Key;
use serde::Serialize;

use crate::InferError;

/// Writes a text for each input.
pub struct Generator<'a> {
    model: &'a Model,
    tokenizer: &'a Tokenizer,
    /// How texts are generated.
    pub config: GenerationConfig,
    /// Seed of sampling.
    pub seed: u64,
    /// Precision of the model's matrix products.
    pub precision: ComputePrecision,
}

/// A generated text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GeneratedText {
    /// The text; empty if the model ended at once.
    pub text: String,
    /// Number of tokens, including start and end.
    pub tokens: usize,
    /// Whether the text ended by itself. If not, it was stopped at the largest number of tokens.
    pub finished: bool,
    /// Score of beam search: sum of log probabilities divided by the length penalty; `None` for other strategies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl<'a> Generator<'a> {
    /// A generator that computes in f32, with the seed 0.
    ///
    /// # Errors
    /// If the model has no decoder, or an option of `config` is not valid or does not fit it.
    pub fn new(model: &'a Model, tokenizer: &'a Tokenizer, config: GenerationConfig) -> Result<Self, ModelError> {
        model.decoder()?;
        config.check_for(model.config())?;
        Ok(Self { model, tokenizer, config, seed: 0, precision: ComputePrecision::F32 })
    }

    /// A text for each input, in their order; `batch` inputs are processed together. `numbers` name the random numbers of each
    /// input, so that a sampled text does not depend on the other inputs.
    ///
    /// # Errors
    /// If inputs do not fit the model.
    ///
    /// # Panics
    /// If there are not as many numbers as inputs.
    pub fn generate(&self, inputs: &[Input], numbers: &[u64], batch: usize) -> Result<Vec<GeneratedText>, InferError> {
        assert_eq!(inputs.len(), numbers.len(), "each input has a number");
        let (mut texts, batch) = (Vec::with_capacity(inputs.len()), batch.max(1));
        for (inputs, numbers) in inputs.chunks(batch).zip(numbers.chunks(batch)) {
            let pass = Pass::off().with(self.precision);
            // Texts of a batch are not padded, so their largest length has no effect.
            let memory = self.model.decoder_memory(&Batch::collect(inputs), 0, &pass)?;
            let prompt = self.model.prompt(numbers.to_vec(), Key::new(self.seed));
            for generated in self.model.generate(&memory, &prompt, &self.config, self.precision)? {
                texts.push(self.text(generated)?);
            }
        }
        Ok(texts)
    }

    fn text(&self, Generated { ids, score }: Generated) -> Result<GeneratedText, InferError> {
        let finished = ids.len() > 1 && ids.last() == Some(&self.model.config().text.end);
        Ok(GeneratedText { text: self.tokenizer.decode(&ids)?, tokens: ids.len(), finished, score })
    }
}
