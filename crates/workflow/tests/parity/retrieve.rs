//! Retrieval scores of an image with its true text and with negative texts.

use burn::tensor::Device;
use ptu_kernels::Pass;
use ptu_model::forward::{Encoded, FusedPair};
use ptu_model::{HeadKind, Read};
use ptu_workflow::parity::Quantities;
use ptu_workflow::reference::Case;

pub fn run(case: &Case) -> Result<Quantities, String> {
    let model = case.model(&[HeadKind::Retrieval], &Device::flex()).map_err(|error| error.to_string())?;
    let head = model.heads.retrieval.as_ref().ok_or("no retrieval head")?;
    let off = Pass::off();
    let image = model.encode_image(&model.embed_image(&case.images("image").ok_or("no `image`")?, &off), &off);
    let pairs: Vec<FusedPair> = (0..image.count()).map(|row| FusedPair::both(row, row, Read::Pooled)).collect();
    let mut columns = vec![];
    let names = std::iter::once(("text_ids".to_string(), "text_mask".to_string()))
        .chain((0..16).map(|index| (format!("false_text_{index}_ids"), format!("false_text_{index}_mask"))));
    for texts in names.map_while(|(ids, mask)| case.texts(&ids, &mask)) {
        let text = model.encode_text(model.embed_text(&texts, &off), &off);
        let fused = model.fuse(&Encoded::of(image.clone(), text), &pairs, &off);
        let scores = head.forward(model.pool(&fused, 0..image.count()), &off);
        columns.push(scores.into_data().try_into_vec::<f32>().map_err(|error| format!("{error:?}"))?);
    }
    let (rows, width) = (columns[0].len(), columns.len());
    let scores: Vec<f32> = (0..rows * width).map(|cell| columns[cell % width][cell / width]).collect();
    let mut quantities = Quantities::default();
    quantities.values("scores", &scores, &case.expected.floats["scores"].1);
    // Cross-entropy with the true text at index 0.
    let loss = scores
        .chunks_exact(width)
        .map(|row| row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln() - f64::from(row[0]))
        .sum::<f64>()
        / rows as f64;
    quantities.values("loss", &[loss as f32], &case.expected.floats["loss"].1);
    Ok(quantities)
}
