//! Generated texts against those of `transformers` (`tools/reference/golden_generate.py`), and the decoder against itself: with
//! and without cache, alone and in a batch, gradients.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::sync::OnceLock;

use burn::tensor::{Device, Tensor, TensorData};
use ptu_input::{Batch, Images, Slot, Texts};
use ptu_kernels::{BlockGradients, ComputePrecision, Packed, Pass, cross_entropy};
use ptu_model::config::{DecoderConfig, MemoryMask};
use ptu_model::generate::{
    CachedDecoder, EarlyStopping, Extension, GenerationConfig, Sampling, StepModel, Strategy, Uniforms, filter,
    generate_with,
};
use ptu_model::names::Name;
use ptu_model::weights::{Array, Arrays, read_arrays};
use ptu_model::{Decoder, Model, ModelConfig, Preset, TextStyle, WeightVisitor};
use ptu_random::{Key, Place};
use serde_json::Value;

const F32: ComputePrecision = ComputePrecision::F32;

/// The smallest model around a decoder with the sizes of the golden files.
fn config(memory_mask: MemoryMask) -> ModelConfig {
    let mut config = Preset::Tiny.config(TextStyle::Roberta, 40, [0, 2, 1]);
    (config.image.size, config.image.width, config.image.layers) = (16, 64, 2);
    (config.text.width, config.text.layers, config.text.heads, config.text.positions) = (32, 2, 4, 26);
    (config.fusion.width, config.fusion.layers, config.fusion.heads) = (24, 2, 2);
    (config.heads, config.decoder, config.deviation) = (vec![], Some(DecoderConfig { memory_mask }), 0.2);
    config
}

struct Golden {
    model: Model,
    arrays: Arrays,
    json: Value,
}

impl Golden {
    fn read() -> &'static Self {
        static GOLDEN: OnceLock<Golden> = OnceLock::new();
        GOLDEN.get_or_init(|| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
            let mut all = read_arrays(&folder.join("generate.safetensors")).unwrap();
            let arrays = all.clone();
            all.retain(|name, _| !name.starts_with("memory."));
            let device = Device::flex();
            let mut weights = Model::new(&config(MemoryMask::Valid), Key::new(1), &device).unwrap().to_arrays();
            weights.extend(all);
            let model = Model::from_arrays(&config(MemoryMask::Valid), weights, &device, &folder).unwrap().0;
            let json = serde_json::from_slice(&std::fs::read(folder.join("generate.json")).unwrap()).unwrap();
            Self { model, arrays, json }
        })
    }

    fn decoder(&self) -> &Decoder {
        self.model.decoder().unwrap()
    }

    fn cases(&self) -> &[Value] {
        self.json["cases"].as_array().unwrap()
    }

    /// The memories of some cases.
    fn memory(&self, cases: impl IntoIterator<Item = usize>) -> Packed {
        let arrays: Vec<&Array> = cases.into_iter().map(|case| &self.arrays[&format!("memory.{case}")]).collect();
        let lengths: Vec<usize> = arrays.iter().map(|array| array.shape[0]).collect();
        let values: Vec<f32> = arrays.iter().flat_map(|array| array.values.iter().copied()).collect();
        let shape = [lengths.iter().sum(), 32];
        Packed::new(Tensor::from_data(TensorData::new(values, shape), &Device::flex()), lengths)
    }
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn sampling(options: &Value) -> Sampling {
    Sampling {
        temperature: options["temperature"].as_f64().unwrap(),
        top_k: number(&options["top_k"]),
        top_p: options["top_p"].as_f64().unwrap(),
    }
}

/// The options of `transformers` as ours.
fn generation(options: &Value) -> GenerationConfig {
    let sampling = options["do_sample"].as_bool().unwrap().then(|| sampling(options));
    let early_stopping = match &options["early_stopping"] {
        Value::Bool(true) => EarlyStopping::Full,
        Value::Bool(false) => EarlyStopping::Heuristic,
        _ => EarlyStopping::Never,
    };
    let strategy = match (number(&options["num_beams"]), sampling) {
        (1, None) => Strategy::Greedy,
        (1, Some(sampling)) => Strategy::Sample { sampling },
        (num_beams, sampling) => {
            let length_penalty = options["length_penalty"].as_f64().unwrap();
            Strategy::Beam { num_beams, length_penalty, early_stopping, sampling }
        }
    };
    GenerationConfig {
        strategy,
        max_length: number(&options["max_length"]),
        min_length: number(&options["min_length"]),
        no_repeat_ngram_size: number(&options["no_repeat_ngram_size"]),
    }
}

