//! Files that the documentation names must exist: links of all Markdown files, and paths in backticks in the guides.

use crate::house::TextFile;
use std::path::{Component, Path, PathBuf};

/// Guides describe the current state, so a path in backticks there must exist. Logs and decisions also describe the past.
const GUIDES: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/specification.md", "docs/layouts.md"];

/// A path in backticks that starts so is taken from the root.
const FOLDERS: &[&str] = &["crates/", "docs/", "recipes/", "tools/", "xtask/", ".ci/", "deploy/", "fuzz/"];

/// Every link and path that does not exist, one line each.
pub fn violations(root: &Path, files: &[TextFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (number, line) in prose(&file.text) {
            let mut missing =
                |target: &str, why: &str| found.push(format!("`{}`: line {number}: `{target}` {why}", file.path));
            for target in targets(line) {
                match place(&file.path, target) {
                    None => missing(target, "is outside the repository"),
                    Some(place) if !root.join(&place).exists() => missing(target, "does not exist"),
                    Some(_) => {}
                }
            }
            if GUIDES.contains(&file.path.as_str()) {
                for path in named(line).filter(|path| !root.join(path).exists()) {
                    missing(path, "does not exist");
                }
            }
        }
    }
    found
}

/// Lines outside of fenced code, with their numbers from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        (!code && !fence).then_some((number + 1, line))
    })
}

/// Relative targets of Markdown links and pictures and of `src` and `href`, without their anchors.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let after =
        |start: &'static str, end: char| line.split(start).skip(1).filter_map(move |rest| rest.split(end).next());
    let all = after("](", ')').chain(after("src=\"", '"')).chain(after("href=\"", '"'));
    all.map(|target| target.split([' ', '#', '?']).next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
}

/// Where a link leads from the root; `None` where that is outside of it.
fn place(from: &str, target: &str) -> Option<PathBuf> {
    let mut place = Path::new(from).parent()?.to_path_buf();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => place.push(name),
            Component::ParentDir => {
                if !place.pop() {
                    return None;
                }
            }
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(place)
}

/// Paths in backticks that start with a folder of ours; patterns (`<name>`, `*`, `{a,b}`) are skipped.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|path| {
        let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        plain && FOLDERS.iter().any(|folder| path.starts_with(folder))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one file against this crate's own folder as the root, which holds `src/links.rs` and `Cargo.toml`.
    fn found(path: &str, text: &str) -> Vec<String> {
        let file = TextFile { path: path.to_owned(), text: text.to_owned() };
        violations(Path::new(env!("CARGO_MANIFEST_DIR")), &[file])
    }

    #[test]
    fn links_that_lead_somewhere_hold() {
        assert_eq!(found("README.md", "[a](src/links.rs#top), ![b](./Cargo.toml \"title\"), [c](src)\n"), [""; 0]);
        assert_eq!(found("src/a.md", "[up](../Cargo.toml), <img src=\"links.rs\">\n"), [""; 0]);
        assert_eq!(found("README.md", "[w](https://example.org/x), [m](mailto:a@b.c), [h](#here)\n"), [""; 0]);
    }

    #[test]
    fn links_that_lead_nowhere_are_named() {
        let gone = found("README.md", "fine\n[a](src/gone.rs) and [b](gone.md)\n");
        assert_eq!(gone.len(), 2);
        assert!(gone[0].contains("README.md") && gone[0].contains("line 2") && gone[0].contains("src/gone.rs"));
        assert!(matches!(&found("src/a.md", "[a](../../b)\n")[..], [one] if one.contains("outside the repository")));
        assert_eq!(found("README.md", "[a](/etc/hosts)\n").len(), 1);
    }

    #[test]
    fn code_and_other_files_are_not_read() {
        assert_eq!(found("README.md", "```sh\n[a](gone.md)\n```\n[b](gone.md)\n").len(), 1);
        assert_eq!(found("a.rs", "//! [a](gone.md)\n").len(), 0);
    }

    #[test]
    fn a_guide_keeps_its_word_on_paths_in_backticks() {
        assert_eq!(found("CONTRIBUTING.md", "open `docs/gone.md`, `crates/<name>/src`, `cargo doc`\n").len(), 1);
        assert_eq!(found("docs/specification.md", "**Code**: `crates/gone.rs`\n").len(), 1);
        assert_eq!(found("CHANGELOG.md", "removed `docs/gone.md`\n").len(), 0);
    }
}
