//! The losses of supervised tasks (specification, section 4).

use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Tensor, TensorData};
use ptu_data::TrainBatch;
use ptu_infer::task::{Target, TaskOutput};
use ptu_input::Slot;
use ptu_kernels::cross_entropy;
use ptu_metrics::argmax;
use ptu_model::forward::FusedPair;
use ptu_model::{HeadKind, Read, TaskHead};
use ptu_random::Key;
use ptu_train::batch::{image_alone, text_alone};
use ptu_train::forward::StepForward;
use ptu_train::objective::{Loss, Objective};

/// The loss of a task head on each record of a batch.
pub struct Supervised<'a> {
    /// What the outputs mean.
    pub output: &'a TaskOutput,
    /// The head.
    pub head: HeadKind,
    /// The weight of each class; `None` if all weigh the same.
    pub class_weights: Option<&'a [f64]>,
}

impl Objective for Supervised<'_> {
    /// Each record with the modalities that it has.
    fn pairs(&self, batch: &TrainBatch, _key: Key) -> Vec<FusedPair> {
        pairs(batch, Read::Pooled)
    }

    fn loss(&self, step: &StepForward<'_>) -> Option<Loss> {
        let targets: Vec<Target> =
            step.batch.records.iter().filter_map(|one| self.output.target(&one.record)).collect();
        let pairs = self.pairs(step.batch, step.key);
        // The source has only records with a target, so each record of the batch has one.
        if pairs.is_empty() || targets.len() != pairs.len() {
            return None;
        }
        let logits = self.task_head(step)?.forward(step.pooled(&pairs), step.pass()); // [records, outputs]
        Some(match self.output {
            TaskOutput::Retrieval { .. } => return None,
            TaskOutput::Multilabel { .. } => multilabel(logits, &targets),
            TaskOutput::Vqa { .. } => answers(logits, &targets),
            _ => self.classification(logits, &targets),
        })
    }
}

/// Each record of a batch with the modalities that it has.
pub fn pairs(batch: &TrainBatch, read: Read) -> Vec<FusedPair> {
    let pair = |slot: &Slot| match *slot {
        Slot::Pair(row) => FusedPair::both(row, row, read.clone()),
        Slot::Image(row) => FusedPair::image_alone(image_alone(row), read.clone()),
        Slot::Text(row) => FusedPair::text_alone(text_alone(row), read.clone()),
    };
    batch.batch.order.iter().map(pair).collect()
}

impl Supervised<'_> {
    fn task_head<'s>(&self, step: &'s StepForward<'_>) -> Option<&'s TaskHead> {
        let heads = &step.model.heads;
        match self.head {
            HeadKind::Vqa => heads.vqa.as_ref(),
            HeadKind::MultiLabel => heads.multilabel.as_ref(),
            _ => heads.classification.as_ref(),
        }
    }

    /// Cross-entropy; with class weights the weighted mean, as PyTorch computes it.
    fn classification(&self, logits: Tensor<2>, targets: &[Target]) -> Loss {
        let classes: Vec<usize> =
            targets.iter().map(|target| if let Target::Class(class) = target { *class } else { 0 }).collect();
        let rights = rights(&logits, |row, largest| classes[row] == largest);
        let value = match self.class_weights {
            None => cross_entropy(logits, &classes),
            Some(weights) => {
                let [_, count] = logits.dims();
                let mut table = vec![0f32; classes.len() * count];
                for (row, class) in classes.iter().enumerate() {
                    table[row * count + class] = weights[*class] as f32;
                }
                let table = on_device(table, &logits);
                -(log_softmax(logits, 1) * table.clone()).sum() / table.sum()
            }
        };
        Loss::new(value, rights)
    }
}

/// Binary cross-entropy with logits, mean over all known labels of the batch.
fn multilabel(logits: Tensor<2>, targets: &[Target]) -> Loss {
    let [_, count] = logits.dims();
    let states = |target: &Target| match target {
        Target::Labels(states) => states.iter().map(|state| state.truth()).collect(),
        _ => vec![None; count],
    };
    let truths: Vec<Option<bool>> = targets.iter().flat_map(states).collect();
    let values = host(&logits);
    let known = truths.iter().zip(&values);
    let rights = known.filter_map(|(truth, logit)| truth.map(|truth| truth == (*logit > 0.0))).collect();
    let number = |of: fn(&Option<bool>) -> bool| truths.iter().map(|truth| f32::from(u8::from(of(truth)))).collect();
    let wanted = on_device(number(|truth| *truth == Some(true)), &logits);
    let known = on_device(number(|truth| truth.is_some()), &logits);
    let loss = binary_cross_entropy(logits, wanted) * known.clone();
    // A batch may hold no known label. Its loss is then 0, and not 0 / 0.
    Loss::new(loss.sum() / known.sum().clamp_min(1.0), rights)
}

