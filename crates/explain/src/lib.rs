//! Why a model gives a score: what each patch of the image and each word of the text is worth, by two methods.
//!
//! - *Attention*: attention weighted by its gradient, carried through self- and cross-attention (Chefer et al., "Generic
//!   Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder Transformers", 2021). One forward and one backward
//!   pass. It says where the model looks, not whether that speaks for or against the score.
//! - *Integrated gradients* (Sundararajan et al., "Axiomatic Attribution for Deep Networks", 2017): the gradient along the way from an
//!   image of one colour, and padding in the place of words, to the input. What is above 0 speaks for the score, what is below 0
//!   against it; the sum is the difference of both scores.
//!
//! A missing modality stays what it is: the prompts that stand in for it are reported, and nothing is attributed to them.

mod check;
mod error;
mod explainer;
mod explanation;
mod goal;
mod matrix;
mod quadrature;
mod relevance;
mod words;

pub use check::{Checked, Checker};
pub use error::ExplainError;
pub use explainer::{Explainer, Method, device};
pub use explanation::{Explanation, StandInRows};
pub use goal::Goal;
pub use words::{WeightedWord, words};
