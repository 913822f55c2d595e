//! Reads the nodes of an ONNX graph. Numbers of fields are those of `onnx.proto`.

use super::{Budget, text};
use crate::error::{Problem, damaged};
use crate::wire::{Field, Fields, varints};
use crate::{Attribute, Node};

/// Types of attributes as ONNX numbers them.
mod kind {
    pub(super) const FLOAT: u64 = 1;
    pub(super) const INT: u64 = 2;
    pub(super) const STRING: u64 = 3;
    pub(super) const FLOATS: u64 = 6;
    pub(super) const INTS: u64 = 7;
}

/// The longest text of an attribute, in bytes; longer ones are not read.
const MAX_TEXT: usize = 1 << 16;

/// Reads a node; `constant` gets the tensor of a `Constant`.
pub(super) fn read<'a>(message: &'a [u8], budget: &mut Budget) -> Result<(Node, Option<&'a [u8]>), Problem> {
    let mut node = Node::default();
    let mut constant = None;
    for field in Fields(message) {
        match field.map_err(|cause| damaged("a node", cause))? {
            (1, Field::Bytes(bytes)) => node.inputs.push(text(bytes, "an input of a node", budget)?),
            (2, Field::Bytes(bytes)) => node.outputs.push(text(bytes, "an output of a node", budget)?),
            (3, Field::Bytes(bytes)) => node.name = text(bytes, "the name of a node", budget)?,
            (4, Field::Bytes(bytes)) => node.op_type = text(bytes, "the operation of a node", budget)?,
            (5, Field::Bytes(bytes)) => {
                let (name, attribute, tensor) = self::attribute(bytes, budget)?;
                if name == "value" && tensor.is_some() {
                    constant = tensor;
                }
                node.attributes.insert(name, attribute);
            }
            _ => {}
        }
    }
    let constant = constant.filter(|_| node.op_type == "Constant");
    Ok((node, constant))
}

type Named<'a> = (String, Attribute, Option<&'a [u8]>);

/// Name and value of an attribute, and its tensor.
fn attribute<'a>(message: &'a [u8], budget: &mut Budget) -> Result<Named<'a>, Problem> {
    let wrong = |cause| damaged("an attribute of a node", cause);
    let (mut name, mut kind, mut tensor) = (String::new(), 0, None);
    let (mut int, mut float, mut string) = (0, 0.0, &[][..]);
    let (mut ints, mut floats) = (Vec::new(), Vec::new());
    for field in Fields(message) {
        match field.map_err(wrong)? {
            (1, Field::Bytes(bytes)) => name = text(bytes, "the name of an attribute", budget)?,
            (2, Field::Fixed32(bytes)) => float = f32::from_le_bytes(bytes),
            (3, Field::Varint(value)) => int = value.cast_signed(),
            (4, Field::Bytes(bytes)) => string = bytes,
            (5, Field::Bytes(bytes)) => tensor = Some(bytes),
            (7, Field::Fixed32(bytes)) => floats.push(f32::from_le_bytes(bytes)),
            (7, Field::Bytes(bytes)) => floats.extend(bytes.as_chunks().0.iter().map(|it| f32::from_le_bytes(*it))),
            (8, values) => varints(values, &mut |value| {
                budget.take(1).map_err(|_| "too many numbers")?;
                ints.push(value.cast_signed());
                Ok(())
            })
            .map_err(wrong)?,
            (20, Field::Varint(value)) => kind = value,
            _ => {}
        }
    }
    budget.take(1 + floats.len())?;
    let value = match kind {
        kind::FLOAT => Attribute::Float(float),
        kind::INT => Attribute::Int(int),
        kind::STRING if string.len() <= MAX_TEXT => match std::str::from_utf8(string) {
            Ok(string) => Attribute::Text(string.to_owned()),
            Err(_) => Attribute::Other,
        },
        kind::FLOATS => Attribute::Floats(floats),
        kind::INTS => Attribute::Ints(ints),
        _ => Attribute::Other,
    };
    Ok((name, value, tensor))
}
