//! A table of all weights: path in our module tree, published name (specification, section 8), learning rate group, and kind.
//!
//! There is one row for each weight, so that a reviewer can check it. Only this file decides the name, the learning rate
//! group and the weight decay of a weight.

/// The learning rate group of a weight (specification, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The encoders.
    Backbone,
    /// The fusion and the prompts.
    Fusion,
    /// The heads.
    Head,
}

/// The kind of a weight: it decides initialisation, layout in a published file, and weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Weight of a linear layer, `[out, in]`.
    Matrix,
    /// Weight of the patch convolution: `[d, 3 s s]` in our model, `[d, 3, s, s]` in published files.
    Patch,
    /// An embedding table, or one embedding vector.
    Table,
    /// A bias; its initial value is 0.
    Bias,
    /// Weight of a layer norm; its initial value is 1. The published rule for weight decay depends on the name, so under that
    /// rule some norm weights decay.
    Norm {
        /// Whether it decays under the published rule.
        published_decay: bool,
    },
    /// A fixed random projection that is never trained: `[in, out]`.
    Projection,
    /// Codes of a codebook: moving averages, which have no gradient.
    Codes,
    /// How often codes are used: moving averages, which begin at 0.
    Uses,
}

/// Which weights decay (specification, section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecayGroups {
    /// All weights except norm weights and biases.
    #[default]
    Default,
    /// The weights that decay under the published rule, which depends on names.
    Published,
}

impl Kind {
    /// Whether a weight of this kind is trained by gradients.
    pub fn has_gradient(self) -> bool {
        !matches!(self, Self::Projection | Self::Codes | Self::Uses)
    }

    /// Whether weight decay applies.
    pub fn decays(self, groups: DecayGroups) -> bool {
        match self {
            Self::Matrix | Self::Patch | Self::Table => true,
            Self::Bias | Self::Projection | Self::Codes | Self::Uses => false,
            Self::Norm { published_decay } => published_decay && groups == DecayGroups::Published,
        }
    }
}

/// One weight of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its path in our module tree, for example `text.layers.3.attention.query.weight`.
    pub path: String,
    /// Its published name; our files use the same name.
    pub published: String,
    /// Its learning rate group.
    pub role: Role,
    /// Its kind.
    pub kind: Kind,
}

use Kind::{Bias, Codes, Matrix, Patch, Projection, Table, Uses};
use Role::{Backbone, Fusion, Head};

const NORM: Kind = Kind::Norm { published_decay: false };
const DECAYING_NORM: Kind = Kind::Norm { published_decay: true };

