//! The licence that the files beside the weights state.

use std::path::Path;

use ptu_model::files;
use serde_json::Value;

use crate::settings;

/// The largest README that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The licence in the head of `README.md` (`license: ...`), or in `config.json`; `None` if neither states it.
pub(crate) fn licence(weights: &Path) -> Option<String> {
    let readme = files::read(&settings::beside(weights, "README.md"), LARGEST).ok();
    let config = settings::read(&settings::beside(weights, "config.json")).ok().flatten();
    let stated =
        |config: Value| ["license", "license_name"].iter().find_map(|key| Some(config[*key].as_str()?.to_string()));
    readme.and_then(|bytes| in_head(&String::from_utf8_lossy(&bytes))).or_else(|| config.and_then(stated))
}

/// The value of `license` in the head of a model card.
fn in_head(readme: &str) -> Option<String> {
    let head = readme.strip_prefix("---")?.split("\n---").next()?;
    let value = head.lines().find_map(|line| line.strip_prefix("license:"))?.trim();
    Some(value.trim_matches(['"', '\'']).to_string()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_read_from_the_head_only() {
        assert_eq!(in_head("---\nlanguage: en\nlicense: apache-2.0\n---\n# A"), Some("apache-2.0".into()));
        assert_eq!(in_head("---\nlanguage: en\n---\nlicense: mit\n"), None);
        assert_eq!(in_head("license: mit\n"), None);
    }
}
