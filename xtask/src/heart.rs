//! Checks the rules of `ARCHITECTURE.md` for the training loop and the model against the source text: which words a file must
//! not contain, and which functions have only one caller.

use crate::house::TextFile;

/// Paths (by their start) of the training loop and of the code that displays it. They use a task only through its trait.
const LOOP: &[&str] = &[
    "crates/train/src/trainer",
    "crates/train/src/state.rs",
    "crates/train/src/log.rs",
    "crates/train/src/folder.rs",
    "crates/train/src/task.rs",
    "crates/train/src/step.rs",
    "crates/cli/src/command/pretrain.rs",
    "crates/cli/src/command/watch.rs",
    "crates/cli/src/progress.rs",
];

/// Names of objectives and of parts of a single task. The code of the loop must not contain any of these words.
const OF_TASKS: &[&str] =
    &["Mlm", "Itm", "Itc", "\"mlm\"", "\"itm\"", "\"itc\"", "ObjectiveKind", "Gallery", "ValidationScore", "PoolLine"];

/// Calls that only one file of the libraries may contain: the text of the call, the file, and the reason.
const ONE_CALLER: &[(&str, &str, &str)] = &[
    (".fusion.forward(", "crates/model/src/forward.rs", "the fusion has one caller"),
    ("transform::apply(", "crates/input/src/processor.rs", "one function leads from bytes to an input"),
];

/// All violations in the files, one line each.
pub fn violations(files: &[TextFile]) -> Vec<String> {
    let shipped =
        |file: &TextFile| file.path.starts_with("crates/") && file.path.contains("/src/") && file.path.ends_with(".rs");
    let mut found: Vec<String> = files.iter().filter(|file| shipped(file)).flat_map(one).collect();
    for (call, path, why) in ONE_CALLER {
        // A rule for a call that no longer exists must be removed.
        if !files.iter().any(|file| file.path == *path && file.text.contains(call)) {
            found.push(format!(
                "`{path}`: no longer calls `{call}`, but `xtask/src/heart.rs` has a rule for it ({why}); update the rule"
            ));
        }
    }
    found
}

fn one(file: &TextFile) -> Vec<String> {
    let text = file.text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let has = |words: &str| code.iter().any(|line| line.contains(words));
    let of_tasks = OF_TASKS.iter().filter(|word| LOOP.iter().any(|place| file.path.starts_with(place)) && has(word));
    let mut found: Vec<String> = of_tasks
        .map(|word| format!("`{}`: contains `{word}`; only tasks may use it, not the training loop", file.path))
        .collect();
    let callers = ONE_CALLER.iter().filter(|(call, path, _)| file.path != *path && has(call));
    found.extend(
        callers
            .map(|(call, path, why)| format!("`{}`: calls `{call}`, which only `{path}` may call: {why}", file.path)),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.into(), text: text.into() }
    }

    fn callers() -> Vec<TextFile> {
        ONE_CALLER.iter().map(|(call, path, _)| file(path, call)).collect()
    }

    #[test]
    fn what_a_task_knows_is_found_in_the_loop_alone() {
        let mut files = callers();
        files.push(file("crates/train/src/trainer/setup.rs", "// Mlm\nlet a = ObjectiveKind::ALL;\n#[cfg(test)]\nItm"));
        files.push(file("crates/tasks/src/pretraining.rs", "ObjectiveKind::Itc"));
        let found = violations(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("setup.rs") && found[0].contains("ObjectiveKind"), "{found:?}");
    }

    #[test]
    fn a_second_caller_and_none_are_found() {
        let mut files = callers();
        files.push(file("crates/infer/src/matcher.rs", "model.fusion.forward(x)"));
        assert!(violations(&files)[0].contains("matcher.rs"));
        assert_eq!(violations(&[]).len(), 2);
    }
}
