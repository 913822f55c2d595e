//! Ctrl-C, SIGTERM and a closed terminal: the process reports the interruption at once and ends with exit code 130. Work that can
//! save its state finishes the current step first; a second signal ends it at once.

#[cfg(unix)]
mod hang_up;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::output::say;

/// Exit code of a command that was interrupted, as shells have it for Ctrl-C.
pub const EXIT_CODE: u8 = 130;

/// The flag of work that saves before it ends, and the message it prints when it is interrupted.
static SAVING: OnceLock<(Arc<AtomicBool>, &'static str)> = OnceLock::new();

/// Whether the current stage ends at once instead of saving: of several stages, only some need to save.
static AT_ONCE: AtomicBool = AtomicBool::new(false);

/// How to continue work that ends at once.
static GO_ON: OnceLock<&'static str> = OnceLock::new();

/// A command ended because it was interrupted, and has saved its work.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; {0}")]
pub struct Interrupted(pub String);

/// From now on an interruption is reported and ends the process. Must be called once, before work begins.
pub fn listen() -> anyhow::Result<()> {
    #[cfg(unix)]
    let ignored = hang_up::is_ignored()?;
    ctrlc::set_handler(interrupted)?;
    #[cfg(unix)]
    if ignored {
        hang_up::ignore()?;
    }
    Ok(())
}

fn interrupted() {
    match SAVING.get() {
        Some((asked, saving)) if !AT_ONCE.load(Ordering::SeqCst) && !asked.swap(true, Ordering::SeqCst) => {
            say(&format!("interrupted: {saving}; a second signal ends the process at once"));
        }
        _ => {
            say(&GO_ON.get().map_or("interrupted".into(), |go_on| format!("interrupted; {go_on}")));
            std::process::exit(EXIT_CODE.into());
        }
    }
}

/// For work that saves and then fails with [`Interrupted`]: becomes true once the user has interrupted it. `saving` is the message
/// printed then, for example `the current step is finished and saved`.
pub fn stop_flag(saving: &'static str) -> Arc<AtomicBool> {
    Arc::clone(&SAVING.get_or_init(|| (Arc::default(), saving)).0)
}

/// For work of several stages: whether the stage that begins now saves when it is interrupted, or is ended at once.
pub fn saving(saves: bool) {
    AT_ONCE.store(!saves, Ordering::SeqCst);
}

/// For work that ends at once: how to continue, for example `continue with the same command`.
pub fn go_on(how: &'static str) {
    GO_ON.get_or_init(|| how);
}
