//! The descriptions of columns that `datasets` (Hugging Face) writes to the metadata of a file.

use arrow_schema::Schema;
use serde_json::Value;

/// The key of the metadata entry.
const KEY: &str = "huggingface";

/// The descriptions of the columns, by their names.
#[derive(Debug, Default)]
pub struct Features(serde_json::Map<String, Value>);

impl Features {
    /// Reads the metadata of a file. Metadata of any other form is ignored.
    pub fn of(schema: &Schema) -> Self {
        let metadata = schema.metadata().get(KEY).and_then(|text| serde_json::from_str::<Value>(text).ok());
        let features = metadata.and_then(|mut metadata| match metadata.pointer_mut("/info/features")?.take() {
            Value::Object(features) => Some(features),
            _ => None,
        });
        Self(features.unwrap_or_default())
    }

    /// The names of the classes, if a column contains numbers of classes or lists of them.
    pub fn classes(&self, column: &str) -> Option<Vec<String>> {
        let feature = self.0.get(column)?;
        // The description of a list is a list, or an object with the description of its items.
        let item = feature.get(0).or_else(|| feature.get("feature")).unwrap_or(feature);
        if item.get("_type")? != "ClassLabel" {
            return None;
        }
        item.get("names")?.as_array()?.iter().map(|name| Some(name.as_str()?.to_string())).collect()
    }

    /// The kind of files in a column, such as `Image` or `Audio`, if the metadata says it.
    pub fn kind(&self, column: &str) -> Option<&str> {
        self.0.get(column)?.get("_type")?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(text: &str) -> Features {
        Features::of(&Schema::empty().with_metadata([(KEY.to_string(), text.to_string())]))
    }

    #[test]
    fn names_of_classes_are_found_for_values_and_lists() {
        let class = r#"{"names": ["normal", "mass"], "_type": "ClassLabel"}"#;
        let metadata = format!(
            r#"{{"info": {{"features": {{"a": {class}, "b": [{class}], "c": {{"feature": {class}, "_type": "List"}},
                "d": {{"dtype": "int64", "_type": "Value"}}, "e": {{"_type": "Audio"}}}}}}}}"#
        );
        let features = features(&metadata);
        for column in ["a", "b", "c"] {
            assert_eq!(features.classes(column).unwrap(), ["normal", "mass"]);
        }
        assert!(["d", "e", "f"].iter().all(|column| features.classes(column).is_none()));
        assert_eq!((features.kind("e"), features.kind("b"), features.kind("f")), (Some("Audio"), None, None));
    }

    #[test]
    fn metadata_of_any_other_form_is_ignored() {
        for text in ["", "[]", "{\"info\": 1}", "{\"info\": {\"features\": []}}", r#"{"info": {"features": {"a": 1}}}"#]
        {
            assert!(features(text).classes("a").is_none() && features(text).kind("a").is_none(), "{text}");
        }
        let names = |names: &str| {
            features(&format!(r#"{{"info": {{"features": {{"a": {{"names": {names}, "_type": "ClassLabel"}}}}}}}}"#))
        };
        assert!(names("3").classes("a").is_none() && names("[1, 2]").classes("a").is_none());
    }
}
