//! Options of commands that generate texts.

use ptu_infer::InferError;
use ptu_infer::task::{TaskModel, TaskOutput};
use ptu_model::ModelError;
use ptu_model::generate::{EarlyStopping, GenerationConfig, Sampling, Strategy};

use crate::usage::WrongArguments;

/// How texts are generated. What is not given is as in the recipe of the model.
#[derive(Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Generation (models that write texts)")]
pub struct GenerationOptions {
    /// Take the most likely token at each step, without beams: several times faster
    #[arg(long, conflicts_with = "num_beams")]
    greedy: bool,
    /// Number of beams; with --sample, continuations are sampled instead of taken from the top
    #[arg(long)]
    num_beams: Option<usize>,
    /// Sum of log probabilities is divided by the number of tokens to this power (beams only)
    #[arg(long)]
    length_penalty: Option<f64>,
    /// Sample tokens at random; the same seed gives the same text
    #[arg(long, conflicts_with = "greedy")]
    sample: bool,
    /// Logits are divided by it before sampling
    #[arg(long, requires = "sample")]
    temperature: Option<f64>,
    /// Sample among so many of the most likely tokens; 0 for all
    #[arg(long, requires = "sample")]
    top_k: Option<usize>,
    /// Sample among the most likely tokens that together have this probability
    #[arg(long, requires = "sample")]
    top_p: Option<f64>,
    /// Largest number of tokens of a text
    #[arg(long)]
    max_length: Option<usize>,
    /// No sequence of so many tokens occurs twice in a text; 0 for no limit
    #[arg(long)]
    no_repeat_ngram_size: Option<usize>,
}

/// Keys of the configuration of generation that are options of the command.
const OPTIONS: [&str; 7] =
    ["num_beams", "length_penalty", "temperature", "top_k", "top_p", "max_length", "no_repeat_ngram_size"];

/// An error about the value of an option, by the name of the option; `None` for another error.
fn of_option(error: &ModelError) -> Option<WrongArguments> {
    let ModelError::Config { key, rule } = error else { return None };
    let option = key.strip_prefix("generate.").filter(|key| OPTIONS.contains(key))?;
    Some(WrongArguments(format!("`--{}` {rule}", option.replace('_', "-"))))
}

/// The error of a model that cannot generate as the options say, by the name of the option.
pub fn in_options(error: InferError) -> anyhow::Error {
    let named = if let InferError::Model(error) = &error { of_option(error) } else { None };
    named.map_or_else(|| error.into(), Into::into)
}

impl GenerationOptions {
    /// Lets a model generate as these options say.
    pub fn apply(&self, model: &mut TaskModel) -> anyhow::Result<()> {
        if let Some(config) = self.of(&model.task().output)? {
            model.set_generation(config).map_err(in_options)?;
        }
        Ok(())
    }

    /// What these options change of the recipe of a model with these outputs; `None` if no option is given.
    ///
    /// # Errors
    /// If an option is not valid, or the model writes no texts.
    pub fn of(&self, output: &TaskOutput) -> Result<Option<GenerationConfig>, WrongArguments> {
        if *self == Self::default() {
            return Ok(None);
        }
        let Some(written) = output.written() else {
            let text = format!("a model for {} writes no texts; remove the options of generation", output.kind());
            return Err(WrongArguments(text));
        };
        let config = self.config(written.generation)?;
        config.check().map_err(|error| of_option(&error).unwrap_or_else(|| WrongArguments(error.to_string())))?;
        Ok(Some(config))
    }

    fn config(&self, recipe: GenerationConfig) -> Result<GenerationConfig, WrongArguments> {
        let sampling = self.sample.then(|| {
            let default = Sampling::default();
            Sampling {
                temperature: self.temperature.unwrap_or(default.temperature),
                top_k: self.top_k.unwrap_or(default.top_k),
                top_p: self.top_p.unwrap_or(default.top_p),
            }
        });
        let strategy = match (self.greedy, self.num_beams, sampling, recipe.strategy) {
            (true, ..) => Strategy::Greedy,
            (_, Some(num_beams), sampling, _) => {
                Strategy::Beam { num_beams, length_penalty: 1.0, early_stopping: EarlyStopping::default(), sampling }
            }
            (_, None, Some(sampling), _) => Strategy::Sample { sampling },
            (_, None, None, strategy) => strategy,
        };
        let strategy = match (self.length_penalty, strategy) {
            (Some(length_penalty), Strategy::Beam { num_beams, early_stopping, sampling, .. }) => {
                Strategy::Beam { num_beams, length_penalty, early_stopping, sampling }
            }
            (Some(_), _) => return Err(WrongArguments("`--length-penalty` needs beams; add `--num-beams 5`".into())),
            (None, strategy) => strategy,
        };
        Ok(GenerationConfig {
            strategy,
            max_length: self.max_length.unwrap_or(recipe.max_length),
            no_repeat_ngram_size: self.no_repeat_ngram_size.unwrap_or(recipe.no_repeat_ngram_size),
            ..recipe
        })
    }
}
