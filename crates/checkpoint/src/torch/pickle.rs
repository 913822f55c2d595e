//! A reader of pickles that runs nothing: the stack machine of Python's `pickle` module without its calls.
//!
//! A pickle is a program. This reader knows the operations with which `torch.save` writes (protocols 2 to 5), builds plain
//! objects, and refuses all others. A call of a function (`REDUCE`) is only understood for the functions in `global.rs`,
//! and even these are not called (`pickle/call.rs`).

mod call;
mod container;
mod literal;
mod named;

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;

use super::object::{Id, Object, Pickle};
use crate::error::{Problem, damaged, unsupported};

/// The most operations of a pickle. A checkpoint of a thousand tensors with its optimizer has about 50,000.
const MAX_OPERATIONS: usize = 1 << 23;
/// The most objects; an object takes 48 bytes.
const MAX_OBJECTS: usize = 1 << 21;

/// Reads the pickle that begins at this byte.
///
/// # Errors
/// When it is damaged, names what could run code, or is over a limit.
pub(super) fn read(bytes: &Bytes, start: usize) -> Result<Pickle, Problem> {
    let mut machine = Machine {
        bytes,
        at: start,
        operation: start,
        stack: vec![],
        marks: vec![],
        memo: HashMap::new(),
        objects: vec![],
        charged: 0,
    };
    for _ in 0..MAX_OPERATIONS {
        machine.operation = machine.at;
        let code = machine.byte()?;
        if code == b'.' {
            let root = machine.pop()?;
            return Ok(Pickle { bytes: bytes.clone(), objects: machine.objects, root, end: machine.at });
        }
        let known =
            machine.literal(code)? || machine.container(code)? || machine.remembered(code)? || machine.called(code)?;
        if !known {
            return Err(machine.unsupported(format!("operation {code:#04x} is not used by `torch.save`")));
        }
    }
    Err(machine.unsupported(format!("it has more than {MAX_OPERATIONS} operations")))
}

struct Machine<'a> {
    bytes: &'a Bytes,
    at: usize,
    /// Where the current operation begins, for messages.
    operation: usize,
    stack: Vec<Id>,
    /// Heights of the stack at which open containers begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    objects: Vec<Object>,
    /// Objects and copied entries so far.
    charged: usize,
}

impl Machine<'_> {
    fn damaged(&self, cause: impl Into<String>) -> Problem {
        damaged(format!("byte {} of the pickle", self.operation), cause)
    }

    fn unsupported(&self, cause: impl Into<String>) -> Problem {
        unsupported(format!("byte {} of the pickle", self.operation), cause)
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, Problem> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.damaged("the file ends early"))?;
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut array = [0; N];
        let range = self.take(N)?;
        array.copy_from_slice(&self.bytes[range]);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn length32(&mut self) -> Result<usize, Problem> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.damaged("a length does not fit into memory"))
    }

    /// Counts what takes memory against the limit.
    fn charge(&mut self, count: usize) -> Result<(), Problem> {
        self.charged = self.charged.saturating_add(count);
        if self.charged > MAX_OBJECTS {
            return Err(self.unsupported(format!("it holds more than {MAX_OBJECTS} objects")));
        }
        Ok(())
    }

    fn push(&mut self, object: Object) -> Result<(), Problem> {
        self.charge(1)?;
        // The limit of objects fits 32 bits.
        let id = u32::try_from(self.objects.len()).map_err(|_| self.unsupported("too many objects"))?;
        self.objects.push(object);
        self.stack.push(Id(id));
        Ok(())
    }

    fn push_again(&mut self, id: Id) {
        self.stack.push(id);
    }

    /// Takes the top of the stack, not below the last mark.
    fn pop(&mut self) -> Result<Id, Problem> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err(self.damaged("it takes more values than there are"));
        }
        self.stack.pop().ok_or_else(|| self.damaged("it takes more values than there are"))
    }

    fn top(&mut self) -> Result<Id, Problem> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(id)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, Problem> {
        let mark = self.marks.pop().ok_or_else(|| self.damaged("a container ends that did not begin"))?;
        Ok(self.stack.split_off(mark))
    }

    fn get(&self, id: Id) -> &Object {
        &self.objects[id.0 as usize]
    }

    /// Objects that are used again: the memo.
    fn remembered(&mut self, code: u8) -> Result<bool, Problem> {
        let key = match code {
            b'q' | b'h' => u32::from(self.byte()?),
            b'r' | b'j' => u32::from_le_bytes(self.array()?),
            // `MEMOIZE` counts. The number of entries is limited by the number of operations.
            0x94 => u32::try_from(self.memo.len()).map_err(|_| self.unsupported("too many objects"))?,
            _ => return Ok(false),
        };
        if matches!(code, b'h' | b'j') {
            let id = self.memo.get(&key).copied();
            let id = id.ok_or_else(|| self.damaged("it uses an object that was not made"))?;
            self.stack.push(id);
        } else {
            let id = self.top()?;
            if self.memo.insert(key, id).is_none() {
                self.charge(1)?;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_objects_limits_memory() {
        assert!(size_of::<Object>() <= 48);
    }
}
