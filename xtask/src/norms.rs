//! The norms of `ARCHITECTURE.md` that can be checked in the text; clippy enforces the rest (`clippy.toml`).

use crate::house::TextFile;

/// Limit of an `.rs` file with its tests. Aim at 150 lines; above 400, consider dividing the file.
const LINES: usize = 600;

/// Where `unsafe` may be (the start of a path). It is denied by a lint everywhere, so each use needs an attribute.
const UNSAFE: &[&str] = &[
    "crates/kernels/src/",
    "crates/checkpoint/src/mapped.rs",
    "crates/cli/src/memory.rs",
    "crates/cli/src/interrupt/hang_up.rs",
];

/// Where the environment may be read (the start of a path).
const ENVIRONMENT: &[&str] = &["crates/cli/src/main.rs", "xtask/src/house.rs"];

/// Starts of paths that exist on one machine only, put together from parts so that this file does not contain them.
const MACHINE_PATHS: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("C:\\", "Users\\"),
];

/// All violations of norms in the files, one line each.
pub fn violations(files: &[TextFile]) -> Vec<String> {
    files.iter().flat_map(|file| one(file).into_iter().map(|what| format!("`{}`: {what}", file.path))).collect()
}

fn one(file: &TextFile) -> Vec<String> {
    let mut found = machine_paths(&file.text);
    if file.path.ends_with(".rs") {
        found.extend(length(&file.text));
        found.extend(unsafe_code(file));
        found.extend(environment(file));
        found.extend(inclusions(file));
    }
    if ours(&file.path) && file.path.ends_with("/src/lib.rs") {
        found.extend(crate_page(&file.text));
    }
    if ours(&file.path) && file.path.ends_with("/Cargo.toml") {
        found.extend(lints(&file.text));
    }
    found
}

fn ours(path: &str) -> bool {
    path.starts_with("crates/") || path.starts_with("xtask/")
}

fn length(text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES).then(|| format!("{lines} lines; at most {LINES} are allowed: divide the file by concept"))
}

fn unsafe_code(file: &TextFile) -> Option<String> {
    let lifted = ["allow", "expect", "warn"].iter().any(|level| {
        // One attribute may name several lints.
        let start = format!("{level}(");
        file.text.match_indices(&start).any(|(at, _)| {
            let inside = file.text[at + start.len()..].split(')').next();
            inside.is_some_and(|inside| inside.split(',').any(|lint| lint.trim() == "unsafe_code"))
        })
    });
    if !lifted {
        return None;
    }
    if !UNSAFE.iter().any(|place| file.path.starts_with(place)) {
        return Some("unsafe code outside of the places in `xtask/src/norms.rs`".to_owned());
    }
    (!file.text.contains("SAFETY:")).then(|| "unsafe code without a `SAFETY:` note".to_owned())
}

/// Libraries get what they need as arguments. Tests (what follows the first `cfg(test)`) may read the environment.
fn environment(file: &TextFile) -> Option<String> {
    let shipped = file.text.split("#[cfg(test)]").next().unwrap_or_default();
    let library = ours(&file.path) && file.path.contains("/src/");
    let read =
        shipped.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(concat!("env::", "var")));
    (library && read && !ENVIRONMENT.iter().any(|place| file.path.starts_with(place)))
        .then(|| "reads an environment variable; take it as an argument".to_owned())
}

/// All files that a crate is compiled from must be inside the crate (or be linked from there), because `cargo package` includes
/// nothing else.
fn inclusions(file: &TextFile) -> Vec<String> {
    // Folders between the crate's root and the file.
    let Some(depth) = file.path.strip_prefix("crates/").map(|path| path.matches('/').count().saturating_sub(1)) else {
        return vec![];
    };
    let library = file.path.contains("/src/");
    let included = file.text.split("include_").skip(1).filter_map(|after| {
        let path = after.split_once("!(\"")?.1.split('"').next()?;
        (library && path.matches("../").count() > depth)
            .then(|| format!("includes `{path}`, which is outside the crate"))
    });
    included.collect()
}

/// `lib.rs` contains only the documentation of the crate and its re-exports.
fn crate_page(text: &str) -> Vec<String> {
    const ITEMS: &[&str] = &["fn", "struct", "enum", "trait", "impl", "const", "static", "union"];
    let mut found = Vec::new();
    if !text.trim_start().starts_with("//!") {
        found.push("must begin with the crate's page of documentation (`//!`)".to_owned());
    }
    // Only lines without indentation are checked: the lines inside an item need no message of their own.
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with(char::is_whitespace)) {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
        let word = words.next().unwrap_or_default();
        let module = word == "mod" && line.ends_with('{');
        if ITEMS.contains(&word) || word.starts_with("impl<") || module {
            found.push(format!(
                "line {}: `lib.rs` may contain only re-exports and documentation; move `{}`",
                number + 1,
                line.trim()
            ));
        }
    }
    found
}

