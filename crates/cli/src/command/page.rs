//! Where a page may be written: to a new file, or over a page that ptunifier wrote.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::bail;
use ptu_model::files::check_writable;
use ptu_report::{HEAD_BYTES, is_page};

use crate::usage::WrongArguments;

/// Endings of a page.
const ENDINGS: [&str; 2] = ["html", "htm"];

/// Checks, before any work, that the page can be written and that it replaces no file of the user.
///
/// # Errors
/// An existing file that is not a page of ptunifier, a new name without the ending `.html`, a folder that is not writable.
pub fn check_page(page: Option<&Path>) -> anyhow::Result<()> {
    let Some(page) = page else { return Ok(()) };
    let is_there = fs::symlink_metadata(page).is_ok() && !page.is_dir();
    if is_there && !is_ours(page) {
        bail!(
            "`--page {0}` would replace `{0}`, which is not a page of ptunifier; name a new file that ends in `.html`",
            page.display()
        );
    }
    let ending = page.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !is_there && !page.is_dir() && !ENDINGS.contains(&ending.as_str()) {
        let message =
            format!("`--page {}`: a page is an HTML file; give it a name that ends in `.html`", page.display());
        return Err(WrongArguments(message).into());
    }
    Ok(check_writable(page)?)
}

/// Whether a file is a page of ptunifier. A pipe is not opened, because reading it would wait for ever.
fn is_ours(path: &Path) -> bool {
    let mut head = vec![];
    fs::metadata(path).is_ok_and(|found| found.is_file())
        && File::open(path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head)).is_ok()
        && is_page(&head)
}
