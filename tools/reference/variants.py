"""What the reference leaves out of the specification, sections 1 to 4: BERT's text, static prompts, other queries and
similarities, unequal widths, texts alone in MLM, the default decay groups, the cosine schedule.
`ptunifier_reference.py` stays as it is; this subclasses it.

Letters in shapes as there: b batch, n image tokens, t text tokens, p prompts, d width.
"""
from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from ptunifier_reference import Config, PlainAdamW, PTUnifier, Switches, TextEmbeddings, parameter_groups, schedule

LOSSES = ("mlm", "itm", "itc", "total")


@dataclass
class VariantConfig(Config):
    """The keys that our own cases add to a config.json; each default is what the shared cases mean. One more lies in
    `optimizer`: `schedule`, "cosine" (any other text is the linear one)."""
    text_style: str = "roberta"         # roberta: positions from `padding` + 1, one token type; bert: from 0, two types
    start: int = 0
    end: int = 2
    padding: int = 1
    visual_prompts_kind: str = "pool"   # pool; fixed: all rows, in order, for every input
    textual_prompts_kind: str = "pool"
    pooling: str = "mean"               # mean or max, of both queries
    similarity: str = "dot"             # dot or cosine, of both pools
    records: str = "pairs"              # pairs; texts: MLM of texts alone
    decay_groups: str = "published"     # published; default: no norm weight and no bias decays
    soft_temperature: float = 0.1       # of attention over a pool, after training, and at its first step
    soft_first_temperature: float = 1.0
    fusion_kind: str = "two_stream"     # two_stream; single_stream_bert, single_stream_vit: one Transformer over text and image
    mim: dict | None = None             # ratio, after, width, layers, heads
    keyed: dict | None = None           # pull, balance
    codebook: dict | None = None        # codes, width, take, levels, layers, weight, commitment, decay, restart
    gradients_up_to: int = 0            # 0: gradients.safetensors holds all; else only weights of at most so many elements

    @staticmethod
    def load(path: Path) -> "VariantConfig":
        known = {f.name for f in fields(VariantConfig)}
        c = VariantConfig(**{k: v for k, v in json.loads(path.read_text()).items() if k in known})
        if c.visual_prompts_kind == "fixed":
            c.visual_pool = c.visual_prompts
        if c.textual_prompts_kind == "fixed":
            c.textual_pool = c.textual_prompts
        return c


class VariantTextEmbeddings(TextEmbeddings):
    def __init__(self, c: VariantConfig) -> None:
        super().__init__(c)
        self.style, self.padding = c.text_style, c.padding
        if self.style == "bert":
            self.token_type_embeddings = nn.Embedding(2, c.text_width)

    def forward(self, ids: Tensor) -> Tensor:
        """[b, t] -> [b, t, d]"""
        valid = ids.ne(self.padding).long()
        places = torch.arange(ids.shape[1])[None] if self.style == "bert" else valid.cumsum(1) * valid + self.padding
        x = self.word_embeddings(ids) + self.position_embeddings(places) + self.token_type_embeddings.weight[0]
        return F.dropout(self.LayerNorm(x), self.p if self.training else 0.0)


