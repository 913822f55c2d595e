//! Generation of texts: greedy, by beam search, by sampling, and by beam search with sampling (specification, section 1.7).
//!
//! The search knows the network only as a [`StepModel`], which appends one token to each hypothesis and gives the logits of the
//! next one, so that it can be tested on tables. Results, options and their names are those of `generate` of `transformers`
//! 5.24. Each input is searched by itself: its result does not depend on the other inputs of a batch.

mod beam;
mod cached;
mod limits;
mod sampling;
mod scores;
mod single;

use burn::module::Module;
use ptu_kernels::{ComputePrecision, Packed, in_pool};
use ptu_random::{Key, Place};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use cached::CachedDecoder;
pub use sampling::{Sampling, draw, draw_without_replacement, filter};

use crate::{Decoder, Model, ModelConfig, ModelError};

/// The largest number of beams; the memory of the search grows with it.
const LARGEST_BEAMS: usize = 1024;

/// How texts are generated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerationConfig {
    /// How the next tokens are chosen.
    pub strategy: Strategy,
    /// The largest number of tokens, including the start token and the end token. The number of position embeddings limits it too.
    pub max_length: usize,
    /// The end token is not generated before a text has this many tokens, including the start token.
    pub min_length: usize,
    /// No sequence of this many tokens occurs twice in a text; 0 for no limit.
    pub no_repeat_ngram_size: usize,
}

/// How the next tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Strategy {
    /// The most likely token at each step.
    Greedy,
    /// A random token at each step.
    Sample {
        /// How the token is sampled.
        #[serde(default)]
        sampling: Sampling,
    },
    /// Beam search.
    Beam {
        /// Number of hypotheses that are continued at each step.
        num_beams: usize,
        /// The sum of log probabilities of a finished hypothesis is divided by its number of generated tokens to this power.
        #[serde(default = "one")]
        length_penalty: f64,
        /// When the search ends.
        #[serde(default)]
        early_stopping: EarlyStopping,
        /// If present, continuations are sampled without replacement instead of taken from the top, as in the published program.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sampling: Option<Sampling>,
    },
}

/// When beam search ends, once it has as many finished hypotheses as beams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyStopping {
    /// When the best running hypothesis, with its present length, scores no better than the worst finished one (`False` in
    /// `transformers`).
    #[default]
    Heuristic,
    /// At once (`True`).
    Full,
    /// When no running hypothesis can score better any more, whatever its length will be (`"never"`).
    Never,
}

fn one() -> f64 {
    1.0
}

impl Default for GenerationConfig {
    /// Five beams, as published, without sampling; at most 256 tokens.
    fn default() -> Self {
        let strategy = Strategy::Beam {
            num_beams: 5,
            length_penalty: one(),
            early_stopping: EarlyStopping::Heuristic,
            sampling: None,
        };
        Self { strategy, max_length: 256, min_length: 0, no_repeat_ngram_size: 0 }
    }
}

impl GenerationConfig {
    /// Checks all options.
    ///
    /// # Errors
    /// [`ModelError::Config`] with the key, its value and the rule for it.
    pub fn check(&self) -> Result<(), ModelError> {
        let Self { strategy, max_length, min_length, .. } = *self;
        ensure(max_length >= 2, "max_length", || format!("is {max_length}; a start token and one more must fit"))?;
        ensure(min_length <= max_length, "min_length", || {
            format!("is {min_length}; it must be at most max_length, {max_length}")
        })?;
        match strategy {
            Strategy::Greedy => Ok(()),
            Strategy::Sample { sampling } => sampling.check(),
            Strategy::Beam { num_beams, length_penalty, sampling, .. } => {
                ensure((1..=LARGEST_BEAMS).contains(&num_beams), "num_beams", || {
                    format!("is {num_beams}; it must be between 1 and {LARGEST_BEAMS}")
                })?;
                ensure(length_penalty.abs() <= 100.0, "length_penalty", || {
                    format!("is {length_penalty}; it must be between -100 and 100")
                })?;
                sampling.map_or(Ok(()), |sampling| sampling.check())
            }
        }
    }

    /// As [`Self::check`], and that the model has position embeddings for `max_length` tokens.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_for(&self, model: &ModelConfig) -> Result<(), ModelError> {
        self.check()?;
        let (max_length, longest) = (self.max_length, model.text.longest());
        ensure(max_length <= longest, "max_length", || {
            format!("is {max_length}; the model has position embeddings for at most {longest} tokens")
        })
    }
}

