//! Operations of a pickle that make and fill containers.

use super::Machine;
use crate::error::Problem;
use crate::torch::object::{DictKind, Id, Object};

/// The most open lists, dictionaries and tuples.
const MAX_MARKS: usize = 1 << 10;

impl Machine<'_> {
    /// Lists, tuples, dictionaries and sets.
    pub(super) fn container(&mut self, code: u8) -> Result<bool, Problem> {
        let object = match code {
            b'(' => {
                if self.marks.len() >= MAX_MARKS {
                    return Err(self.unsupported(format!("more than {MAX_MARKS} containers in each other")));
                }
                self.marks.push(self.stack.len());
                return Ok(true);
            }
            b']' | 0x8f => Object::List(vec![]),
            b'}' => Object::Dict(vec![], DictKind::Plain),
            b')' => Object::Tuple(vec![]),
            0x85..=0x87 => {
                let mut items = (0..=code - 0x85).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                Object::Tuple(items)
            }
            b't' => Object::Tuple(self.pop_mark()?),
            0x91 => Object::List(self.pop_mark()?), // a frozen set
            b'a' => {
                let item = self.pop()?;
                return self.append(vec![item]);
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                return self.append(items);
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                return self.set(&[key, value]);
            }
            b'u' => {
                let items = self.pop_mark()?;
                return self.set(&items);
            }
            _ => return Ok(false),
        };
        self.push(object)?;
        Ok(true)
    }

    fn append(&mut self, items: Vec<Id>) -> Result<bool, Problem> {
        let list = self.top()?;
        match &mut self.objects[list.0 as usize] {
            Object::List(list) => list.extend(items),
            _ => return Err(self.damaged("it adds items to what is no list")),
        }
        Ok(true)
    }

    fn set(&mut self, items: &[Id]) -> Result<bool, Problem> {
        let (pairs, odd) = items.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(self.damaged("a key of a dictionary has no value"));
        }
        let dictionary = self.top()?;
        match &mut self.objects[dictionary.0 as usize] {
            Object::Dict(entries, _) => entries.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err(self.damaged("it sets items of what is no dictionary")),
        }
        Ok(true)
    }
}