/// (our path, published name, role, kind); `{}` is a layer number.
#[rustfmt::skip]
const TABLE: &[(&str, &str, Role, Kind)] = &[
    ("image.patch.weight", "vision_encoder.visual.conv1.weight", Backbone, Patch),
    // Not in the published model: encoders other than that of CLIP (specification, section 1).
    ("image.patch.bias", "vision_encoder.visual.conv1.bias", Backbone, Bias),
    ("image.registers", "vision_encoder.visual.register_embedding", Backbone, Table),
    ("image.blocks.{}.scale_1", "vision_encoder.visual.transformer.resblocks.{}.ls_1.gamma", Backbone, DECAYING_NORM),
    ("image.blocks.{}.scale_2", "vision_encoder.visual.transformer.resblocks.{}.ls_2.gamma", Backbone, DECAYING_NORM),
    ("image.class", "vision_encoder.visual.class_embedding", Backbone, Table),
    ("image.positions", "vision_encoder.visual.positional_embedding", Backbone, Table),
    ("image.norm_before.weight", "vision_encoder.visual.ln_pre.weight", Backbone, DECAYING_NORM),
    ("image.norm_before.bias", "vision_encoder.visual.ln_pre.bias", Backbone, Bias),
    ("image.blocks.{}.norm_1.weight", "vision_encoder.visual.transformer.resblocks.{}.ln_1.weight", Backbone, DECAYING_NORM),
    ("image.blocks.{}.norm_1.bias", "vision_encoder.visual.transformer.resblocks.{}.ln_1.bias", Backbone, Bias),
    ("image.blocks.{}.attention_input.weight", "vision_encoder.visual.transformer.resblocks.{}.attn.in_proj_weight", Backbone, Matrix),
    ("image.blocks.{}.attention_input.bias", "vision_encoder.visual.transformer.resblocks.{}.attn.in_proj_bias", Backbone, Bias),
    ("image.blocks.{}.attention_output.weight", "vision_encoder.visual.transformer.resblocks.{}.attn.out_proj.weight", Backbone, Matrix),
    ("image.blocks.{}.attention_output.bias", "vision_encoder.visual.transformer.resblocks.{}.attn.out_proj.bias", Backbone, Bias),
    ("image.blocks.{}.norm_2.weight", "vision_encoder.visual.transformer.resblocks.{}.ln_2.weight", Backbone, DECAYING_NORM),
    ("image.blocks.{}.norm_2.bias", "vision_encoder.visual.transformer.resblocks.{}.ln_2.bias", Backbone, Bias),
    ("image.blocks.{}.inner.weight", "vision_encoder.visual.transformer.resblocks.{}.mlp.c_fc.weight", Backbone, Matrix),
    ("image.blocks.{}.inner.bias", "vision_encoder.visual.transformer.resblocks.{}.mlp.c_fc.bias", Backbone, Bias),
    ("image.blocks.{}.outer.weight", "vision_encoder.visual.transformer.resblocks.{}.mlp.c_proj.weight", Backbone, Matrix),
    ("image.blocks.{}.outer.bias", "vision_encoder.visual.transformer.resblocks.{}.mlp.c_proj.bias", Backbone, Bias),
    ("image.norm_after.weight", "vision_encoder.visual.ln_post.weight", Backbone, DECAYING_NORM),
    ("image.norm_after.bias", "vision_encoder.visual.ln_post.bias", Backbone, Bias),

    ("text.words.weight", "language_encoder.embeddings.word_embeddings.weight", Backbone, Table),
    ("text.positions.weight", "language_encoder.embeddings.position_embeddings.weight", Backbone, Table),
    ("text.types.weight", "language_encoder.embeddings.token_type_embeddings.weight", Backbone, Table),
    ("text.norm.weight", "language_encoder.embeddings.LayerNorm.weight", Backbone, NORM),
    ("text.norm.bias", "language_encoder.embeddings.LayerNorm.bias", Backbone, Bias),
    ("text.layers.{}.attention.query.weight", "language_encoder.encoder.layer.{}.attention.self.query.weight", Backbone, Matrix),
    ("text.layers.{}.attention.query.bias", "language_encoder.encoder.layer.{}.attention.self.query.bias", Backbone, Bias),
    ("text.layers.{}.attention.key.weight", "language_encoder.encoder.layer.{}.attention.self.key.weight", Backbone, Matrix),
    ("text.layers.{}.attention.key.bias", "language_encoder.encoder.layer.{}.attention.self.key.bias", Backbone, Bias),
    ("text.layers.{}.attention.value.weight", "language_encoder.encoder.layer.{}.attention.self.value.weight", Backbone, Matrix),
    ("text.layers.{}.attention.value.bias", "language_encoder.encoder.layer.{}.attention.self.value.bias", Backbone, Bias),
    ("text.layers.{}.attention.output.weight", "language_encoder.encoder.layer.{}.attention.output.dense.weight", Backbone, Matrix),
    ("text.layers.{}.attention.output.bias", "language_encoder.encoder.layer.{}.attention.output.dense.bias", Backbone, Bias),
    ("text.layers.{}.attention.norm.weight", "language_encoder.encoder.layer.{}.attention.output.LayerNorm.weight", Backbone, NORM),
    ("text.layers.{}.attention.norm.bias", "language_encoder.encoder.layer.{}.attention.output.LayerNorm.bias", Backbone, Bias),
    ("text.layers.{}.feed_forward.inner.weight", "language_encoder.encoder.layer.{}.intermediate.dense.weight", Backbone, Matrix),
    ("text.layers.{}.feed_forward.inner.bias", "language_encoder.encoder.layer.{}.intermediate.dense.bias", Backbone, Bias),
    ("text.layers.{}.feed_forward.outer.weight", "language_encoder.encoder.layer.{}.output.dense.weight", Backbone, Matrix),
    ("text.layers.{}.feed_forward.outer.bias", "language_encoder.encoder.layer.{}.output.dense.bias", Backbone, Bias),
    ("text.layers.{}.feed_forward.norm.weight", "language_encoder.encoder.layer.{}.output.LayerNorm.weight", Backbone, NORM),
    ("text.layers.{}.feed_forward.norm.bias", "language_encoder.encoder.layer.{}.output.LayerNorm.bias", Backbone, Bias),

    ("modality.weight", "modality_type_embeddings.weight", Backbone, Table),
    ("image_projection.weight", "multi_modal_vision_proj.weight", Fusion, Matrix),
    ("image_projection.bias", "multi_modal_vision_proj.bias", Fusion, Bias),
    ("text_projection.weight", "multi_modal_language_proj.weight", Fusion, Matrix),
    ("text_projection.bias", "multi_modal_language_proj.bias", Fusion, Bias),
    ("image_prompts.table", "pseudo_vision_token_pool", Fusion, Table),
    ("text_prompts.table", "pseudo_language_token_pool", Fusion, Table),
    // Not in the published model: these exist only if the widths of the encoders differ (specification, section 2).
    ("image_prompts.projection", "image_prompt_query_projection", Fusion, Projection),
    ("text_prompts.projection", "text_prompt_query_projection", Fusion, Projection),
    // Not in the published model: prompts beyond the paper (specification, section 2.4).
    ("image_prompts.slots", "image_prompt_slots", Fusion, Table),
    ("text_prompts.slots", "text_prompt_slots", Fusion, Table),
    ("image_prompts.keys", "image_prompt_keys", Fusion, Table),
    ("text_prompts.keys", "text_prompt_keys", Fusion, Table),
    ("image_prompts.codebook.queries", "image_prompt_codebook.queries", Fusion, Table),
    ("text_prompts.codebook.queries", "text_prompt_codebook.queries", Fusion, Table),
    ("image_prompts.codebook.latent.weight", "image_prompt_codebook.latent.weight", Fusion, Matrix),
    ("image_prompts.codebook.latent.bias", "image_prompt_codebook.latent.bias", Fusion, Bias),
    ("text_prompts.codebook.latent.weight", "text_prompt_codebook.latent.weight", Fusion, Matrix),
    ("text_prompts.codebook.latent.bias", "text_prompt_codebook.latent.bias", Fusion, Bias),
    ("image_prompts.codebook.codes", "image_prompt_codebook.codes", Fusion, Codes),
    ("text_prompts.codebook.codes", "text_prompt_codebook.codes", Fusion, Codes),
    ("image_prompts.codebook.uses", "image_prompt_codebook.uses", Fusion, Uses),
    ("text_prompts.codebook.uses", "text_prompt_codebook.uses", Fusion, Uses),
    ("image_prompts.codebook.token.weight", "image_prompt_codebook.token.weight", Fusion, Matrix),
    ("image_prompts.codebook.token.bias", "image_prompt_codebook.token.bias", Fusion, Bias),
    ("text_prompts.codebook.token.weight", "text_prompt_codebook.token.weight", Fusion, Matrix),
    ("text_prompts.codebook.token.bias", "text_prompt_codebook.token.bias", Fusion, Bias),

    ("fusion.image_pooler.weight", "multi_modal_vision_pooler.dense.weight", Fusion, Matrix),
    ("fusion.image_pooler.bias", "multi_modal_vision_pooler.dense.bias", Fusion, Bias),
    ("fusion.text_pooler.weight", "multi_modal_language_pooler.dense.weight", Fusion, Matrix),
    ("fusion.text_pooler.bias", "multi_modal_language_pooler.dense.bias", Fusion, Bias),
    // Not in the published model: one stream of blocks of a vision transformer (specification, section 1.4.1).
    ("fusion.layers.norm.weight", "multi_modal_ln_post.weight", Fusion, DECAYING_NORM),
    ("fusion.layers.norm.bias", "multi_modal_ln_post.bias", Fusion, Bias),

    ("heads.mlm.dense.weight", "mlm_head.transform.dense.weight", Head, Matrix),
    ("heads.mlm.dense.bias", "mlm_head.transform.dense.bias", Head, Bias),
    ("heads.mlm.norm.weight", "mlm_head.transform.LayerNorm.weight", Head, NORM),
    ("heads.mlm.norm.bias", "mlm_head.transform.LayerNorm.bias", Head, Bias),
    ("heads.mlm.decoder.weight", "mlm_head.decoder.weight", Head, Matrix),
    ("heads.mlm.decoder.bias", "mlm_head.bias", Head, Bias),
    ("heads.itm.weight", "itm_head.fc.weight", Head, Matrix),
    ("heads.itm.bias", "itm_head.fc.bias", Head, Bias),
    ("heads.itc.image_norm.weight", "itc_head.vision_ln.weight", Head, DECAYING_NORM),
    ("heads.itc.image_norm.bias", "itc_head.vision_ln.bias", Head, Bias),
    ("heads.itc.image.weight", "itc_head.vision_proj.weight", Head, Matrix),
    ("heads.itc.text_norm.weight", "itc_head.language_ln.weight", Head, DECAYING_NORM),
    ("heads.itc.text_norm.bias", "itc_head.language_ln.bias", Head, Bias),
    ("heads.itc.text.weight", "itc_head.language_proj.weight", Head, Matrix),
    // Not in the published model: a learned temperature.
    ("heads.itc.log_scale", "itc_head.logit_scale", Head, Bias),
    // Not in the published model, whose program has masked image modelling under names that are not known (specification, section 3.4).
    ("heads.mim.embed.weight", "mim_head.embed.weight", Head, Matrix),
    ("heads.mim.embed.bias", "mim_head.embed.bias", Head, Bias),
    ("heads.mim.mask_token", "mim_head.mask_token", Head, Table),
    ("heads.mim.norm.weight", "mim_head.ln_post.weight", Head, DECAYING_NORM),
    ("heads.mim.norm.bias", "mim_head.ln_post.bias", Head, Bias),
    ("heads.mim.pixels.weight", "mim_head.pixels.weight", Head, Matrix),
    ("heads.mim.pixels.bias", "mim_head.pixels.bias", Head, Bias),
    ("heads.retrieval.weight", "irtr_head.weight", Head, Matrix),
    ("heads.retrieval.bias", "irtr_head.bias", Head, Bias),
    ("heads.vqa.inner.weight", "vqa_head.0.weight", Head, Matrix),
    ("heads.vqa.inner.bias", "vqa_head.0.bias", Head, Bias),
    ("heads.vqa.norm.weight", "vqa_head.1.weight", Head, DECAYING_NORM),
    ("heads.vqa.norm.bias", "vqa_head.1.bias", Head, Bias),
    ("heads.vqa.outer.weight", "vqa_head.3.weight", Head, Matrix),
    ("heads.vqa.outer.bias", "vqa_head.3.bias", Head, Bias),
    ("heads.classification.inner.weight", "cls_head.0.weight", Head, Matrix),
    ("heads.classification.inner.bias", "cls_head.0.bias", Head, Bias),
    ("heads.classification.norm.weight", "cls_head.1.weight", Head, DECAYING_NORM),
    ("heads.classification.norm.bias", "cls_head.1.bias", Head, Bias),
    ("heads.classification.outer.weight", "cls_head.3.weight", Head, Matrix),
    ("heads.classification.outer.bias", "cls_head.3.bias", Head, Bias),
    ("heads.multilabel.inner.weight", "mlc_head.0.weight", Head, Matrix),
    ("heads.multilabel.inner.bias", "mlc_head.0.bias", Head, Bias),
    ("heads.multilabel.norm.weight", "mlc_head.1.weight", Head, DECAYING_NORM),
    ("heads.multilabel.norm.bias", "mlc_head.1.bias", Head, Bias),
    ("heads.multilabel.outer.weight", "mlc_head.3.weight", Head, Matrix),
    ("heads.multilabel.outer.bias", "mlc_head.3.bias", Head, Bias),

    ("decoder.projection.weight", "clm_proj.0.weight", Backbone, Matrix),
    ("decoder.projection.bias", "clm_proj.0.bias", Backbone, Bias),
    ("decoder.projection_norm.weight", "clm_proj.1.weight", Backbone, DECAYING_NORM),
    ("decoder.projection_norm.bias", "clm_proj.1.bias", Backbone, Bias),
    ("decoder.words.weight", "clm_head.bert.embeddings.word_embeddings.weight", Head, Table),
    ("decoder.positions.weight", "clm_head.bert.embeddings.position_embeddings.weight", Head, Table),
    ("decoder.types.weight", "clm_head.bert.embeddings.token_type_embeddings.weight", Head, Table),
    ("decoder.norm.weight", "clm_head.bert.embeddings.LayerNorm.weight", Head, NORM),
    ("decoder.norm.bias", "clm_head.bert.embeddings.LayerNorm.bias", Head, Bias),
    ("decoder.head.dense.weight", "clm_head.lm_head.transform.dense.weight", Head, Matrix),
    ("decoder.head.dense.bias", "clm_head.lm_head.transform.dense.bias", Head, Bias),
    ("decoder.head.norm.weight", "clm_head.lm_head.transform.LayerNorm.weight", Head, NORM),
    ("decoder.head.norm.bias", "clm_head.lm_head.transform.LayerNorm.bias", Head, Bias),
    ("decoder.head.decoder.weight", "clm_head.lm_head.decoder.weight", Head, Matrix),
    ("decoder.head.decoder.bias", "clm_head.lm_head.bias", Head, Bias),
];

