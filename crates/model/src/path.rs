//! Where a visitor of the module tree stands.

use std::fmt;

/// Names of the modules entered, outermost first; shown with dots.
#[derive(Clone, Debug, Default)]
pub struct Path(Vec<String>);

impl Path {
    /// Goes into a module.
    pub fn enter(&mut self, name: &str) {
        self.0.push(name.into());
    }

    /// Comes out of it again.
    pub fn exit(&mut self) {
        self.0.pop();
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join("."))
    }
}
