//! Under `nohup` a terminal that is closed is no reason to end.
#![expect(unsafe_code, reason = "how a signal is handled is only known by setting it")]

use nix::sys::signal::{SigHandler, Signal, signal};

/// Whether whoever started the process had SIGHUP ignored; it is ignored afterwards, until a handler is set.
pub fn is_ignored() -> nix::Result<bool> {
    // SAFETY: no code of ours is set to run when the signal comes.
    let before = unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) }?;
    Ok(matches!(before, SigHandler::SigIgn))
}

/// Ignores it from now on.
pub fn ignore() -> nix::Result<()> {
    // SAFETY: as above.
    unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) }.map(|_| ())
}