/// Layers that may attend to another sequence: (our path, published name, role). Each has the weights of `CROSS_LAYER`.
const CROSS_LAYERS: &[(&str, &str, Role)] = &[
    ("fusion.layers.image.{}.", "multi_modal_vision_layers.{}.", Fusion),
    ("fusion.layers.text.{}.", "multi_modal_language_layers.{}.", Fusion),
    // Not in the published model: one stream, whose layers have no cross-attention (specification, section 1.4.1).
    ("fusion.layers.{}.", "multi_modal_layers.{}.", Fusion),
    ("image_prompts.codebook.layers.{}.", "image_prompt_codebook.layers.{}.", Fusion),
    ("text_prompts.codebook.layers.{}.", "text_prompt_codebook.layers.{}.", Fusion),
    ("decoder.layers.{}.", "clm_head.bert.encoder.layer.{}.", Head),
];

/// Weights of a fusion layer in either stream, of a layer that composes prompts and of a decoder layer: (our path after, for example, `fusion.layers.image.{}.`, published
/// name after `multi_modal_vision_layers.{}.`, kind).
#[rustfmt::skip]
const CROSS_LAYER: &[(&str, &str, Kind)] = &[
    ("attention.query.weight", "attention.self.query.weight", Matrix),
    ("attention.query.bias", "attention.self.query.bias", Bias),
    ("attention.key.weight", "attention.self.key.weight", Matrix),
    ("attention.key.bias", "attention.self.key.bias", Bias),
    ("attention.value.weight", "attention.self.value.weight", Matrix),
    ("attention.value.bias", "attention.self.value.bias", Bias),
    ("attention.output.weight", "attention.output.dense.weight", Matrix),
    ("attention.output.bias", "attention.output.dense.bias", Bias),
    ("attention.norm.weight", "attention.output.LayerNorm.weight", NORM),
    ("attention.norm.bias", "attention.output.LayerNorm.bias", Bias),
    ("cross.query.weight", "crossattention.self.query.weight", Matrix),
    ("cross.query.bias", "crossattention.self.query.bias", Bias),
    ("cross.key.weight", "crossattention.self.key.weight", Matrix),
    ("cross.key.bias", "crossattention.self.key.bias", Bias),
    ("cross.value.weight", "crossattention.self.value.weight", Matrix),
    ("cross.value.bias", "crossattention.self.value.bias", Bias),
    ("cross.output.weight", "crossattention.output.dense.weight", Matrix),
    ("cross.output.bias", "crossattention.output.dense.bias", Bias),
    ("cross.norm.weight", "crossattention.output.LayerNorm.weight", NORM),
    ("cross.norm.bias", "crossattention.output.LayerNorm.bias", Bias),
    ("feed_forward.inner.weight", "intermediate.dense.weight", Matrix),
    ("feed_forward.inner.bias", "intermediate.dense.bias", Bias),
    ("feed_forward.outer.weight", "output.dense.weight", Matrix),
    ("feed_forward.outer.bias", "output.dense.bias", Bias),
    ("feed_forward.norm.weight", "output.LayerNorm.weight", NORM),
    ("feed_forward.norm.bias", "output.LayerNorm.bias", Bias),
];

