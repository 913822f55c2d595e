//! Transformer operations for `burn`'s CPU backend (`flex`), each with a forward and a backward pass. They replace operations of
//! the engine that read memory several times on one thread. The crate also has packed (variable-length) sequences without
//! padding, dropout masks that can be generated again, and gradient checkpointing.
//!
//! | file | content | benefit |
//! |---|---|---|
//! | `packed.rs` | packed sequences: tokens of all sequences in one tensor, one sequence after another | no padding |
//! | `pass.rs` | settings of a forward pass: dropout, compute precision, checkpointing | dropout masks are reproducible |
//! | `checkpoint.rs`, `block_gradients.rs` | gradient checkpointing of blocks | less memory |
//! | `activation.rs` | GELU, its tanh approximation, QuickGELU | vectorised, on all cores; the engine's error function is not vectorised |
//! | `norm.rs` | layer norm; residual connection, dropout and layer norm in one operation | one pass over memory instead of about eight |
//! | `linear.rs` | linear map; linear map plus residual; several linear maps of one input | no extra pass for bias and residual |
//! | `attention.rs` | self-attention, also causal, and cross-attention of packed sequences | no padding, no copy of heads, dropout in place |
//! | `rows.rs` | embedding lookup: rows of tables | gradients of rows are summed on all cores |
//! | `cross_entropy.rs` | softmax and cross-entropy | one pass over the logits |
//! | `matrix.rs`, `product.rs`, `few_rows.rs`, `bf16.rs` | matrix products in f32 or in bf16 (tiles) | used by the operations above |
//! | `units.rs` | which vector units the processor has | shown to users |
//! | `trace.rs` | what is recorded of a pass to explain a result: inputs, and attention weighted by its gradient | used by explanations |
//! | `drop.rs`, `sum.rs` | dropout, sum | on all cores; dropout masks are generated again instead of stored |
//!
//! Each operation has three parts: a type with a forward and a backward pass (`operation.rs`); loops over slices (`loops.rs`,
//! `math.rs`, and `fresh.rs` for new buffers that are not zeroed first); and a reference implementation made of the engine's
//! operations. The reference implementation runs on every other device, and tests compare the two. Reductions use chunks whose
//! size depends only on the shape, so results do not depend on the number of threads.
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
mod few_rows;
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
#[cfg(test)]
mod reference;
mod rows;
mod sum;
mod trace;
mod units;

pub use activation::{gelu, gelu_tanh, quick_gelu};
pub use attention::{AttentionPlan, Visible, cross_attention, self_attention};
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
pub use trace::{NetworkPart, RecordSlot, RecordedAttention, Trace, TracedInput, TracedModality};
pub use units::vector_units;
