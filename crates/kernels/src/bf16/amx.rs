//! Intel's Advanced Matrix Extensions (AMX): one instruction multiplies tiles of 16 x 32 bf16 values. Inline assembly is used,
//! because the intrinsics are not stable.
#![expect(unsafe_code, reason = "matrix instructions need inline assembly; lengths are checked first")]

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::marker::PhantomData;

use super::tiles::{PANEL, Tile};

/// Whether the processor has tiles of bf16 and the system lets this process use them. Linux grants the permission to a process
/// that requests it.
pub fn available() -> bool {
    processor_has_tiles() && request_permission()
}

fn processor_has_tiles() -> bool {
    let (features, base) = (__cpuid_count(7, 0), __cpuid(1));
    let (bf16, tile, saved) = (features.edx >> 22 & 1, features.edx >> 24 & 1, base.ecx >> 27 & 1);
    if __cpuid(0).eax < 0x1d || bf16 & tile & saved == 0 {
        return false;
    }
    let (low, _high): (u32, u32);
    // SAFETY: reads which register states the system saves; the bit `saved` says that the instruction exists.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _high, options(nomem, nostack)) };
    // Palette 1: 8 tiles of 16 rows of 64 bytes.
    let palette = __cpuid_count(0x1d, 1);
    low >> 17 & 3 == 3 && palette.ebx & 0xffff == 64 && palette.ebx >> 16 >= 8 && palette.ecx & 0xffff >= 16
}

/// Requests the permission: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
fn request_permission() -> bool {
    let answer: isize;
    // SAFETY: the call takes two numbers and accesses no memory of this process; all registers that it changes are listed.
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

/// The tile registers of this thread, configured for as long as the session exists.
pub struct Session(PhantomData<*const ()>);

impl Session {
    /// Configures the tile registers of this thread; `None` if the processor has none.
    pub fn new() -> Option<Self> {
        super::tiles()?;
        // SAFETY: the instruction exists where `available` held, and reads 64 bytes of a table.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly)) };
        Some(Self(PhantomData))
    }

    /// Computes `sums = left right`, 32 x 32, of a row panel and a column panel; with `add`, adds the product to `sums`.
    ///
    /// # Panics
    /// If the panels differ in length or are empty.
    pub fn multiply(&self, left: &[Tile], right: &[Tile], sums: &mut [f32; PANEL * PANEL], add: bool) {
        assert!(
            left.len() == right.len() && !left.is_empty() && left.len().is_multiple_of(2),
            "panels must have equal lengths and consist of pairs of tiles"
        );
        let rows = sums.as_mut_ptr();
        // SAFETY: the loop runs once for each pair of tiles (2 KiB) of each operand, whose lengths were checked. The 32 x 32
        // sums are four tiles of 16 rows of 16 sums; rows are 128 bytes apart. This session configured the tiles of this
        // thread, and it cannot be sent to another thread.
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