fn ensure(holds: bool, key: &str, rule: impl FnOnce() -> String) -> Result<(), ModelError> {
    if holds { Ok(()) } else { Err(ModelError::Config { key: format!("generate.{key}"), rule: rule() }) }
}

/// A hypothesis with one more token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Number of the hypothesis in the previous call; in the first call, number of the input.
    pub parent: usize,
    /// The token that is appended.
    pub token: u32,
}

/// A network that gives the logits of the next token.
pub trait StepModel {
    /// Number of entries of the vocabulary.
    fn vocabulary(&self) -> usize;

    /// The largest number of tokens of a hypothesis.
    fn longest(&self) -> usize;

    /// Appends a token to hypotheses of the previous call, and returns the logits of the token after it:
    /// `[extensions.len(), v]`, in row-major order. A hypothesis may be extended several times or not at all. Hypotheses of one
    /// input are next to each other, and inputs are in ascending order.
    fn step(&mut self, extensions: &[Extension]) -> Vec<f32>;
}

/// What a search starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The first token of every text.
    pub start: u32,
    /// The token that ends a text.
    pub end: u32,
    /// A number for each input. It names the input's own random numbers, so that a sampled text does not depend on the batch.
    pub inputs: Vec<u64>,
    /// The seed of the random numbers.
    pub key: Key,
}

/// A generated text.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// All tokens: the start token, and the end token if the text has ended by itself.
    pub ids: Vec<u32>,
    /// Score of beam search: sum of log probabilities divided by the length penalty; `None` for other strategies.
    pub score: Option<f64>,
}

/// The uniform numbers in [0, 1) of one input: one for each step of [`Strategy::Sample`], twice as many as beams for each step of
/// beam search with sampling.
pub type Uniforms = Box<dyn FnMut() -> f64 + Send>;

/// Generates a text for each input of the prompt, in their order.
///
/// # Errors
/// Those of [`GenerationConfig::check`].
pub fn generate(
    model: &mut impl StepModel,
    prompt: &Prompt,
    config: &GenerationConfig,
) -> Result<Vec<Generated>, ModelError> {
    let uniforms = prompt.inputs.iter().map(|input| -> Uniforms {
        let mut stream = prompt.key.stream(Place::Generation, *input);
        Box::new(move || stream.unit())
    });
    generate_with(model, [prompt.start, prompt.end], uniforms.collect(), config)
}

/// As [`generate`], for the special tokens `[start, end]`, with the uniform numbers of each input.
///
/// # Errors
/// As [`generate`].
pub fn generate_with(
    model: &mut impl StepModel,
    [start, end]: [u32; 2],
    uniforms: Vec<Uniforms>,
    config: &GenerationConfig,
) -> Result<Vec<Generated>, ModelError> {
    config.check()?;
    let &GenerationConfig { strategy, max_length, min_length, no_repeat_ngram_size } = config;
    let max_length = max_length.min(model.longest());
    let limits = limits::Limits { start, end, max_length, min_length, no_repeat_ngram_size };
    Ok(match strategy {
        Strategy::Greedy => single::run(model, &limits, None, uniforms),
        Strategy::Sample { sampling } => single::run(model, &limits, Some(sampling), uniforms),
        // As in `transformers`: one beam is greedy generation or sampling, without scores.
        Strategy::Beam { num_beams: 1, sampling, .. } => single::run(model, &limits, sampling, uniforms),
        Strategy::Beam { num_beams, length_penalty, early_stopping, sampling } => {
            beam::run(model, &beam::Beams { num_beams, length_penalty, early_stopping, sampling, limits }, uniforms)
        }
    })
}

impl Model {
    /// What a generation starts from: the model's special tokens, a number for each input, and a seed; see [`Prompt`].
    pub fn prompt(&self, inputs: Vec<u64>, key: Key) -> Prompt {
        let text = &self.config().text;
        Prompt { start: text.start, end: text.end, inputs, key }
    }

