//! The image encoder (specification, section 1.1).

use ptu_model::config::ImageConfig;

use super::graph::{Attribute, Graph, Value};
use super::layer::END;
use super::weights::Array;
use crate::ExportError;

const PREFIX: &str = "vision_encoder.visual";

/// The image encoder of a model.
pub struct ImageEncoder<'m>(pub &'m ImageConfig);

impl ImageEncoder<'_> {
    /// Number of tokens before the patches.
    pub fn special(&self) -> i64 {
        i64::from(self.0.class_token)
    }

    fn grid(&self) -> i64 {
        (self.0.size / self.0.patch) as i64
    }

    /// The class token with its position for each sequence of `like`, `[B, 1, d]`; `None` if the encoder has no such token.
    pub fn first(&self, graph: &mut Graph<'_, '_>, like: &Value) -> Result<Option<Value>, ExportError> {
        if !self.0.class_token {
            return Ok(None);
        }
        let width = self.0.width;
        let first = graph.stored(&format!("{PREFIX}.first"), |weights| {
            let class = weights.read(&format!("{PREFIX}.class_embedding"))?;
            let positions = weights.read(&format!("{PREFIX}.positional_embedding"))?;
            let values = class.values.iter().zip(&positions.values).map(|(one, other)| one + other).collect();
            Ok(Array { shape: vec![1, 1, width], values })
        })?;
        Ok(Some(graph.repeated(&first, like, &[1, width as i64])))
    }

    /// Embedded patches of pixels `[B, 3, size, size]`, behind the class token.
    pub fn embed(&self, graph: &mut Graph<'_, '_>, pixels: &Value) -> Result<Value, ExportError> {
        let (width, patch) = (self.0.width as i64, self.0.patch as i64);
        let kernel = graph.weight(&format!("{PREFIX}.conv1.weight"))?;
        let bias = format!("{PREFIX}.conv1.bias");
        let bias = if graph.weights.has(&bias) { Some(graph.weight(&bias)?) } else { None };
        let inputs: Vec<&Value> = [pixels, &kernel].into_iter().chain(&bias).collect();
        let options = [Attribute::Ints("kernel_shape", &[patch, patch]), Attribute::Ints("strides", &[patch, patch])];
        let patches = graph.op("Conv", &inputs, &options);
        let patches = graph.reshape(&patches, &[0, width, -1]);
        let patches = graph.transpose(&patches, &[0, 2, 1]);
        let positions = graph.stored(&format!("{PREFIX}.patch_positions"), |weights| {
            let Array { shape, values } = weights.read(&format!("{PREFIX}.positional_embedding"))?;
            let special = usize::from(self.0.class_token);
            Ok(Array { shape: vec![1, shape[0] - special, shape[1]], values: values[special * shape[1]..].to_vec() })
        })?;
        let patches = graph.add(&patches, &positions);
        let first = self.first(graph, &patches)?;
        Ok(graph.concat(&first.iter().chain([&patches]).collect::<Vec<_>>(), 1))
    }

    /// Runs the blocks over embedded tokens.
    pub fn encode(&self, graph: &mut Graph<'_, '_>, embedded: &Value) -> Result<Value, ExportError> {
        let (special, registers, eps) = (self.special(), self.0.registers as i64, self.0.eps);
        let mut x = embedded.clone();
        if registers > 0 {
            let table = graph.stored(&format!("{PREFIX}.registers"), |weights| {
                let Array { shape, values } = weights.read(&format!("{PREFIX}.register_embedding"))?;
                Ok(Array { shape: [&[1], shape.as_slice()].concat(), values })
            })?;
            let registers = graph.repeated(&table, &x, &[registers, self.0.width as i64]);
            let [before, after] = [graph.slice(&x, 1, 0, special), graph.slice(&x, 1, special, END)];
            x = graph.concat(&[&before, &registers, &after], 1);
        }
        if self.0.pre_norm {
            x = graph.norm(&x, &format!("{PREFIX}.ln_pre"), eps)?;
        }
        for block in 0..self.0.used_layers() {
            x = self::block(graph, &x, None, (&format!("{PREFIX}.transformer.resblocks.{block}"), self.0))?;
        }
        if self.0.used_layers() > 0 {
            x = graph.norm(&x, &format!("{PREFIX}.ln_post"), eps)?;
        }
        if registers > 0 {
            let [before, after] = [graph.slice(&x, 1, 0, special), graph.slice(&x, 1, special + registers, END)];
            x = graph.concat(&[&before, &after], 1);
        }
        if special == 0 {
            let mean = graph.mean(&x, None);
            x = graph.concat(&[&mean, &x], 1);
        }
        Ok(x)
    }

    /// Averages squares of patches; squares at the right and lower edge repeat their last ones.
    pub fn merged(&self, graph: &mut Graph<'_, '_>, x: &Value) -> Value {
        let (side, grid, width) = (self.0.merge as i64, self.grid(), self.0.width as i64);
        if side == 1 {
            return x.clone();
        }
        let [first, patches] = [graph.slice(x, 1, 0, 1), graph.slice(x, 1, 1, END)];
        let patches = graph.transpose(&patches, &[0, 2, 1]);
        let mut patches = graph.reshape(&patches, &[0, 0, grid, grid]);
        let more = (side - grid % side) % side;
        if more > 0 {
            let pads = graph.ints(&[0, 0, 0, 0, 0, 0, more, more]);
            patches = graph.op("Pad", &[&patches, &pads], &[Attribute::Text("mode", "edge")]);
        }
        let options = [Attribute::Ints("kernel_shape", &[side, side]), Attribute::Ints("strides", &[side, side])];
        let patches = graph.op("AveragePool", &[&patches], &options);
        let patches = graph.reshape(&patches, &[0, width, -1]);
        let patches = graph.transpose(&patches, &[0, 2, 1]);
        graph.concat(&[&first, &patches], 1)
    }
}

/// A pre-norm block with these sizes, whose weights have names that begin so.
pub fn block(
    graph: &mut Graph<'_, '_>,
    x: &Value,
    mask: Option<&Value>,
    (name, config): (&str, &ImageConfig),
) -> Result<Value, ExportError> {
    let scaled = |graph: &mut Graph<'_, '_>, y: Value, scale: &str| -> Result<Value, ExportError> {
        if !config.layer_scale {
            return Ok(y);
        }
        let gamma = graph.weight(&format!("{name}.{scale}.gamma"))?;
        Ok(graph.multiply(&y, &gamma))
    };
    let y = graph.norm(x, &format!("{name}.ln_1"), config.eps)?;
    let joined = graph.product(&y, &format!("{name}.attn.in_proj_weight"), &format!("{name}.attn.in_proj_bias"))?;
    let [query, key, value] = graph.ops("Split", &[&joined], &[Attribute::Int("axis", -1)]);
    let y = graph.attend([&query, &key, &value], mask, (config.heads(), config.width));
    let y = graph.linear(&y, &format!("{name}.attn.out_proj"))?;
    let y = scaled(graph, y, "ls_1")?;
    let x = graph.add(x, &y);
    let y = graph.norm(&x, &format!("{name}.ln_2"), config.eps)?;
    let y = graph.linear(&y, &format!("{name}.mlp.c_fc"))?;
    let y = graph.activation(&y, config.activation);
    let y = graph.linear(&y, &format!("{name}.mlp.c_proj"))?;
    let y = scaled(graph, y, "ls_2")?;
    Ok(graph.add(&x, &y))
}
