//! Finds files that import each other in a circle. The modules of one folder, each together with its submodules, must have an
//! order in which every module imports only earlier ones. A module and its parent are not compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::house::TextFile;

/// Circles of all crates, one line each.
pub fn violations(files: &[TextFile]) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<&TextFile>> = BTreeMap::new();
    for file in files {
        if let Some((name, _)) = file.path.split_once("/src/").filter(|_| file.path.ends_with(".rs")) {
            crates.entry(name).or_default().push(file);
        }
    }
    crates.into_iter().flat_map(|(name, files)| Modules::of(name, &files).circles()).collect()
}

/// Path of a module from the root of its crate.
type Path = Vec<String>;

/// The modules of a crate.
struct Modules<'a> {
    name: &'a str,
    /// The source text without tests.
    texts: BTreeMap<Path, &'a str>,
    /// Names that a module re-exports, with the path of the module below it that defines them.
    given_out: BTreeMap<Path, BTreeMap<String, Path>>,
}

impl<'a> Modules<'a> {
    fn of(name: &'a str, files: &[&'a TextFile]) -> Self {
        let shipped = |file: &&'a TextFile| {
            let inside = file.path.rsplit_once("/src/").map_or("", |(_, inside)| inside).trim_end_matches(".rs");
            let path: Path =
                inside.split('/').filter(|part| !["lib", "main", "mod"].contains(part)).map(String::from).collect();
            let is_test = path.iter().any(|part| part == "tests");
            let text = file.text.split("#[cfg(test)]").next().unwrap_or_default();
            (!is_test).then_some((path, text))
        };
        let texts: BTreeMap<Path, &str> = files.iter().filter_map(shipped).collect();
        let mut modules = Self { name, texts, given_out: BTreeMap::new() };
        let each = |(path, text): (&Path, &&str)| {
            let names = imports(text).into_iter().filter(|import| import.is_given_out);
            let names =
                names.filter_map(|import| Some((import.path.last()?.clone(), modules.place(path, &import.path)?)));
            (path.clone(), names.collect())
        };
        modules.given_out = modules.texts.iter().map(each).collect();
        modules
    }

    /// The module that a path refers to from within another module: the longest prefix of the path that is a module. Names that
    /// a module on the way re-exports lead to the module that defines them.
    fn place(&self, from: &Path, import: &[String]) -> Option<Path> {
        let mut words = import.iter().peekable();
        let mut at: Path = match words.peek()?.as_str() {
            "crate" => vec![],
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            child if self.texts.contains_key(&below(from, child)) => below(from, child),
            _ => return None,
        };
        words.next();
        for word in words {
            if word == "super" {
                at.pop()?;
            } else if self.texts.contains_key(&below(&at, word)) {
                at.push(word.clone());
            } else {
                return Some(self.given_out.get(&at).and_then(|names| names.get(word)).cloned().unwrap_or(at));
            }
        }
        Some(at)
    }

    fn circles(&self) -> Vec<String> {
        // For each folder: which of its modules imports which other module, and in which file.
        let mut folders: BTreeMap<Path, BTreeMap<String, BTreeMap<String, Path>>> = BTreeMap::new();
        for (from, text) in &self.texts {
            for to in imports(text).iter().filter_map(|import| self.place(from, &import.path)) {
                let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
                if let (Some(one), Some(other)) = (from.get(common), to.get(common)) {
                    let folder = folders.entry(from[..common].to_vec()).or_default();
                    folder.entry(one.clone()).or_default().entry(other.clone()).or_insert_with(|| from.clone());
                }
            }
        }
        folders.iter().flat_map(|(folder, arrows)| self.circles_in(folder, arrows)).collect()
    }

    fn circles_in(&self, folder: &[String], arrows: &BTreeMap<String, BTreeMap<String, Path>>) -> Vec<String> {
        let reach = |from: &str| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_string()]);
            while let Some(at) = open.pop() {
                open.extend(
                    arrows
                        .get(&at)
                        .into_iter()
                        .flat_map(BTreeMap::keys)
                        .filter(|to| seen.insert((*to).clone()))
                        .cloned(),
                );
            }
            seen
        };
        let reached: BTreeMap<&String, BTreeSet<String>> = arrows.keys().map(|from| (from, reach(from))).collect();
        let comes_back = |one: &String, other: &String| reached.get(other).is_some_and(|seen| seen.contains(one));
        let mut told = vec![];
        for (one, others) in arrows {
            for (other, by) in others.iter().filter(|(other, _)| comes_back(one, other)) {
                let place = [self.name, "src"]
                    .into_iter()
                    .chain(folder.iter().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join("/");
                told.push(format!(
                    "`{place}`: `{one}` imports `{other}` (in `{}`), which imports `{one}` again, directly or through others",
                    by.join("::")
                ));
            }
        }
        told
    }
}

