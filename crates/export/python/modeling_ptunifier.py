"""PTUnifier for `transformers`: an image, a text, or both; soft prompts take the place of what is missing.

Written by the project `ptunifier` from its specification. Weights have the published names.
"""

from dataclasses import dataclass
from typing import Optional

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from .configuration_ptunifier import PTUnifierConfig

HEAD_EPS = 1e-5


@dataclass
class PTUnifierOutput(ModelOutput):
    """What the model computes of a batch.

    features: pooled features, text first, [batch, 2 * width of the fusion].
    embeds: unit vectors in which images and texts can be compared, [batch, width]; only for images alone and texts alone.
    logits: one for each answer, class or label of a fine-tuned model.
    """

    features: Optional[torch.FloatTensor] = None
    embeds: Optional[torch.FloatTensor] = None
    logits: Optional[torch.FloatTensor] = None


def attend(query, key, value, mask, heads):
    """Multi-head attention; `mask` is true where a key may be attended to, [batch, keys], or None."""
    split = lambda x: x.unflatten(-1, (heads, -1)).transpose(1, 2)
    mask = None if mask is None else mask[:, None, None, :]
    return F.scaled_dot_product_attention(split(query), split(key), split(value), attn_mask=mask).transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Query, key and value of one layer (`attention.self`)."""

    def __init__(self, width, heads):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.heads = heads

    def forward(self, x, other, mask):
        return attend(self.query(x), self.key(other), self.value(other), mask, self.heads)


class Output(nn.Module):
    """Linear layer, residual connection, norm."""

    def __init__(self, inner, width, eps):
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(inner, width), nn.LayerNorm(width, eps=eps)

    def forward(self, x, residual):
        return self.LayerNorm(residual + self.dense(x))


class Dense(nn.Module):
    def __init__(self, width, outputs):
        super().__init__()
        self.dense = nn.Linear(width, outputs)

    def forward(self, x):
        return self.dense(x)


class Attention(nn.Module):
    def __init__(self, width, heads, eps):
        super().__init__()
        self.self, self.output = SelfAttention(width, heads), Output(width, width, eps)

    def forward(self, x, other, mask):
        return self.output(self.self(x, other, mask), x)


class Layer(nn.Module):
    """A post-norm layer; one of the fusion also attends to the other stream."""

    def __init__(self, width, heads, eps, crosses):
        super().__init__()
        self.attention = Attention(width, heads, eps)
        if crosses:
            self.crossattention = Attention(width, heads, eps)
        self.intermediate, self.output = Dense(width, 4 * width), Output(4 * width, width, eps)

    def forward(self, x, mask, other=None, other_mask=None):
        x = self.attention(x, x, mask)
        if other is not None:
            x = self.crossattention(x, other, other_mask)
        return self.output(F.gelu(self.intermediate(x)), x)


class Mlp(nn.Module):
    def __init__(self, width, inner, activation):
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, inner), nn.Linear(inner, width)
        self.activation = {
            "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x), "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        }[activation]

    def forward(self, x):
        return self.c_proj(self.activation(self.c_fc(x)))


class JoinedAttention(nn.Module):
    """Self-attention with one matrix for query, key and value."""

    def __init__(self, width, heads):
        super().__init__()
        self.in_proj_weight, self.in_proj_bias = nn.Parameter(torch.zeros(3 * width, width)), nn.Parameter(torch.zeros(3 * width))
        self.out_proj, self.heads = nn.Linear(width, width), heads

    def forward(self, x, mask=None):
        query, key, value = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        return self.out_proj(attend(query, key, value, mask, self.heads))


class LayerScale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.gamma * x


class Block(nn.Module):
    """A pre-norm block of the image encoder, or of a fusion with one stream."""

    def __init__(self, image):
        super().__init__()
        width, eps = image["width"], image["eps"]
        heads, inner = image["heads"] or width // 64, image["mlp_width"] or 4 * width
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.attn, self.mlp = JoinedAttention(width, heads), Mlp(width, inner, image["activation"])
        scale = lambda: LayerScale(width) if image["layer_scale"] else nn.Identity()
        self.ls_1, self.ls_2 = scale(), scale()

    def forward(self, x, mask=None):
        x = x + self.ls_1(self.attn(self.ln_1(x), mask))
        return x + self.ls_2(self.mlp(self.ln_2(x)))


class Blocks(nn.Module):
    def __init__(self, image):
        super().__init__()
        self.resblocks = nn.ModuleList(Block(image) for _ in range(image["layers"] - image["drop_last"]))


class Visual(nn.Module):
    """The image encoder. It runs over images, and over prompts in their place."""

    def __init__(self, image):
        super().__init__()
        self.image, width = image, image["width"]
        self.grid = image["size"] // image["patch"]
        self.class_embedding = nn.Parameter(torch.zeros(width)) if image["class_token"] else None
        self.positional_embedding = nn.Parameter(torch.zeros(int(image["class_token"]) + self.grid**2, width))
        self.register_embedding = nn.Parameter(torch.zeros(image["registers"], width)) if image["registers"] else None
        self.conv1 = nn.Conv2d(3, width, image["patch"], image["patch"], bias=image["patch_bias"])
        if image["pre_norm"]:
            self.ln_pre = nn.LayerNorm(width, eps=image["eps"])
        self.transformer = Blocks(image)
        self.ln_post = nn.LayerNorm(width, eps=image["eps"]) if image["layers"] else nn.Identity()

    def first(self, count):
        """The class token with its position, [count, 0 or 1, width]."""
        if self.class_embedding is None:
            return self.positional_embedding.new_zeros(count, 0, self.image["width"])
        return (self.class_embedding + self.positional_embedding[0]).expand(count, 1, -1)

    def embed(self, pixels):
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.first(len(pixels))
        return torch.cat([first, patches + self.positional_embedding[first.shape[1]:]], 1)

    def encode(self, x):
        special, registers = int(self.image["class_token"]), self.image["registers"]
        if registers:
            x = torch.cat([x[:, :special], self.register_embedding.expand(len(x), -1, -1), x[:, special:]], 1)
        if self.image["pre_norm"]:
            x = self.ln_pre(x)
        for block in self.transformer.resblocks:
            x = block(x)
        x = self.ln_post(x)
        x = torch.cat([x[:, :special], x[:, special + registers:]], 1)
        return x if special else torch.cat([x.mean(1, keepdim=True), x], 1)

    def merged(self, x):
        """Averages squares of patches; squares at the right and lower edge repeat their last ones."""
        side, grid = self.image["merge"], self.grid
        if side == 1:
            return x
        patches = x[:, 1:].unflatten(1, (grid, grid)).permute(0, 3, 1, 2)
        more = -grid % side
        patches = F.avg_pool2d(F.pad(patches, (0, more, 0, more), mode="replicate"), side)
        return torch.cat([x[:, :1], patches.flatten(2).transpose(1, 2)], 1)


class VisionEncoder(nn.Module):
    def __init__(self, image):
        super().__init__()
        self.visual = Visual(image)


class Embeddings(nn.Module):
    def __init__(self, text):
        super().__init__()
        width, is_roberta = text["width"], text["style"] == "roberta"
        self.word_embeddings = nn.Embedding(text["vocabulary"], width)
        self.position_embeddings = nn.Embedding(text["positions"], width)
        self.token_type_embeddings = nn.Embedding(1 if is_roberta else 2, width)
        self.LayerNorm = nn.LayerNorm(width, eps=text["eps"])
        self.first_position = text["padding"] + 1 if is_roberta else 0

    def forward(self, ids):
        positions = self.first_position + torch.arange(ids.shape[1], device=ids.device)
        x = self.word_embeddings(ids) + self.position_embeddings(positions) + self.token_type_embeddings.weight[0]
        return self.LayerNorm(x)


class Layers(nn.Module):
    def __init__(self, text):
        super().__init__()
        self.layer = nn.ModuleList(Layer(text["width"], text["heads"], text["eps"], False) for _ in range(text["layers"]))


class LanguageEncoder(nn.Module):
    def __init__(self, text):
        super().__init__()
        self.embeddings, self.encoder = Embeddings(text), Layers(text)

    def encode(self, x, mask):
        for layer in self.encoder.layer:
            x = layer(x, mask)
        return x


class ItcHead(nn.Module):
    def __init__(self, width, learned):
        super().__init__()
        self.vision_ln, self.language_ln = nn.LayerNorm(2 * width, eps=HEAD_EPS), nn.LayerNorm(2 * width, eps=HEAD_EPS)
        self.vision_proj = nn.Linear(2 * width, width, bias=False)
        self.language_proj = nn.Linear(2 * width, width, bias=False)
        if learned:
            self.logit_scale = nn.Parameter(torch.zeros(1))


class MlmTransform(nn.Module):
    def __init__(self, width, eps):
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(width, width), nn.LayerNorm(width, eps=eps)


class MlmHead(nn.Module):
    """Logits of masked words from the states of the text stream."""

    def __init__(self, width, text):
        super().__init__()
        self.transform = MlmTransform(width, text["eps"])
        self.decoder, self.bias = nn.Linear(width, text["vocabulary"], bias=False), nn.Parameter(torch.zeros(text["vocabulary"]))

    def forward(self, x):
        return self.decoder(self.transform.LayerNorm(F.gelu(self.transform.dense(x)))) + self.bias


class ItmHead(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(2 * width, 2)


def task_head(width, outputs):
    norm = nn.LayerNorm(2 * width, eps=HEAD_EPS)
    return nn.Sequential(nn.Linear(2 * width, 2 * width), norm, nn.GELU(), nn.Linear(2 * width, outputs))


def pooled(tokens, mask, how):
    """The query of tokens [batch, tokens, width]: their mean or maximum, in float64 so that the choice of prompts is stable."""
    tokens, mask = tokens.double(), mask[..., None]
    if how == "mean":
        return (tokens * mask).sum(1) / (mask.sum(1) + 1e-8)
    largest = tokens.masked_fill(~mask, float("-inf")).max(1).values
    return torch.where(mask.any(1), largest, torch.zeros_like(largest))


def chosen(pool, projection, query, config):
    """The rows of a pool that are most similar to each query, most similar first, [batch, take, width]; fixed prompts are all rows."""
    if config["kind"] == "fixed":
        return pool.expand(len(query), -1, -1)
    if projection is not None:
        query = query @ projection.double()
    scores = query @ pool.double().T
    if config["similarity"] == "cosine":
        scores = scores / pool.double().norm(dim=1).clamp_min(1e-12)
    # A stable sort: of equal rows the lowest one comes first.
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, : config["take"]]
    return pool[best]


class PTUnifierModel(PreTrainedModel):
    """The model. Give `pixel_values`, `input_ids` with `attention_mask`, or both."""

    config_class = PTUnifierConfig
    main_input_name = "pixel_values"
    # The head of masked image modelling is needed in training only.
    _keys_to_ignore_on_load_unexpected = [r"^mim_head\."]

    def __init__(self, config):
        super().__init__(config)
        image, text, fusion = config.image, config.text, config.fusion
        width, heads, outputs = fusion["width"], config.heads, config.outputs
        self.vision_encoder, self.language_encoder = VisionEncoder(image), LanguageEncoder(text)
        self.pseudo_vision_token_pool = self.pool(config.image_prompts, image["width"])
        self.pseudo_language_token_pool = self.pool(config.text_prompts, text["width"])
        by_query = lambda prompts: prompts["kind"] == "pool" and prompts["size"] > 0 and image["width"] != text["width"]
        projection = lambda rows, columns: nn.Parameter(torch.zeros(rows, columns))
        self.image_prompt_query_projection = projection(text["width"], image["width"]) if by_query(config.image_prompts) else None
        self.text_prompt_query_projection = projection(image["width"], text["width"]) if by_query(config.text_prompts) else None
        self.modality_type_embeddings = nn.Embedding(2, width)
        self.multi_modal_vision_proj = nn.Linear(image["width"], width)
        self.multi_modal_language_proj = nn.Linear(text["width"], width)
        layers = lambda crosses: nn.ModuleList(Layer(width, fusion["heads"], fusion["eps"], crosses) for _ in range(fusion["layers"]))
        if fusion["kind"] == "single_stream_bert":
            self.multi_modal_layers = layers(False)
        elif fusion["kind"] == "single_stream_vit":
            block = {**image, "width": width, "heads": fusion["heads"], "eps": fusion["eps"]}
            self.multi_modal_blocks = nn.ModuleList(Block(block) for _ in range(fusion["layers"]))
            self.multi_modal_ln_post = nn.LayerNorm(width, eps=fusion["eps"])
        else:
            self.multi_modal_vision_layers, self.multi_modal_language_layers = layers(True), layers(True)
        self.multi_modal_vision_pooler, self.multi_modal_language_pooler = Dense(width, width), Dense(width, width)
        if "mlm" in heads:
            self.mlm_head = MlmHead(width, text)
        if "itm" in heads:
            self.itm_head = ItmHead(width)
        if "itc" in heads:
            self.itc_head = ItcHead(width, config.contrast["learned"])
        if "retrieval" in heads:
            self.irtr_head = nn.Linear(2 * width, 1)
        self.task_head_name = None
        for name, own in (("vqa", "vqa_head"), ("classification", "cls_head"), ("multilabel", "mlc_head")):
            if name in heads:
                setattr(self, own, task_head(width, outputs[name]))
                self.task_head_name = own
        self.post_init()

    def _init_weights(self, module):
        """New weights are drawn by `ptunifier`, not here."""

    @staticmethod
    def pool(prompts, width):
        rows = prompts["take"] if prompts["kind"] == "fixed" else prompts["size"]
        return nn.Parameter(torch.zeros(rows, width)) if rows else None

    def image_stand_in(self, words, mask):
        """Input of the image encoder in place of an image, chosen by an embedded text."""
        visual, pool = self.vision_encoder.visual, self.pseudo_vision_token_pool
        first = visual.first(len(words))
        if pool is None:
            return first
        # The first token of the text is not part of the query.
        query = pooled(words[:, 1:], mask[:, 1:], self.config.image_prompts.get("pooling", "mean"))
        return torch.cat([first, chosen(pool, self.image_prompt_query_projection, query, self.config.image_prompts)], 1)

    def text_stand_in(self, patches):
        """Input of the text encoder in place of a text, chosen by an embedded image."""
        text, pool = self.config.text, self.pseudo_language_token_pool
        edge = lambda name: self.language_encoder.embeddings(patches.new_full((len(patches), 1), text[name], dtype=torch.long))
        if pool is None:
            return edge("start")
        special = int(self.config.image["class_token"])
        tokens = patches[:, special:]
        query = pooled(tokens, torch.ones_like(tokens[..., 0], dtype=torch.bool), self.config.text_prompts.get("pooling", "mean"))
        prompts = chosen(pool, self.text_prompt_query_projection, query, self.config.text_prompts)
        return torch.cat([edge("start"), prompts, edge("end")], 1)

    def projected(self, x, mask, projection, modality):
        x = projection(x) + self.modality_type_embeddings.weight[modality]
        if not self.config.fusion["add_mean"]:
            return x
        weights = torch.ones_like(x[..., :1]) if mask is None else mask[..., None].to(x.dtype)
        mean = (x * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
        return torch.cat([x[:, :1] + mean, x[:, 1:]], 1)

    def fused(self, input_ids, attention_mask, pixel_values):
        """The states of both streams after the fusion: texts, images."""
        visual, language = self.vision_encoder.visual, self.language_encoder
        words = mask = patches = None
        if input_ids is not None:
            words = language.embeddings(input_ids)
            mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        if pixel_values is not None:
            patches = visual.embed(pixel_values)
        if words is None and patches is None:
            raise ValueError("give `pixel_values`, `input_ids`, or both")
        if patches is None:
            images = visual.encode(self.image_stand_in(words, mask))
        else:
            images = visual.merged(visual.encode(patches))
        texts = language.encode(self.text_stand_in(patches) if words is None else words, mask)
        images = self.projected(images, None, self.multi_modal_vision_proj, 1)
        texts = self.projected(texts, mask, self.multi_modal_language_proj, 0)
        if self.config.fusion["kind"] != "two_stream":
            return self.in_one_stream(texts, images, mask)
        for of_image, of_text in zip(self.multi_modal_vision_layers, self.multi_modal_language_layers):
            texts, images = of_text(texts, mask, images, None), of_image(images, None, texts, mask)
        return texts, images

    def in_one_stream(self, texts, images, mask):
        """Text and image as one sequence through the layers of a Transformer."""
        if mask is not None:
            mask = torch.cat([mask, mask.new_ones(images.shape[:2])], 1)
        x, length = torch.cat([texts, images], 1), texts.shape[1]
        if self.config.fusion["kind"] == "single_stream_vit":
            for block in self.multi_modal_blocks:
                x = block(x, mask)
            x = self.multi_modal_ln_post(x)
        else:
            for layer in self.multi_modal_layers:
                x = layer(x, mask)
        return x[:, :length], x[:, length:]

    def forward(self, input_ids=None, attention_mask=None, pixel_values=None, return_dict=None, **_):
        texts, images = self.fused(input_ids, attention_mask, pixel_values)
        text, image = self.multi_modal_language_pooler(texts[:, 0]), self.multi_modal_vision_pooler(images[:, 0])
        features = torch.cat([text, image], 1).tanh()
        output = PTUnifierOutput(features=features)
        if hasattr(self, "itc_head") and (input_ids is None) != (pixel_values is None):
            side = "vision" if input_ids is None else "language"
            norm, projection = getattr(self.itc_head, f"{side}_ln"), getattr(self.itc_head, f"{side}_proj")
            vectors = projection(norm(features))
            output.embeds = vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-12)
        if self.task_head_name:
            output.logits = getattr(self, self.task_head_name)(features)
        return output

    def get_image_features(self, pixel_values):
        """Unit vectors of images without texts."""
        return self(pixel_values=pixel_values).embeds

    def get_text_features(self, input_ids, attention_mask=None):
        """Unit vectors of texts without images."""
        return self(input_ids=input_ids, attention_mask=attention_mask).embeds

    def match(self, input_ids, pixel_values, attention_mask=None):
        """How well each image and text fit: the score of the retrieval head, or the log-odds that both belong together."""
        features = self(input_ids=input_ids, attention_mask=attention_mask, pixel_values=pixel_values).features
        if hasattr(self, "irtr_head"):
            return self.irtr_head(features)[:, 0]
        if not hasattr(self, "itm_head"):
            raise ValueError("this model has no head that compares an image with a text")
        logits = self.itm_head.fc(features)
        return logits[:, 1] - logits[:, 0]
