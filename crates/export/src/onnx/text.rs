//! The text encoder (specification, section 1.2).

use ptu_model::config::TextConfig;

use super::graph::{Attribute, Graph, Value};
use super::layer::{Masks, PostNorm};
use super::weights::Array;
use crate::ExportError;

const PREFIX: &str = "language_encoder";

/// The text encoder of a model.
pub struct TextEncoder<'m>(pub &'m TextConfig);

impl TextEncoder<'_> {
    /// Embedded tokens `[B, T, d]` of ids `[B, T]`.
    pub fn embed(&self, graph: &mut Graph<'_, '_>, ids: &Value) -> Result<Value, ExportError> {
        let prefix = format!("{PREFIX}.embeddings");
        let words = graph.weight(&format!("{prefix}.word_embeddings.weight"))?;
        let words = graph.op("Gather", &[&words, ids], &[]);
        // The first positions of the table, from that of the first token on.
        let (table, first) = (graph.weight(&format!("{prefix}.position_embeddings.weight"))?, self.0.first_position());
        let shape = graph.op("Shape", &[ids], &[]);
        let length = graph.slice(&shape, 0, 1, 2);
        let [start, axis] = [graph.ints(&[first as i64]), graph.ints(&[0])];
        let end = graph.add(&length, &start);
        let positions = graph.op("Slice", &[&table, &start, &end, &axis], &[]);
        let width = self.0.width;
        let kind = graph.stored(&format!("{prefix}.first_type"), |weights| {
            let Array { values, .. } = weights.read(&format!("{prefix}.token_type_embeddings.weight"))?;
            Ok(Array { shape: vec![width], values: values[..width].to_vec() })
        })?;
        let x = graph.add(&words, &positions);
        let x = graph.add(&x, &kind);
        graph.norm(&x, &format!("{prefix}.LayerNorm"), self.0.eps)
    }

    /// The embedding of one token for each sequence of `like`, `[B, 1, d]`.
    pub fn edge(&self, graph: &mut Graph<'_, '_>, token: u32, like: &Value) -> Result<Value, ExportError> {
        let id = graph.ints(&[token.into()]);
        let id = graph.reshape(&id, &[1, 1]);
        let embedded = self.embed(graph, &id)?;
        Ok(graph.repeated(&embedded, like, &[1, self.0.width as i64]))
    }

    /// Runs the layers over embedded tokens.
    pub fn encode(
        &self,
        graph: &mut Graph<'_, '_>,
        embedded: &Value,
        masks: Option<&Masks>,
    ) -> Result<Value, ExportError> {
        let sizes = PostNorm { width: self.0.width, heads: self.0.heads, eps: self.0.eps };
        let mut x = embedded.clone();
        for layer in 0..self.0.layers {
            let name = format!("{PREFIX}.encoder.layer.{layer}");
            let mask = masks.map(|masks| &masks.added);
            x = graph.attention((&x, &x), mask, &format!("{name}.attention"), &sizes)?;
            x = graph.feed_forward(&x, &name, self.0.eps)?;
        }
        Ok(x)
    }
}

/// The first token of each sequence, `[B, d]`.
pub fn first_token(graph: &mut Graph<'_, '_>, x: &Value) -> Value {
    let first = graph.int(0);
    graph.op("Gather", &[x, &first], &[Attribute::Int("axis", 1)])
}
