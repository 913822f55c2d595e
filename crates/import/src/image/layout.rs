//! The layouts of image encoders: how their programs name the weights of a vision transformer.

use ptu_model::config::ImageActivation;

use crate::collect::{Row, Unused};
use crate::report::UnusedReason::{Head, NotLearned, OtherPart, PretrainingOnly};

/// A program that has its own names for the weights of a vision transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// `open_clip`, OpenAI's CLIP, METER and PTUnifier.
    OpenClip,
    /// CLIP and SigLIP of `transformers`.
    TransformersClip,
    /// ViT of `timm`, DINOv2 of `timm` and of its authors.
    Timm,
    /// ViT of `transformers`.
    TransformersVit,
    /// DINOv2 of `transformers`, with and without registers.
    TransformersDino,
}

/// How one program names its weights. Names are those behind a prefix, which differs from file to file.
pub(crate) struct Layout {
    /// The program.
    pub(crate) program: Program,
    /// Its name in reports.
    pub(crate) name: &'static str,
    /// The weight that is looked for.
    pub(crate) anchor: &'static str,
    /// Weights that must be there too.
    pub(crate) also: &'static [&'static str],
    /// The beginning of the weights of a block; `{}` stands for its number.
    pub(crate) block: &'static str,
    /// Weights outside of the blocks.
    pub(crate) outside: &'static [Row],
    /// Weights of a block, behind its beginning.
    pub(crate) inside: &'static [Row],
    /// Names of the registers.
    pub(crate) registers: &'static [&'static str],
    /// Tensors that an encoder without its head does not use.
    pub(crate) unused: &'static [Unused],
    /// Epsilon of the layer norms, if no file gives it.
    pub(crate) eps: f64,
    /// Activation of the MLPs, if no file gives it.
    pub(crate) activation: ImageActivation,
}

impl Layout {
    /// The names behind the prefix that give one of our weights outside of the blocks.
    pub(crate) fn outside(&self, ours: &str) -> Option<&'static [&'static str]> {
        self.outside.iter().find(|(name, _)| *name == ours).map(|(_, theirs)| *theirs)
    }

    /// The names behind the beginning of a block that give one of our weights of a block.
    pub(crate) fn inside(&self, ours: &str) -> Option<&'static [&'static str]> {
        self.inside.iter().find(|(name, _)| *name == ours).map(|(_, theirs)| *theirs)
    }
}

/// All layouts, in the order in which they are looked for.
pub(crate) const LAYOUTS: &[Layout] = &[OPEN_CLIP, TRANSFORMERS_CLIP, TIMM, TRANSFORMERS_VIT, TRANSFORMERS_DINO];

const OPEN_CLIP: Layout = Layout {
    program: Program::OpenClip,
    name: "open_clip",
    anchor: "transformer.resblocks.0.attn.in_proj_weight",
    also: &["conv1.weight"],
    block: "transformer.resblocks.{}.",
    outside: &[
        ("conv1.weight", &["conv1.weight"]),
        ("conv1.bias", &["conv1.bias"]),
        ("class_embedding", &["class_embedding"]),
        ("positional_embedding", &["positional_embedding"]),
        ("ln_pre.weight", &["ln_pre.weight"]),
        ("ln_pre.bias", &["ln_pre.bias"]),
        ("ln_post.weight", &["ln_post.weight"]),
        ("ln_post.bias", &["ln_post.bias"]),
    ],
    inside: &[
        ("ln_1.weight", &["ln_1.weight"]),
        ("ln_1.bias", &["ln_1.bias"]),
        ("attn.in_proj_weight", &["attn.in_proj_weight"]),
        ("attn.in_proj_bias", &["attn.in_proj_bias"]),
        ("attn.out_proj.weight", &["attn.out_proj.weight"]),
        ("attn.out_proj.bias", &["attn.out_proj.bias"]),
        ("ls_1.gamma", &["ls_1.gamma"]),
        ("ln_2.weight", &["ln_2.weight"]),
        ("ln_2.bias", &["ln_2.bias"]),
        ("mlp.c_fc.weight", &["mlp.c_fc.weight"]),
        ("mlp.c_fc.bias", &["mlp.c_fc.bias"]),
        ("mlp.c_proj.weight", &["mlp.c_proj.weight"]),
        ("mlp.c_proj.bias", &["mlp.c_proj.bias"]),
        ("ls_2.gamma", &["ls_2.gamma"]),
    ],
    registers: &["register_embedding"],
    unused: &[("proj", Head), ("attn_pool.", Head)],
    eps: 1e-5,
    activation: ImageActivation::QuickGelu,
};

