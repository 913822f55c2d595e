//! Compares features, prompts, losses, gradients and a short training of a pre-training case.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use ptu_data::{KeptPatches, MaskedTexts, TrainBatch};
use ptu_input::Images;
use ptu_kernels::{Packed, Pass};
use ptu_model::forward::{ChosenRows, Encoded, ForwardPlan, FusedPair};
use ptu_model::names::{DecayGroups, Role, name_of};
use ptu_model::weights::Arrays;
use ptu_model::{Chosen, Fused, HeadKind, Model, Read, StandIn};
use ptu_random::Key;
use ptu_tasks::pretraining::StepPlan;
use ptu_train::ObjectiveKind;
use ptu_train::batch::inputs;
use ptu_train::forward::StepForward;
use ptu_train::gradients::Gradients;
use ptu_train::loss::{Itc, Itm, matched};
use ptu_train::objective::Objective;
use ptu_train::optimizer::{Optimizer, OptimizerConfig};
use ptu_train::schedule::{Decay, Schedule};
use ptu_train::step::StepConfig;

use super::Quantities;
use crate::reference::{Case, PRETRAINING_HEADS, Tensors, unpadded};

/// Compares all quantities of a case of the kind `pretrain`.
///
/// # Errors
/// If the case cannot be read.
pub fn pretrain(case: &Case) -> Result<Quantities, String> {
    let mim = case.config["mim"].is_object().then_some(HeadKind::Mim);
    let config = case.model_config(&PRETRAINING_HEADS.into_iter().chain(mim).collect::<Vec<_>>());
    let (file, device) = (case.folder.join("checkpoint.safetensors"), Device::flex().autodiff());
    let load = |arrays: Arrays| Model::from_arrays(&config, arrays, &device, &file).map_err(|error| error.to_string());
    let checkpoint = || case.checkpoint().map_err(|error| error.to_string());
    let (model, _) = load(checkpoint()?)?;
    let batch = case.batch().map_err(|error| error.to_string())?;
    let mut quantities = Quantities::default();
    features(case, &model, &batch, &mut quantities)?;
    if let Some((shape, values)) = case.inputs.floats.get("source_positions") {
        // Position embeddings of another resolution, which are resized when they are loaded.
        let mut arrays = checkpoint()?;
        let name = "vision_encoder.visual.positional_embedding";
        let resized = arrays[name].values.clone();
        arrays.insert(name.into(), ptu_model::weights::Array { shape: shape.clone(), values: values.clone() });
        quantities.values("source_positions", &load(arrays)?.0.to_arrays()[name].values, &resized);
    }
    training(case, model, &batch, &mut quantities)?;
    Ok(quantities)
}

fn host<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.inner().into_data().try_into_vec().expect("f32")
}

/// Compares the features of pairs, images without text and texts without image, the selected prompts, and the MLM logits.
fn features(case: &Case, model: &Model, batch: &TrainBatch, quantities: &mut Quantities) -> Result<(), String> {
    let (off, theirs) = (Pass::off(), &case.expected.floats);
    let masked = if batch.pairs() > 0 { &batch.masked_pairs } else { &batch.masked_texts };
    let fuse = |images: &Packed, texts: &Packed| {
        let pairs: Vec<FusedPair> = (0..images.count()).map(|row| FusedPair::both(row, row, Read::All)).collect();
        model.fuse(&Encoded::of(images.clone(), texts.clone()), &pairs, &off)
    };
    let mut compare = |part: &str, fused: Fused| {
        let (pooled, lengths) = (model.pool(&fused, 0..fused.text.count()), fused.text.lengths.clone());
        for (name, ours) in [
            ("text_features", host(fused.text.tokens)),
            ("image_features", host(fused.image.tokens)),
            ("cls_features", host(pooled)),
        ] {
            let name = format!("{part}.{name}");
            let Some((shape, theirs)) = theirs.get(&name) else { continue };
            match name.ends_with("text_features") {
                true => quantities.values(&name, &ours, &unpadded(theirs, shape[1], &lengths)),
                false => quantities.values(&name, &ours, theirs),
            }
        }
    };
    let encode = |texts: Packed| model.encode_text(texts, &off);
    let mut masked_image = None;
    let mut prompts = vec![];
    if batch.pairs() > 0 {
        let b = batch.pairs();
        let images = &batch.batch.pair_images;
        let planes = images.planes[..images.planes.len() / images.count * b].to_vec();
        let image = model.embed_image(&Images { count: b, planes, side: images.side, outputs: None }, &off);
        let tokens = model.encode_image(&image, &off);
        let embedded = model.embed_text(&batch.batch.pair_texts, &off);
        compare("pair", fuse(&tokens, &encode(embedded.clone())));
        if model.image_prompts.is_encoded() {
            let (stand_in, chosen) =
                model.text_stand_ins(&image, &model.embed_text(&model.edges(b), &off), StandIn::Prompts, &off);
            compare("image_only", fuse(&tokens, &encode(stand_in)));
            prompts.push(("prompts.textual", chosen));
            let (stand_in, chosen) = model.image_stand_ins(&embedded, StandIn::Prompts, &off);
            compare("text_only", fuse(&model.encode_image(&stand_in, &off), &encode(embedded)));
            prompts.push(("prompts.visual", chosen));
        } else {
            let (fused, rows) = composed(model, batch, |row| FusedPair::image_alone(row, Read::All));
            compare("image_only", fused);
            prompts.push(("prompts.textual", Chosen { rows: rows.text, ..Chosen::default() }));
            let (fused, rows) = composed(model, batch, |row| FusedPair::text_alone(row, Read::All));
            compare("text_only", fused);
            prompts.push(("prompts.visual", Chosen { rows: rows.image, ..Chosen::default() }));
        }
        masked_image = Some(tokens);
    }
    let masked_text = model.embed_text(&masked.texts, &off);
    let image = masked_image.unwrap_or_else(|| {
        let (stand_in, chosen) = model.image_stand_ins(&masked_text, StandIn::Prompts, &off);
        prompts.push(("prompts.visual", chosen));
        model.encode_image(&stand_in, &off)
    });
    compare_prompts(case, prompts, quantities);
    masked_words(case, model, masked, fuse(&image, &encode(masked_text)).text, quantities)
}

