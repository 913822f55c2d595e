//! Operations for transformers on `burn`'s CPU backend (`flex`), forward and backward, where the engine's own take several passes
//! over memory on one thread; and what they work on: token sequences without padding, dropout masks that can be drawn again,
//! gradient checkpointing.
//!
//! | file | holds | why |
//! |---|---|---|
//! | `packed.rs` | token sequences of several lengths, one behind the other | no padding |
//! | `pass.rs` | what a forward pass is given besides data: dropout, compute precision, checkpointing | masks are replayed |
//! | `checkpoint.rs`, `block_gradients.rs` | gradient checkpointing of blocks | memory |
//! | `activation.rs` | GELU, QuickGELU | vectorised, all cores; the engine's error function is scalar |
//! | `norm.rs` | layer norm; residual sum, dropout and layer norm as one | one pass instead of about eight |
//! | `linear.rs` | linear; onto a residual; several side by side | bias or residual laid down first, product added |
//! | `attention.rs` | attention of packed sequences | no padding, no copy of heads, dropout in place |
//! | `rows.rs` | rows of tables | gradients of rows summed on all cores |
//! | `cross_entropy.rs` | softmax and cross-entropy | one pass over the logits |
//! | `matrix.rs`, `product.rs`, `bf16.rs` | matrix products, in f32 or by tiles of bf16 | for the operations above |
//! | `units.rs` | which vector units the processor has | for people |
//! | `drop.rs`, `sum.rs` | dropout, sum | all cores; masks are drawn again instead of kept |
//!
//! Each operation is a type with a forward and a backward pass (`operation.rs`), loops over slices (`loops.rs`, `math.rs`,
//! `fresh.rs` for buffers that are not cleared first), and a plain twin of the engine's operations, which runs
//! on every other device and in the tests that compare both. Reductions go in chunks fixed by the shape, so results do not
//! depend on the number of threads.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use ptu_kernels::Packed;
//!
//! // Two sequences, of 2 and of 3 tokens, of width 4.
//! let tokens: Tensor<2> = Tensor::ones([5, 4], &Device::flex());
//! let packed = Packed::new(tokens, vec![2, 3]);
//! assert_eq!((packed.count(), packed.starts()), (2, vec![0, 2]));
//! ```

mod activation;
mod attention;
mod bf16;
mod block_gradients;
mod checkpoint;
mod cross_entropy;
mod drop;
mod fresh;
mod linear;
mod loops;
mod math;
mod matrix;
mod norm;
mod operation;
mod packed;
mod pass;
mod product;
mod rows;
mod sum;
#[cfg(test)]
mod twins;
mod units;

pub use activation::{gelu, quick_gelu};
pub use attention::{AttentionPlan, cross_attention, self_attention};
pub use bf16::tiles;
pub use block_gradients::BlockGradients;
pub use checkpoint::Run;
pub use cross_entropy::cross_entropy;
pub use drop::{DropMask, drop};
pub use linear::{linear, linear_onto, linears};
pub use loops::{in_pool, vectorised};
pub use matrix::{ComputePrecision, Tiles};
pub use norm::{layer_norm, residual_norm};
pub use packed::{Packed, starts};
pub use pass::Pass;
pub use product::operations;
pub use rows::rows;
pub use sum::sum;
pub use units::vector_units;