const TRANSFORMERS_CLIP: Layout = Layout {
    program: Program::TransformersClip,
    name: "transformers, CLIP or SigLIP",
    anchor: "embeddings.patch_embedding.weight",
    also: &["encoder.layers.0.self_attn.q_proj.weight"],
    block: "encoder.layers.{}.",
    outside: &[
        ("conv1.weight", &["embeddings.patch_embedding.weight"]),
        ("conv1.bias", &["embeddings.patch_embedding.bias"]),
        ("class_embedding", &["embeddings.class_embedding"]),
        ("positional_embedding", &["embeddings.position_embedding.weight"]),
        ("ln_pre.weight", &["pre_layrnorm.weight"]), // the spelling of `transformers`
        ("ln_pre.bias", &["pre_layrnorm.bias"]),
        ("ln_post.weight", &["post_layernorm.weight"]),
        ("ln_post.bias", &["post_layernorm.bias"]),
    ],
    inside: &[
        ("ln_1.weight", &["layer_norm1.weight"]),
        ("ln_1.bias", &["layer_norm1.bias"]),
        ("attn.in_proj_weight", &["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"]),
        ("attn.in_proj_bias", &["self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"]),
        ("attn.out_proj.weight", &["self_attn.out_proj.weight"]),
        ("attn.out_proj.bias", &["self_attn.out_proj.bias"]),
        ("ln_2.weight", &["layer_norm2.weight"]),
        ("ln_2.bias", &["layer_norm2.bias"]),
        ("mlp.c_fc.weight", &["mlp.fc1.weight"]),
        ("mlp.c_fc.bias", &["mlp.fc1.bias"]),
        ("mlp.c_proj.weight", &["mlp.fc2.weight"]),
        ("mlp.c_proj.bias", &["mlp.fc2.bias"]),
    ],
    registers: &[],
    unused: &[("head.", Head), ("embeddings.position_ids", NotLearned)],
    eps: 1e-5,
    activation: ImageActivation::QuickGelu,
};

const TIMM: Layout = Layout {
    program: Program::Timm,
    name: "timm, ViT or DINOv2",
    anchor: "patch_embed.proj.weight",
    also: &["blocks.0.attn.qkv.weight"],
    block: "blocks.{}.",
    outside: &[
        ("conv1.weight", &["patch_embed.proj.weight"]),
        ("conv1.bias", &["patch_embed.proj.bias"]),
        ("class_embedding", &["cls_token"]),
        ("positional_embedding", &["pos_embed"]),
        ("ln_pre.weight", &["norm_pre.weight"]),
        ("ln_pre.bias", &["norm_pre.bias"]),
        ("ln_post.weight", &["norm.weight"]),
        ("ln_post.bias", &["norm.bias"]),
    ],
    inside: &[
        ("ln_1.weight", &["norm1.weight"]),
        ("ln_1.bias", &["norm1.bias"]),
        ("attn.in_proj_weight", &["attn.qkv.weight"]),
        ("attn.in_proj_bias", &["attn.qkv.bias"]),
        ("attn.out_proj.weight", &["attn.proj.weight"]),
        ("attn.out_proj.bias", &["attn.proj.bias"]),
        ("ls_1.gamma", &["ls1.gamma"]),
        ("ln_2.weight", &["norm2.weight"]),
        ("ln_2.bias", &["norm2.bias"]),
        ("mlp.c_fc.weight", &["mlp.fc1.weight"]),
        ("mlp.c_fc.bias", &["mlp.fc1.bias"]),
        ("mlp.c_proj.weight", &["mlp.fc2.weight"]),
        ("mlp.c_proj.bias", &["mlp.fc2.bias"]),
        ("ls_2.gamma", &["ls2.gamma"]),
    ],
    registers: &["reg_token", "register_tokens"],
    unused: &[
        ("head.", Head),
        ("fc_norm.", Head),
        ("attn_pool.", Head),
        ("mask_token", PretrainingOnly),
        ("decoder", OtherPart),
    ],
    eps: 1e-6,
    activation: ImageActivation::Gelu,
};