fn uniforms(case: &Value) -> Uniforms {
    let mut numbers = case["uniforms"].as_array().unwrap().clone().into_iter();
    // The network of the golden numbers stops at the same step, so that no further number is asked for.
    Box::new(move || numbers.next().map_or(f64::NAN, |number| number.as_f64().unwrap()))
}

#[test]
fn texts_are_those_of_transformers() {
    let golden = Golden::read();
    let mut kinds = std::collections::BTreeMap::new();
    for (which, case) in golden.cases().iter().enumerate() {
        let mut decoder = CachedDecoder::new(golden.decoder(), &golden.memory([which]), F32);
        let text =
            generate_with(&mut decoder, [0, 2], vec![uniforms(case)], &generation(&case["options"])).unwrap().remove(0);
        let ids: Vec<u32> = case["ids"].as_array().unwrap().iter().map(|id| number(id) as u32).collect();
        assert_eq!(text.ids, ids, "case {which}: {case}");
        if let (Some(ours), Some(theirs)) = (text.score, case["score"].as_f64()) {
            assert!((ours - theirs).abs() < 1e-5 * theirs.abs().max(1.0), "case {which}: {ours} {theirs}");
        }
        assert_eq!(text.score.is_some(), case["score"].is_f64());
        *kinds.entry(case["kind"].as_str().unwrap()).or_insert(0) += 1;
    }
    let expected = [("beam", 30), ("beam-sample", 10), ("greedy", 20), ("limits", 20), ("sample", 10)];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn filters_are_those_of_transformers() {
    for case in Golden::read().json["filters"].as_array().unwrap() {
        let numbers =
            |key: &str| case[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<f64>>();
        let mut scores = numbers("logits");
        filter(&mut scores, &sampling(case), number(&case["keep"]));
        let sum: f64 = scores.iter().map(|x| x.exp()).sum();
        for (ours, theirs) in scores.iter().map(|x| x.exp() / sum).zip(numbers("probabilities")) {
            assert!((ours - theirs).abs() < 1e-6, "{case}: {ours} {theirs}");
        }
    }
}

#[test]
fn a_batch_gives_what_single_inputs_give() {
    let golden = Golden::read();
    let beam =
        Strategy::Beam { num_beams: 3, length_penalty: 1.0, early_stopping: EarlyStopping::Heuristic, sampling: None };
    for strategy in [Strategy::Greedy, beam] {
        let config = GenerationConfig { strategy, max_length: 20, ..GenerationConfig::default() };
        let texts = |cases: std::ops::Range<usize>| {
            let prompt = golden.model.prompt(cases.clone().map(|case| case as u64).collect(), Key::new(1));
            golden.model.generate(&golden.memory(cases), &prompt, &config, F32).unwrap()
        };
        let together = texts(0..30);
        let lengths: std::collections::BTreeSet<usize> = together.iter().map(|text| text.ids.len()).collect();
        assert!(lengths.len() > 3, "texts that end at different steps are what is tested: {lengths:?}");
        for (which, text) in together.iter().enumerate() {
            let alone = texts(which..which + 1).remove(0);
            assert_eq!(text.ids, alone.ids);
            assert!((text.score.unwrap_or(0.0) - alone.score.unwrap_or(0.0)).abs() < 1e-5);
        }
    }
}

fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner().into_data().try_into_vec().unwrap()
}

fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    let largest = theirs.iter().fold(1e-6f32, |largest, x| largest.max(x.abs()));
    let error = ours.iter().zip(theirs).fold(0.0f32, |error, (x, y)| error.max((x - y).abs())) / largest;
    assert!(ours.len() == theirs.len() && error < 2e-5, "{what}: relative error {error}");
}

