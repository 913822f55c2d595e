//! The vector units that products use.

use crate::bf16::tiles;

/// The names of this processor's vector units that matrix products use, to be shown to users; empty where there are none.
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
        units.extend(found.into_iter().filter(|(_, available)| *available).map(|(name, _)| name));
    }
    #[cfg(target_arch = "aarch64")]
    units.push("NEON");
    units.extend(tiles().map(|_| "AMX (bf16)"));
    units
}