/// How our paths and the published names of the weights of a block of the image encoder begin.
const BLOCK_OF_IMAGE: (&str, &str) = ("image.blocks.{}.", "vision_encoder.visual.transformer.resblocks.{}.");
/// Other blocks with the same weights: (our path, name, role). Not in the published model.
const BLOCKS: &[(&str, &str, Role)] =
    &[("fusion.layers.blocks.{}.", "multi_modal_blocks.{}.", Fusion), ("heads.mim.blocks.{}.", MIM_BLOCK, Head)];
const MIM_BLOCK: &str = "mim_head.blocks.{}.";

/// The start of our paths of the image encoder's weights.
pub const IMAGE_ENCODER: &str = "image.";
/// The start of our paths of the text encoder's weights.
pub const TEXT_ENCODER: &str = "text.";
/// The weights of the image encoder behind all its blocks begin with this.
const AFTER_BLOCKS: &str = "image.norm_after.";

/// How the published names of the weights of prompts begin.
const PROMPTS: [&str; 4] = ["pseudo_vision_token_pool", "pseudo_language_token_pool", "image_prompt_", "text_prompt_"];

/// Whether a weight with this published name belongs to the prompts in place of missing modalities.
pub fn is_prompt(published: &str) -> bool {
    PROMPTS.iter().any(|start| published.starts_with(start))
}

