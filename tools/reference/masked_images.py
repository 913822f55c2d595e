"""Masked image modelling, and the forms of MLM and MIM with one modality (specification, section 3.4).

Letters in shapes as in `ptunifier_reference.py`: b batch, p patches, k patches that are kept, d width.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptunifier_reference import Switches, group, padding_mask
from single_stream import MaskedBlock
from variants import VariantConfig, VariantPTUnifier


def positions(grid: int, width: int) -> Tensor:
    """[1 + p, width]: zeros for the first token; rows in the first half of the width, columns in the second."""
    quarter = width // 4
    rates = 10_000.0 ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    encode = lambda places: torch.cat([torch.sin(places[:, None] * rates), torch.cos(places[:, None] * rates)], 1)  # noqa: E731
    patches = torch.arange(grid * grid)
    table = torch.cat([encode((patches // grid).double()), encode((patches % grid).double())], 1)
    return torch.cat([torch.zeros(1, width, dtype=torch.float64), table])


class MimPTUnifier(VariantPTUnifier):
    def __init__(self, c: VariantConfig) -> None:
        super().__init__(c)
        m, pixels = c.mim, 3 * c.patch_size**2
        width = m["width"]
        blocks = nn.ModuleList(MaskedBlock(width, m["heads"], 1e-5) for _ in range(m["layers"]))
        self.mim_head = group(embed=nn.Linear(c.hidden_size, width), blocks=blocks, ln_post=nn.LayerNorm(width), pixels=nn.Linear(width, pixels))
        self.mim_head.register_parameter("mask_token", nn.Parameter(torch.zeros(width)))

    def states(self, image: Tensor, kept: Tensor, ids: Tensor | None, valid: Tensor | None) -> Tensor:
        """State of the image after the layer that is read, [b, 1 + k, d], of images with k patches [b, k]."""
        places = torch.cat([torch.zeros_like(kept[:, :1]), 1 + kept], 1)
        embedded = self.embed_image(image)
        embedded = embedded.gather(1, places[..., None].expand(-1, -1, embedded.shape[-1]))
        mask = None if ids is None else padding_mask(valid, embedded.dtype)
        text = self.textual_prompts(embedded)[0] if ids is None else self.embed_text(ids)
        text, image = self.encode_text(text, mask), self.encode_image(embedded)
        layers = list(zip(self.multi_modal_language_layers, self.multi_modal_vision_layers))[: self.config.mim["after"]]
        for of_text, of_image in layers:
            text, image = of_text(text, mask, image, None, None), of_image(image, None, text, mask, None)
        return image

    def mim_loss(self, image: Tensor, kept: Tensor, ids: Tensor | None, valid: Tensor | None) -> Tensor:
        h, grid = self.mim_head, self.config.image_size // self.config.patch_size
        tokens = h.embed(self.states(image, kept, ids, valid))
        b, p, width = len(image), grid * grid, tokens.shape[-1]
        places = kept[..., None].expand(-1, -1, width)
        patches = h.mask_token.expand(b, p, width).scatter(1, places, tokens[:, 1:])
        x = torch.cat([tokens[:, :1], patches], 1) + positions(grid, width).to(tokens.dtype)
        for block in h.blocks:
            x = block(x, None)
        predicted = h.pixels(h.ln_post(x[:, 1:]))
        pixels = F.unfold(image, self.config.patch_size, stride=self.config.patch_size).transpose(1, 2)
        wanted = (pixels - pixels.mean(-1, keepdim=True)) / (pixels.var(-1, keepdim=True) + 1e-6).sqrt()
        removed = torch.ones(b, p, dtype=torch.bool).scatter(1, kept, False)
        return (predicted - wanted)[removed].square().mean()

    def pretrain(self, batch: dict[str, Tensor], s: Switches) -> dict[str, Tensor]:
        losses, weights = super().pretrain(batch, s), self.config.loss_weights
        alone = self.features(None, batch["text_ids_mlm"], batch["text_mask"])["text_features"]
        more = {
            "mlm_text_only": self.mlm_loss(alone, batch["text_labels_mlm"], s.masked_head),
            "mim": self.mim_loss(batch["image"], batch["kept_patches"], batch["text_ids"], batch["text_mask"]),
            "mim_image_only": self.mim_loss(batch["image"], batch["kept_patches"], None, None),
        }
        total = losses["total"] + sum(weights[name] * loss for name, loss in more.items())
        return {**losses, **more, "total": total}
