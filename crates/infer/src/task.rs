//! What a fine-tuned model predicts, and its predictions: classes, labels, answers to questions, reports and summaries.
//!
//! A bundle of a fine-tuned model holds a [`TaskDescription`] (`task.json`): what the model reads of a record, and what its
//! outputs mean. Training, evaluation, commands and servers use the same description, so that an output means the same
//! everywhere. [`Predictor`] computes predictions.
//!
//! A pre-trained model classifies images without fine-tuning by sentences that describe the classes ([`ClassSentences`]).

mod description;
mod generator;
mod label_state;
mod model;
mod predictor;
mod run;
mod sentences;
mod target;

pub use description::{BinaryLabel, Calibration, LEAST_FITTED, TaskDescription, TaskOutput, Uncalibrated, WrittenText};
pub use generator::{GeneratedText, Generator};
pub use label_state::LabelState;
pub use model::{Answer, Refused, TaskModel};
pub use predictor::{Prediction, Predictor, RawPrediction, Scored};
pub use run::{Predicted, ShownImage};
pub use sentences::{ClassSentence, ClassSentences};
pub use target::Target;