/// The start of our paths of the decoder's weights.
const DECODER: &str = "decoder.";

impl Name {
    /// Whether a model may lack this weight before fine-tuning: it belongs to a head or to the decoder.
    pub fn may_be_new(&self) -> bool {
        self.role == Head || self.path.starts_with(DECODER)
    }
}

/// Published weights that the model does not use (specification, section 8). They may have any shape and are reported as unused.
const UNUSED: &[&str] = &[
    "vision_encoder.positional_embedding",
    "vision_encoder.token_embedding.weight",
    "vision_encoder.ln_final.weight",
    "vision_encoder.ln_final.bias",
    "language_encoder.pooler.dense.weight",
    "language_encoder.pooler.dense.bias",
];

/// The table row of the weight at `path` in our module tree. `None` if the path is not in the table, which is a bug; a test
/// visits all weights.
pub fn name_of(path: &str) -> Option<Name> {
    let (template, number) = template(path);
    let row = |published: &str, role, kind| {
        let (path, published) = (path.to_string(), published.replace("{}", &number));
        Name { path, published, role, kind }
    };
    for (ours, theirs, role) in CROSS_LAYERS {
        if let Some(rest) = template.strip_prefix(ours) {
            let (_, published, kind) = CROSS_LAYER.iter().find(|(ours, ..)| *ours == rest)?;
            return Some(row(&format!("{theirs}{published}"), *role, *kind));
        }
    }
    let find = |path: &str| TABLE.iter().find(|(ours, ..)| *ours == path);
    for (ours, theirs, role) in BLOCKS {
        if let Some(rest) = template.strip_prefix(ours) {
            let (_, published, _, kind) = find(&format!("{}{rest}", BLOCK_OF_IMAGE.0))?;
            return Some(row(&published.replacen(BLOCK_OF_IMAGE.1, theirs, 1), *role, *kind));
        }
    }
    find(&template).map(|(_, published, role, kind)| row(published, *role, *kind))
}

