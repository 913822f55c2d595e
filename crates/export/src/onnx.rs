//! ONNX graphs of a model, for ONNX Runtime and other programs: encoders alone, and image, text or both to vectors and logits.
//!
//! They are written as protocol buffers of a few messages of our own, with operators of version 17. The graphs share a file of weights.

mod fusion;
mod graph;
mod image;
mod layer;
mod prompts;
mod proto;
mod text;
mod weights;

use std::path::Path;

use prost::Message;
use ptu_checkpoint::Checkpoint;
use ptu_model::config::ModelConfig;
use ptu_model::files::write_bytes;
use ptu_model::{TASK, WEIGHTS};

use crate::ExportError;
use crate::files::copy;
use fusion::{Present, Streams, features, outputs};
use graph::{Dim, Graph, Value};
use image::ImageEncoder;
use prompts::Prompts;
use proto::element;
use text::TextEncoder;
pub use weights::WEIGHTS_FILE;
use weights::Weights;

/// The version of the operators. Layer norms are operators since this one.
const OPERATORS: i64 = 17;
/// The version of the file format that came with these operators.
const FORMAT: i64 = 8;

/// Files of a bundle that lie beside the graphs.
const BESIDE: [&str; 4] = ["config.json", "tokenizer.json", "preprocessor_config.json", TASK];

/// A graph of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnnxGraph {
    /// Pixels to the output tokens of the image encoder.
    ImageEncoder,
    /// Token ids to the output tokens of the text encoder.
    TextEncoder,
    /// An image without a text.
    Image,
    /// A text without an image.
    Text,
    /// An image with a text.
    Pair,
}

impl OnnxGraph {
    /// All graphs.
    pub const ALL: [Self; 5] = [Self::ImageEncoder, Self::TextEncoder, Self::Image, Self::Text, Self::Pair];

    /// The name of its file, without `.onnx`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageEncoder => "image_encoder",
            Self::TextEncoder => "text_encoder",
            Self::Image => "image",
            Self::Text => "text",
            Self::Pair => "pair",
        }
    }
}

/// Writes the graphs of a model and their weights into a folder; the names of the files.
///
/// # Errors
/// When weights cannot be read or a file cannot be written.
pub(crate) fn write(bundle: &Path, config: &ModelConfig, out: &Path) -> Result<Vec<String>, ExportError> {
    let checkpoint = Checkpoint::open(&bundle.join(WEIGHTS))?;
    let mut weights = Weights::start(&checkpoint, out)?;
    let mut files = vec![];
    for kind in OnnxGraph::ALL {
        let mut graph = Graph::new(kind.name(), &mut weights);
        Network { config }.build(kind, &mut graph)?;
        let name = format!("{}.onnx", kind.name());
        write_bytes(&out.join(&name), &model(graph.finish()).encode_to_vec())?;
        files.push(name);
    }
    weights.finish()?;
    files.push(WEIGHTS_FILE.into());
    // What an input needs before it comes to a graph.
    copy(&BESIDE, (bundle, out), &mut files)?;
    Ok(files)
}

fn model(graph: proto::Graph) -> proto::Model {
    proto::Model {
        ir_version: FORMAT,
        producer_name: "ptunifier".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![proto::OperatorSet { domain: Some(String::new()), version: Some(OPERATORS) }],
        metadata_props: vec![],
    }
}

/// The network of a model.
struct Network<'m> {
    config: &'m ModelConfig,
}

