//! The score that is explained.

use burn::tensor::{Tensor, TensorData};
use ptu_kernels::Pass;
use ptu_model::{Model, TaskHead};

use crate::ExplainError;

/// A score of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The logit of an output of a fine-tuned model: class, label or answer with this number.
    Output(usize),
    /// The log-odds that an image and a text belong together, by the matching head (ITM).
    Match,
    /// The score of the retrieval head.
    Ranking,
    /// The cosine similarity of an image alone with a text alone, by the contrast (ITC).
    Contrast,
}

impl Goal {
    /// Whether the score is one of an image alone and a text alone.
    pub(crate) fn compares(self) -> bool {
        self == Self::Contrast
    }
}

/// The scores of pooled features `[n, 2d]`, one for each goal; none of them compares.
pub(crate) fn scores(model: &Model, features: Tensor<2>, goals: &[Goal]) -> Result<Tensor<1>, ExplainError> {
    let off = Pass::off();
    let heads = &model.heads;
    let all = match goals.first() {
        Some(Goal::Match) => {
            let head = heads.itm.as_ref().ok_or_else(|| absent("matching (itm)"))?;
            let logits = head.forward(features, &off);
            logits.clone().narrow(1, 1, 1) - logits.narrow(1, 0, 1)
        }
        Some(Goal::Ranking) => {
            let head = heads.retrieval.as_ref().ok_or_else(|| absent("retrieval"))?;
            head.forward(features, &off)
        }
        _ => {
            let head = task_head(model).ok_or_else(|| absent("classes, labels or answers"))?;
            head.forward(features, &off)
        }
    };
    let [rows, outputs] = all.dims();
    let mut asked = vec![0.0f32; rows * outputs];
    for (row, goal) in goals.iter().enumerate() {
        let column = if let Goal::Output(number) = goal { *number } else { 0 };
        if column >= outputs {
            return Err(ExplainError::Goal(format!(
                "the model has {outputs} outputs, and number {column} is asked for"
            )));
        }
        asked[row * outputs + column] = 1.0;
    }
    let asked = Tensor::from_data(TensorData::new(asked, [rows, outputs]), &all.device());
    Ok((all * asked).sum_dim(1).squeeze_dim::<1>(1))
}

/// The cosine similarities of images alone with texts alone, given their pooled features.
pub(crate) fn similarities(model: &Model, images: Tensor<2>, texts: Tensor<2>) -> Result<Tensor<1>, ExplainError> {
    let head = model.heads.itc.as_ref().ok_or_else(|| absent("contrast (itc)"))?;
    Ok((head.image(images) * head.text(texts)).sum_dim(1).squeeze_dim::<1>(1))
}

fn task_head(model: &Model) -> Option<&TaskHead> {
    let heads = &model.heads;
    heads.vqa.as_ref().or(heads.classification.as_ref()).or(heads.multilabel.as_ref())
}

fn absent(head: &str) -> ExplainError {
    ExplainError::Goal(format!("the model has no head for {head}; explain another score, or use a model that has it"))
}
