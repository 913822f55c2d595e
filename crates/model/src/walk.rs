//! The one way through all weights of a model: each comes with its name.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::Model;
use crate::names::{Name, name_of};

/// Sees every weight of a model.
pub trait WeightVisitor {
    /// One weight, in the order of the tree.
    fn visit<const D: usize>(&mut self, name: Name, weight: &Param<Tensor<D>>);
}

/// Gives every weight of a model back, changed or not.
pub trait WeightMapper {
    /// One weight, in the order of the tree.
    fn map<const D: usize>(&mut self, name: Name, weight: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

impl Model {
    /// Shows every weight to a visitor.
    pub fn visit_weights(&self, visitor: &mut impl WeightVisitor) {
        self.visit(&mut Walk { path: vec![], user: visitor });
    }

    /// The model with every weight as a mapper gives it back.
    pub fn map_weights(self, mapper: &mut impl WeightMapper) -> Self {
        self.map(&mut Walk { path: vec![], user: mapper })
    }
}

/// Keeps the path through the tree for somebody who wants names.
struct Walk<'a, U> {
    /// Names of the modules entered, outermost first; that of an enum's variant is empty, since published names have none.
    path: Vec<String>,
    user: &'a mut U,
}

impl<U> Walk<'_, U> {
    fn enter(&mut self, name: &str, container: &str) {
        let is_variant = container.starts_with("Enum:");
        self.path.push(if is_variant { String::new() } else { name.into() });
    }

    fn name(&self) -> Name {
        let names: Vec<&str> = self.path.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        name_of(&names.join(".")).expect("every weight has a row in names.rs, which a test visits")
    }
}

impl<U: WeightVisitor> ModuleVisitor for Walk<'_, U> {
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

impl<U: WeightMapper> ModuleMapper for Walk<'_, U> {
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
