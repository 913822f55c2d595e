//! What the examples need to run as they stand: a corpus that is drawn, and a model that has just begun to learn.

use std::error::Error;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use ptunifier::prepare::phantom::{PhantomOptions, prepare_phantom};
use ptunifier::tasks::train;
use ptunifier::train::{Recipe, RunOptions, Silent};

/// A small model on shards in `data`: it learns next to nothing in these few steps.
pub const RECIPE: &str = r#"
data = ["data"]
[text]
vocabulary = 400
max_tokens = 32
[train]
steps = 4
batch = 16
save_every = 4
[model]
preset = "tiny"
[model.image]
size = 32
layers = 2
"#;

/// Draws a corpus into `folder/data`.
pub fn corpus(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let data = folder.join("data");
    prepare_phantom(&data, &PhantomOptions { side: 32, ..PhantomOptions::new(200, 1) }, &|_| {})?;
    Ok(data)
}

/// Trains for a few steps on a corpus; gives the bundle.
#[allow(dead_code, reason = "one example trains by itself")]
pub fn bundle(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let data = corpus(folder)?;
    let set = format!("data=[{:?}]", data.display().to_string());
    let recipe = Recipe::parse(RECIPE, Path::new("example.toml"), &[set])?;
    let device = Device::flex().autodiff();
    let options = RunOptions { out: folder.join("run"), resume: false, device, wall_time: || 0.0 };
    Ok(train(&recipe, &options, &mut Silent)?.bundle)
}
