//! The baseline `heads`: two-layer projections of frozen features, trained by contrast alone. No fusion, no prompts.

use burn::tensor::activation::{gelu, log_softmax};
use burn::tensor::{Device, Tensor, TensorData};
use nalgebra::DMatrix;
use ptu_random::{Key, Place, Stream};

use super::features::{PairFeatures, Scale};
use super::ranks::Found;
use super::ridge::unit_rows;

const HIDDEN: usize = 512;
const OUTPUT: usize = 256;
const BATCH: usize = 256;
const EPOCHS: u64 = 40;
const TEMPERATURE: f64 = 0.1;
const LEARNING_RATE: f64 = 1e-3;
const WEIGHT_DECAY: f64 = 0.01;
const BETAS: [f64; 2] = [0.9, 0.98];
/// The dropout probabilities that are tried; `validate` chooses.
const DROPOUTS: [f64; 2] = [0.3, 0.5];

/// Finds partners in `asked` by heads that are trained on `train`; dropout and number of epochs are those that find most in `validate`.
/// Also returns what they find in `validate`.
pub fn heads(train: &PairFeatures, validate: &PairFeatures, asked: &PairFeatures, seed: u64) -> (Found, f64) {
    // Without this the heads learn much more slowly.
    let scales = [Scale::of(&train.images), Scale::of(&train.texts)];
    let [train, validate, asked] = [train, validate, asked].map(|pairs| pairs.scaled(&scales));
    let mut best: Option<(f64, Heads)> = None;
    for dropout in DROPOUTS {
        let mut heads = Heads::new(&train, dropout, Key::new(seed));
        for epoch in 0..EPOCHS {
            heads.epoch(&train, epoch);
            let found = heads.finds(&validate).value();
            if best.as_ref().is_none_or(|(value, _)| found > *value) {
                best = Some((found, heads.clone()));
            }
        }
    }
    let (found, heads) = best.expect("there is at least one epoch");
    (heads.finds(&asked), found)
}

/// A two-layer perceptron: `[width, HIDDEN]`, bias, `[HIDDEN, OUTPUT]`, bias.
type Layers = [Parameter; 4];

/// A weight with the moments of AdamW.
#[derive(Clone)]
struct Parameter {
    value: Tensor<2>,
    moments: [Tensor<2>; 2],
}

#[derive(Clone)]
struct Heads {
    image: Layers,
    text: Layers,
    dropout: f64,
    key: Key,
    updates: i32,
}

impl Heads {
    fn new(train: &PairFeatures, dropout: f64, key: Key) -> Self {
        let mut stream = key.stream(Place::Sample, 0);
        let [image, text] = [train.images.ncols(), train.texts.ncols()].map(|width| layers(width, &mut stream));
        Self { image, text, dropout, key, updates: 0 }
    }

    fn epoch(&mut self, train: &PairFeatures, epoch: u64) {
        let mut stream = self.key.stream(Place::Order, epoch);
        let mut order: Vec<u32> = (0..train.records.len() as u32).collect();
        stream.shuffle(&mut order);
        for batch in order.chunks_exact(BATCH.min(order.len())) {
            let [images, texts] = [&train.images, &train.texts].map(|x| select(x, batch));
            let images = project(&self.image, images, Some((self.dropout, &mut stream)));
            let texts = project(&self.text, texts, Some((self.dropout, &mut stream)));
            self.update(&contrast(&images, &texts));
        }
    }

    /// One update of AdamW.
    fn update(&mut self, loss: &Tensor<1>) {
        let gradients = loss.backward();
        self.updates += 1;
        let [first, second] = BETAS.map(|beta| 1.0 - beta.powi(self.updates));
        for parameter in self.image.iter_mut().chain(&mut self.text) {
            let gradient = parameter.value.grad(&gradients).expect("every weight is used");
            let [m, v] = parameter.moments.clone();
            let m = m * BETAS[0] + gradient.clone() * (1.0 - BETAS[0]);
            let v = v * BETAS[1] + gradient.clone() * gradient * (1.0 - BETAS[1]);
            let step = (m.clone() / first) / ((v.clone() / second).sqrt() + 1e-8);
            let value = parameter.value.clone().inner();
            let value = value.clone() - (step + value * WEIGHT_DECAY) * LEARNING_RATE;
            *parameter = Parameter { value: value.autodiff().require_grad(), moments: [m, v] };
        }
    }

