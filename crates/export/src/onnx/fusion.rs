//! The fusion and what is read of it (specification, sections 1.3 to 1.5).

use ptu_model::config::{FusionConfig, FusionKind, HeadKind, ModelConfig};

use super::graph::{Attribute, Dim, Graph, Value};
use super::image::block;
use super::layer::{END, HEAD_EPS, Masks, PostNorm};
use super::proto::element;
use super::text::first_token;
use crate::ExportError;

/// Encoded images and texts before the fusion.
pub struct Streams {
    pub texts: Value,
    pub images: Value,
    /// Which tokens of the texts count; `None` if all do.
    pub masks: Option<Masks>,
}

/// Runs the fusion; the pooled features, text first, `[B, 2 d]`.
pub fn features(graph: &mut Graph<'_, '_>, config: &ModelConfig, streams: &Streams) -> Result<Value, ExportError> {
    let Streams { texts, images, masks } = streams;
    let counts = masks.as_ref().map(|masks| &masks.counts);
    let mask = masks.as_ref().map(|masks| &masks.added);
    let images = projected(graph, &config.fusion, (images, "vision", 1), None)?;
    let texts = projected(graph, &config.fusion, (texts, "language", 0), counts)?;
    let first = match config.fusion.kind {
        FusionKind::TwoStream => two_streams(graph, &config.fusion, [texts, images], mask)?,
        FusionKind::SingleStreamBert | FusionKind::SingleStreamVit => {
            single_stream(graph, config, [&texts, &images], mask)?
        }
    };
    let mut pooled = vec![];
    for (first, side) in first.iter().zip(["language", "vision"]) {
        pooled.push(graph.linear(first, &format!("multi_modal_{side}_pooler.dense"))?);
    }
    let features = graph.concat(&pooled.iter().collect::<Vec<_>>(), 1);
    Ok(graph.op("Tanh", &[&features], &[]))
}

/// Text and image as one sequence through the layers of a Transformer; the states of their first tokens.
fn single_stream(
    graph: &mut Graph<'_, '_>,
    config: &ModelConfig,
    [texts, images]: [&Value; 2],
    mask: Option<&Value>,
) -> Result<[Value; 2], ExportError> {
    let fusion = &config.fusion;
    let mask = mask.map(|mask| {
        let shape = graph.op("Shape", &[images], &[]);
        let [count, tokens, one] = [graph.slice(&shape, 0, 0, 1), graph.slice(&shape, 0, 1, 2), graph.ints(&[1, 1])];
        let shape = graph.concat(&[&count, &one, &tokens], 0);
        // Zeros: every token of an image counts.
        let of_images = graph.op("ConstantOfShape", &[&shape], &[]);
        graph.concat(&[mask, &of_images], 3)
    });
    let mut x = graph.concat(&[texts, images], 1);
    if fusion.kind == FusionKind::SingleStreamVit {
        let blocks = config.single_stream_blocks();
        for layer in 0..fusion.layers {
            x = block(graph, &x, mask.as_ref(), (&format!("multi_modal_blocks.{layer}"), &blocks))?;
        }
        x = graph.norm(&x, "multi_modal_ln_post", fusion.eps)?;
    } else {
        let sizes = PostNorm { width: fusion.width, heads: fusion.heads, eps: fusion.eps };
        for layer in 0..fusion.layers {
            let name = format!("multi_modal_layers.{layer}");
            x = graph.attention((&x, &x), mask.as_ref(), &format!("{name}.attention"), &sizes)?;
            x = graph.feed_forward(&x, &name, sizes.eps)?;
        }
    }
    // The image follows the text.
    let shape = graph.op("Shape", &[texts], &[]);
    let [length, axis] = [graph.slice(&shape, 0, 1, 2), graph.ints(&[1])];
    let end = graph.ints(&[END]);
    let of_image = graph.op("Slice", &[&x, &length, &end, &axis], &[]);
    Ok([first_token(graph, &x), first_token(graph, &of_image)])
}

/// Both streams through their layers; the states of the first tokens of texts and images.
fn two_streams(
    graph: &mut Graph<'_, '_>,
    config: &FusionConfig,
    [mut texts, mut images]: [Value; 2],
    mask: Option<&Value>,
) -> Result<[Value; 2], ExportError> {
    let sizes = PostNorm { width: config.width, heads: config.heads, eps: config.eps };
    for layer in 0..config.layers {
        let name = |side: &str| format!("multi_modal_{side}_layers.{layer}");
        let cross = |graph: &mut Graph<'_, '_>, side: &str, (x, own), (other, of_other)| {
            let name = name(side);
            let x = graph.attention((x, x), own, &format!("{name}.attention"), &sizes)?;
            let x = graph.attention((&x, other), of_other, &format!("{name}.crossattention"), &sizes)?;
            graph.feed_forward(&x, &name, sizes.eps)
        };
        let text = cross(graph, "language", (&texts, mask), (&images, None))?;
        let image = cross(graph, "vision", (&images, None), (&texts, mask))?;
        (texts, images) = (text, image);
    }
    Ok([&texts, &images].map(|stream| first_token(graph, stream)))
}