/// Whether a model may leave a published weight unused: it is in the list of unused weights, it belongs to an image encoder block
/// with number `used_blocks` or higher, or it belongs to a head or to the decoder. (The weights of parts in the configuration are
/// loaded, so only the weights of other parts are left.)
pub fn is_unused(published: &str, used_blocks: usize) -> bool {
    let dropped = published
        .strip_prefix("vision_encoder.visual.transformer.resblocks.")
        .and_then(|rest| rest.split('.').next()?.parse::<usize>().ok())
        .is_some_and(|block| block >= used_blocks);
    let is_part = |(ours, theirs, role, _): &(&str, &str, Role, Kind)| {
        *theirs == published && (*role == Head || ours.starts_with(DECODER))
    };
    let (template, _) = template(published);
    let layer = CROSS_LAYERS.iter().filter(|(ours, ..)| ours.starts_with(DECODER)).any(|(_, theirs, _)| {
        template.strip_prefix(theirs).is_some_and(|rest| CROSS_LAYER.iter().any(|(_, published, _)| *published == rest))
    });
    dropped || layer || template.starts_with(MIM_BLOCK) || TABLE.iter().any(is_part) || UNUSED.contains(&published)
}

/// The published names of the weights of an encoder that uses this many blocks or layers; `path` is [`IMAGE_ENCODER`] or
/// [`TEXT_ENCODER`].
pub fn of_encoder(path: &'static str, layers: usize) -> impl Iterator<Item = String> {
    of_rows(move |ours| ours.starts_with(path), layers)
}

