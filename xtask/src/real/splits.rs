//! `tools/real/splits.json`: which article, patient or image of the real data belongs to which split.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Names of the splits in the file, and in shards.
const NAMES: [(&str, &str); 3] = [("train", "train"), ("dev", "validate"), ("test", "test")];

/// The splits of all sources.
pub struct Splits {
    groups: BTreeMap<String, BTreeMap<String, &'static str>>,
    /// The folds of the sources that have some.
    folds: BTreeMap<String, Vec<Vec<String>>>,
}

impl Splits {
    /// Reads the file of the repository.
    pub fn read(root: &Path) -> Result<Self, String> {
        let path = root.join("tools/real/splits.json");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        let file: Value = serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
        let sources = file["sources"].as_object().ok_or("splits.json has no `sources`")?;
        let groups = sources.iter().map(|(name, source)| (name.clone(), groups(source))).collect();
        Ok(Self { groups, folds: sources.iter().map(|(name, source)| (name.clone(), folds(source))).collect() })
    }

    /// The split of a group of a source, as shards name it; `None` if the group is in none.
    pub fn of(&self, source: &str, group: &str) -> Option<&'static str> {
        self.groups.get(source)?.get(group).copied()
    }

    /// The groups of a fold of a source; empty if there is no such fold.
    pub fn fold(&self, source: &str, fold: usize) -> &[String] {
        self.folds.get(source).and_then(|folds| folds.get(fold)).map_or(&[], Vec::as_slice)
    }
}

/// The groups of a source with their splits.
fn groups(source: &Value) -> BTreeMap<String, &'static str> {
    let of_split = |(name, split): (&str, &'static str)| {
        let groups = source[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        groups.map(|group| (group.to_string(), split)).collect::<Vec<_>>()
    };
    NAMES.into_iter().flat_map(of_split).collect()
}

/// The folds of a source: lists of groups under the names 0, 1, ...
fn folds(source: &Value) -> Vec<Vec<String>> {
    let fold = |number: usize| {
        let groups = source["folds"][number.to_string()].as_array()?;
        Some(groups.iter().filter_map(Value::as_str).map(String::from).collect())
    };
    (0..).map_while(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_the_split_of_their_list() {
        let source = serde_json::json!({ "train": ["a", "b"], "dev": ["c"], "test": ["d"], "folder": "x" });
        let splits = Splits { groups: [("set".to_string(), groups(&source))].into(), folds: [].into() };
        let found = ["a", "c", "d", "e"].map(|group| splits.of("set", group));
        assert_eq!(found, [Some("train"), Some("validate"), Some("test"), None]);
        assert_eq!(splits.of("other", "a"), None);
        let source = serde_json::json!({ "folds": { "0": ["a"], "1": ["b", "c"] } });
        assert_eq!(folds(&source), [vec!["a"], vec!["b", "c"]]);
    }
}