/// Hypotheses that branch, end and change their order have the logits of a pass over all their tokens.
#[test]
fn the_cache_gives_what_a_full_pass_gives() {
    let golden = Golden::read();
    let (decoder, memory) = (golden.decoder(), golden.memory([3, 4, 5]));
    let mut cached = CachedDecoder::new(decoder, &memory, F32);
    // (input, tokens) of each hypothesis, and what each step extends: (parent, token).
    let mut hypotheses: Vec<(usize, Vec<u32>)> = (0..3).map(|input| (input, vec![])).collect();
    let steps: [&[(usize, u32)]; 5] = [
        &[(0, 0), (1, 0), (2, 0)],
        &[(0, 7), (0, 9), (1, 8), (2, 11), (2, 12), (2, 13)],
        &[(1, 20), (1, 21), (0, 22), (5, 23), (3, 24)],
        &[(2, 30), (0, 31), (4, 32), (3, 33), (3, 34)],
        &[(1, 5), (3, 6)],
    ];
    for step in steps {
        let extensions: Vec<Extension> = step.iter().map(|&(parent, token)| Extension { parent, token }).collect();
        let logits = cached.step(&extensions);
        hypotheses = step
            .iter()
            .map(|&(parent, token)| {
                let (input, mut ids) = hypotheses[parent].clone();
                ids.push(token);
                (input, ids)
            })
            .collect();
        let texts = Texts::collect(hypotheses.iter().map(|(_, ids)| ids.as_slice()));
        let states = decoder.states(&memory.select(hypotheses.iter().map(|(input, _)| *input)), &texts, &Pass::off());
        let last = states.starts().into_iter().zip(states.lengths.iter()).map(|(start, length)| start + length - 1);
        let last = states.pick(last.collect(), vec![1; hypotheses.len()]);
        assert_close(&logits, &host(decoder.head.forward(last.tokens, &Pass::off())), "logits");
    }
}

/// Two pairs with texts of different lengths, an image, a text.
fn batch(pairs: std::ops::Range<usize>) -> Batch {
    let images = |count: usize, seed: u64| {
        let mut stream = Key::new(seed).stream(Place::Sample, 0);
        Images {
            count,
            side: 16,
            planes: (0..count * 3 * 256).map(|_| stream.normal() as f32).collect(),
            outputs: None,
        }
    };
    let all = images(2, 1);
    let planes = all.planes[pairs.start * 768..pairs.end * 768].to_vec();
    let texts: [&[u32]; 2] = [&[0, 5, 6, 7, 8, 2], &[0, 9, 2]];
    Batch {
        pair_images: Images { count: pairs.len(), side: 16, planes, outputs: None },
        pair_texts: Texts::collect(texts[pairs.clone()].iter().copied()),
        images: images(1, 2),
        texts: Texts::collect([&[0, 11, 12, 2][..]]),
        order: [Slot::Text(0), Slot::Image(0)].into_iter().chain((0..pairs.len()).rev().map(Slot::Pair)).collect(),
    }
}

#[test]
fn memory_does_not_depend_on_the_batch_unless_padding_is_visible() {
    let model = |mask| Model::new(&config(mask), Key::new(6), &Device::flex()).unwrap();
    let memory = |mask, pairs, padded| model(mask).decoder_memory(&batch(pairs), padded, &Pass::off()).unwrap();
    let all = memory(MemoryMask::Valid, 0..2, 9);
    let image_tokens = 1 + 4;
    let (prompts, own) = (model(MemoryMask::Valid).config().clone(), |tokens: usize| image_tokens + tokens);
    let lengths = [1 + prompts.image_prompts.count() + 4, own(2 + prompts.text_prompts.count()), own(3), own(6)];
    assert_eq!(*all.lengths, lengths);
    let one = memory(MemoryMask::Valid, 1..2, 9);
    assert_close(&host(one.tokens.clone()), &host(all.select([0, 1, 2]).tokens), "memory in another batch");

    let padded = memory(MemoryMask::Published, 0..2, 9);
    assert_eq!(*padded.lengths, [lengths[0] + 5, lengths[1], lengths[2] + 6, lengths[3] + 3]);
    // The tokens themselves do not attend to padding, so theirs are the same states.
    let rows = padded.starts().into_iter().zip(lengths).flat_map(|(start, length)| start..start + length).collect();
    assert_close(&host(padded.pick(rows, lengths.to_vec()).tokens), &host(all.tokens), "memory beside padding");
    let least = memory(MemoryMask::Published, 0..2, 0);
    assert_eq!(*least.lengths, lengths, "a text longer than the padded length has no padding");
}

struct Gradients<'a> {
    graph: &'a burn::tensor::Gradients,
    blocks: &'a BlockGradients,
    found: std::collections::BTreeMap<String, Vec<f32>>,
}

