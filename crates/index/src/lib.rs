//! Nearest neighbour search among vectors, by cosine similarity.
//!
//! ```
//! use ptu_index::Exact;
//!
//! let index = Exact::new(2, vec![3.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
//! let found = index.nearest(&[1.0, 0.2], 2, |_| true);
//! assert_eq!(found.iter().map(|found| found.position).collect::<Vec<_>>(), [0, 2]);
//! ```

mod exact;

pub use exact::{Exact, Neighbour};
