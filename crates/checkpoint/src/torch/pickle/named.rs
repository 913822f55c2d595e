//! Operations of a pickle that name functions and classes.

use std::ops::Range;

use super::Machine;
use crate::error::Problem;
use crate::torch::global::Global;
use crate::torch::object::Object;

/// The longest module, or name in a module, in bytes.
const MAX_NAME: usize = 256;

impl Machine<'_> {
    /// Names of functions and classes, and what is made from them.
    pub(super) fn called(&mut self, code: u8) -> Result<bool, Problem> {
        match code {
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Text(name), Object::Text(module)) = (self.get(name), self.get(module)) else {
                    return Err(self.damaged("the name of a class is no text"));
                };
                let (module, name) = (module.clone(), name.clone());
                self.global(module, name)?;
            }
            b'R' => self.reduce()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            b'Q' => self.persistent()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn line(&mut self) -> Result<Range<usize>, Problem> {
        let rest = &self.bytes[self.at..];
        let rest = &rest[..rest.len().min(MAX_NAME + 1)];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(self.damaged("the file ends early in the name of a class, or the name is too long"));
        };
        let range = self.at..self.at + length;
        self.at += length + 1;
        Ok(range)
    }

    fn global(&mut self, module: Range<usize>, name: Range<usize>) -> Result<(), Problem> {
        let text = |range: Range<usize>| {
            // The length first: the check of a long text takes time, and a pickle can ask for it often.
            (range.len() <= MAX_NAME).then(|| std::str::from_utf8(&self.bytes[range]).ok()).flatten()
        };
        let (Some(module), Some(name)) = (text(module), text(name)) else {
            return Err(self.damaged("the name of a class is too long or not UTF-8"));
        };
        let Some(global) = Global::resolve(module, name) else {
            let named = format!("{module}.{name}");
            return Err(Problem::RunsCode(named.chars().map(|c| if c.is_control() { '?' } else { c }).collect()));
        };
        if let Global::Opaque(full) | Global::Named(full) = &global {
            self.charge(full.len() / 16)?;
        }
        self.push(Object::Global(global))
    }
}