    /// Generates a text for each memory, see [`Self::decoder_memory`].
    ///
    /// # Errors
    /// When the model has no decoder, an option is not valid, or a logit is not finite.
    ///
    /// # Panics
    /// If the prompt has another number of inputs than there are memories.
    pub fn generate(
        &self,
        memory: &Packed,
        prompt: &Prompt,
        config: &GenerationConfig,
        precision: ComputePrecision,
    ) -> Result<Vec<Generated>, ModelError> {
        assert_eq!(prompt.inputs.len(), memory.count(), "each memory belongs to one input");
        let decoder = self.decoder()?;
        config.check()?;
        in_pool(|| {
            let part = |first: usize, inputs: &[u64]| {
                let memory = memory.select(first..first + inputs.len());
                (CachedDecoder::new(decoder, &memory, precision), Prompt { inputs: inputs.to_vec(), ..prompt.clone() })
            };
            let size = inputs_a_thread(decoder, memory.count());
            let parts: Vec<(CachedDecoder, Prompt)> =
                prompt.inputs.chunks(size).enumerate().map(|(number, inputs)| part(number * size, inputs)).collect();
            let each = parts.into_par_iter().map(|(mut decoder, prompt)| {
                let texts = generate(&mut decoder, &prompt, config)?;
                if decoder.is_finite() { Ok(texts) } else { Err(ModelError::NotFinite) }
            });
            Ok(each.collect::<Result<Vec<Vec<Generated>>, ModelError>>()?.concat())
        })
    }
}

/// A decoder with at most this many weights is small: a step of it is shorter than sharing it among threads takes.
const SMALL_DECODER: usize = 4 << 20;

