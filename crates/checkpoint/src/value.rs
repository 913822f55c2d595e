//! Plain values beside the tensors of a checkpoint.

/// A value of a PyTorch checkpoint that is no weight: epoch, hyper-parameters and so on.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// A dictionary or a namespace, in the order of the file. Integer keys are written in decimal.
    Map(Vec<(String, Value)>),
    /// What is no plain value: only its class is told, because to make it would run code.
    NotPlain(String),
}

impl Value {
    /// The value of this key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Map(entries) => entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }
}
