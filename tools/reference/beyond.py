"""Prompts beyond the paper (specification, section 2.4): attention over a pool, learned keys, one token, composed codes.

Letters in shapes as in `ptunifier_reference.py`: b batch, n image tokens, t text tokens, d width.
"""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptunifier_reference import BertLayer, Switches, group, padding_mask
from variants import VariantConfig, VariantPTUnifier

COMPOSED = ("token", "codebook")


def unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(-1, keepdim=True) + 1e-12).sqrt()


def segments(tokens: Tensor, take: int) -> Tensor:
    """[n, d] -> [take, d]: the first token, and the means of equal segments of the others."""
    rest = tokens[1:]
    if take == 1 or not len(rest):
        return tokens[:1].expand(take, -1)
    return torch.cat([tokens[:1], F.adaptive_avg_pool1d(rest.T[None], take - 1)[0].T])


class Codebook(nn.Module):
    """Latents of a generator, quantised to codes; codes are moving averages of the latents that chose them."""
    def __init__(self, c: VariantConfig) -> None:
        super().__init__()
        o, d, eps = c.codebook, c.hidden_size, c.layer_norm_eps["fusion"]
        self.options = o
        self.queries = nn.Parameter(torch.zeros(o["take"], d))
        self.layers = nn.ModuleList(BertLayer(d, c.fusion_heads, eps, 0.0, cross=True) for _ in range(o["layers"]))
        self.latent, self.token = nn.Linear(d, o["width"]), nn.Linear(o["width"], d)
        self.register_buffer("codes", torch.zeros(o["levels"] * o["codes"], o["width"]))
        self.register_buffer("uses", torch.zeros(o["levels"] * o["codes"]))
        self.closest = math.inf  # smallest distance that decided a choice
        self.used: list[tuple[Tensor, Tensor]] = []  # of each level: latents [b * take, width] and their codes

    def compose(self, present: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """[b, n, d] -> tokens [b, take, d], rows of the codes [b, levels * take], the loss of commitment."""
        x, o = self.queries.expand(len(present), -1, -1), self.options
        for layer in self.layers:
            x = layer(x, None, present, mask)
        latents = self.latent(x).flatten(0, 1)
        rest, total, commitment, rows = latents.detach(), torch.zeros_like(latents), 0.0, []
        self.used = []
        for level in range(o["levels"]):
            codes = self.codes[level * o["codes"]:(level + 1) * o["codes"]]
            nearest = (rest[:, None] - codes[None]).square().sum(-1).sort(dim=1, stable=True)
            chosen = nearest.indices[:, 0]
            gaps = (nearest.values[:, 1] - nearest.values[:, 0]) / nearest.values[:, -1]
            self.closest = min(self.closest, gaps.min().item())
            self.used.append((rest, chosen))
            rest, total = rest - codes[chosen], total + codes[chosen]
            commitment = commitment + (latents - total).square().mean()
            rows.append(chosen.view(len(present), -1) + level * o["codes"])
        straight = latents + (total - latents).detach()
        return self.token(straight).view(len(present), o["take"], -1), torch.cat(rows, 1), o["commitment"] * commitment

    @torch.no_grad()
    def learn(self) -> None:
        """Moving averages of codes and of their uses after a step; no code restarts."""
        o = self.options
        assert o["restart"] == 0
        for level, (latents, chosen) in enumerate(self.used):
            for code in range(o["codes"]):
                row, mine = level * o["codes"] + code, latents[chosen == code]
                before, self.uses[row] = self.uses[row].clone(), o["decay"] * self.uses[row] + (1 - o["decay"]) * len(mine)
                if self.uses[row] > 0:
                    self.codes[row] = (o["decay"] * before * self.codes[row] + (1 - o["decay"]) * mine.sum(0)) / self.uses[row]


class BeyondPTUnifier(VariantPTUnifier):
    def __init__(self, c: VariantConfig) -> None:
        super().__init__(c)
        kind = c.visual_prompts_kind
        assert kind == c.textual_prompts_kind
        sides = (("image", c.vision_width, c.text_width, c.visual_prompts), ("text", c.text_width, c.vision_width, c.textual_prompts))
        for name, width, query, take in sides:
            if kind == "soft":
                self.register_parameter(f"{name}_prompt_slots", nn.Parameter(torch.zeros(take, width)))
                self.register_buffer(f"{name}_prompt_query_projection", torch.zeros(query, width) if query != width else None)
            if kind == "keyed":
                pool = c.visual_pool if name == "image" else c.textual_pool
                self.register_parameter(f"{name}_prompt_keys", nn.Parameter(torch.zeros(pool, query)))
            if kind == "codebook":
                self.add_module(f"{name}_prompt_codebook", Codebook(c))
        if kind == "token":
            self.pseudo_vision_token_pool = nn.Parameter(torch.zeros(1, c.hidden_size))
            self.pseudo_language_token_pool = nn.Parameter(torch.zeros(1, c.hidden_size))
        self.temperature = c.soft_temperature
        self.own_losses: list[Tensor] = []
        self.real: dict[str, list[Tensor]] = {}  # in training: the sequences of each modality, without padding

    def chosen(self, name: str, query: Tensor, pool: Tensor, take: int) -> tuple[Tensor, Tensor]:
        """query [b, d] -> prompts [b, take, d of the pool], rows [b, take]."""
        if self.config.visual_prompts_kind == "soft":
            slots = getattr(self, f"{name}_prompt_slots")
            attention = (unit(unit(query)[:, None] + slots[None]) @ unit(pool).T / self.temperature).softmax(-1)
            return attention @ pool, attention.argmax(-1)
        keys = getattr(self, f"{name}_prompt_keys")
        cosines = unit(query) @ unit(keys).T
        index = self.choose_cosine(query, keys, take)
        selected = F.one_hot(index, len(keys)).sum(1).to(query.dtype)
        pull = 1 - (cosines * selected).sum() / selected.sum()
        balance = len(keys) * ((cosines / 0.1).softmax(-1).mean(0) * selected.sum(0) / selected.sum()).sum()
        self.own_losses.append(self.config.keyed["pull"] * pull + self.config.keyed["balance"] * balance)
        return F.embedding(index, pool), index

    @torch.no_grad()
    def choose_cosine(self, query: Tensor, keys: Tensor, take: int) -> Tensor:
        scores, order = (unit(query) @ unit(keys).T).sort(dim=1, descending=True, stable=True)
        gaps = (scores[:, :-1] - scores[:, 1:])[:, :take] / scores.abs().amax(1, keepdim=True)
        self.closest = min(self.closest, gaps.min().item())
        return order[:, :take]

    def visual_prompts(self, text: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        tower = self.vision_encoder.visual
        cls = (tower.class_embedding + tower.positional_embedding[0]).expand(len(text), 1, -1)
        prompts, index = self.chosen("image", self.text_query(text, valid), self.pseudo_vision_token_pool, self.config.visual_prompts)
        return torch.cat([cls, prompts], 1), index

    def textual_prompts(self, image: Tensor) -> tuple[Tensor, Tensor]:
        start, end = (self.embed_text(torch.full((len(image), 1), i)) for i in (self.config.start, self.config.end))
        prompts, index = self.chosen("text", self.image_query(image.detach()), self.pseudo_language_token_pool, self.config.textual_prompts)
        return torch.cat([start, prompts, end], 1), index

    def compose(self, name: str, present: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Encoded tokens of the modality that is there -> the sequence in place of the other, and its codes."""
        if self.config.visual_prompts_kind == "token":
            pool = self.pseudo_vision_token_pool if name == "image" else self.pseudo_language_token_pool
            return pool.expand(len(present), 1, -1), torch.zeros(len(present), 1, dtype=torch.long)
        book = getattr(self, f"{name}_prompt_codebook")
        tokens, rows, loss = book.compose(present, mask)
        self.closest = min(self.closest, book.closest)
        if self.real:
            wanted = torch.stack([segments(one, book.options["take"]) for one in self.real[name]]).detach()
            variance = wanted.flatten(0, 1).var(0, unbiased=False).mean() + 1e-6
            loss = loss + book.options["weight"] * (tokens - wanted).square().mean() / variance
            self.own_losses.append(loss)
        return tokens, rows

    def features(self, image: Tensor | None, ids: Tensor | None, valid: Tensor | None, trim: bool = False) -> dict[str, Tensor]:
        if self.config.visual_prompts_kind not in COMPOSED or (image is not None and ids is not None):
            return super().features(image, ids, valid, trim)
        out: dict[str, Tensor] = {}
        mask = None if ids is None else padding_mask(valid, self.modality_type_embeddings.weight.dtype)
        if ids is None:
            images = self.encode_image(self.embed_image(image))
            texts, out["textual_index"] = self.compose("text", images, None)
        else:
            texts = self.encode_text(self.embed_text(ids), mask)
            images, out["visual_index"] = self.compose("image", texts, mask)
        text, image = self.fuse(texts, mask, images, "first" if trim else "all", "first" if trim else "all")
        return {**out, "text_features": text, "image_features": image, "mask": mask, "cls_features": self.cls_features(text, image)}

    def pretrain(self, batch: dict[str, Tensor], s: Switches) -> dict[str, Tensor]:
        """As published, one pass after the other, with the losses that prompts have of their own."""
        mask = padding_mask(batch["text_mask"], self.modality_type_embeddings.weight.dtype)
        texts = self.encode_text(self.embed_text(batch["text_ids"]), mask)
        self.real = {"image": list(self.encode_image(self.embed_image(batch["image"]))),
                     "text": [text[valid.bool()] for text, valid in zip(texts, batch["text_mask"])]}
        self.own_losses, self.temperature = [], self.config.soft_first_temperature
        labels = batch.get("itm_labels", torch.arange(len(batch["image"])) < len(batch["image"]) // 2)
        losses = self.pretrain_separate({**batch, "itm_labels": labels.long()}, s)
        self.real, self.temperature = {}, self.config.soft_temperature
        if self.own_losses:
            losses["prompts"] = sum(self.own_losses)
            losses["total"] = losses["total"] + losses["prompts"]
        return losses

    def after_step(self) -> None:
        for name in ("image", "text"):
            book = getattr(self, f"{name}_prompt_codebook", None)
            if book is not None:
                book.learn()