/// Outputs of an encoder in the width of the fusion.
fn projected(
    graph: &mut Graph<'_, '_>,
    config: &FusionConfig,
    (x, side, modality): (&Value, &str, usize),
    counts: Option<&Value>,
) -> Result<Value, ExportError> {
    let x = graph.linear(x, &format!("multi_modal_{side}_proj"))?;
    let table = graph.weight("modality_type_embeddings.weight")?;
    let row = graph.int(modality as i64);
    let row = graph.op("Gather", &[&table, &row], &[]);
    let x = graph.add(&x, &row);
    if !config.add_mean {
        return Ok(x);
    }
    let mean = graph.mean(&x, counts);
    let [first, rest] = [graph.slice(&x, 1, 0, 1), graph.slice(&x, 1, 1, END)];
    let first = graph.add(&first, &mean);
    Ok(graph.concat(&[&first, &rest], 1))
}

/// Which modality stands for both in a vector that can be compared: the one that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Present {
    Image,
    Text,
    Both,
}

/// Adds the outputs of a graph: features, and those of the heads that this input has.
pub fn outputs(
    graph: &mut Graph<'_, '_>,
    config: &ModelConfig,
    features: &Value,
    present: Present,
) -> Result<(), ExportError> {
    let width = config.fusion.width;
    let batch = Dim::Any("batch");
    graph.output("features", features, element::FLOAT, &[batch, Dim::Fixed(2 * width)]);
    for head in &config.heads {
        match (head, present) {
            (HeadKind::Itc, Present::Image | Present::Text) => {
                let side = if present == Present::Image { "vision" } else { "language" };
                let x = graph.norm(features, &format!("itc_head.{side}_ln"), HEAD_EPS)?;
                let x = graph.linear(&x, &format!("itc_head.{side}_proj"))?;
                let vector = unit(graph, &x);
                graph.output("embeds", &vector, element::FLOAT, &[batch, Dim::Fixed(width)]);
            }
            (HeadKind::Itm, Present::Both) => {
                let logits = graph.linear(features, "itm_head.fc")?;
                let [no, yes] = graph.ops("Split", &[&logits], &[Attribute::Int("axis", 1)]);
                let score = graph.op("Sub", &[&yes, &no], &[]);
                let score = graph.reshape(&score, &[-1]);
                graph.output("match_score", &score, element::FLOAT, &[batch]);
            }
            (HeadKind::Retrieval, Present::Both) => {
                let score = graph.linear(features, "irtr_head")?;
                let score = graph.reshape(&score, &[-1]);
                graph.output("ranking_score", &score, element::FLOAT, &[batch]);
            }
            (HeadKind::Vqa | HeadKind::Classification | HeadKind::MultiLabel, _) => {
                let logits = task_head(graph, *head, features)?;
                let count = config.outputs.of(*head).unwrap_or_default();
                graph.output("logits", &logits, element::FLOAT, &[batch, Dim::Fixed(count)]);
            }
            (HeadKind::Mlm | HeadKind::Itc | HeadKind::Itm | HeadKind::Mim | HeadKind::Retrieval, _) => {}
        }
    }
    Ok(())
}

fn task_head(graph: &mut Graph<'_, '_>, head: HeadKind, features: &Value) -> Result<Value, ExportError> {
    let name = match head {
        HeadKind::Vqa => "vqa_head",
        HeadKind::Classification => "cls_head",
        _ => "mlc_head",
    };
    let x = graph.linear(features, &format!("{name}.0"))?;
    let x = graph.norm(&x, &format!("{name}.1"), HEAD_EPS)?;
    let x = graph.gelu(&x);
    graph.linear(&x, &format!("{name}.3"))
}

/// Vectors divided by their length.
fn unit(graph: &mut Graph<'_, '_>, x: &Value) -> Value {
    let norm = graph.op("ReduceL2", &[x], &[Attribute::Ints("axes", &[1]), Attribute::Int("keepdims", 1)]);
    let smallest = graph.float(1e-12);
    let norm = graph.op("Max", &[&norm, &smallest], &[]);
    graph.op("Div", &[x, &norm], &[])
}