class VariantPTUnifier(PTUnifier):
    def __init__(self, c: VariantConfig) -> None:
        super().__init__(c)
        self.language_encoder.embeddings = VariantTextEmbeddings(c)
        # [query's width, pool's width]: a fixed random map where the widths differ (specification, section 2), no parameter
        for name, kind, size, a, b in (("image", c.visual_prompts_kind, c.visual_pool, c.text_width, c.vision_width),
                                       ("text", c.textual_prompts_kind, c.textual_pool, c.vision_width, c.text_width)):
            needed = kind == "pool" and size > 0 and a != b
            self.register_buffer(f"{name}_prompt_query_projection", torch.zeros(a, b) if needed else None)
        self.closest = math.inf  # smallest distance that decided a choice so far, relative to the largest score of its row

    @torch.no_grad()
    def choose(self, query: Tensor, pool: Tensor, k: int) -> Tensor:
        """query [b, d], pool [size, d] -> the k most similar rows, best first, ties to the lowest row: [b, k]."""
        rows = F.normalize(pool, dim=-1) if self.config.similarity == "cosine" else pool
        scores, order = (query @ rows.T).sort(dim=1, descending=True, stable=True)
        gaps = (scores[:, :-1] - scores[:, 1:])[:, :k] / scores.abs().amax(1, keepdim=True)
        self.closest = min(self.closest, gaps.min().item()) if gaps.numel() else self.closest
        return order[:, :k]

    @torch.no_grad()
    def query(self, tokens: Tensor, valid: Tensor, projection: Tensor | None) -> Tensor:
        """Mean or largest of the valid tokens without the first: [b, n, d], [b, n] -> [b, d of the pool]."""
        tokens, m = tokens[:, 1:], valid[:, 1:, None].to(tokens.dtype)
        if self.config.pooling == "max":
            query = tokens.masked_fill(m == 0, -math.inf).amax(1)
        else:
            query = (tokens * m).sum(1) / (m.sum(1) + 1e-8)
        return query if projection is None else query @ projection

    def text_query(self, embedded: Tensor, valid: Tensor) -> Tensor:
        return self.query(embedded, valid, self.image_prompt_query_projection)

    def image_query(self, embedded: Tensor) -> Tensor:
        return self.query(embedded, torch.ones(embedded.shape[:2]), self.text_prompt_query_projection)

    def visual_prompts(self, text: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.config.visual_prompts_kind == "pool":
            return super().visual_prompts(text, valid)
        tower, pool = self.vision_encoder.visual, self.pseudo_vision_token_pool
        cls = (tower.class_embedding + tower.positional_embedding[0]).expand(len(text), 1, -1)
        return torch.cat([cls, pool.expand(len(text), -1, -1)], 1), torch.arange(len(pool)).expand(len(text), -1)

    def textual_prompts(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        b, pool = len(image), self.pseudo_language_token_pool
        start, end = (self.embed_text(torch.full((b, 1), i)) for i in (self.config.start, self.config.end))
        if pool is None:
            return start, None
        if self.config.textual_prompts_kind == "fixed":
            index = torch.arange(len(pool)).expand(b, -1)
        else:
            index = self.choose(self.image_query(image.detach()), pool, self.config.textual_prompts)
        return torch.cat([start, F.embedding(index, pool), end], 1), index

    def features(self, image: Tensor | None, ids: Tensor | None, valid: Tensor | None, trim: bool = False) -> dict[str, Tensor]:
        out = super().features(image, ids, valid, trim)
        if ids is None:
            out["textual_query"] = self.image_query(self.embed_image(image))
        for name, kind, size in (("visual_query", self.config.visual_prompts_kind, self.config.visual_pool),
                                 ("textual_query", self.config.textual_prompts_kind, self.config.textual_pool)):
            if kind == "fixed" or size == 0:
                out.pop(name, None)
        return out

    def after_step(self) -> None:
        """What changes after the optimizer's step, other than by gradients."""

    def pretrain(self, batch: dict[str, Tensor], s: Switches) -> dict[str, Tensor]:
        if self.config.records == "pairs":
            return super().pretrain(batch, s)
        text = self.features(None, batch["text_ids_mlm"], batch["text_mask"])["text_features"]
        mlm = self.mlm_loss(text, batch["text_labels_mlm"], s.masked_head)
        return {"mlm": mlm, "total": self.config.loss_weights["mlm"] * mlm}


# --------------------------------------------------------------------------------------------------------------- optimiser
def variant_optimizer(model: VariantPTUnifier) -> PlainAdamW:
    """AdamW of the specification (section 4). `default`: what the published rule decays, but no norm weight either."""
    o = model.config.optimizer
    groups = parameter_groups(model, o)
    for source, to in ((0, 4), (1, 5)):  # prompts beyond the paper belong to the fusion
        mine = [i for i, n in enumerate(groups[source]["names"]) if n.startswith(("image_prompt_", "text_prompt_"))]
        for key in ("names", "params"):
            groups[to][key] += [groups[source][key][i] for i in mine]
            groups[source][key] = [v for i, v in enumerate(groups[source][key]) if i not in mine]
    if model.config.decay_groups == "default":
        norms = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.LayerNorm)}
        for with_decay, without in zip(groups[::2], groups[1::2]):
            members = [*zip(with_decay["names"], with_decay["params"]), *zip(without["names"], without["params"])]
            for g, wanted in ((with_decay, False), (without, True)):
                mine = [(n, p) for n, p in members if (n in norms or n.endswith("bias")) == wanted]
                g["names"], g["params"] = [n for n, _ in mine], [p for _, p in mine]
    return PlainAdamW(groups, tuple(o["betas"]), o["eps"])


