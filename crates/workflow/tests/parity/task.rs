//! Logits and loss of the heads for visual question answering, classification and multi-label classification.

use burn::tensor::Device;
use ptu_kernels::{ComputePrecision, Pass};
use ptu_model::HeadKind;
use ptu_workflow::parity::Quantities;
use ptu_workflow::reference::Case;

pub fn run(case: &Case, kind: HeadKind) -> Result<Quantities, String> {
    let model = case.model(&[kind], &Device::flex()).map_err(|error| error.to_string())?;
    let batch = case.task_batch().map_err(|error| error.to_string())?;
    let features = model.features(&batch, ComputePrecision::F32).map_err(|error| error.to_string())?;
    let heads = &model.heads;
    let head = [&heads.vqa, &heads.classification, &heads.multilabel].into_iter().flatten().next();
    let logits = head.ok_or("the model has no task head")?.forward(features, &Pass::off());
    let width = logits.dims()[1];
    let logits: Vec<f32> = logits.into_data().try_into_vec().map_err(|error| format!("{error:?}"))?;
    let mut quantities = Quantities::default();
    let theirs = &case.expected.floats;
    quantities.values("logits", &logits, &theirs["logits"].1);
    let loss = loss(case, kind, &logits, width)?;
    quantities.values("loss", &[loss as f32], &theirs["loss"].1);
    Ok(quantities)
}

/// The published loss of each task (specification, section 3), computed from the logits with plain loops.
fn loss(case: &Case, kind: HeadKind, logits: &[f32], width: usize) -> Result<f64, String> {
    let floats = |name: &str| Some(case.inputs.floats.get(name)?.1.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>());
    let whole = |name: &str| Some(case.inputs.integers.get(name)?.1.clone());
    let logits: Vec<f64> = logits.iter().map(|x| f64::from(*x)).collect();
    let rows = logits.len() / width;
    // Binary cross-entropy with logits, mean over all entries.
    let binary = |targets: &[f64]| {
        let each = logits.iter().zip(targets).map(|(x, y)| x.max(0.0) - x * y + (-x.abs()).exp().ln_1p());
        each.sum::<f64>() / logits.len() as f64
    };
    match kind {
        HeadKind::Vqa => {
            let (index, score) = whole("vqa_label").zip(floats("vqa_score")).ok_or("no `vqa_label` or `vqa_score`")?;
            let mut targets = vec![0.0; logits.len()];
            (0..rows).for_each(|row| targets[row * width + index[row] as usize] = score[row]);
            Ok(binary(&targets) * width as f64)
        }
        HeadKind::MultiLabel => {
            let labels = floats("labels").or_else(|| Some(whole("labels")?.iter().map(|x| *x as f64).collect()));
            Ok(binary(&labels.ok_or("no `labels`")?))
        }
        _ => {
            let labels = whole("label").ok_or("no `label`")?;
            let each = logits
                .chunks_exact(width)
                .zip(&labels)
                .map(|(row, label)| row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[*label as usize]);
            Ok(each.sum::<f64>() / rows as f64)
        }
    }
}
