//! Where the weights of a program are in a file.

/// Where a weight is in the file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Tensors that are joined along their second-to-last dimension; nearly always one.
    pub(crate) parts: Vec<String>,
    /// Whether it is a matrix that is stored transposed.
    pub(crate) transposed: bool,
}

impl Place {
    /// A weight that is stored as one tensor.
    pub(crate) fn of(tensor: &str) -> Self {
        Self { parts: vec![tensor.into()], transposed: false }
    }
}