impl WeightVisitor for Gradients<'_> {
    fn visit<const D: usize>(&mut self, name: Name, weight: &burn::module::Param<Tensor<D>>) {
        let own = weight.val().grad(self.graph).map(host);
        let sum = match (own, self.blocks.take(weight.id)) {
            (Some(own), Some(block)) => Some(own.iter().zip(block).map(|(x, y)| x + y).collect()),
            (own, block) => own.or(block),
        };
        if let Some(gradient) = sum {
            self.found.insert(name.published, gradient);
        }
    }
}

/// With dropout: checkpointing gives the same loss and gradients, and each weight of the decoder gets one.
#[test]
fn every_weight_of_the_decoder_gets_a_gradient() {
    for mask in [MemoryMask::Valid, MemoryMask::Published] {
        let device = Device::flex().autodiff();
        let model = Model::new(&config(mask), Key::new(6), &device).unwrap();
        let targets = Texts::collect([&[0, 5, 6, 2][..], &[0, 7, 2], &[0], &[0, 5, 9, 9, 2]]);
        let run = |checkpointing: bool| {
            let (blocks, pass) = (BlockGradients::default(), Pass::new(0.1, Key::new(3)));
            let pass = if checkpointing { pass.checkpointed(blocks.clone()) } else { pass };
            let memory = model.decoder_memory(&batch(0..2), 9, &pass).unwrap();
            let (logits, labels) = model.decoder().unwrap().next_tokens(&memory, &targets, &pass).unwrap();
            assert_eq!(labels, [5, 6, 2, 7, 2, 5, 9, 9, 2]);
            let loss = cross_entropy(logits, &labels);
            let graph = loss.clone().backward();
            let mut gradients = Gradients { graph: &graph, blocks: &blocks, found: Default::default() };
            model.visit_weights(&mut gradients);
            (host(loss), gradients.found)
        };
        let ((loss, plain), (again, checkpointed)) = (run(false), run(true));
        assert_close(&again, &loss, "loss with checkpointing");
        let names = model.to_arrays().into_keys().filter(|name| name.starts_with("clm_"));
        for name in names {
            let gradient = plain.get(&name).unwrap_or_else(|| panic!("{name} has no gradient"));
            // The bias of a key changes all scores of a query alike: its gradient is zero up to rounding.
            assert!(name.ends_with("key.bias") || gradient.iter().any(|x| x.abs() > 1e-7), "{name} is zero");
        }
        assert!(plain.contains_key("language_encoder.embeddings.word_embeddings.weight"));
        assert_eq!(plain.len(), checkpointed.len());
        for (name, gradient) in plain.iter().filter(|(name, _)| !name.ends_with("key.bias")) {
            assert_close(&checkpointed[name], gradient, name);
        }
    }
}

#[test]
fn targets_that_do_not_fit_are_errors() {
    let decoder = Golden::read().decoder();
    let check = |ids: &[u32]| decoder.check(&Texts::collect([ids])).map_err(|error| error.to_string());
    assert_eq!(check(&[0; 24]), Ok(()));
    assert!(check(&[0; 25]).unwrap_err().contains("25 tokens"));
    assert!(check(&[40]).unwrap_err().contains("40"));
    let none = decoder.next_tokens(&Golden::read().memory([0]), &Texts::collect([&[0][..]]), &Pass::off());
    assert!(none.is_none());
    let plain = ModelConfig { decoder: None, ..config(MemoryMask::Valid) };
    let plain = Model::new(&plain, Key::new(1), &Device::flex()).unwrap();
    assert!(plain.decoder_memory(&batch(0..2), 9, &Pass::off()).is_err());
}

/// The end of the largest length is the number of position embeddings, whatever the options say.
#[test]
fn a_text_is_never_longer_than_the_position_embeddings() {
    let golden = Golden::read();
    let config = GenerationConfig {
        strategy: Strategy::Greedy,
        max_length: usize::MAX,
        min_length: usize::MAX,
        ..GenerationConfig::default()
    };
    let prompt = golden.model.prompt(vec![0, 1], Key::new(1));
    let texts = golden.model.generate(&golden.memory([0, 1]), &prompt, &config, F32).unwrap();
    assert!(texts.iter().all(|text| text.ids.len() == 24));
    let none = golden.model.generate(&golden.memory([]), &golden.model.prompt(vec![], Key::new(1)), &config, F32);
    assert_eq!(none.unwrap(), []);
}
