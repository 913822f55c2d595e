//! A graph of operations that is being built. Values are known by name; the first use of a weight makes it an initializer.

use std::collections::HashSet;

use super::proto::{self, attribute, element};
use super::weights::{Array, Number, Weights};
use crate::ExportError;

/// A value in a graph: an input, a weight, or the output of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(String);

/// A named option of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
    Float(&'a str, f32),
    Text(&'a str, &'a str),
}

/// The size of a dimension.
#[derive(Clone, Copy, Debug)]
pub enum Dim {
    Fixed(usize),
    /// A size that the caller of the graph chooses.
    Any(&'static str),
}

/// A graph that is being built.
pub struct Graph<'w, 'c> {
    pub weights: &'w mut Weights<'c>,
    graph: proto::Graph,
    /// Names of the initializers.
    known: HashSet<String>,
}

impl<'w, 'c> Graph<'w, 'c> {
    /// A graph without operations.
    pub fn new(name: &str, weights: &'w mut Weights<'c>) -> Self {
        let graph = proto::Graph { name: name.into(), ..proto::Graph::default() };
        Self { weights, graph, known: HashSet::new() }
    }

    /// An input of this type and shape.
    pub fn input(&mut self, name: &str, element: i32, shape: &[Dim]) -> Value {
        self.graph.input.push(info(name, element, shape));
        Value(name.into())
    }

    /// Makes a value an output of the graph.
    pub fn output(&mut self, name: &str, value: &Value, element: i32, shape: &[Dim]) {
        self.node("Identity", &[value], &[name], &[]);
        self.graph.output.push(info(name, element, shape));
    }

    /// An operation with one output.
    pub fn op(&mut self, kind: &str, inputs: &[&Value], options: &[Attribute<'_>]) -> Value {
        self.ops::<1>(kind, inputs, options)[0].clone()
    }

    /// An operation with several outputs.
    pub fn ops<const N: usize>(&mut self, kind: &str, inputs: &[&Value], options: &[Attribute<'_>]) -> [Value; N] {
        let number = self.graph.node.len();
        let names: [String; N] = std::array::from_fn(|place| format!("{kind}_{number}_{place}"));
        self.node(kind, inputs, &names.each_ref().map(String::as_str), options);
        names.map(Value)
    }

    fn node(&mut self, kind: &str, inputs: &[&Value], outputs: &[&str], options: &[Attribute<'_>]) {
        let name = format!("{kind}_{}", self.graph.node.len());
        self.graph.node.push(proto::Node {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: outputs.iter().map(|&name| name.into()).collect(),
            name,
            op_type: kind.into(),
            attribute: options.iter().map(written).collect(),
        });
    }

    /// The weight with this published name, as it is.
    pub fn weight(&mut self, name: &str) -> Result<Value, ExportError> {
        self.stored(name, |weights| weights.read(name))
    }

    /// The weight with this published name, transposed: `[in, out]` of a linear layer.
    pub fn transposed(&mut self, name: &str) -> Result<Value, ExportError> {
        self.stored(&format!("{name}.transposed"), |weights| Ok(weights.read(name)?.transposed()))
    }

    /// An initializer that is computed from weights; graphs that name it alike share it.
    pub fn stored<T: Number>(
        &mut self,
        name: &str,
        make: impl FnOnce(&Weights<'c>) -> Result<Array<T>, ExportError>,
    ) -> Result<Value, ExportError> {
        let tensor = self.weights.store(name, make)?;
        Ok(self.initializer(tensor))
    }

    /// A list of whole numbers.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        let shape = [values.len() as i64];
        self.constant(element::INT64, &shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// A whole number without dimensions.
    pub fn int(&mut self, value: i64) -> Value {
        self.constant(element::INT64, &[], value.to_le_bytes().to_vec())
    }

    /// A number.
    pub fn float(&mut self, value: f32) -> Value {
        self.constant(element::FLOAT, &[], value.to_le_bytes().to_vec())
    }

    /// A number of 64 bits.
    pub fn double(&mut self, value: f64) -> Value {
        self.constant(element::DOUBLE, &[], value.to_le_bytes().to_vec())
    }

    fn constant(&mut self, data_type: i32, shape: &[i64], bytes: Vec<u8>) -> Value {
        let name = format!("constant_{}", self.graph.initializer.len());
        let dims = shape.to_vec();
        let tensor = proto::Tensor { dims, data_type, name, raw_data: Some(bytes), ..proto::Tensor::default() };
        self.initializer(tensor)
    }

    fn initializer(&mut self, tensor: proto::Tensor) -> Value {
        let value = Value(tensor.name.clone());
        if self.known.insert(tensor.name.clone()) {
            self.graph.initializer.push(tensor);
        }
        value
    }

    /// The finished graph.
    pub fn finish(self) -> proto::Graph {
        self.graph
    }
}

fn written(option: &Attribute<'_>) -> proto::Attribute {
    let named = |name: &str, r#type: i32| proto::Attribute { name: name.into(), r#type, ..proto::Attribute::default() };
    match *option {
        Attribute::Int(name, value) => proto::Attribute { i: Some(value), ..named(name, attribute::INT) },
        Attribute::Ints(name, values) => proto::Attribute { ints: values.to_vec(), ..named(name, attribute::INTS) },
        Attribute::Float(name, value) => proto::Attribute { f: Some(value), ..named(name, attribute::FLOAT) },
        Attribute::Text(name, value) => proto::Attribute { s: Some(value.into()), ..named(name, attribute::STRING) },
    }
}

fn info(name: &str, element: i32, shape: &[Dim]) -> proto::ValueInfo {
    let dimension = |dim: &Dim| match *dim {
        Dim::Fixed(size) => proto::Dimension { dim_value: Some(size as i64), dim_param: None },
        Dim::Any(name) => proto::Dimension { dim_value: None, dim_param: Some(name.into()) },
    };
    let shape = proto::Shape { dim: shape.iter().map(dimension).collect() };
    let tensor_type = Some(proto::TensorType { elem_type: element, shape: Some(shape) });
    proto::ValueInfo { name: name.into(), r#type: Some(proto::Type { tensor_type }) }
}
