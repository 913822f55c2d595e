//! New buffers that are written once, without being cleared first.
#![expect(unsafe_code, reason = "a new buffer becomes f32 values once all of it was written")]

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// A part of a new buffer that waits for its values.
pub struct Fresh<'a>(&'a mut [MaybeUninit<f32>]);

/// What a [`Fresh`] gives when it was written whole.
pub struct Written(usize);

impl Fresh<'_> {
    /// Writes all values.
    ///
    /// # Panics
    /// If there are fewer values than places.
    #[inline(always)]
    pub fn write(self, values: impl Iterator<Item = f32>) -> Written {
        let (len, mut written) = (self.0.len(), 0);
        for (place, value) in self.0.iter_mut().zip(values) {
            place.write(value);
            written += 1;
        }
        assert!(written == len, "{written} values for {len} places");
        Written(len)
    }

    /// Writes what `value` gives for each place: a plain loop, which vectorises where iterators stay calls.
    #[inline(always)]
    pub fn write_each(self, mut value: impl FnMut(usize) -> f32) -> Written {
        for number in 0..self.0.len() {
            self.0[number].write(value(number));
        }
        Written(self.0.len())
    }

    /// Writes two parts of equal length together, as [`Self::write_each`].
    ///
    /// # Panics
    /// If the parts differ in length.
    #[inline(always)]
    pub fn write_both(self, other: Self, mut values: impl FnMut(usize) -> [f32; 2]) -> [Written; 2] {
        let len = self.0.len();
        assert!(len == other.0.len(), "parts of {len} and {} places", other.0.len());
        for number in 0..len {
            let [value, second] = values(number);
            self.0[number].write(value);
            other.0[number].write(second);
        }
        [Written(len), Written(len)]
    }

    /// Places.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes row by row, `d` values each.
    ///
    /// # Panics
    /// If the places are not whole rows.
    #[inline(always)]
    pub fn write_rows(self, d: usize, mut row: impl FnMut(usize, Fresh<'_>) -> Written) -> Written {
        let (len, d) = (self.0.len(), d.max(1));
        assert!(len.is_multiple_of(d), "{len} places are not rows of {d}");
        for (number, places) in self.0.chunks_exact_mut(d).enumerate() {
            assert!(row(number, Fresh(places)).0 == d, "another row was written");
        }
        Written(len)
    }
}

/// A buffer of `len` values, made in parallel in tasks of `task` values; `fill` is told where each starts.
pub fn fresh(len: usize, task: usize, fill: impl Fn(usize, Fresh<'_>) -> Written + Sync) -> Vec<f32> {
    let none = |none: Fresh<'_>| none.write(std::iter::empty());
    let [buffer, _] = fresh_pair([len, 0], [task, 1], |start, fresh, other| [fill(start, fresh), none(other)]);
    buffer
}

/// Two buffers of these lengths, made together; of each a task makes so many values. The second may be empty.
///
/// # Panics
/// If there are more tasks for one than for the other.
pub fn fresh_pair(
    lengths: [usize; 2],
    tasks: [usize; 2],
    fill: impl Fn(usize, Fresh<'_>, Fresh<'_>) -> [Written; 2] + Sync,
) -> [Vec<f32>; 2] {
    let [task, second_task] = tasks.map(|task| task.max(1));
    let mut buffers = lengths.map(blank);
    let [first, second] = &mut buffers;
    // Of an empty second buffer every task gets nothing.
    let seconds: Vec<&mut [MaybeUninit<f32>]> = match second.is_empty() {
        true => (0..first.len().div_ceil(task)).map(|_| <&mut [MaybeUninit<f32>]>::default()).collect(),
        false => second.chunks_mut(second_task).collect(),
    };
    assert!(seconds.len() == first.len().div_ceil(task), "{lengths:?} values are not equally many tasks of {tasks:?}");
    first.par_chunks_mut(task).zip(seconds).enumerate().for_each(|(number, (first, second))| {
        let lengths = [first.len(), second.len()];
        let written = fill(number * task, Fresh(first), Fresh(second));
        assert!(written.map(|written| written.0) == lengths, "another part was written");
    });
    buffers.map(finished)
}

fn blank(len: usize) -> Vec<MaybeUninit<f32>> {
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: a `MaybeUninit` needs no initialisation.
    unsafe { buffer.set_len(len) };
    buffer
}

/// To be called only when each place was written.
fn finished(buffer: Vec<MaybeUninit<f32>>) -> Vec<f32> {
    let mut buffer = std::mem::ManuallyDrop::new(buffer);
    let (start, len, capacity) = (buffer.as_mut_ptr().cast::<f32>(), buffer.len(), buffer.capacity());
    // SAFETY: the same allocation with the same layout. Every task gave a `Written` of the length of its part, and only the
    // ways to write of `Fresh` make one, after that many places were written.
    unsafe { Vec::from_raw_parts(start, len, capacity) }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat;

    use super::*;

    #[test]
    fn all_parts_are_written() {
        let buffer = fresh(1000, 64, |start, fresh| fresh.write((start..).map(|place| place as f32)));
        assert!(buffer.iter().enumerate().all(|(place, value)| *value == place as f32) && buffer.len() == 1000);
        let [ones, twos] = fresh_pair([140, 70], [64, 32], |_, first, second| {
            [first.write(repeat(1.0)), second.write_rows(2, |_, row| row.write(repeat(2.0)))]
        });
        assert_eq!((ones, twos), (vec![1.0; 140], vec![2.0; 70]));
        assert!(fresh(0, 64, |_, fresh| fresh.write(std::iter::empty())).is_empty());
    }

    #[test]
    #[should_panic(expected = "5 values for 64 places")]
    fn too_few_values_are_refused() {
        fresh(100, 64, |_, fresh| fresh.write([0.0; 5].into_iter()));
    }

    #[test]
    #[should_panic(expected = "another part was written")]
    fn a_proof_of_another_part_is_refused() {
        fresh_pair([64, 64], [64, 64], |_, first, second| {
            [first.write(repeat(0.0)), Fresh(&mut second.0[..3]).write(repeat(0.0))]
        });
    }
}
