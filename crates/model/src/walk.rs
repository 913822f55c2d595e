//! Iterates over all weights of a model; each weight comes with its name.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::Model;
use crate::names::{Name, name_of};

/// Visits every weight of a model.
pub trait WeightVisitor {
    /// Visits one weight; the order is that of the module tree.
    fn visit<const D: usize>(&mut self, name: Name, weight: &Param<Tensor<D>>);
}

/// Returns a new value for every weight of a model.
pub trait WeightMapper {
    /// Returns the new value of one weight; the order is that of the module tree.
    fn map<const D: usize>(&mut self, name: Name, weight: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

impl Model {
    /// Calls a visitor with every weight.
    pub fn visit_weights(&self, visitor: &mut impl WeightVisitor) {
        self.visit(&mut NamedWalk { path: vec![], user: visitor });
    }

    /// Replaces every weight with the one that a mapper returns for it.
    pub fn map_weights(self, mapper: &mut impl WeightMapper) -> Self {
        self.map(&mut NamedWalk { path: vec![], user: mapper })
    }
}

/// Tracks the path in the module tree and passes each weight on with its name.
struct NamedWalk<'a, U> {
    /// Names of the modules entered, outermost first. The name of an enum variant is empty, because published names do not
    /// have it.
    path: Vec<String>,
    user: &'a mut U,
}

impl<U> NamedWalk<'_, U> {
    fn enter(&mut self, name: &str, container: &str) {
        let is_variant = container.starts_with("Enum:");
        self.path.push(if is_variant { String::new() } else { name.into() });
    }

    fn name(&self) -> Name {
        let names: Vec<&str> = self.path.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        name_of(&names.join(".")).expect("every weight has a row in names.rs, which a test visits")
    }
}

impl<U: WeightVisitor> ModuleVisitor for NamedWalk<'_, U> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, weight: &Param<Tensor<D>>) {
        self.user.visit(self.name(), weight);
    }
}

impl<U: WeightMapper> ModuleMapper for NamedWalk<'_, U> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, weight: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.user.map(self.name(), weight)
    }
}