/// The published names of the weights of an encoder before its block or layer number `layer`: of the embedding, and of the blocks or layers
/// before that one. `path` is [`IMAGE_ENCODER`] or [`TEXT_ENCODER`].
pub fn before_layer(path: &'static str, layer: usize) -> impl Iterator<Item = String> {
    of_rows(move |ours| ours.starts_with(path) && !ours.starts_with(AFTER_BLOCKS), layer)
}

/// The published names of the rows of the table whose paths of ours are selected, with this many blocks or layers.
fn of_rows(is_asked: impl Fn(&str) -> bool, layers: usize) -> impl Iterator<Item = String> {
    let rows = TABLE.iter().filter(move |(ours, ..)| is_asked(ours));
    rows.flat_map(move |(_, published, ..)| {
        let numbers = if published.contains("{}") { layers } else { 1 };
        (0..numbers).map(move |number| published.replace("{}", &number.to_string()))
    })
}

/// `text.layers.3.norm` -> (`text.layers.{}.norm`, `3`).
fn template(path: &str) -> (String, String) {
    let mut number = String::new();
    let parts: Vec<&str> = path
        .split('.')
        .map(|part| {
            if part.bytes().all(|byte| byte.is_ascii_digit()) {
                number = part.into();
                "{}"
            } else {
                part
            }
        })
        .collect();
    (parts.join("."), number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_contain_the_layer_number() {
        let name = name_of("fusion.layers.text.5.cross.norm.weight").unwrap();
        assert_eq!(name.published, "multi_modal_language_layers.5.crossattention.output.LayerNorm.weight");
        assert_eq!((name.role, name.kind), (Fusion, NORM));
        assert_eq!(
            name_of("image.blocks.11.inner.bias").unwrap().published,
            "vision_encoder.visual.transformer.resblocks.11.mlp.c_fc.bias"
        );
        let name = name_of("fusion.layers.blocks.3.attention_output.bias").unwrap();
        assert_eq!((name.published.as_str(), name.role), ("multi_modal_blocks.3.attn.out_proj.bias", Fusion));
        let name = name_of("fusion.layers.3.feed_forward.norm.weight").unwrap();
        assert_eq!((name.published.as_str(), name.kind), ("multi_modal_layers.3.output.LayerNorm.weight", NORM));
        assert_eq!(name_of("image.blocks.11.outer.gain"), None);
    }

    #[test]
    fn the_published_decay_rule_depends_on_the_name() {
        // Specification, section 4: no decay if the name contains `bias`, `LayerNorm.weight`, `norm.weight`, `norm1.weight` or
        // `norm2.weight`.
        let by_name = |name: &str| {
            !["bias", "LayerNorm.weight", "norm.weight", "norm1.weight", "norm2.weight"]
                .iter()
                .any(|part| name.contains(part))
        };
        let fusion = CROSS_LAYER.iter().map(|(_, published, kind)| (*published, *kind));
        for (published, kind) in TABLE.iter().map(|(_, published, _, kind)| (*published, *kind)).chain(fusion) {
            // Weights that are not in the published model have no published rule.
            if kind.has_gradient() && published != "itc_head.logit_scale" {
                assert_eq!(kind.decays(DecayGroups::Published), by_name(published), "{published}");
            }
        }
    }

    #[test]
    fn the_image_encoder_has_the_names_of_its_blocks() {
        let names: Vec<String> = of_encoder(IMAGE_ENCODER, 2).collect();
        assert_eq!(names.len(), 9 + 2 * 14);
        assert!(names.iter().all(|name| name.starts_with("vision_encoder.visual.")));
        assert!(names.contains(&"vision_encoder.visual.transformer.resblocks.1.mlp.c_proj.bias".to_string()));
    }

    #[test]
    fn dropped_blocks_are_unused() {
        assert!(is_unused("vision_encoder.visual.transformer.resblocks.11.ln_1.bias", 11));
        assert!(!is_unused("vision_encoder.visual.transformer.resblocks.10.ln_1.bias", 11));
        assert!(is_unused("language_encoder.pooler.dense.bias", 11));
        assert!(is_unused("clm_head.bert.encoder.layer.3.crossattention.self.key.bias", 11));
        assert!(is_unused("clm_proj.0.bias", 11) && is_unused("clm_head.lm_head.bias", 11));
        assert!(!is_unused("clm_head.bert.encoder.layer.3.crossattention.self.bias", 11));
        assert!(is_unused("itm_head.fc.bias", 11) && !is_unused("multi_modal_vision_proj.bias", 11));
    }
}
