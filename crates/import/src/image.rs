//! Image encoders: vision transformers in the layouts of several programs become the weights of this project's image encoder.

mod described;
mod layout;
mod preprocess;
mod sizes;

use std::path::Path;

use ptu_input::Preprocess;
use ptu_model::config::{ImageActivation, ImageConfig, limits};
use ptu_model::weights::{Array, Arrays};
use ptu_model::{ModelError, fit_positions};

use crate::collect::{Collect, without_leading_ones};
use crate::error::{ImportError, Part};
use crate::report::{Origin, Report, UnusedReason};
use crate::source::Source;
use crate::{bert, signs};
use layout::LAYOUTS;
use sizes::Found;

/// The beginning of the published names of the image encoder's weights.
const OURS: &str = "vision_encoder.visual.";
const POSITIONS: &str = "positional_embedding";

/// What may be chosen when an image encoder is imported, and what the files do not always give.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageOptions {
    /// Height and width of the images in pixels; `None` for those of the position embeddings in the file. Positions are resized.
    pub size: Option<usize>,
    /// Number of blocks at the end that are not used. 0 gives what the encoder's own program gives; PTUnifier uses CLIP with 1.
    pub drop_last: usize,
    /// Number of attention heads, instead of what the files say.
    pub heads: Option<usize>,
    /// Activation of the MLPs, instead of what the files say.
    pub activation: Option<ImageActivation>,
    /// Mean and standard deviation of red, green and blue in [0, 1], instead of what the files say.
    pub normalisation: Option<[[f32; 3]; 2]>,
    /// Patterns (`*` stands for any characters) of weights that may be missing, and of tensors that nothing explains.
    pub allow_missing: Vec<String>,
}

/// An imported image encoder.
#[derive(Clone, Debug)]
pub struct ImageWeights {
    /// Its sizes and style.
    pub config: ImageConfig,
    /// Its weights by published name (`vision_encoder.visual.*`).
    pub arrays: Arrays,
    /// The image transforms; `None` if no file gives mean and standard deviation.
    pub preprocess: Option<Preprocess>,
    /// What became of each weight.
    pub report: Report,
}

/// Reads an image encoder from a file of weights, or from a folder with one and the settings beside it. The layout is recognised by
/// the names of the tensors.
///
/// # Errors
/// When the file cannot be read or its layout is not known; when the encoder is of a kind that cannot be described; when weights are
/// missing, unexplained, of another shape or not finite.
pub fn read_image_encoder(path: &Path, options: &ImageOptions) -> Result<ImageWeights, ImportError> {
    let source = Source::open(path)?;
    let found = find(&source)?;
    if let Some((name, what)) = signs::sign(&source, &found.prefix) {
        return Err(ImportError::Unsupported { path: source.path().into(), name, what });
    }
    let mut config = found.sizes()?;
    let mut assumed = found.complete(&mut config, options)?;
    config.drop_last = options.drop_last;
    check(&config)?;
    let mut collect = Collect::new(&source, found.layout.name, &options.allow_missing);
    for (ours, shape) in sizes::outside(&config) {
        collect.take(&format!("{OURS}{ours}"), &found.outside(ours), &shape)?;
    }
    for (ours, shape) in sizes::inside(&config) {
        for block in 0..config.used_layers() {
            let name = format!("{OURS}transformer.resblocks.{block}.{ours}");
            collect.take(&name, &found.inside(block, ours), &shape)?;
        }
    }
    if let Some(name) = found.registers() {
        collect.take(&format!("{OURS}register_embedding"), &[name], &[config.registers, config.width])?;
    }
    take_positions(&found, &mut collect, &mut config, options.size)?;
    let dropped = (config.used_layers()..config.layers).map(|block| (found.block(block), UnusedReason::DroppedBlock));
    let unused = found.layout.unused.iter().map(|(rest, reason)| (format!("{}{rest}", found.prefix), *reason));
    let unused: Vec<_> = dropped.chain(unused).collect();
    let (arrays, mut report) = collect.finish(&found.prefix, &unused)?;
    let preprocess = found.preprocess(config.size, options, &mut assumed)?;
    report.assumed = assumed;
    Ok(ImageWeights { config, arrays, preprocess, report })
}

/// Finds the layout of the image encoder in a file.
fn find(source: &Source) -> Result<Found<'_>, ImportError> {
    if let Some(found) = known(source)? {
        return Ok(found);
    }
    if bert::prefix(source)?.is_some() {
        let path = source.path().into();
        return Err(ImportError::OtherPart { path, found: Part::Text, wanted: Part::Image });
    }
    Err(match signs::sign_of_unknown(source) {
        Some((name, what)) => ImportError::Unsupported { path: source.path().into(), name, what },
        None => source.unknown(Part::Image),
    })
}

/// The image encoder of a known layout in a file; `None` if there is none.
fn known(source: &Source) -> Result<Option<Found<'_>>, ImportError> {
    for layout in LAYOUTS {
        if let Some(prefix) = source.prefix(layout.anchor, layout.also)? {
            return Ok(Some(Found { source, layout, prefix }));
        }
    }
    Ok(None)
}

/// Whether a file holds an image encoder of a known layout.
pub(crate) fn is_image_encoder(source: &Source) -> Result<bool, ImportError> {
    Ok(known(source)?.is_some())
}

/// Checks what reading depends on; a model checks the rest.
fn check(config: &ImageConfig) -> Result<(), ModelError> {
    limits::check("image.layers", config.layers, limits::LAYERS)?;
    limits::check("image.mlp_width", config.mlp_width(), limits::MLP_WIDTH)?;
    if config.drop_last >= config.layers {
        let rule = format!("is {}; it must be less than image.layers, {}", config.drop_last, config.layers);
        return Err(ModelError::Config { key: "image.drop_last".into(), rule });
    }
    Ok(())
}

/// Takes the position embeddings and resizes them to the wanted size of the images.
fn take_positions(
    found: &Found<'_>,
    collect: &mut Collect<'_>,
    config: &mut ImageConfig,
    size: Option<usize>,
) -> Result<(), ImportError> {
    let (from, special, d) = (config.grid(), usize::from(config.class_token), config.width);
    let names = found.outside(POSITIONS);
    let stored = found.source.read(&names[0])?;
    let shape = without_leading_ones(&stored.shape, 2);
    let mut values = stored.values;
    if shape == [from * from, d] && config.class_token {
        // Such an encoder adds positions to its patches only: the class token has the position zero.
        values.splice(0..0, std::iter::repeat_n(0.0, d));
    } else if shape != [special + from * from, d] {
        let (path, name) = (found.source.path().into(), names[0].clone());
        return Err(ImportError::Shape { path, name, found: shape, expected: vec![special + from * from, d] });
    }
    let mut positions = Array { shape: vec![special + from * from, d], values };
    if let Some(size) = size {
        limits::check("image.size", size, limits::SIZE)?;
        if !size.is_multiple_of(config.patch) {
            let rule = format!("is {size}; it must be a multiple of the side of a patch, {}", config.patch);
            return Err(ModelError::Config { key: "image.size".into(), rule }.into());
        }
        config.size = size;
    }
    let to = config.grid();
    fit_positions(&mut positions, to, special);
    collect.insert(&format!("{OURS}{POSITIONS}"), &names, positions);
    if from != to {
        collect.resized(Origin::Resized { from: names, grid: from, to });
    }
    Ok(())
}