fn lints(text: &str) -> Option<String> {
    let package = text.lines().any(|line| line.trim() == "[package]");
    let inherits = text.split("[lints]").nth(1).is_some_and(|after| after.trim_start().starts_with("workspace = true"));
    (package && !inherits).then(|| "must inherit the lints of the workspace (`[lints] workspace = true`)".to_owned())
}

fn machine_paths(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let absolute = |start: &&&str| {
            // A path on this machine starts with it; with letters or dots before it, it is relative.
            line.match_indices(**start)
                .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}*~".contains(c)))
        };
        if let Some(start) = MACHINE_PATHS.iter().find(absolute) {
            found.push(format!("line {}: contains a path that exists on one machine only (`{start}`)", number + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        violations(&[TextFile { path: path.to_owned(), text: text.to_owned() }])
    }

    const PAGE: &str = "//! What it is.\n\nmod a;\npub use a::{A, make};\n";

    #[test]
    fn a_sound_file_has_nothing_to_find() {
        assert_eq!(found("crates/a/src/lib.rs", PAGE), [""; 0]);
        assert_eq!(found("crates/a/Cargo.toml", "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"), [""; 0]);
        assert_eq!(found("crates/a/src/a.rs", "pub fn make() {}\n"), [""; 0]);
    }

    #[test]
    fn long_files_are_found() {
        assert_eq!(found("crates/a/src/a.rs", &"\n".repeat(600)).len(), 0);
        assert!(matches!(&found("crates/a/src/a.rs", &"\n".repeat(601))[..], [one] if one.contains("601 lines")));
        assert_eq!(found("docs/log.md", &"\n".repeat(601)).len(), 0, "the limit is for code");
    }

    #[test]
    fn a_crate_page_with_code_or_without_a_page_is_found() {
        assert_eq!(found("crates/a/src/lib.rs", "mod a;\n").len(), 1);
        let code = format!("{PAGE}pub(crate) fn f() {{}}\nimpl<T> A<T> {{\n    fn g() {{}}\n}}\nmod tests {{\n}}\n");
        assert_eq!(found("crates/a/src/lib.rs", &code).len(), 3);
    }

    #[test]
    fn unsafe_code_stands_where_it_may() {
        let attribute = &format!("#![allow(clippy::x, {})]\n", "unsafe_code");
        assert_eq!(found("crates/data/src/a.rs", attribute).len(), 1);
        assert_eq!(found("crates/kernels/src/a.rs", attribute).len(), 1, "no SAFETY note");
        assert_eq!(found("crates/kernels/src/a.rs", &format!("{attribute}// SAFETY: aligned\n")).len(), 0);
        assert_eq!(found("crates/data/src/a.rs", "#![deny(unsafe_code)]\n").len(), 0);
    }

    #[test]
    fn the_environment_is_read_in_one_place() {
        let text = concat!("let home = std::env::", "var(\"HOME\");\n");
        assert_eq!(found("crates/data/src/a.rs", text).len(), 1);
        assert_eq!(found("crates/cli/src/main.rs", text).len(), 0);
        assert_eq!(found("crates/data/src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{text}}}\n")).len(), 0);
        assert_eq!(found("crates/data/tests/a.rs", text).len(), 0);
        assert_eq!(found("crates/data/src/a.rs", &format!("// not {text}")).len(), 0);
    }

    #[test]
    fn what_lies_outside_of_a_crate_is_not_included() {
        let text = |path: &str| format!("const A: &str = {}str!(\"{path}\");\n", "include_");
        assert!(found("crates/a/src/a.rs", &text("../../../tools/a.py"))[0].contains("tools/a.py"));
        assert_eq!(found("crates/a/src/a.rs", &text("../reference/a.py")).len(), 0);
        assert_eq!(found("crates/a/src/b/a.rs", &text("../../reference/a.py")).len(), 0);
        assert_eq!(found("crates/a/tests/a.rs", &text("../../../README.md")).len(), 0);
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert_eq!(found("crates/a/Cargo.toml", "[package]\nname = \"a\"\n").len(), 1);
        assert_eq!(found("crates/a/Cargo.toml", "[package]\n\n[lints]\nrust.unsafe_code = \"allow\"\n").len(), 1);
        assert_eq!(found("Cargo.toml", "[workspace]\n").len(), 0);
    }

    #[test]
    fn paths_of_one_machine_are_found_and_relative_ones_are_not() {
        let home = MACHINE_PATHS[1];
        assert!(matches!(&found("docs/a.md", &format!("so\nsee `{home}me/a`\n"))[..], [one] if one.contains("line 2")));
        assert_eq!(found("docs/a.md", &format!("{home}me\n")).len(), 1);
        assert_eq!(found("docs/a.md", &format!("https://example.org{home}me and ..{home}me\n")).len(), 0);
    }
}
