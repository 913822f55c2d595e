//! Takes the weights of an encoder out of a file and keeps the report of what became of each.

use std::collections::BTreeSet;

use ptu_model::weights::{Array, Arrays};

use crate::error::ImportError;
use crate::report::{ImportedWeight, Origin, Report, UnusedReason, UnusedTensor};
use crate::source::Source;

/// A weight of a table: our name, and the names of the tensors that are joined along their first dimension to give it.
pub(crate) type Row = (&'static str, &'static [&'static str]);

/// Tensors that are not used: the beginning of their names behind the prefix of the encoder, and the reason.
pub(crate) type Unused = (&'static str, UnusedReason);

/// The weights that were taken so far.
pub(crate) struct Collect<'a> {
    source: &'a Source,
    allowed: &'a [String],
    used: BTreeSet<String>,
    missing: Vec<String>,
    /// The weights, by our names.
    pub(crate) arrays: Arrays,
    /// The report; complete after [`Self::finish`].
    pub(crate) report: Report,
}

impl<'a> Collect<'a> {
    /// Nothing is taken yet. `allowed` are the patterns of `--allow-missing`.
    pub(crate) fn new(source: &'a Source, layout: &str, allowed: &'a [String]) -> Self {
        let report = Report { source: source.path().into(), layout: layout.into(), ..Report::default() };
        Self { source, allowed, used: BTreeSet::new(), missing: vec![], arrays: Arrays::new(), report }
    }

    /// Takes a weight of this shape from tensors that are joined along their first dimension. Leading dimensions of one are removed.
    ///
    /// # Errors
    /// When a tensor cannot be read, is not finite or has another shape. A tensor that is missing is reported by [`Self::finish`].
    pub(crate) fn take(&mut self, ours: &str, theirs: &[String], shape: &[usize]) -> Result<(), ImportError> {
        let absent: Vec<String> = theirs.iter().filter(|name| !self.source.has(name)).cloned().collect();
        if !absent.is_empty() {
            return self.miss(ours, theirs, absent);
        }
        let mut values = vec![];
        let mut part = shape.to_vec();
        if let Some(first) = part.first_mut() {
            *first /= theirs.len();
        }
        for name in theirs {
            let array = self.source.read(name)?;
            let found = without_leading_ones(&array.shape, part.len());
            if found != part {
                let (path, name, expected) = (self.source.path().into(), name.clone(), part);
                return Err(ImportError::Shape { path, name, found: array.shape, expected });
            }
            // Most weights come from one tensor, which is not copied.
            values = if values.is_empty() { array.values } else { [values, array.values].concat() };
        }
        self.insert(ours, theirs, Array { shape: shape.to_vec(), values });
        Ok(())
    }

    /// Adds a weight that was read from these tensors.
    pub(crate) fn insert(&mut self, ours: &str, theirs: &[String], array: Array) {
        self.used.extend(theirs.iter().cloned());
        self.arrays.insert(ours.into(), array);
        let origin = Origin::Matched { from: theirs.to_vec() };
        self.report.weights.push(ImportedWeight { name: ours.into(), origin });
    }

    /// Says of the weight that was taken last that it was resized.
    pub(crate) fn resized(&mut self, origin: Origin) {
        if let Some(weight) = self.report.weights.last_mut() {
            weight.origin = origin;
        }
    }

    fn miss(&mut self, ours: &str, theirs: &[String], absent: Vec<String>) -> Result<(), ImportError> {
        if absent.iter().all(|name| self.is_allowed(name)) || self.is_allowed(ours) {
            self.used.extend(theirs.iter().cloned());
            self.report.weights.push(ImportedWeight { name: ours.into(), origin: Origin::Initialised });
        } else {
            self.missing.extend(absent);
        }
        Ok(())
    }

    fn is_allowed(&self, name: &str) -> bool {
        self.allowed.iter().any(|pattern| matches(pattern, name))
    }

    /// Explains all tensors that were not taken: those outside of `prefix` belong to other parts, those below it must begin as one of
    /// `unused`.
    ///
    /// # Errors
    /// When weights are missing, or tensors of the file are unexplained; both only if no pattern of `--allow-missing` matches.
    pub(crate) fn finish(
        mut self,
        prefix: &str,
        unused: &[(String, UnusedReason)],
    ) -> Result<(Arrays, Report), ImportError> {
        let path = || self.source.path().into();
        if !self.missing.is_empty() {
            return Err(ImportError::Missing { path: path(), names: self.missing });
        }
        let mut unexplained = vec![];
        for name in self.source.names().filter(|name| !self.used.contains(*name)) {
            let reason = match name.strip_prefix(prefix) {
                None => Some(UnusedReason::OtherPart),
                Some(_) if self.source.is_integer(name) => Some(UnusedReason::NotLearned),
                Some(_) => unused.iter().find(|(start, _)| name.starts_with(start)).map(|(_, reason)| *reason),
            };
            match reason.or_else(|| self.is_allowed(name).then_some(UnusedReason::Allowed)) {
                Some(reason) => self.report.unused.push(UnusedTensor { name: name.into(), reason }),
                None => unexplained.push(name.to_string()),
            }
        }
        if !unexplained.is_empty() {
            return Err(ImportError::Unexplained { path: path(), names: unexplained });
        }
        self.report.weights.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((self.arrays, self.report))
    }
}

/// A shape of at most `dimensions` dimensions, if the ones before them have size 1.
pub(crate) fn without_leading_ones(shape: &[usize], dimensions: usize) -> Vec<usize> {
    let extra = shape.len().saturating_sub(dimensions);
    let ones = shape.iter().take(extra).take_while(|size| **size == 1).count();
    shape[ones..].to_vec()
}

/// Whether a name matches a pattern, in which `*` stands for any characters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.*", "a.b.c", true),
            ("*.bias", "a.b.bias", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn only_leading_ones_are_removed() {
        assert_eq!(without_leading_ones(&[1, 5, 3], 2), [5, 3]);
        assert_eq!(without_leading_ones(&[1, 1, 3], 1), [3]);
        assert_eq!(without_leading_ones(&[2, 1, 3], 2), [2, 1, 3]);
        assert_eq!(without_leading_ones(&[1, 3], 2), [1, 3]);
    }
}
