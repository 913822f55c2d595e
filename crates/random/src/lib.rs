//! Randomness as a pure function: every draw is named by (seed, step, rank, place, index).
//!
//! A run must be repeatable bit for bit from any step, on any number of loader threads. So nothing here keeps hidden
//! state: a [`Key`] names a moment of a run, a [`Place`] names what the numbers are for, and the [`Stream`] of the two is
//! the same numbers whenever and wherever it is asked for.
//!
//! ```
//! use ptu_random::{Key, Place};
//! let crop = Key::new(42).at(7).stream(Place::Crop, 3).unit();
//! assert_eq!(crop, Key::new(42).at(7).stream(Place::Crop, 3).unit());
//! assert_ne!(crop, Key::new(42).at(8).stream(Place::Crop, 3).unit());
//! ```

mod key;
mod philox;
mod stream;

pub use key::{Key, Place, index_of};
pub use stream::Stream;
