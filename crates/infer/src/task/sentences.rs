//! Zero-shot classification: classes that are described by sentences, without any training on them.

use std::path::{Path, PathBuf};

use ptu_data::InputForm;
use ptu_input::text::name_key;
use ptu_input::{Processor, Text};
use ptu_model::{Bundle, files};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::description::{TaskDescription, TaskOutput};
use crate::{Embedder, InferError, Vectors};

/// Largest size of a file of sentences, in bytes.
const LARGEST_FILE: u64 = 1 << 20;
/// Batch size of the text encoder.
const BATCH: usize = 16;
/// The keys that a file of sentences can have.
const KEYS: [&str; 2] = ["classes", "only"];

/// Classes, each with the sentences that describe it.
///
/// A class is represented by the mean of the unit vectors of its sentences, scaled to unit length, and an image is assigned to the class
/// with the nearest vector (prompt ensembles; Radford et al., "Learning transferable visual models from natural language supervision",
/// 2021, section 3.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSentences {
    /// The classes, sorted by name.
    pub classes: Vec<ClassSentence>,
    /// Values that fields or labels of a record must have, by name, so that the record is scored; empty for no condition.
    pub only: Vec<(String, String)>,
    /// The file that they were read from, for messages.
    pub path: PathBuf,
}

/// A class and its sentences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassSentence {
    /// Name of the class.
    pub class: String,
    /// Its sentences, at least one.
    pub sentences: Vec<String>,
}

impl ClassSentences {
    /// Reads a TOML file with a table `classes` of at least two classes, each with a list of sentences, and optionally a table `only` with
    /// the values that fields or labels of a scored record must have.
    ///
    /// # Errors
    /// If the file cannot be read or does not have this form; the message names the class.
    pub fn read(path: &Path) -> Result<Self, InferError> {
        let bytes = files::read(path, LARGEST_FILE)?;
        let text = String::from_utf8(bytes).map_err(|_| wrong(path, "it is not UTF-8 text; save it as UTF-8"))?;
        Self::parse(&text, path)
    }

