//! Scores of generated reports and summaries against references, as functions over tokens.
//!
//! | score | tokens | equal to |
//! |---|---|---|
//! | [`bleu`], [`cider`], [`rouge_l_caption`] | [`ptb_tokens`] | `pycocoevalcap` 1.2 |
//! | [`meteor_exact_stem`] | [`ptb_tokens`] | METEOR 1.5 with its modules `exact stem` alone |
//! | [`rouge_n`], [`rouge_l`] | [`rouge_tokens`] | `rouge_score` 0.1.2 |
//!
//! All take one hypothesis and one or several references for each text, and return a value for each text and one for
//! the corpus. An empty hypothesis is scored as such, 0; public code often puts a stock sentence in its place. A text
//! without a reference has no score (`None`) and takes no part in that of the corpus, which is `None` without any text.
//!
//! Time is linear in the length of the texts, but for the longest common subsequence, which takes the product of two
//! lengths divided by 64 (100,000 words against 100,000: below a second), and for [`meteor_exact_stem`], whose search
//! is bounded as described there. Memory is linear.
//!
//! ```
//! use ptu_metrics::text::{Compared, bleu, ptb_tokens};
//!
//! let hypothesis = ptb_tokens("The heart is normal.");
//! let references = [ptb_tokens("The heart size is normal."), ptb_tokens("Heart is normal.")];
//! let [bleu1, ..] = bleu(&[Compared { hypothesis: &hypothesis, references: &references }]);
//! assert!(bleu1.corpus.is_some_and(|score| (score - 1.0).abs() < 1e-6));
//! ```

mod bleu;
mod cider;
mod compared;
mod meteor;
mod ngram;
mod porter;
mod ptb;
mod rouge;
mod subsequence;

pub use bleu::{BleuCounts, bleu};
pub use cider::cider;
pub use compared::{Compared, TextScores};
pub use meteor::{MeteorCounts, meteor_counts, meteor_exact_stem};
pub use porter::porter_stem;
pub use ptb::ptb_tokens;
pub use rouge::{rouge_l, rouge_l_caption, rouge_n, rouge_tokens};
