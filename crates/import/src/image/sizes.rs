//! What the shapes of an image encoder's tensors say about its configuration, and the shapes that a configuration requires.

use ptu_model::config::{ImageActivation, ImageConfig, limits};

use super::layout::Layout;
use crate::error::ImportError;
use crate::source::Source;
use crate::unsupported::Unsupported;

/// A layout that was found in a file, behind this prefix.
pub(crate) struct Found<'a> {
    pub(crate) source: &'a Source,
    pub(crate) layout: &'static Layout,
    pub(crate) prefix: String,
}

impl Found<'_> {
    /// The names of the tensors that give one of our weights outside of the blocks; empty if the layout has none.
    pub(crate) fn outside(&self, ours: &str) -> Vec<String> {
        let theirs = self.layout.outside(ours).unwrap_or_default();
        theirs.iter().map(|rest| format!("{}{rest}", self.prefix)).collect()
    }

    /// The names of the tensors that give one of our weights of a block; empty if the layout has none.
    pub(crate) fn inside(&self, block: usize, ours: &str) -> Vec<String> {
        let theirs = self.layout.inside(ours).unwrap_or_default();
        theirs.iter().map(|rest| format!("{}{rest}", self.block(block))).collect()
    }

    /// The beginning of the names of a block.
    pub(crate) fn block(&self, number: usize) -> String {
        format!("{}{}", self.prefix, self.layout.block.replace("{}", &number.to_string()))
    }

    /// The name of the registers, if there are any.
    pub(crate) fn registers(&self) -> Option<String> {
        let names = self.layout.registers.iter().map(|rest| format!("{}{rest}", self.prefix));
        names.into_iter().find(|name| self.source.has(name))
    }

    fn has(&self, names: &[String]) -> bool {
        !names.is_empty() && names.iter().any(|name| self.source.has(name))
    }

    fn refuse(&self, name: &str, what: Unsupported) -> ImportError {
        ImportError::Unsupported { path: self.source.path().into(), name: name.into(), what }
    }

    /// Width and side of the patches: the shape of the patch embedding.
    fn patch(&self) -> Result<(usize, usize), ImportError> {
        let name = self.outside("conv1.weight").remove(0);
        let shape = self.source.shape(&name).unwrap_or_default();
        match shape.as_slice() {
            &[width, 3, side, other] if side == other => {
                limits::check("image.width", width, limits::WIDTH)?;
                limits::check("image.patch", side, limits::PATCH)?;
                Ok((width, side))
            }
            _ => Err(self.refuse(&name, Unsupported::Patches(shape))),
        }
    }

    /// The sizes that names and shapes tell; the rest has the defaults of the layout. The size of the images is that of the positions.
    ///
    /// # Errors
    /// When there are no positions or they do not form a square grid, when the patches are not square, or an MLP has a gate.
    pub(crate) fn sizes(&self) -> Result<ImageConfig, ImportError> {
        let (width, patch) = self.patch()?;
        let class_token = self.has(&self.outside("class_embedding"));
        let grid = self.grid(class_token)?;
        let registers = self.registers().and_then(|name| self.source.shape(&name));
        Ok(ImageConfig {
            size: grid * patch,
            patch,
            width,
            layers: self.source.blocks(&format!("{}{}", self.prefix, self.layout.block)),
            drop_last: 0,
            eps: self.layout.eps,
            heads: None,
            mlp_width: Some(self.mlp_width(width)?).filter(|hidden| *hidden != 4 * width),
            activation: self.layout.activation,
            class_token,
            pre_norm: self.has(&self.outside("ln_pre.weight")),
            patch_bias: self.has(&self.outside("conv1.bias")),
            layer_scale: self.has(&self.inside(0, "ls_1.gamma")),
            registers: registers.and_then(|shape| shape.iter().rev().nth(1).copied()).unwrap_or(0),
            merge: 1,
        })
    }

    /// Patches along one side, by the number of positions.
    fn grid(&self, class_token: bool) -> Result<usize, ImportError> {
        let name = self.outside("positional_embedding").remove(0);
        let shape = self.source.shape(&name);
        let missing = || ImportError::Missing { path: self.source.path().into(), names: vec![name.clone()] };
        let shape = shape.ok_or_else(missing)?;
        let rows = shape.iter().rev().nth(1).copied().unwrap_or(0);
        let special = usize::from(class_token);
        let root = |number: usize| Some(number.isqrt()).filter(|root| *root > 0 && root * root == number);
        let grid = root(rows.saturating_sub(special)).or_else(|| root(rows));
        grid.ok_or_else(|| self.refuse(&name, Unsupported::PositionGrid(rows)))
    }

    fn mlp_width(&self, width: usize) -> Result<usize, ImportError> {
        let rows = |ours: &str, dimension: usize| {
            let name = self.inside(0, ours).into_iter().next()?;
            self.source.shape(&name).and_then(|shape| shape.get(dimension).copied())
        };
        let hidden = rows("mlp.c_fc.weight", 0).unwrap_or(4 * width);
        match rows("mlp.c_proj.weight", 1) {
            Some(halved) if halved.checked_mul(2) == Some(hidden) => {
                Err(self.refuse(&self.inside(0, "mlp.c_proj.weight").remove(0), Unsupported::GatedMlp))
            }
            _ => Ok(hidden),
        }
    }
}

/// Our names of the weights outside of the blocks, except positions and registers, and their shapes.
pub(crate) fn outside(config: &ImageConfig) -> Vec<(&'static str, Vec<usize>)> {
    let (d, s) = (config.width, config.patch);
    let mut weights = vec![("conv1.weight", vec![d, 3, s, s]), ("ln_post.weight", vec![d]), ("ln_post.bias", vec![d])];
    if config.patch_bias {
        weights.push(("conv1.bias", vec![d]));
    }
    if config.class_token {
        weights.push(("class_embedding", vec![d]));
    }
    if config.pre_norm {
        weights.extend([("ln_pre.weight", vec![d]), ("ln_pre.bias", vec![d])]);
    }
    weights
}

/// Our names of the weights of a block, and their shapes.
pub(crate) fn inside(config: &ImageConfig) -> Vec<(&'static str, Vec<usize>)> {
    let (d, hidden) = (config.width, config.mlp_width());
    let mut weights = vec![
        ("ln_1.weight", vec![d]),
        ("ln_1.bias", vec![d]),
        ("attn.in_proj_weight", vec![3 * d, d]),
        ("attn.in_proj_bias", vec![3 * d]),
        ("attn.out_proj.weight", vec![d, d]),
        ("attn.out_proj.bias", vec![d]),
        ("ln_2.weight", vec![d]),
        ("ln_2.bias", vec![d]),
        ("mlp.c_fc.weight", vec![hidden, d]),
        ("mlp.c_fc.bias", vec![hidden]),
        ("mlp.c_proj.weight", vec![d, hidden]),
        ("mlp.c_proj.bias", vec![d]),
    ];
    if config.layer_scale {
        weights.extend([("ls_1.gamma", vec![d]), ("ls_2.gamma", vec![d])]);
    }
    weights
}

/// The activation of a name in `config.json` of `transformers`, or of `act_layer` of `timm`.
pub(crate) fn activation(name: &str) -> Option<ImageActivation> {
    match name {
        "gelu" => Some(ImageActivation::Gelu),
        "quick_gelu" | "quickgelu" => Some(ImageActivation::QuickGelu),
        "gelu_pytorch_tanh" | "gelu_tanh" | "gelu_new" => Some(ImageActivation::GeluTanh),
        _ => None,
    }
}
