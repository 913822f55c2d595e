//! What takes the place of a missing modality (specification, section 2).

use serde::{Deserialize, Serialize};

use super::{ensure, limits};
use crate::ModelError;

/// The soft prompts in place of a missing modality, and what was tried beyond them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum PromptsConfig {
    /// A soft prompt pool with top-k selection: the `take` rows that are most similar to the modality that is present.
    Pool {
        /// Number of rows of the pool; 0 means no prompts.
        size: usize,
        /// Number of rows selected; at most all rows of the pool.
        take: usize,
        /// How the tokens of the modality that is present become one query vector.
        #[serde(default)]
        pooling: Pooling,
        /// How the query is compared with a row of the pool.
        #[serde(default)]
        similarity: Similarity,
    },
    /// The same `take` prompts for every input.
    Fixed {
        /// Number of prompts.
        take: usize,
    },
    /// Attention over the pool in place of a selection: each of `take` learned slots, together with the query, attends to all rows, and the
    /// prompts are the means of the rows by these weights.
    Soft {
        /// Number of rows of the pool.
        size: usize,
        /// Number of slots.
        take: usize,
        /// As of a pool.
        #[serde(default)]
        pooling: Pooling,
        /// Cosines are divided by this temperature before the softmax.
        #[serde(default = "temperature")]
        temperature: f64,
        /// The temperature in the first step of a training; it falls geometrically to `temperature`.
        #[serde(default = "first_temperature")]
        first_temperature: f64,
    },
    /// A pool whose rows are selected by learned keys apart from the rows, by cosine.
    Keyed {
        /// Number of rows of the pool.
        size: usize,
        /// Number of rows selected; at most all rows of the pool.
        take: usize,
        /// As of a pool.
        #[serde(default)]
        pooling: Pooling,
        /// Weight of the loss that pulls the selected keys to their query.
        #[serde(default = "one")]
        pull: f64,
        /// Weight of the loss by which all keys are selected equally often.
        #[serde(default = "balance")]
        balance: f64,
    },
    /// One learned vector in the fusion, behind the encoder, for every input.
    Token,
    /// A sequence in the fusion that is composed of learned codes, by a generator that attends to the modality that is present.
    Codebook(CodebookConfig),
}

/// A generator of latents and the codes to which they are quantised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodebookConfig {
    /// Number of codes of a level.
    pub codes: usize,
    /// Number of elements of a code.
    pub width: usize,
    /// Number of latents, the tokens of a composed sequence.
    pub take: usize,
    /// Number of levels; each further one quantises what those before it left over (residual codes).
    pub levels: usize,
    /// Layers of the generator.
    pub layers: usize,
    /// Weight of the loss by which composed sequences approach those of the modality that is missing.
    pub weight: f64,
    /// Weight of the loss by which latents stay near their codes.
    pub commitment: f64,
    /// Share of the old value in the moving averages of the codes.
    pub decay: f64,
    /// A code that is used less often than this in a step, on average, restarts at a latent of the step.
    pub restart: f64,
}

impl Default for CodebookConfig {
    fn default() -> Self {
        Self {
            codes: 256,
            width: 32,
            take: 8,
            levels: 1,
            layers: 1,
            weight: 1.0,
            commitment: 0.25,
            decay: 0.99,
            restart: 0.01,
        }
    }
}

fn temperature() -> f64 {
    0.1
}

fn first_temperature() -> f64 {
    1.0
}

fn one() -> f64 {
    1.0
}

fn balance() -> f64 {
    0.01
}

/// How tokens become one query vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Mean over all tokens except the first.
    #[default]
    Mean,
    /// Element-wise maximum over the same tokens.
    Max,
}

/// How a query is compared with a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Similarity {
    /// Dot product, as published.
    #[default]
    Dot,
    /// Cosine similarity.
    Cosine,
}

impl PromptsConfig {
    /// Number of tokens in place of one missing image or text, without special tokens.
    pub fn count(&self) -> usize {
        match *self {
            Self::Pool { size, take, .. } | Self::Keyed { size, take, .. } => take.min(size),
            Self::Soft { size: 0, .. } => 0,
            Self::Soft { take, .. } | Self::Fixed { take } => take,
            Self::Token => 1,
            Self::Codebook(CodebookConfig { take, .. }) => take,
        }
    }

    /// Number of rows from which the tokens are chosen: rows of the prompt table, or codes of all levels.
    pub fn rows(&self) -> usize {
        match *self {
            Self::Pool { size, .. } | Self::Soft { size, .. } | Self::Keyed { size, .. } => size,
            Self::Fixed { take } => take,
            Self::Token => 1,
            Self::Codebook(CodebookConfig { codes, levels, .. }) => codes.saturating_mul(levels),
        }
    }

    /// Whether the tokens go through the encoder of the missing modality, behind its special tokens. Else they stand in the fusion as they
    /// are.
    pub fn is_encoded(&self) -> bool {
        !matches!(self, Self::Token | Self::Codebook(_))
    }

    /// How a query is pooled of the modality that is present; `None` if no query is used.
    pub fn query(&self) -> Option<Pooling> {
        match *self {
            Self::Pool { size: 1.., pooling, .. }
            | Self::Soft { size: 1.., pooling, .. }
            | Self::Keyed { size: 1.., pooling, .. } => Some(pooling),
            _ => None,
        }
    }

    /// Checks the ranges of the numbers; `key` names the prompts.
    pub(super) fn check(&self, key: &str) -> Result<(), ModelError> {
        let rows = self.rows();
        ensure(rows <= limits::ROWS, key, format!("has {rows} rows; at most {} are allowed", limits::ROWS))?;
        let takes_none = match *self {
            Self::Pool { size, take, .. } | Self::Keyed { size, take, .. } | Self::Soft { size, take, .. } => {
                size > 0 && take == 0
            }
            Self::Codebook(CodebookConfig { take, .. }) => take == 0,
            Self::Fixed { .. } | Self::Token => false,
        };
        ensure(!takes_none, key, "takes 0 prompts; to use no prompts, set the size of the pool to 0".into())?;
        ensure(self.count() <= limits::ROWS, key, format!("takes more than {} prompts", limits::ROWS))?;
        let within = |name: &str, value: f64, least: f64, below: f64| {
            let rule = format!("is {value}; it must be at least {least} and below {below}");
            ensure((least..below).contains(&value), &format!("{key}.{name}"), rule)
        };
        match *self {
            Self::Soft { temperature, first_temperature, .. } => {
                within("temperature", temperature, 1e-4, 100.0)?;
                within("first_temperature", first_temperature, 1e-4, 100.0)
            }
            Self::Keyed { pull, balance, .. } => {
                within("pull", pull, 0.0, 1e6)?;
                within("balance", balance, 0.0, 1e6)
            }
            Self::Codebook(CodebookConfig {
                codes, width, levels, layers, weight, commitment, decay, restart, ..
            }) => {
                let sizes = [("codes", codes, limits::ROWS), ("width", width, limits::WIDTH)];
                for (name, value, most) in
                    [sizes.as_slice(), &[("levels", levels, 16), ("layers", layers, 16)]].concat()
                {
                    limits::check(&format!("{key}.{name}"), value, most)?;
                }
                within("weight", weight, 0.0, 1e6)?;
                within("commitment", commitment, 0.0, 1e6)?;
                within("decay", decay, 0.0, 1.0)?;
                within("restart", restart, 0.0, 1e6)
            }
            Self::Pool { .. } | Self::Fixed { .. } | Self::Token => Ok(()),
        }
    }
}
