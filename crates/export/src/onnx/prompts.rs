//! Soft prompts in the place of a missing image or text (specification, section 2).

use ptu_model::config::{Pooling, PromptsConfig, Similarity};

use super::graph::{Attribute, Graph, Value};
use super::layer::END;
use super::proto::element;
use super::weights::{Array, Weights};
use crate::ExportError;

/// The prompts of one modality.
pub struct Prompts<'m> {
    pub config: &'m PromptsConfig,
    /// Names of the table and of the projection of queries.
    pub table: &'m str,
    pub projection: &'m str,
}

/// Chosen prompts `[B, k, d]`, and the numbers of their rows `[B, k]` if they are chosen by a query.
pub struct Chosen {
    pub prompts: Value,
    pub rows: Option<Value>,
}

impl Prompts<'_> {
    /// The prompts for each sequence of embedded tokens `[B, T, d]` of the other modality, whose first `special` tokens are not part of
    /// the query; `mask` is 1 at tokens that count, `[B, T, 1]`. `None` if there are no prompts.
    pub fn choose(
        &self,
        graph: &mut Graph<'_, '_>,
        (tokens, special): (&Value, i64),
        mask: Option<&Value>,
    ) -> Result<Option<Chosen>, ExportError> {
        if self.config.count() == 0 {
            return Ok(None);
        }
        match *self.config {
            PromptsConfig::Fixed { take } => {
                let (name, table) = (format!("{}.batch", self.table), self.table);
                let mut width = 0;
                let prompts = graph.stored(&name, |weights| {
                    let Array { shape, values } = weights.read(table)?;
                    width = shape[1] as i64;
                    Ok(Array { shape: vec![1, shape[0], shape[1]], values })
                })?;
                let width = if width > 0 { width } else { graph.weights.read(table)?.shape[1] as i64 };
                let prompts = graph.repeated(&prompts, tokens, &[take as i64, width]);
                Ok(Some(Chosen { prompts, rows: None }))
            }
            PromptsConfig::Pool { pooling, similarity, .. } => {
                let tokens = graph.slice(tokens, 1, special, END);
                let tokens = graph.cast(&tokens, element::DOUBLE);
                let mask = mask.map(|mask| {
                    let mask = graph.slice(mask, 1, special, END);
                    graph.cast(&mask, element::DOUBLE)
                });
                let query = pooled(graph, &tokens, mask.as_ref(), pooling);
                let keys = self.keys(graph, similarity)?;
                let scores = graph.op("MatMul", &[&query, &keys], &[]);
                let take = graph.ints(&[self.config.count() as i64]);
                let [_, rows] = graph.ops("TopK", &[&scores, &take], &[Attribute::Int("axis", -1)]);
                let table = graph.weight(self.table)?;
                Ok(Some(Chosen { prompts: graph.op("Gather", &[&table, &rows], &[]), rows: Some(rows) }))
            }
            PromptsConfig::Soft { .. }
            | PromptsConfig::Keyed { .. }
            | PromptsConfig::Token
            | PromptsConfig::Codebook(_) => unreachable!("an export refuses models with these prompts"),
        }
    }

    /// What a pooled query is multiplied with, `[width of the query, rows]`: the transposed table, of unit rows where similarities are
    /// cosines, behind the projection of the query if there is one.
    fn keys(&self, graph: &mut Graph<'_, '_>, similarity: Similarity) -> Result<Value, ExportError> {
        let table = self.table;
        let keys = graph.stored(&format!("{table}.keys"), |weights| keys(weights, table, similarity))?;
        if !graph.weights.has(self.projection) {
            return Ok(keys);
        }
        let projection = self.projection;
        let projection = graph.stored(&format!("{projection}.double"), |weights| {
            let Array { shape, values } = weights.read(projection)?;
            Ok(Array { shape, values: values.into_iter().map(f64::from).collect() })
        })?;
        Ok(graph.op("MatMul", &[&projection, &keys], &[]))
    }
}

fn keys(weights: &Weights<'_>, table: &str, similarity: Similarity) -> Result<Array<f64>, ExportError> {
    let Array { shape, values } = weights.read(table)?;
    let [rows, width] = [shape[0], shape[1]];
    let norm = |row: &[f32]| match similarity {
        Similarity::Dot => 1.0,
        Similarity::Cosine => row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt().max(1e-12),
    };
    let norms: Vec<f64> = values.chunks_exact(width).map(norm).collect();
    let places = (0..width).flat_map(|column| (0..rows).map(move |row| (column, row)));
    let key = |(column, row): (usize, usize)| f64::from(values[row * width + column]) / norms[row];
    Ok(Array { shape: vec![width, rows], values: places.map(key).collect() })
}

/// The query of tokens `[B, T, d]`: their mean or maximum, `[B, d]`.
fn pooled(graph: &mut Graph<'_, '_>, tokens: &Value, mask: Option<&Value>, pooling: Pooling) -> Value {
    let whole = [Attribute::Int("keepdims", 0)];
    let sum = |graph: &mut Graph<'_, '_>, x: &Value| {
        let axis = graph.ints(&[1]);
        graph.op("ReduceSum", &[x, &axis], &whole)
    };
    match (pooling, mask) {
        (Pooling::Mean, None) => graph.op("ReduceMean", &[tokens], &[Attribute::Ints("axes", &[1]), whole[0]]),
        (Pooling::Mean, Some(mask)) => {
            let masked = graph.multiply(tokens, mask);
            let [values, count] = [sum(graph, &masked), sum(graph, mask)];
            let small = graph.double(1e-8);
            let count = graph.add(&count, &small);
            graph.op("Div", &[&values, &count], &[])
        }
        (Pooling::Max, None) => graph.op("ReduceMax", &[tokens], &[Attribute::Ints("axes", &[1]), whole[0]]),
        (Pooling::Max, Some(mask)) => {
            let is_word = graph.cast(mask, element::BOOL);
            let [lowest, zero] = [f64::MIN, 0.0].map(|number| graph.double(number));
            // The query of a text that has no token but its first one is 0.
            let masked = graph.op("Where", &[&is_word, tokens, &lowest], &[]);
            let largest = graph.op("ReduceMax", &[&masked], &[Attribute::Ints("axes", &[1]), whole[0]]);
            let count = sum(graph, mask);
            let any = graph.cast(&count, element::BOOL);
            graph.op("Where", &[&any, &largest, &zero], &[])
        }
    }
}