/// Number of inputs that one thread generates texts for, at least 1. With a large decoder this is all of them, and all threads work on
/// the same step, so that its weights are read from memory once.
fn inputs_a_thread(decoder: &Decoder, inputs: usize) -> usize {
    let threads = if decoder.num_params() <= SMALL_DECODER { rayon::current_num_threads() } else { 1 };
    inputs.div_ceil(threads).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A network as a table: the logits of the next token depend on the last token alone.
    struct Table {
        logits: Vec<Vec<f32>>,
        calls: usize,
    }

    impl StepModel for Table {
        fn vocabulary(&self) -> usize {
            self.logits.len()
        }

        fn longest(&self) -> usize {
            7
        }

        fn step(&mut self, extensions: &[Extension]) -> Vec<f32> {
            self.calls += 1;
            extensions.iter().flat_map(|extension| self.logits[extension.token as usize].clone()).collect()
        }
    }

    const NEVER: f32 = -20.0;

    /// Start 0, end 1. Greedily 0 2 2 2 ...; the path 0 3 1 is more likely than any path over 2.
    fn table() -> Table {
        let logits = vec![
            vec![NEVER, NEVER, 0.6f32.ln(), 0.4f32.ln()],
            vec![0.0; 4],
            vec![NEVER, 0.3f32.ln(), 0.4f32.ln(), 0.3f32.ln()],
            vec![NEVER, 0.9f32.ln(), 0.05f32.ln(), 0.05f32.ln()],
        ];
        Table { logits, calls: 0 }
    }

    fn run(strategy: Strategy, change: impl Fn(&mut GenerationConfig)) -> Result<Vec<Generated>, ModelError> {
        let mut config = GenerationConfig { strategy, ..GenerationConfig::default() };
        change(&mut config);
        let prompt = Prompt { start: 0, end: 1, inputs: vec![0, 1], key: Key::new(4) };
        generate(&mut table(), &prompt, &config)
    }

    fn beam(num_beams: usize) -> Strategy {
        let early_stopping = EarlyStopping::Heuristic;
        Strategy::Beam { num_beams, length_penalty: 1.0, early_stopping, sampling: None }
    }

    #[test]
    fn beam_search_finds_a_more_likely_text_than_greedy_generation() {
        let greedy = run(Strategy::Greedy, |_| {}).unwrap();
        // The number of positions limits the length.
        assert_eq!(greedy[0], Generated { ids: vec![0, 2, 2, 2, 2, 2, 2], score: None });
        let found = run(beam(2), |_| {}).unwrap();
        assert_eq!(found[1].ids, [0, 3, 1]);
        assert!((found[0].score.unwrap() - (0.4f64 * 0.9).ln() / 2.0).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn limits_of_length_and_repetition_hold() {
        let ids = |strategy, change: fn(&mut GenerationConfig)| run(strategy, change).unwrap()[0].ids.clone();
        assert_eq!(ids(Strategy::Greedy, |c| c.max_length = 4), [0, 2, 2, 2]);
        assert_eq!(ids(Strategy::Greedy, |c| c.no_repeat_ngram_size = 2)[..4], [0, 2, 2, 1]);
        assert_eq!(ids(Strategy::Greedy, |c| c.no_repeat_ngram_size = 1), [0, 2, 1]);
        let long = ids(beam(2), |c| c.min_length = 5);
        assert!(long.len() >= 6 && !long[..5].contains(&1), "{long:?}");
    }

    #[test]
    fn one_beam_is_greedy_generation() {
        assert_eq!(run(beam(1), |_| {}).unwrap(), run(Strategy::Greedy, |_| {}).unwrap());
    }

    #[test]
    fn sampled_texts_depend_on_the_input_and_not_on_the_batch() {
        for strategy in [
            Strategy::Sample { sampling: Sampling::default() },
            Strategy::Beam {
                num_beams: 2,
                length_penalty: 1.0,
                early_stopping: EarlyStopping::Full,
                sampling: Some(Sampling::default()),
            },
        ] {
            let config = GenerationConfig { strategy, ..GenerationConfig::default() };
            let texts = |inputs: Vec<u64>, seed| {
                let prompt = Prompt { start: 0, end: 1, inputs, key: Key::new(seed) };
                // Many tokens of similar probability, so that two texts are rarely the same.
                let row = |last: usize| (0..12).map(|token| ((7 * last + 5 * token) % 4) as f32 * 0.3).collect();
                let mut model = Table { logits: (0..12).map(row).collect(), calls: 0 };
                generate(&mut model, &prompt, &config).unwrap()
            };
            let all = texts((0..30).collect(), 4);
            assert_eq!(all[11..13], texts(vec![11, 12], 4));
            assert_ne!(all, texts((0..30).collect(), 5));
            assert!(all.iter().any(|text| text != &all[0]), "all texts are the same");
        }
    }

    #[test]
    fn options_out_of_range_are_errors() {
        let check = |strategy, change: fn(&mut GenerationConfig)| run(strategy, change).unwrap_err().to_string();
        assert!(check(beam(0), |_| {}).contains("generate.num_beams"));
        assert!(check(beam(usize::MAX), |_| {}).contains("generate.num_beams"));
        assert!(check(Strategy::Greedy, |c| c.max_length = 1).contains("generate.max_length"));
        assert!(check(Strategy::Greedy, |c| c.min_length = 300).contains("generate.min_length"));
        let bad = Sampling { temperature: 0.0, ..Sampling::default() };
        assert!(check(Strategy::Sample { sampling: bad }, |_| {}).contains("generate.temperature"));
        let bad = Sampling { top_p: f64::NAN, ..Sampling::default() };
        assert!(check(Strategy::Sample { sampling: bad }, |_| {}).contains("generate.top_p"));
    }

    /// A diverged network gives NaN; generation still ends.
    #[test]
    fn generation_ends_whatever_the_logits_are() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0] {
            for strategy in [Strategy::Greedy, beam(3), Strategy::Sample { sampling: Sampling::default() }] {
                let mut model = Table { logits: vec![vec![value; 4]; 4], calls: 0 };
                let config = GenerationConfig { strategy, ..GenerationConfig::default() };
                let prompt = Prompt { start: 0, end: 1, inputs: vec![0], key: Key::new(4) };
                let texts = generate(&mut model, &prompt, &config).unwrap();
                assert!(texts[0].ids.len() <= 7 && model.calls <= 6, "{value}: {texts:?}");
            }
        }
        assert_eq!(run(beam(2), |_| {}).unwrap().len(), 2);
        let none = Prompt { start: 0, end: 1, inputs: vec![], key: Key::new(4) };
        assert_eq!(generate(&mut table(), &none, &GenerationConfig::default()).unwrap(), []);
    }

    #[test]
    fn configurations_are_read_with_the_names_of_transformers() {
        let json = serde_json::json!({
            "strategy": { "kind": "beam", "num_beams": 5, "sampling": { "top_k": 50 } }, "max_length": 128
        });
        let config: GenerationConfig = serde_json::from_value(json).unwrap();
        let Strategy::Beam { num_beams: 5, sampling: Some(sampling), length_penalty, .. } = config.strategy else {
            panic!("{config:?}")
        };
        assert_eq!((sampling.top_k, sampling.top_p, length_penalty, config.max_length), (50, 1.0, 1.0, 128));
    }
}