    /// The same as [`Self::read`] for the text of a file; `path` is used in messages.
    ///
    /// # Errors
    /// As [`Self::read`], without errors of reading.
    pub fn parse(text: &str, path: &Path) -> Result<Self, InferError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| wrong(path, error.to_string().trim()))?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(wrong(
                path,
                &format!("`{key}` is not a key of it; it has a table `[classes]`, and may have `[only]`"),
            ));
        }
        let example = "write for example `[classes]` and below `\"effusion\" = [\"there is an effusion.\"]`";
        let Some(Value::Table(named)) = table.get("classes") else {
            return Err(wrong(path, &format!("it has no table `[classes]`; {example}")));
        };
        let classes = named.iter().map(|(class, value)| of_class(class, value, path)).collect::<Result<Vec<_>, _>>()?;
        if classes.len() < 2 {
            return Err(wrong(path, "it has fewer than two classes; name all classes among which the model chooses"));
        }
        for (position, one) in classes.iter().enumerate() {
            let key = name_key(&one.class);
            if let Some(other) = classes[..position].iter().find(|other| name_key(&other.class) == key) {
                let cause = format!("the classes `{}` and `{}` have the same name; remove one", other.class, one.class);
                return Err(wrong(path, &cause));
            }
        }
        let only = match table.get("only") {
            None => vec![],
            Some(Value::Table(conditions)) => conditions
                .iter()
                .map(|(name, value)| match value {
                    Value::String(value) => Ok((name.clone(), value.clone())),
                    _ => Err(wrong(
                        path,
                        &format!("the value of `only.{name}` is not a text; put it in quotation marks"),
                    )),
                })
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(wrong(path, "`only` is not a table; write `[only]` and below `field = \"value\"`")),
        };
        Ok(Self { classes, only, path: path.into() })
    }

    /// The names of the classes, in order.
    pub fn names(&self) -> Vec<String> {
        self.classes.iter().map(|one| one.class.clone()).collect()
    }

    /// SHA-256, in hexadecimal, of all classes and sentences.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for ClassSentence { class, sentences } in &self.classes {
            hash.update(format!("{class}\0{}\0\n", sentences.join("\0")));
        }
        format!("{:x}", hash.finalize())
    }

    /// The classification of images into these classes. `label` is the label whose values are the classes.
    pub fn task(&self, label: &str) -> TaskDescription {
        let output = TaskOutput::Classification { label: label.into(), classes: self.names() };
        TaskDescription::new(InputForm::Image, output)
    }

    /// The unit vector of each class in the contrastive space of a bundle, in order. `folder` is the folder of the bundle, for messages.
    ///
    /// # Errors
    /// If the model did not learn to compare images with texts, or a sentence cannot be used.
    pub fn vectors_of(&self, bundle: &Bundle, folder: &Path) -> Result<Vectors, InferError> {
        match bundle.model.heads.itc {
            Some(_) => self.vectors(Embedder::new(&bundle.model), &bundle.processor()),
            None => Err(InferError::NoContrast { path: folder.into() }),
        }
    }

    /// The unit vector of each class in the contrastive space, in order.
    ///
    /// # Errors
    /// If the model has no ITC head, or a sentence cannot be tokenised or is longer than the model reads.
    pub fn vectors(&self, embedder: Embedder<'_>, processor: &Processor) -> Result<Vectors, InferError> {
        let sentences = self.classes.iter().flat_map(|one| &one.sentences);
        let texts: Vec<Text> = sentences.map(|sentence| self.tokens(sentence, processor)).collect::<Result<_, _>>()?;
        let vectors = embedder.texts(&texts.iter().collect::<Vec<_>>(), BATCH, &mut |_| {})?;
        let counts: Vec<usize> = self.classes.iter().map(|one| one.sentences.len()).collect();
        Ok(vectors.unit_means(&counts))
    }

    fn tokens(&self, sentence: &str, processor: &Processor) -> Result<Text, InferError> {
        let failed = |cause: String| wrong(&self.path, &format!("the sentence `{sentence}` cannot be used: {cause}"));
        let text = processor.text(sentence).map_err(|error| failed(error.to_string()))?;
        match processor.tokenizer.was_cut(sentence, &text, processor.max_tokens) {
            Ok(false) => Ok(text),
            Ok(true) => {
                let most = processor.max_tokens;
                Err(failed(format!("it is longer than the {most} tokens that the model reads; write a shorter one")))
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// The sentences of one class.
fn of_class(class: &str, value: &Value, path: &Path) -> Result<ClassSentence, InferError> {
    let refused = |cause: &str| Err(wrong(path, &format!("class `{class}` {cause}")));
    if class.trim().is_empty() {
        return refused("has an empty name; name it as the value of the label");
    }
    let Value::Array(values) = value else {
        return refused("has no list of sentences; write `\"class\" = [\"a sentence.\", \"another one.\"]`");
    };
    let mut sentences: Vec<String> = vec![];
    for value in values {
        match value.as_str().map(str::trim) {
            None => return refused("has a sentence that is not a text; put each in quotation marks"),
            Some("") => return refused("has an empty sentence; remove it"),
            Some(sentence) if sentences.iter().any(|other| other == sentence) => {
                return refused(&format!("has the sentence `{sentence}` twice; remove one"));
            }
            Some(sentence) => sentences.push(sentence.into()),
        }
    }
    match sentences.is_empty() {
        true => refused("has no sentence; write at least one"),
        false => Ok(ClassSentence { class: class.trim().into(), sentences }),
    }
}

fn wrong(path: &Path, cause: &str) -> InferError {
    InferError::Sentences { path: path.into(), cause: cause.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClassSentences, String> {
        ClassSentences::parse(text, Path::new("f.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn classes_have_one_or_several_sentences() {
        let read =
            parse("[classes]\nnormal = [\"normal chest.\"]\n\"Pleural Effusion\" = [\"an effusion.\", \"fluid. \"]\n")
                .unwrap();
        assert_eq!(read.names(), ["Pleural Effusion", "normal"]);
        assert_eq!(read.classes[0].sentences, ["an effusion.", "fluid."]);
        let TaskOutput::Classification { label, classes } = read.task("finding").output else { panic!() };
        assert_eq!((label.as_str(), classes), ("finding", read.names()));
        let other =
            parse("[classes]\nnormal = [\"normal chest.\"]\n\"Pleural Effusion\" = [\"an effusion.\"]\n").unwrap();
        assert_ne!(read.hash(), other.hash());
        let read = parse("[classes]\na = [\"x\"]\nb = [\"y\"]\n[only]\nsubset = \"zero-shot\"\n").unwrap();
        assert_eq!(read.only, [("subset".to_string(), "zero-shot".to_string())]);
    }

    #[test]
    fn errors_name_the_file_the_class_and_the_cure() {
        for (text, words) in [
            ("", &["no table `[classes]`", "write for example"][..]),
            ("classes = 3", &["no table `[classes]`"]),
            ("[clases]\na = [\"x\"]", &["`clases` is not a key"]),
            ("[classes]\na = [\"x\"]", &["fewer than two classes"]),
            ("[classes]\na = \"x\"\nb = [\"y\"]", &["class `a`", "list of sentences"]),
            ("[classes]\na = []\nb = [\"y\"]", &["class `a`", "at least one"]),
            ("[classes]\na = [\" \"]\nb = [\"y\"]", &["class `a`", "empty sentence"]),
            ("[classes]\na = [1]\nb = [\"y\"]", &["class `a`", "not a text"]),
            ("[classes]\na = [\"x\", \"x\"]\nb = [\"y\"]", &["class `a`", "twice"]),
            ("[classes]\na = [\"x\"]\n\"a \" = [\"y\"]", &["the same name"]),
            ("[classes]\na = [\"x\"]\nb = [\"y\"]\n[only]\nsubset = 3", &["`only.subset`", "quotation marks"]),
            ("[classes\n", &["f.toml"]),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains("f.toml"), "{message}");
            words.iter().for_each(|word| assert!(message.contains(word), "{text}: {message}"));
        }
    }
}