const TRANSFORMERS_VIT: Layout = Layout {
    program: Program::TransformersVit,
    name: "transformers, ViT",
    anchor: "embeddings.patch_embeddings.projection.weight",
    also: &["encoder.layer.0.layernorm_before.weight"],
    block: "encoder.layer.{}.",
    outside: TRANSFORMERS_OUTSIDE,
    inside: &[
        ("ln_1.weight", &["layernorm_before.weight"]),
        ("ln_1.bias", &["layernorm_before.bias"]),
        ("attn.in_proj_weight", TRANSFORMERS_QKV_WEIGHT),
        ("attn.in_proj_bias", TRANSFORMERS_QKV_BIAS),
        ("attn.out_proj.weight", &["attention.output.dense.weight"]),
        ("attn.out_proj.bias", &["attention.output.dense.bias"]),
        ("ln_2.weight", &["layernorm_after.weight"]),
        ("ln_2.bias", &["layernorm_after.bias"]),
        ("mlp.c_fc.weight", &["intermediate.dense.weight"]),
        ("mlp.c_fc.bias", &["intermediate.dense.bias"]),
        ("mlp.c_proj.weight", &["output.dense.weight"]),
        ("mlp.c_proj.bias", &["output.dense.bias"]),
    ],
    registers: &[],
    unused: TRANSFORMERS_UNUSED,
    eps: 1e-12,
    activation: ImageActivation::Gelu,
};

const TRANSFORMERS_DINO: Layout = Layout {
    program: Program::TransformersDino,
    name: "transformers, DINOv2",
    anchor: "embeddings.patch_embeddings.projection.weight",
    also: &["encoder.layer.0.norm1.weight"],
    block: "encoder.layer.{}.",
    outside: TRANSFORMERS_OUTSIDE,
    inside: &[
        ("ln_1.weight", &["norm1.weight"]),
        ("ln_1.bias", &["norm1.bias"]),
        ("attn.in_proj_weight", TRANSFORMERS_QKV_WEIGHT),
        ("attn.in_proj_bias", TRANSFORMERS_QKV_BIAS),
        ("attn.out_proj.weight", &["attention.output.dense.weight"]),
        ("attn.out_proj.bias", &["attention.output.dense.bias"]),
        ("ls_1.gamma", &["layer_scale1.lambda1"]),
        ("ln_2.weight", &["norm2.weight"]),
        ("ln_2.bias", &["norm2.bias"]),
        ("mlp.c_fc.weight", &["mlp.fc1.weight"]),
        ("mlp.c_fc.bias", &["mlp.fc1.bias"]),
        ("mlp.c_proj.weight", &["mlp.fc2.weight"]),
        ("mlp.c_proj.bias", &["mlp.fc2.bias"]),
        ("ls_2.gamma", &["layer_scale2.lambda1"]),
    ],
    registers: &["embeddings.register_tokens"],
    unused: TRANSFORMERS_UNUSED,
    eps: 1e-6,
    activation: ImageActivation::Gelu,
};

const TRANSFORMERS_OUTSIDE: &[Row] = &[
    ("conv1.weight", &["embeddings.patch_embeddings.projection.weight"]),
    ("conv1.bias", &["embeddings.patch_embeddings.projection.bias"]),
    ("class_embedding", &["embeddings.cls_token"]),
    ("positional_embedding", &["embeddings.position_embeddings"]),
    ("ln_post.weight", &["layernorm.weight"]),
    ("ln_post.bias", &["layernorm.bias"]),
];

const TRANSFORMERS_QKV_WEIGHT: &[&str] =
    &["attention.attention.query.weight", "attention.attention.key.weight", "attention.attention.value.weight"];

const TRANSFORMERS_QKV_BIAS: &[&str] =
    &["attention.attention.query.bias", "attention.attention.key.bias", "attention.attention.value.bias"];

const TRANSFORMERS_UNUSED: &[Unused] =
    &[("embeddings.mask_token", PretrainingOnly), ("pooler.", Head), ("classifier.", Head), ("decoder", OtherPart)];
