//! Compares files byte by byte and describes the differences.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::work::Artefact;

/// The results of the comparisons so far.
#[derive(Default)]
pub struct Comparison {
    equal: usize,
    different: Vec<String>,
}

impl Comparison {
    /// Compares the files of an artefact in two workplaces and prints one line. A missing file is a difference too.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn files(&mut self, artefact: &Artefact, old: &Path, new: &Path) -> Result<(), String> {
        let find = |place: &Path| {
            let folder = place.join(artefact.folder);
            found(&folder, artefact).map_err(|error| format!("cannot read `{}`: {error}", folder.display()))
        };
        let (old, new) = (find(old)?, find(new)?);
        let mut told = vec![];
        if old.is_empty() {
            told.push("there is no such file".to_string());
        }
        let names: Vec<_> = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))).collect();
        for name in names {
            match (old.get(name), new.get(name)) {
                (Some(old), Some(new)) if old == new => {}
                (Some(old), Some(new)) => told.push(format!("`{}` {}", name.display(), difference(old, new))),
                (Some(_), None) => told.push(format!("`{}` is not written any more", name.display())),
                (None, _) => told.push(format!("`{}` was not written before", name.display())),
            }
        }
        if told.is_empty() {
            self.equal += 1;
            let bytes: usize = old.values().map(Vec::len).sum();
            println!("   equal      {} ({} files, {bytes} bytes)", artefact.what, old.len());
        } else {
            println!("   DIFFERENT  {}: {}", artefact.what, told.join("; "));
            self.different.push(format!("{}: {}", artefact.what, told.join("; ")));
        }
        Ok(())
    }

    /// The verdict.
    ///
    /// # Errors
    /// If any file differs; the error lists the files.
    pub fn end(self, commit: &str) -> Result<(), String> {
        if self.different.is_empty() {
            println!("same-bits: all {} artefacts are equal to those of {commit}", self.equal);
            return Ok(());
        }
        let count = self.different.len();
        Err(format!("{count} of {} artefacts differ from {commit}:\n{}", count + self.equal, self.different.join("\n")))
    }
}

/// The contents of the files of an artefact, by their paths below its folder.
fn found(folder: &Path, artefact: &Artefact) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    // The workplace itself also contains the folders of other artefacts.
    let deep = !artefact.folder.is_empty();
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(&inner)? {
            let path = entry?.path();
            if path.is_dir() && deep {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(artefact.ending) && path.is_file() {
                let name = path.strip_prefix(folder).unwrap_or(&path).to_path_buf();
                files.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// Where two files begin to differ: the line of a text, the byte of anything else.
fn difference(old: &[u8], new: &[u8]) -> String {
    if let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) {
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        let line = old.iter().zip(&new).position(|(old, new)| old != new);
        return match line {
            Some(line) => format!("differs from line {}: `{}`, now `{}`", line + 1, short(old[line]), short(new[line])),
            None => format!("has {} lines, it had {}", new.len(), old.len()),
        };
    }
    match old.iter().zip(new).position(|(old, new)| old != new) {
        Some(place) => format!("differs from byte {place} on ({} bytes, it had {})", new.len(), old.len()),
        None => format!("has {} bytes, it had {}", new.len(), old.len()),
    }
}

/// The start of a line.
fn short(line: &str) -> String {
    line.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_is_named_by_its_line_or_byte() {
        assert_eq!(difference(b"a\nb\n", b"a\nc\n"), "differs from line 2: `b`, now `c`");
        assert_eq!(difference(b"a\n", b"a\nc\n"), "has 2 lines, it had 1");
        assert_eq!(difference(b"\xff\x00", b"\xff\x01"), "differs from byte 1 on (2 bytes, it had 2)");
        assert_eq!(difference(b"\xff", b"\xff\x01"), "has 2 bytes, it had 1");
    }
}
