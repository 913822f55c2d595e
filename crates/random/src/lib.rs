//! Random numbers as a pure function of (seed, step, rank, place, index).
//!
//! A run must be repeatable bit for bit from any step and with any number of loader threads. Therefore nothing here has
//! hidden state. A [`Key`] identifies a step of a run, and a [`Place`] identifies the purpose of the numbers. The [`Stream`]
//! of a key, a place and an index always gives the same numbers, on any thread and in any order of calls. `jax.random` works
//! in a similar way.
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
