//! What `ARCHITECTURE.md` says of the heart, held against the text: which words a file must not know, and what has one caller.

use crate::house::TextFile;

/// The loop and what shows it (starts of paths). They know a task by its contract alone.
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

/// Objectives, and what only one task has: none of these words stands in the code of the loop.
const OF_TASKS: &[&str] =
    &["Mlm", "Itm", "Itc", "\"mlm\"", "\"itm\"", "\"itc\"", "ObjectiveKind", "Gallery", "ValidationScore", "PoolLine"];

/// Calls that one file of the libraries makes, and no other: the text of the call, the file, what is kept by it.
const ONE_CALLER: &[(&str, &str, &str)] = &[
    (".fusion.forward(", "crates/model/src/forward.rs", "the fusion has one caller"),
    ("transform::apply(", "crates/input/src/processor.rs", "one function leads from bytes to an input"),
];

/// Everything in the files that breaks it, one line each.
pub fn violations(files: &[TextFile]) -> Vec<String> {
    let shipped =
        |file: &TextFile| file.path.starts_with("crates/") && file.path.contains("/src/") && file.path.ends_with(".rs");
    let mut found: Vec<String> = files.iter().filter(|file| shipped(file)).flat_map(one).collect();
    for (call, path, why) in ONE_CALLER {
        // The rule itself must not outlive what it is about.
        if !files.iter().any(|file| file.path == *path && file.text.contains(call)) {
            found.push(format!("`{path}`: does not call `{call}` any more, which `xtask/src/heart.rs` says ({why})"));
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
        .map(|word| format!("`{}`: names `{word}`, which a task knows and the loop does not", file.path))
        .collect();
    let callers = ONE_CALLER.iter().filter(|(call, path, _)| file.path != *path && has(call));
    found.extend(
        callers.map(|(call, path, why)| format!("`{}`: calls `{call}`, as only `{path}` does: {why}", file.path)),
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
