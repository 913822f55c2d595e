//! What Ctrl-C, SIGTERM and a terminal that is closed do: the process says so at once and ends with exit code 130. Work that
//! can save what is done ends its step first; asked a second time, it ends at once too.

#[cfg(unix)]
mod hang_up;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::output::say;

/// Exit code of a command that was interrupted, as shells have it for Ctrl-C.
pub const EXIT_CODE: u8 = 130;

/// Work that saves what is done, and what it says when it is asked to.
static SAVING: OnceLock<(Arc<AtomicBool>, &'static str)> = OnceLock::new();

/// Whether the work at hand ends at once all the same: of several stages, some save and some go on wherever they were ended.
static AT_ONCE: AtomicBool = AtomicBool::new(false);

/// How work that ends at once is gone on with.
static GO_ON: OnceLock<&'static str> = OnceLock::new();

/// Why a command ended: it was asked to, and has saved what was done.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; {0}")]
pub struct Interrupted(pub String);

/// From now on an interruption says so and ends the process. To be called once, before work begins.
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
            say(&format!("interrupted: {saving}; a second time ends it at once"));
        }
        _ => {
            say(&GO_ON.get().map_or("interrupted".into(), |go_on| format!("interrupted; {go_on}")));
            std::process::exit(EXIT_CODE.into());
        }
    }
}

/// For work that saves what is done and then fails with [`Interrupted`]: becomes true once the user has asked to stop.
/// `saving` is what is said then, for example `the step at hand is ended and saved`.
pub fn stop_flag(saving: &'static str) -> Arc<AtomicBool> {
    Arc::clone(&SAVING.get_or_init(|| (Arc::default(), saving)).0)
}

/// For work of several stages: whether the one that begins saves when it is asked to stop, or is ended at once.
pub fn saving(saves: bool) {
    AT_ONCE.store(!saves, Ordering::SeqCst);
}

/// For work that ends at once: what is said then besides, for example `the same command goes on`.
pub fn go_on(how: &'static str) {
    GO_ON.get_or_init(|| how);
}
