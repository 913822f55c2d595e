//! What the decoder attends to, its logits and loss under teacher forcing, and greedy generation.

use burn::tensor::{Device, Tensor};
use ptu_input::Texts;
use ptu_kernels::{Packed, Pass, cross_entropy};
use ptu_model::Decoder;
use ptu_workflow::parity::Quantities;
use ptu_workflow::reference::{Case, unpadded};

pub fn run(case: &Case) -> Result<Quantities, String> {
    let model = case.model(&[], &Device::flex()).map_err(|error| error.to_string())?;
    let batch = case.task_batch().map_err(|error| error.to_string())?;
    let (off, theirs) = (Pass::off(), &case.expected.floats);
    let decoder = model.decoder().map_err(|error| error.to_string())?;
    let memory = model.decoder_memory(&batch, case.number("max_text_len"), &off).map_err(|error| error.to_string())?;
    let mut quantities = Quantities::default();
    quantities.values("encoder_states", &host(memory.tokens.clone()), &theirs["encoder_states"].1);

    let targets = case.texts("target_ids", "target_mask").ok_or("no `target_ids` or `target_mask`")?;
    let logits = decoder.head.forward(decoder.states(&memory, &targets, &off).tokens, &off);
    let (shape, expected) = &theirs["logits"];
    quantities.values("logits", &host(logits), &unpadded(expected, shape[1], &targets.lengths));
    let (logits, labels) = decoder.next_tokens(&memory, &targets, &off).ok_or("no target has a second token")?;
    quantities.values("loss", &host(cross_entropy(logits, &labels)), &theirs["loss"].1);

    let (shape, expected) = &case.expected.integers["greedy_ids"];
    quantities.same("greedy_ids", &greedy(decoder, &memory, model.config().text.start, shape[1]), expected);
    Ok(quantities)
}

/// The start token and the most likely tokens, up to `length` tokens; the end token does not stop it.
fn greedy(decoder: &Decoder, memory: &Packed, start: u32, length: usize) -> Vec<i64> {
    let mut targets: Vec<Vec<u32>> = vec![vec![start]; memory.count()];
    for _ in 1..length {
        let texts = Texts::collect(targets.iter().map(Vec::as_slice));
        let states = decoder.states(memory, &texts, &Pass::off());
        let last = states.starts().into_iter().zip(states.lengths.iter()).map(|(start, length)| start + length - 1);
        let last = states.pick(last.collect(), vec![1; memory.count()]);
        let logits = host(decoder.head.forward(last.tokens, &Pass::off()));
        for (target, row) in targets.iter_mut().zip(logits.chunks_exact(decoder.vocabulary())) {
            let most_likely = (0..row.len()).max_by(|x, y| row[*x].total_cmp(&row[*y])).unwrap_or(0);
            target.push(most_likely as u32);
        }
    }
    targets.into_iter().flatten().map(i64::from).collect()
}

fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("f32")
}