fn below(path: &[String], child: &str) -> Path {
    path.iter().cloned().chain([child.to_string()]).collect()
}

/// A name that a file imports, or uses by its path.
struct Import {
    path: Vec<String>,
    is_given_out: bool,
}

/// The paths of all `use` declarations, with braces expanded, and every path that begins with `crate::` or `super::`.
fn imports(text: &str) -> Vec<Import> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    let mut all = vec![];
    for statement in code.split(';') {
        let Some((before, tree)) =
            statement.rsplit_once("use ").filter(|(before, _)| !before.ends_with(|c: char| c.is_alphanumeric()))
        else {
            continue;
        };
        let is_given_out = before.trim_end().ends_with("pub") || before.trim_end().ends_with(')');
        for path in opened(tree.trim()) {
            all.push(Import { path, is_given_out });
        }
    }
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_whole = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '{');
            let path =
                code[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next().unwrap_or_default();
            if is_whole {
                let path = path.split("::").filter(|word| !word.is_empty()).map(String::from).collect();
                all.push(Import { path, is_given_out: false });
            }
        }
    }
    all
}

/// The paths of an import tree: `a::{b, c::d as e}` is `a::b` and `a::c::d`.
fn opened(tree: &str) -> Vec<Vec<String>> {
    let words = |path: &str| -> Vec<String> {
        let path = path.split(" as ").next().unwrap_or_default();
        path.split("::").map(|word| word.trim().to_string()).filter(|word| !word.is_empty()).collect()
    };
    let Some((start, inside)) = tree.split_once('{') else { return vec![words(tree)] };
    let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
    let (mut parts, mut depth, mut from) = (vec![], 0, 0);
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[from..]);
    let start = words(start);
    let whole = |part: &&str| {
        opened(part.trim()).into_iter().map(|rest| start.iter().cloned().chain(rest).collect()).collect::<Vec<_>>()
    };
    parts.iter().filter(|part| !part.trim().is_empty()).flat_map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let file =
            |(path, text): &(&str, &str)| TextFile { path: format!("crates/a/src/{path}"), text: (*text).into() };
        violations(&files.iter().map(file).collect::<Vec<_>>())
    }

    #[test]
    fn a_circle_is_found_through_folders_braces_and_names_that_are_given_out() {
        let circle = found(&[
            ("lib.rs", "mod one;\nmod two;\npub use two::deep::Name;"),
            ("one.rs", "use crate::{Name, std};"),
            ("two.rs", "mod deep;"),
            ("two/deep.rs", "pub struct Name(super::super::one::Other);"),
        ]);
        assert_eq!(circle.len(), 2, "{circle:?}");
        assert!(circle[0].contains("`one` imports `two`") && circle[1].contains("in `two::deep`"), "{circle:?}");
    }

    #[test]
    fn an_order_a_parent_and_tests_are_none() {
        let none = found(&[
            ("lib.rs", "mod one;\nmod two;\nmod three;"),
            ("one.rs", "mod inner;\nuse crate::two::Two;\npub struct One;"),
            ("one/inner.rs", "use super::One;"),
            (
                "two.rs",
                "use crate::three::Three;\n// use crate::one::One;\n#[cfg(test)]\nmod tests { use crate::one::One; }",
            ),
            ("three.rs", "pub struct Three;"),
        ]);
        assert_eq!(none, [""; 0]);
    }
}
