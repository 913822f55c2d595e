//! `quickstart --init`: the published weights from which training starts.

use std::path::{Path, PathBuf};

use ptu_import::{Part, parts};

use crate::WorkflowError;

/// What starts from a whole model, which a quickstart does not.
const START_FROM_BUNDLE: &str = "prepare the table and start from its bundle with `ptunifier pretrain recipes/pretrain/table.toml --set 'model.init.model=\"BUNDLE\"'`";

/// The published encoders from which a quickstart starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartWeights {
    /// File or folder of the image encoder.
    pub image: PathBuf,
    /// File or folder of the text encoder.
    pub text: PathBuf,
}

impl StartWeights {
    /// The encoders in these files or folders, which may be one and the same.
    ///
    /// # Errors
    /// If a file cannot be read or holds another model, or if there is not exactly one encoder of each modality.
    pub fn find(paths: &[PathBuf]) -> Result<Self, WorkflowError> {
        let (mut image, mut text) = (None, None);
        for path in paths {
            let wrong = |cause: &str| WorkflowError::Init { cause: format!("`{}` {cause}", path.display()) };
            let found = parts(path).map_err(ptu_train::TrainError::from)?;
            if found.is_empty() {
                return Err(wrong("holds no image encoder and no text encoder"));
            }
            for part in found {
                let place = match part {
                    Part::Image => &mut image,
                    Part::Text => &mut text,
                    Part::Whole => {
                        return Err(wrong(&format!(
                            "holds a whole model; {START_FROM_BUNDLE}, which `ptunifier import` makes of it"
                        )));
                    }
                    Part::Bundle => return Err(wrong(&format!("is a bundle of this program; {START_FROM_BUNDLE}"))),
                };
                if place.replace(path.clone()).is_some() {
                    return Err(wrong(&format!("holds {part}, and so does a file that was named before; name one")));
                }
            }
        }
        let missing =
            |part: Part| WorkflowError::Init { cause: format!("{part} is missing; name the weights of one too") };
        Ok(Self { image: image.ok_or_else(|| missing(Part::Image))?, text: text.ok_or_else(|| missing(Part::Text))? })
    }

    /// Keys of the recipe, as `key=value`.
    pub(super) fn changes(&self) -> [String; 2] {
        let set = |key: &str, path: &Path| format!("model.init.{key}={}", toml_text(path));
        [set("image", &self.image), set("text", &self.text)]
    }
}

/// A path as a TOML string.
fn toml_text(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}