impl Network<'_> {
    fn build(&self, kind: OnnxGraph, graph: &mut Graph<'_, '_>) -> Result<(), ExportError> {
        let (image, text) = (ImageEncoder(&self.config.image), TextEncoder(&self.config.text));
        match kind {
            OnnxGraph::ImageEncoder => {
                let pixels = self.pixels(graph);
                let patches = image.embed(graph, &pixels)?;
                let encoded = image.encode(graph, &patches)?;
                let tokens = usize::from(self.config.image.class_token)
                    + (self.config.image.size / self.config.image.patch).pow(2);
                let shape = [Dim::Any("batch"), Dim::Fixed(tokens), Dim::Fixed(self.config.image.width)];
                graph.output("last_hidden_state", &encoded, element::FLOAT, &shape);
                Ok(())
            }
            OnnxGraph::TextEncoder => {
                let (ids, mask) = self.tokens(graph);
                let masks = graph.masks(&mask);
                let words = text.embed(graph, &ids)?;
                let encoded = text.encode(graph, &words, Some(&masks))?;
                let shape = [Dim::Any("batch"), Dim::Any("length"), Dim::Fixed(self.config.text.width)];
                graph.output("last_hidden_state", &encoded, element::FLOAT, &shape);
                Ok(())
            }
            OnnxGraph::Image => self.image(graph),
            OnnxGraph::Text => self.text(graph),
            OnnxGraph::Pair => {
                let (ids, mask) = self.tokens(graph);
                let pixels = self.pixels(graph);
                let masks = graph.masks(&mask);
                let words = text.embed(graph, &ids)?;
                let texts = text.encode(graph, &words, Some(&masks))?;
                let images = self.encoded(graph, &pixels)?.1;
                self.finish(graph, &Streams { texts, images, masks: Some(masks) }, Present::Both)
            }
        }
    }

    fn image(&self, graph: &mut Graph<'_, '_>) -> Result<(), ExportError> {
        let (image, text) = (ImageEncoder(&self.config.image), TextEncoder(&self.config.text));
        let pixels = self.pixels(graph);
        let (patches, images) = self.encoded(graph, &pixels)?;
        let prompts = Prompts {
            config: &self.config.text_prompts,
            table: "pseudo_language_token_pool",
            projection: "text_prompt_query_projection",
        };
        let start = text.edge(graph, self.config.text.start, &patches)?;
        let stand_in = match prompts.choose(graph, (&patches, image.special()), None)? {
            None => start,
            Some(chosen) => {
                self.rows(graph, chosen.rows.as_ref(), prompts.config.count());
                let end = text.edge(graph, self.config.text.end, &patches)?;
                graph.concat(&[&start, &chosen.prompts, &end], 1)
            }
        };
        let texts = text.encode(graph, &stand_in, None)?;
        self.finish(graph, &Streams { texts, images, masks: None }, Present::Image)
    }

    fn text(&self, graph: &mut Graph<'_, '_>) -> Result<(), ExportError> {
        let (image, text) = (ImageEncoder(&self.config.image), TextEncoder(&self.config.text));
        let (ids, mask) = self.tokens(graph);
        let masks = graph.masks(&mask);
        let words = text.embed(graph, &ids)?;
        let texts = text.encode(graph, &words, Some(&masks))?;
        let prompts = Prompts {
            config: &self.config.image_prompts,
            table: "pseudo_vision_token_pool",
            projection: "image_prompt_query_projection",
        };
        let first = image.first(graph, &words)?;
        let chosen = prompts.choose(graph, (&words, 1), Some(&masks.counts))?;
        if let Some(chosen) = &chosen {
            self.rows(graph, chosen.rows.as_ref(), prompts.config.count());
        }
        let parts: Vec<Value> = first.into_iter().chain(chosen.map(|chosen| chosen.prompts)).collect();
        let stand_in = graph.concat(&parts.iter().collect::<Vec<_>>(), 1);
        let images = image.encode(graph, &stand_in)?;
        self.finish(graph, &Streams { texts, images, masks: Some(masks) }, Present::Text)
    }

    /// Embedded patches, and what the image encoder gives to the fusion.
    fn encoded(&self, graph: &mut Graph<'_, '_>, pixels: &Value) -> Result<(Value, Value), ExportError> {
        let image = ImageEncoder(&self.config.image);
        let patches = image.embed(graph, pixels)?;
        let encoded = image.encode(graph, &patches)?;
        let merged = image.merged(graph, &encoded);
        Ok((patches, merged))
    }

    fn finish(&self, graph: &mut Graph<'_, '_>, streams: &Streams, present: Present) -> Result<(), ExportError> {
        let features = features(graph, self.config, streams)?;
        outputs(graph, self.config, &features, present)
    }

    /// The rows of the chosen prompts are an output, so that a user sees what stood in.
    fn rows(&self, graph: &mut Graph<'_, '_>, rows: Option<&Value>, count: usize) {
        if let Some(rows) = rows {
            graph.output("prompts", rows, element::INT64, &[Dim::Any("batch"), Dim::Fixed(count)]);
        }
    }

    fn pixels(&self, graph: &mut Graph<'_, '_>) -> Value {
        let size = Dim::Fixed(self.config.image.size);
        graph.input("pixel_values", element::FLOAT, &[Dim::Any("batch"), Dim::Fixed(3), size, size])
    }

    fn tokens(&self, graph: &mut Graph<'_, '_>) -> (Value, Value) {
        let shape = [Dim::Any("batch"), Dim::Any("length")];
        (graph.input("input_ids", element::INT64, &shape), graph.input("attention_mask", element::INT64, &shape))
    }
}
