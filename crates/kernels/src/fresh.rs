//! New buffers whose values are each written once; they are not zeroed first.
#![expect(unsafe_code, reason = "a new buffer is turned into f32 values after all of it was written")]

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// A slice of a new buffer that is not initialised yet.
pub struct UninitSlice<'a>(&'a mut [MaybeUninit<f32>]);

/// Proof that a [`UninitSlice`] of this length was written completely.
pub struct Written(usize);

impl UninitSlice<'_> {
    /// Writes all values.
    ///
    /// # Panics
    /// If there are fewer values than the slice needs.
    #[inline(always)]
    pub fn write(self, values: impl Iterator<Item = f32>) -> Written {
        let (len, mut written) = (self.0.len(), 0);
        for (slot, value) in self.0.iter_mut().zip(values) {
            slot.write(value);
            written += 1;
        }
        assert!(written == len, "only {written} values for a slice of {len}");
        Written(len)
    }

    /// Writes `value(i)` at each index `i`. A plain loop, because the compiler vectorises it where it does not inline iterators.
    #[inline(always)]
    pub fn write_each(self, mut value: impl FnMut(usize) -> f32) -> Written {
        for number in 0..self.0.len() {
            self.0[number].write(value(number));
        }
        Written(self.0.len())
    }

    /// Writes two slices of equal length in one loop, as [`Self::write_each`] does for one.
    ///
    /// # Panics
    /// If the slices differ in length.
    #[inline(always)]
    pub fn write_both(self, other: Self, mut values: impl FnMut(usize) -> [f32; 2]) -> [Written; 2] {
        let len = self.0.len();
        assert!(len == other.0.len(), "slices of different lengths, {len} and {}", other.0.len());
        for number in 0..len {
            let [value, second] = values(number);
            self.0[number].write(value);
            other.0[number].write(second);
        }
        [Written(len), Written(len)]
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes row by row, `d` values each.
    ///
    /// # Panics
    /// If the length is not a multiple of `d`.
    #[inline(always)]
    pub fn write_rows(self, d: usize, mut row: impl FnMut(usize, UninitSlice<'_>) -> Written) -> Written {
        let (len, d) = (self.0.len(), d.max(1));
        assert!(len.is_multiple_of(d), "a slice of {len} values is not a number of whole rows of {d}");
        for (number, slots) in self.0.chunks_exact_mut(d).enumerate() {
            assert!(row(number, UninitSlice(slots)).0 == d, "the proof is of another row");
        }
        Written(len)
    }
}

/// A new buffer of `len` values, written in parallel by tasks of `task` values each. `fill` gets the start index and the slice of
/// each task.
pub fn fresh(len: usize, task: usize, fill: impl Fn(usize, UninitSlice<'_>) -> Written + Sync) -> Vec<f32> {
    let none = |none: UninitSlice<'_>| none.write(std::iter::empty());
    let [buffer, _] = fresh_pair([len, 0], [task, 1], |start, fresh, other| [fill(start, fresh), none(other)]);
    buffer
}

/// Two new buffers of these lengths, written together; `tasks` are the numbers of values that one task writes in each buffer. The
/// second buffer may be empty.
///
/// # Panics
/// If the two buffers need different numbers of tasks.
pub fn fresh_pair(
    lengths: [usize; 2],
    tasks: [usize; 2],
    fill: impl Fn(usize, UninitSlice<'_>, UninitSlice<'_>) -> [Written; 2] + Sync,
) -> [Vec<f32>; 2] {
    let [task, second_task] = tasks.map(|task| task.max(1));
    let mut buffers = lengths.map(blank);
    let [first, second] = &mut buffers;
    // If the second buffer is empty, every task gets an empty slice of it.
    let seconds: Vec<&mut [MaybeUninit<f32>]> = match second.is_empty() {
        true => (0..first.len().div_ceil(task)).map(|_| <&mut [MaybeUninit<f32>]>::default()).collect(),
        false => second.chunks_mut(second_task).collect(),
    };
    assert!(
        seconds.len() == first.len().div_ceil(task),
        "buffers of {lengths:?} values need different numbers of tasks of {tasks:?} values"
    );
    first.par_chunks_mut(task).zip(seconds).enumerate().for_each(|(number, (first, second))| {
        let lengths = [first.len(), second.len()];
        let written = fill(number * task, UninitSlice(first), UninitSlice(second));
        assert!(written.map(|written| written.0) == lengths, "the proof is of another slice");
    });
    buffers.map(finished)
}

fn blank(len: usize) -> Vec<MaybeUninit<f32>> {
    let mut buffer = Vec::with_capacity(len);
    // SAFETY: a `MaybeUninit` needs no initialisation.
    unsafe { buffer.set_len(len) };
    buffer
}

/// Turns the buffer into f32 values. May be called only after every value was written.
fn finished(buffer: Vec<MaybeUninit<f32>>) -> Vec<f32> {
    let mut buffer = std::mem::ManuallyDrop::new(buffer);
    let (start, len, capacity) = (buffer.as_mut_ptr().cast::<f32>(), buffer.len(), buffer.capacity());
    // SAFETY: the same allocation with the same layout. Every task returned a `Written` of the length of its slice, and only the
    // write methods of `UninitSlice` create one, after they have written that many values.
    unsafe { Vec::from_raw_parts(start, len, capacity) }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat;

    use super::*;

    #[test]
    fn all_slices_are_written() {
        let buffer = fresh(1000, 64, |start, fresh| fresh.write((start..).map(|index| index as f32)));
        assert!(buffer.iter().enumerate().all(|(index, value)| *value == index as f32) && buffer.len() == 1000);
        let [ones, twos] = fresh_pair([140, 70], [64, 32], |_, first, second| {
            [first.write(repeat(1.0)), second.write_rows(2, |_, row| row.write(repeat(2.0)))]
        });
        assert_eq!((ones, twos), (vec![1.0; 140], vec![2.0; 70]));
        assert!(fresh(0, 64, |_, fresh| fresh.write(std::iter::empty())).is_empty());
    }

    #[test]
    #[should_panic(expected = "only 5 values for a slice of 64")]
    fn too_few_values_are_refused() {
        fresh(100, 64, |_, fresh| fresh.write([0.0; 5].into_iter()));
    }

    #[test]
    #[should_panic(expected = "the proof is of another slice")]
    fn a_proof_of_another_slice_is_refused() {
        fresh_pair([64, 64], [64, 64], |_, first, second| {
            [first.write(repeat(0.0)), UninitSlice(&mut second.0[..3]).write(repeat(0.0))]
        });
    }
}
