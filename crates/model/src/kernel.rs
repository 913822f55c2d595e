//! Operations of our own, forward and backward, where the engine's take several passes over memory on one thread.
//!
//! | file | operation | why |
//! |---|---|---|
//! | `activation.rs` | GELU, QuickGELU | vectorised, all cores; the engine's error function is scalar |
//! | `norm.rs` | layer norm; residual sum, dropout and layer norm as one | one pass instead of about eight |
//! | `linear.rs` | linear; onto a residual; several side by side | bias or residual laid down first, product added |
//! | `attention.rs` | attention of packed sequences | no padding, no copy of heads, dropout in place |
//! | `rows.rs` | rows of tables | gradients of rows summed on all cores |
//! | `cross_entropy.rs` | softmax and cross-entropy | one pass over the logits |
//! | `matrix.rs`, `product.rs`, `bf16.rs` | matrix products, in f32 or by tiles of bf16 | for the operations above |
//! | `drop.rs`, `sum.rs` | dropout, sum | all cores; masks are drawn again instead of kept |
//!
//! Each is a type with a forward and a backward pass (`operation.rs`), loops over slices (`loops.rs`, `math.rs`,
//! `fresh.rs` for buffers that are not cleared first), and a plain twin of the engine's operations, which runs
//! on every other device and in the tests that compare both. Reductions go in chunks fixed by the shape, so results do not
//! depend on the number of threads.

mod activation;
mod attention;
mod bf16;
mod cross_entropy;
mod drop;
mod fresh;
mod linear;
mod loops;
mod math;
mod matrix;
mod norm;
pub(crate) mod operation;
mod product;
mod rows;
mod sum;
#[cfg(test)]
mod twins;

pub use activation::{gelu, quick_gelu};
pub use attention::{AttentionPlan, cross_attention, self_attention};
pub use bf16::tiles;
pub use cross_entropy::cross_entropy;
pub use drop::{DropMask, drop};
pub use linear::{linear, linear_onto, linears};
pub(crate) use loops::in_pool;
pub use loops::vectorised;
pub use matrix::{ComputePrecision, Tiles};
pub use norm::{layer_norm, residual_norm};
pub use product::operations;
pub use rows::rows;
pub use sum::sum;

/// The vector units of this processor that products use, for people; none where they are plain loops.
pub fn vector_units() -> Vec<&'static str> {
    let mut units = vec![];
    #[cfg(target_arch = "x86_64")]
    {
        let found = [
            (
                "AVX2 with FMA",
                std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma"),
            ),
            ("AVX-512", std::arch::is_x86_feature_detected!("avx512f")),
        ];
        units.extend(found.into_iter().filter(|(_, there)| *there).map(|(name, _)| name));
    }
    #[cfg(target_arch = "aarch64")]
    units.push("NEON");
    units.extend(tiles().map(|_| "AMX (bf16)"));
    units
}
