//! The longest common subsequence of two texts.

use std::collections::HashMap;
use std::hash::Hash;

/// Bits of one step.
const BITS: usize = u64::BITS as usize;

/// Where a token stands in the longer text: as bits if it is frequent, so that one step never costs more than the bits
/// do.
enum Places {
    Bits(Vec<u64>),
    Few(Vec<usize>),
}

/// Length of the longest common subsequence of two texts, with the bits of a row in parallel (Hyyrö 2004). Time is the
/// product of the lengths divided by 64, memory linear in the longer one.
pub(super) fn longest_common<T: Eq + Hash>(first: &[T], second: &[T]) -> usize {
    let words = first.len().div_ceil(BITS);
    let mut lists: HashMap<&T, Vec<usize>> = HashMap::new();
    first.iter().enumerate().for_each(|(place, token)| lists.entry(token).or_default().push(place));
    let places: HashMap<&T, Places> = lists
        .into_iter()
        .map(|(token, list)| {
            let frequent = list.len() > words;
            (token, if frequent { Places::Bits(bits(&list, words)) } else { Places::Few(list) })
        })
        .collect();
    let mut row = vec![u64::MAX; words];
    let mut scratch = vec![0; words];
    for token in second {
        match places.get(token) {
            None => {}
            Some(Places::Bits(bits)) => step(&mut row, bits),
            Some(Places::Few(list)) => {
                list.iter().for_each(|place| scratch[place / BITS] |= 1 << (place % BITS));
                step(&mut row, &scratch);
                list.iter().for_each(|place| scratch[place / BITS] = 0);
            }
        }
    }
    // A bit of the row is 0 where the length grows; bits beyond the text never match and stay 1.
    row.iter().map(|word| word.count_zeros() as usize).sum()
}

fn bits(list: &[usize], words: usize) -> Vec<u64> {
    let mut bits = vec![0; words];
    list.iter().for_each(|place| bits[place / BITS] |= 1 << (place % BITS));
    bits
}

/// One token of the second text: `row = (row + (row & matches)) | (row & !matches)`, with the carry through all words.
fn step(row: &mut [u64], matches: &[u64]) {
    let mut carry = false;
    for (row, matches) in row.iter_mut().zip(matches) {
        let (sum, over) = row.overflowing_add(*row & matches);
        let (sum, over_again) = sum.overflowing_add(u64::from(carry));
        carry = over || over_again;
        *row = sum | (*row & !matches);
    }
}

#[cfg(test)]
mod tests {
    use super::longest_common;
    use ptu_random::{Key, Place};

    /// The textbook table.
    fn by_table(first: &[u8], second: &[u8]) -> usize {
        let mut row = vec![0; second.len() + 1];
        for a in first {
            let mut diagonal = 0;
            for (place, b) in second.iter().enumerate() {
                let above = row[place + 1];
                row[place + 1] = if a == b { diagonal + 1 } else { above.max(row[place]) };
                diagonal = above;
            }
        }
        row[second.len()]
    }

    #[test]
    fn bits_equal_the_table() {
        let mut stream = Key::new(3).stream(Place::Sample, 0);
        for case in 0..300 {
            let kinds = [2.0, 5.0, 40.0, 200.0][case % 4];
            let mut text = |most: f64| -> Vec<u8> {
                let length = (stream.unit() * most) as usize;
                (0..length).map(|_| (stream.unit() * kinds) as u8).collect()
            };
            let (first, second) = (text(400.0), text(300.0));
            assert_eq!(longest_common(&first, &second), by_table(&first, &second), "{first:?} {second:?}");
        }
    }
}