    /// Which partners the heads find.
    fn finds(&self, pairs: &PairFeatures) -> Found {
        let rows: Vec<u32> = (0..pairs.records.len() as u32).collect();
        let project = |layers: &Layers, x: &DMatrix<f64>| to_matrix(project(layers, select(x, &rows), None));
        let (images, texts) = (project(&self.image, &pairs.images), project(&self.text, &pairs.texts));
        Found::of(&pairs.records, &(unit_rows(&images) * unit_rows(&texts).transpose()))
    }
}

fn layers(width: usize, stream: &mut Stream) -> Layers {
    let mut weight = |rows: usize, columns: usize, deviation: f64| {
        let values: Vec<f32> = (0..rows * columns).map(|_| (deviation * stream.normal()) as f32).collect();
        let value = Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &Device::flex());
        let zeros = Tensor::zeros([rows, columns], &Device::flex());
        Parameter { value: value.autodiff().require_grad(), moments: [zeros.clone(), zeros] }
    };
    let deviation = |inputs: usize| (1.0 / inputs as f64).sqrt();
    [
        weight(width, HIDDEN, deviation(width)),
        weight(1, HIDDEN, 0.0),
        weight(HIDDEN, OUTPUT, deviation(HIDDEN)),
        weight(1, OUTPUT, 0.0),
    ]
}

/// Features to vectors, with dropout of the inputs and of the hidden layer.
fn project(layers: &Layers, x: Tensor<2>, mut dropout: Option<(f64, &mut Stream)>) -> Tensor<2> {
    let [w1, b1, w2, b2] = layers.each_ref().map(|parameter| parameter.value.clone());
    let mut drop = |x: Tensor<2>| match &mut dropout {
        Some((probability, stream)) => x.clone() * mask(x.dims(), *probability, stream),
        None => x,
    };
    let hidden = gelu(drop(x).matmul(w1) + b1);
    drop(hidden).matmul(w2) + b2
}

/// A dropout mask: 0, or 1 / (1 - probability).
fn mask(shape: [usize; 2], probability: f64, stream: &mut Stream) -> Tensor<2> {
    let kept = (1.0 / (1.0 - probability)) as f32;
    let values: Vec<f32> =
        (0..shape[0] * shape[1]).map(|_| if stream.unit() < probability { 0.0 } else { kept }).collect();
    Tensor::<2>::from_data(TensorData::new(values, shape), &Device::flex()).autodiff()
}

/// Symmetric InfoNCE.
fn contrast(images: &Tensor<2>, texts: &Tensor<2>) -> Tensor<1> {
    let unit = |x: &Tensor<2>| {
        let length = (x.clone() * x.clone()).sum_dim(1).sqrt();
        x.clone() / (length + 1e-6)
    };
    let logits = unit(images).matmul(unit(texts).transpose()) / TEMPERATURE;
    let pairs = logits.dims()[0];
    let identity: Vec<f32> = (0..pairs * pairs).map(|place| f32::from(u8::from(place % (pairs + 1) == 0))).collect();
    let identity = Tensor::<2>::from_data(TensorData::new(identity, [pairs, pairs]), &Device::flex()).autodiff();
    let both = (log_softmax(logits.clone(), 1) + log_softmax(logits, 0)) * identity;
    both.sum() / (-2.0 * pairs as f64)
}

fn select(x: &DMatrix<f64>, rows: &[u32]) -> Tensor<2> {
    let values: Vec<f32> =
        rows.iter().flat_map(|&row| (0..x.ncols()).map(move |column| x[(row as usize, column)] as f32)).collect();
    Tensor::<2>::from_data(TensorData::new(values, [rows.len(), x.ncols()]), &Device::flex()).autodiff()
}

fn to_matrix(x: Tensor<2>) -> DMatrix<f64> {
    let [rows, columns] = x.dims();
    let values: Vec<f32> = x.inner().into_data().try_into_vec().expect("tensors are f32");
    DMatrix::from_row_iterator(rows, columns, values.into_iter().map(f64::from))
}

#[cfg(test)]
mod tests {
    use super::super::features::FeatureRecord;
    use super::*;

    #[test]
    fn heads_learn_which_features_belong_together() {
        let pairs = |count: usize, seed: u64| {
            let mut stream = Key::new(seed).stream(Place::Sample, 0);
            let images = DMatrix::from_fn(count, 6, |_, _| stream.normal());
            let texts = images.map(|value| value.abs());
            let records = (0..count).map(|place| FeatureRecord { id: place.to_string(), patient: place.to_string() });
            PairFeatures { records: records.collect(), images, texts }
        };
        let asked = pairs(100, 3);
        let (found, _) = heads(&pairs(512, 1), &pairs(100, 2), &asked, 0);
        assert!(found.value() > 0.5 && found.chance().value() < 0.11, "{}", found.value());
    }
}
