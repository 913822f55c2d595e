//! Intel's matrix extensions: tiles of 16 x 32 bf16 multiplied in one instruction, by inline assembly (the intrinsics are not
//! stable).
#![expect(unsafe_code, reason = "matrix instructions are reached by inline assembly; lengths are checked first")]

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::marker::PhantomData;

use super::tiles::{PANEL, Tile};

/// Whether the processor has tiles of bf16 and the system lets this process use them (Linux grants it for the process, once it
/// is asked).
pub fn available() -> bool {
    processor() && system()
}

fn processor() -> bool {
    let (features, base) = (__cpuid_count(7, 0), __cpuid(1));
    let (bf16, tile, saved) = (features.edx >> 22 & 1, features.edx >> 24 & 1, base.ecx >> 27 & 1);
    if __cpuid(0).eax < 0x1d || bf16 & tile & saved == 0 {
        return false;
    }
    let (low, _high): (u32, u32);
    // SAFETY: reads which register states the system saves; the bit `saved` says that the instruction is there.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _high, options(nomem, nostack)) };
    // Palette 1: 8 tiles of 16 rows of 64 bytes.
    let palette = __cpuid_count(0x1d, 1);
    low >> 17 & 3 == 3 && palette.ebx & 0xffff == 64 && palette.ebx >> 16 >= 8 && palette.ecx & 0xffff >= 16
}

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
fn system() -> bool {
    let answer: isize;
    // SAFETY: the call takes two numbers and touches no memory of this process; the registers that it changes are named.
    unsafe {
        asm!("syscall", inlateout("rax") 158isize => answer, in("rdi") 0x1023, in("rsi") 18, out("rcx") _, out("r11") _,
            options(nostack));
    }
    answer == 0
}

#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Eight full tiles.
static WHOLE: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The tiles of this thread, configured for as long as it lives.
pub struct Session(PhantomData<*const ()>);

impl Session {
    /// `None` where there are no tiles.
    pub fn new() -> Option<Self> {
        super::tiles()?;
        // SAFETY: the instruction exists where `available` held, and reads 64 bytes of a table.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly)) };
        Some(Self(PhantomData))
    }

    /// `sums = left right` (or added to them), 32 x 32, of a panel of rows and a panel of columns.
    ///
    /// # Panics
    /// If the panels are not of equal length, or empty.
    pub fn multiply(&self, left: &[Tile], right: &[Tile], sums: &mut [f32; PANEL * PANEL], add: bool) {
        assert!(
            left.len() == right.len() && !left.is_empty() && left.len().is_multiple_of(2),
            "panels of pairs of tiles"
        );
        let rows = sums.as_mut_ptr();
        // SAFETY: the loop runs once a pair of tiles (2 KiB) of each side, whose lengths were checked. Four tiles of 16 rows of 16
        // sums, 128 bytes apart, are the 32 x 32 sums. This session configured the tiles of this thread, which it cannot leave.
        unsafe {
            asm!(
                "test {add:e}, {add:e}",
                "jz 3f",
                "tileloadd tmm0, [{rows} + {line}]",
                "tileloadd tmm1, [{rows} + {line} + 64]",
                "tileloadd tmm2, [{lower} + {line}]",
                "tileloadd tmm3, [{lower} + {line} + 64]",
                "jmp 2f",
                "3:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm6, [{right} + {stride}]",
                "tileloadd tmm4, [{left} + {stride}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{right} + {stride} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {stride} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {left}, 2048",
                "add {right}, 2048",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{rows} + {line}], tmm0",
                "tilestored [{rows} + {line} + 64], tmm1",
                "tilestored [{lower} + {line}], tmm2",
                "tilestored [{lower} + {line} + 64], tmm3",
                add = in(reg) u32::from(add),
                left = inout(reg) left.as_ptr() => _,
                right = inout(reg) right.as_ptr() => _,
                steps = inout(reg) left.len() / 2 => _,
                stride = in(reg) 64usize,
                line = in(reg) PANEL * 4,
                rows = in(reg) rows,
                lower = in(reg) rows.add(PANEL * 16),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the instruction exists, since the session does.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