/// Compares the MLM logits at the masked words; `states` are those of the text stream.
fn masked_words(
    case: &Case,
    model: &Model,
    masked: &MaskedTexts,
    states: Packed,
    quantities: &mut Quantities,
) -> Result<(), String> {
    let theirs = &case.expected.floats;
    let head = model.heads.mlm.as_ref().ok_or("no MLM head")?;
    let logits = host(head.forward(states.tokens, &Pass::off()));
    let (shape, theirs) = &theirs["mlm_logits"];
    let theirs = unpadded(theirs, shape[1], &masked.texts.lengths);
    let at_masked = |logits: &[f32]| -> Vec<f32> {
        let places = logits.chunks_exact(shape[2]).zip(&masked.labels).filter(|(_, label)| label.is_some());
        places.flat_map(|(logits, _)| logits.to_vec()).collect()
    };
    quantities.values("mlm_logits", &at_masked(&logits), &at_masked(&theirs));
    Ok(())
}

/// Images or texts of the pairs alone, with sequences in the fusion in place of what is missing.
fn composed(model: &Model, batch: &TrainBatch, alone: impl Fn(usize) -> FusedPair) -> (Fused, ChosenRows) {
    let (plan, off) = (ForwardPlan::of((0..batch.pairs()).map(alone)), Pass::off());
    let encoded = model.encode(&inputs(batch, &KeptPatches::default()), &plan, StandIn::Prompts, &off);
    (model.fuse(&encoded, plan.pairs(), &off), encoded.chosen)
}

/// Compares the queries of the prompt pools, and the rows that they select.
fn compare_prompts(case: &Case, prompts: Vec<(&str, Chosen)>, quantities: &mut Quantities) {
    for (name, chosen) in prompts {
        let query = case.expected.floats.get(&format!("{name}_query"));
        if let Some((_, query)) = query.filter(|_| !chosen.queries.is_empty()) {
            let ours: Vec<f32> = chosen.queries.iter().flatten().map(|x| *x as f32).collect();
            quantities.values(&format!("{name}_query"), &ours, query);
        }
        if let Some((_, index)) = case.expected.integers.get(&format!("{name}_index")) {
            let ours: Vec<i64> = chosen.rows.iter().flatten().map(|row| *row as i64).collect();
            quantities.same(&format!("{name}_index"), &ours, index);
        }
    }
}

