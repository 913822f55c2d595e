//! `tools/real/splits.json`: which article, patient or image of the real data belongs to which split.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Names of the splits in the file, and in shards.
const NAMES: [(&str, &str); 3] = [("train", "train"), ("dev", "validate"), ("test", "test")];

/// The splits of all sources.
pub struct Splits(BTreeMap<String, BTreeMap<String, &'static str>>);

impl Splits {
    /// Reads the file of the repository.
    pub fn read(root: &Path) -> Result<Self, String> {
        let path = root.join("tools/real/splits.json");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("`{}`: {error}", path.display()))?;
        let file: Value = serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))?;
        let sources = file["sources"].as_object().ok_or("splits.json has no `sources`")?;
        Ok(Self(sources.iter().map(|(name, source)| (name.clone(), groups(source))).collect()))
    }

    /// The split of a group of a source, as shards name it; `None` if the group is in none.
    pub fn of(&self, source: &str, group: &str) -> Option<&'static str> {
        self.0.get(source)?.get(group).copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_the_split_of_their_list() {
        let source = serde_json::json!({ "train": ["a", "b"], "dev": ["c"], "test": ["d"], "folder": "x" });
        let splits = Splits([("set".to_string(), groups(&source))].into());
        let found = ["a", "c", "d", "e"].map(|group| splits.of("set", group));
        assert_eq!(found, [Some("train"), Some("validate"), Some("test"), None]);
        assert_eq!(splits.of("other", "a"), None);
    }
}