def variant_schedule(step: int, o: dict) -> float:
    """Factor of the learning rate at step 0, 1, ..."""
    steps, w = o["steps"], math.floor(o["warmup_fraction"] * o["steps"])
    if o.get("schedule") != "cosine" or step < w:
        return schedule(step, steps, o["warmup_fraction"])
    return 0.5 * (1 + math.cos(math.pi * (step - w) / (steps - w)))


# ------------------------------------------------------------------------------------------------------- what a case expects
def build(config: VariantConfig) -> VariantPTUnifier:
    """The model of a configuration."""
    if config.fusion_kind != "two_stream":
        from single_stream import SingleStreamPTUnifier
        return SingleStreamPTUnifier(config)
    if config.mim:
        from masked_images import MimPTUnifier
        return MimPTUnifier(config)
    if config.visual_prompts_kind in ("pool", "fixed"):
        return VariantPTUnifier(config)
    from beyond import BeyondPTUnifier  # it subclasses what is above
    return BeyondPTUnifier(config)


def load_case(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[VariantPTUnifier, dict[str, Tensor]]:
    """Model in evaluation mode and inputs of a case."""
    model = build(VariantConfig.load(folder / "config.json")).eval()
    model.load(load_file(folder / "checkpoint.safetensors"))
    inputs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in load_file(folder / "inputs.safetensors").items()}
    return model.to(dtype), inputs


@torch.no_grad()
def forward(model: VariantPTUnifier, x: dict[str, Tensor]) -> dict[str, Tensor]:
    """Everything of `expected` that follows from the weights as they are; `itm_labels` of x says whose image is false."""
    if model.config.case != "pretrain":
        return model.task(x)
    if model.config.records == "texts":
        f = model.features(None, x["text_ids_mlm"], x["text_mask"])
        return {"mlm_logits": model.mlm_head(f["text_features"]), "prompts.visual_query": f["visual_query"], "prompts.visual_index": f["visual_index"]}
    out: dict[str, Tensor] = {}
    parts = {"pair": (x["image"], x["text_ids"]), "image_only": (x["image"], None), "text_only": (None, x["text_ids"])}
    for name, (image, ids) in parts.items():
        f = model.features(image, ids, None if ids is None else x["text_mask"])
        out |= {f"{name}.{k}": f[k] for k in ("text_features", "image_features", "cls_features")}
        out |= {f"prompts.{k}": v for k, v in f.items() if k.endswith(("_query", "_index")) and v is not None}
    out["mlm_logits"] = model.mlm_head(model.features(x["image"], x["text_ids_mlm"], x["text_mask"])["text_features"])
    image = torch.where(x["itm_labels"].bool()[:, None, None, None], x["image"], x["false_image"])
    out["itm_logits"] = model.itm_head.fc(model.features(image, x["text_ids"], x["text_mask"])["cls_features"])
    out["itc_logits_image"], _ = model.contrast(out["image_only.cls_features"], out["text_only.cls_features"])
    return {**out, "itc_logits_text": out["itc_logits_image"].T}


def train(model: VariantPTUnifier, x: dict[str, Tensor], s: Switches) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(losses of the first step, trajectory, learning rates, weights afterwards), gradients of the first step."""
    o, optimizer = model.config.optimizer, variant_optimizer(model)
    base, rows, rates, first, gradients = [g["lr"] for g in optimizer.param_groups], [], [], {}, {}
    for step in range(o["steps"]):
        for g, lr in zip(optimizer.param_groups, base):
            g["lr"] = lr * variant_schedule(step, o)
        losses = model.pretrain(x, s)
        optimizer.zero_grad()
        losses["total"].backward()
        if step == 0:
            gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
            first = {f"{k}_loss": v.detach() for k, v in losses.items()}
        rows.append(torch.stack([losses[k].detach() for k in LOSSES if k in losses]))
        rates.append([g["lr"] for g in optimizer.param_groups])
        optimizer.step()
        model.after_step()
    after = {f"weights_after.{n}": p.detach().clone() for n, p in model.state_dict().items()}
    return {**first, "trajectory": torch.stack(rows), "learning_rates": torch.tensor(rates, dtype=torch.float64), **after}, gradients