/// Compares the losses, the first gradients, and the losses, learning rates and weights of a short training.
fn training(case: &Case, mut model: Model, batch: &TrainBatch, quantities: &mut Quantities) -> Result<(), String> {
    let theirs = &case.expected.floats;
    let weight = |kind: ObjectiveKind| (kind, case.float(&["loss_weights", kind.name()], 0.0));
    let is_used = |kind: &ObjectiveKind| {
        ObjectiveKind::PUBLISHED.contains(kind) || case.config["loss_weights"][kind.name()].is_number()
    };
    let objectives = ObjectiveKind::ALL.into_iter().filter(is_used).map(weight).collect();
    let plan = StepPlan { objectives, ..StepPlan::default() };
    logits(&model, batch, &plan, theirs, quantities);
    let settings = StepConfig { learns_prompts: true, ..StepConfig::default() };
    let (outcome, first) = plan.gradients(&model, batch, &settings, Key::new(0));
    for kind in ObjectiveKind::ALL {
        let name = format!("{kind}_loss");
        if let (Some((_, theirs)), Some(ours)) = (theirs.get(&name), outcome.objectives.get(kind.name())) {
            quantities.values(&name, &[ours.loss as f32], theirs);
        }
    }
    if let Some((_, theirs)) = theirs.get("prompts_loss") {
        let ours = outcome.objectives.get("prompts").ok_or("the prompts have no loss of their own")?;
        quantities.values("prompts_loss", &[ours.loss as f32], theirs);
    }
    quantities.values("total_loss", &[outcome.total as f32], &theirs["total_loss"].1);
    compare_gradients(case, &first, quantities)?;

    let Some((shape, trajectory)) = theirs.get("trajectory") else { return Ok(()) };
    let at = |key: &str, default: f64| case.float(&["optimizer", key], default);
    let config = optimizer_config(case);
    let cosine = case.config["optimizer"]["schedule"].as_str() == Some("cosine");
    let schedule = Schedule::new(
        at("steps", 1.0) as u64,
        at("warmup_fraction", 0.1),
        if cosine { Decay::Cosine } else { Decay::Linear },
    );
    let (mut optimizer, mut losses, mut rates) = (Optimizer::new(config), vec![], vec![]);
    for step in 0..shape[0] as u64 {
        let (outcome, gradients) = plan.gradients(&model, batch, &settings, Key::new(0));
        let loss =
            |kind: ObjectiveKind| outcome.objectives.get(kind.name()).map_or(0.0, |measured| measured.loss as f32);
        losses.extend([ObjectiveKind::Mlm, ObjectiveKind::Itm, ObjectiveKind::Itc].map(loss));
        losses.push(outcome.total as f32);
        let factor = schedule.factor(step);
        let rate = |role: Role| (config.learning_rate * config.times(role) * factor) as f32;
        rates.extend([Role::Backbone, Role::Head, Role::Fusion].into_iter().flat_map(|role| [rate(role); 2]));
        model = optimizer.step(model, &gradients, factor);
        model = model.with_learned_codes(&outcome.used_codes, Key::new(0));
    }
    quantities.values("trajectory", &losses, trajectory);
    quantities.values("learning_rates", &rates, &theirs["learning_rates"].1);
    let after = model.to_arrays();
    for (name, (_, theirs)) in theirs.iter().filter_map(|(name, x)| Some((name.strip_prefix("weights_after.")?, x))) {
        match after.get(name) {
            Some(ours) => quantities.weights_after(&format!("weights_after.{name}"), &ours.values, theirs),
            None => quantities.fail(&format!("weights_after.{name}"), "the model has no such weight".into()),
        }
    }
    Ok(())
}

fn optimizer_config(case: &Case) -> OptimizerConfig {
    let at = |key: &str, default: f64| case.float(&["optimizer", key], default);
    OptimizerConfig {
        learning_rate: at("learning_rate", 1e-5),
        fusion: at("lr_multiplier_multi_modal", 5.0),
        head: at("lr_multiplier_head", 5.0),
        eps: at("eps", 1e-8),
        weight_decay: at("weight_decay", 0.01),
        decay_groups: if case.text("decay_groups") == Some("default") {
            DecayGroups::Default
        } else {
            DecayGroups::Published
        },
        ..OptimizerConfig::default()
    }
}

/// Compares the logits of ITM and ITC, computed from the shared forward pass.
fn logits(
    model: &Model,
    batch: &TrainBatch,
    plan: &StepPlan,
    theirs: &BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    quantities: &mut Quantities,
) {
    if batch.pairs() == 0 {
        return;
    }
    let (off, itm) = (Pass::off(), Itm(plan.itm));
    let (key, declared) = (Key::new(0), |objective: &dyn Objective| objective.pairs(batch, Key::new(0)));
    let step = StepForward::new(model, batch, [declared(&Itc), declared(&itm)], &off, key);
    if let Some(similarity) = Itc::similarity(&step) {
        quantities.values("itc_logits_image", &host(similarity.clone()), &theirs["itc_logits_image"].1);
        quantities.values("itc_logits_text", &host(similarity.transpose()), &theirs["itc_logits_text"].1);
    }
    if let Some(head) = &model.heads.itm {
        quantities.values(
            "itm_logits",
            &host(head.forward(step.pooled(&matched(&itm.partners(&step))), &off)),
            &theirs["itm_logits"].1,
        );
    }
}

fn compare_gradients(case: &Case, ours: &Gradients, quantities: &mut Quantities) -> Result<(), String> {
    let theirs = Tensors::read(&case.folder.join("gradients.safetensors")).map_err(|error| error.to_string())?.floats;
    let mut published = BTreeMap::new();
    for (path, values) in ours.iter() {
        let name = name_of(path).ok_or(format!("the table of weight names has no row for {path}"))?;
        published.insert(name.published, values);
    }
    for (name, (_, theirs)) in &theirs {
        match published.get(name) {
            Some(ours) => quantities.gradient(&format!("gradient {name}"), ours, theirs),
            None if theirs.iter().all(|x| *x == 0.0) => quantities.same(&format!("gradient {name}"), &0, &0),
            None => quantities.fail(&format!("gradient {name}"), "this implementation has none".into()),
        }
    }
    // A case may omit the gradients of large weights, to keep its files small.
    let limit = case.config["gradients_up_to"].as_u64().filter(|limit| *limit > 0).unwrap_or(u64::MAX) as usize;
    let ours = published.iter().filter(|(name, values)| values.len() <= limit && !theirs.contains_key(*name));
    for name in ours.map(|(name, _)| name) {
        quantities.fail(&format!("gradient {name}"), "the reference has none".into());
    }
    Ok(())
}