/// Binary cross-entropy with logits over all answers, mean over batch and answers, times the number of answers.
fn answers(logits: Tensor<2>, targets: &[Target]) -> Loss {
    let [rows, count] = logits.dims();
    let mut wanted = vec![0f32; rows * count];
    let answer = |row: usize| if let Target::Answer(answer) = targets[row] { answer } else { None };
    for row in 0..rows {
        if let Some(answer) = answer(row) {
            wanted[row * count + answer] = 1.0;
        }
    }
    let rights = rights(&logits, |row, largest| answer(row) == Some(largest));
    let wanted = on_device(wanted, &logits);
    Loss::new(binary_cross_entropy(logits, wanted).mean().mul_scalar(count as f64), rights)
}

/// Binary cross-entropy of each element, in the form that does not overflow: `max(x, 0) - x y + ln(1 + exp(-|x|))`.
fn binary_cross_entropy(logits: Tensor<2>, wanted: Tensor<2>) -> Tensor<2> {
    relu(logits.clone()) - logits.clone() * wanted + logits.abs().neg().exp().log1p()
}

/// An array with the shape and on the device of `like`.
fn on_device(values: Vec<f32>, like: &Tensor<2>) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, like.dims()), &like.device())
}

fn host(logits: &Tensor<2>) -> Vec<f32> {
    logits.clone().inner().into_data().try_into_vec().expect("the model computes in f32")
}

/// For each row whether its largest logit is right.
pub fn rights(logits: &Tensor<2>, is_right: impl Fn(usize, usize) -> bool) -> Vec<bool> {
    let [_, count] = logits.dims();
    host(logits).chunks_exact(count).enumerate().map(|(row, logits)| is_right(row, argmax(logits))).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use ptu_infer::task::LabelState::{Ignore, Negative, Positive};

    use super::*;

    fn logits(values: &[f32], columns: usize) -> Tensor<2> {
        let rows = values.len() / columns;
        Tensor::from_data(TensorData::new(values.to_vec(), [rows, columns]), &Device::flex())
    }

    fn value(loss: &Loss) -> f64 {
        f64::from(loss.value.clone().into_scalar::<f32>())
    }

    fn close(loss: &Loss, wanted: f64) -> bool {
        (value(loss) - wanted).abs() < 1e-6
    }

    #[test]
    fn losses_equal_pytorch() {
        // torch 2.11, logits [[0.5, -1], [2, 3]]:
        // binary_cross_entropy_with_logits(logits, [[1, 0], [0, 1]]) = 0.740720.
        let x = || logits(&[0.5, -1.0, 2.0, 3.0], 2);
        let each = [0.474077f64, 0.313262, 2.126928, 0.048587];
        let found = answers(x(), &[Target::Answer(Some(0)), Target::Answer(Some(1))]);
        assert!(close(&found, each.iter().sum::<f64>() / 4.0 * 2.0), "{}", value(&found));
        assert_eq!(found.answers, [true, true]);
        let found = answers(x(), &[Target::Answer(None), Target::Answer(Some(1))]);
        assert_eq!(found.answers, [false, true]);
        let found =
            multilabel(x(), &[Target::Labels(vec![Positive, Ignore]), Target::Labels(vec![Negative, Positive])]);
        assert!(close(&found, (each[0] + each[2] + each[3]) / 3.0), "{}", value(&found));
        assert_eq!(found.answers, [true, false, true]);
        assert!(close(&multilabel(x(), &[Target::Labels(vec![Ignore; 2]), Target::Labels(vec![Ignore; 2])]), 0.0));
    }

    #[test]
    fn class_weights_give_the_weighted_mean() {
        let output = TaskOutput::Classification { label: "x".into(), classes: vec!["a".into(), "b".into()] };
        let targets = [Target::Class(0), Target::Class(0), Target::Class(1)];
        let of = |class_weights: Option<&[f64]>| {
            let objective = Supervised { output: &output, head: HeadKind::Classification, class_weights };
            value(&objective.classification(logits(&[0.0, 0.0, 1.0, 0.0, 1.0, 0.0], 2), &targets))
        };
        let [even, right, wrong] = [2f64.ln(), (1.0 + (-1f64).exp()).ln(), (1.0 + 1f64.exp()).ln()];
        assert!((of(None) - (even + right + wrong) / 3.0).abs() < 1e-6);
        assert!((of(Some(&[1.0, 4.0])) - (even + right + 4.0 * wrong) / 6.0).abs() < 1e-6);
    }
}
