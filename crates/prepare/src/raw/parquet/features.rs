//! What `datasets` (Hugging Face) says of a file's columns in its metadata.

use arrow_schema::Schema;
use serde_json::Value;

/// The metadata entry that holds it.
const KEY: &str = "huggingface";

/// What is said of the columns, by their names.
#[derive(Debug, Default)]
pub struct Features(serde_json::Map<String, Value>);

impl Features {
    /// Reads the metadata of a file; whatever it cannot make sense of counts as not said.
    pub fn of(schema: &Schema) -> Self {
        let told = schema.metadata().get(KEY).and_then(|text| serde_json::from_str::<Value>(text).ok());
        let features = told.and_then(|mut told| match told.pointer_mut("/info/features")?.take() {
            Value::Object(features) => Some(features),
            _ => None,
        });
        Self(features.unwrap_or_default())
    }

    /// Names of the classes whose numbers a column holds, or lists of it.
    pub fn classes(&self, column: &str) -> Option<Vec<String>> {
        let feature = self.0.get(column)?;
        // Of a list: one that is written as such, or as an object with the feature of its items.
        let item = feature.get(0).or_else(|| feature.get("feature")).unwrap_or(feature);
        if item.get("_type")? != "ClassLabel" {
            return None;
        }
        item.get("names")?.as_array()?.iter().map(|name| Some(name.as_str()?.to_string())).collect()
    }

    /// The kind of files that a column holds, such as `Image` or `Audio`, where it is said.
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
    fn classes_are_named_alone_and_in_lists() {
        let class = r#"{"names": ["normal", "mass"], "_type": "ClassLabel"}"#;
        let told = format!(
            r#"{{"info": {{"features": {{"a": {class}, "b": [{class}], "c": {{"feature": {class}, "_type": "List"}},
                "d": {{"dtype": "int64", "_type": "Value"}}, "e": {{"_type": "Audio"}}}}}}}}"#
        );
        let features = features(&told);
        for column in ["a", "b", "c"] {
            assert_eq!(features.classes(column).unwrap(), ["normal", "mass"]);
        }
        assert!(["d", "e", "f"].iter().all(|column| features.classes(column).is_none()));
        assert_eq!((features.kind("e"), features.kind("b"), features.kind("f")), (Some("Audio"), None, None));
    }

    #[test]
    fn metadata_of_any_other_form_says_nothing() {
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
