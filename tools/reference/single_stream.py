"""A fusion with one stream (specification, section 1.4.1): a Transformer over the tokens of a text and of an image together.

Letters in shapes as in `ptunifier_reference.py`: b batch, n image tokens, t text tokens, d width.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ptunifier_reference import BertLayer, ClipBlock, Read, attend
from variants import VariantConfig, VariantPTUnifier


class MaskedBlock(ClipBlock):
    """A pre-norm block whose keys can be masked, with its own number of heads."""
    def __init__(self, d: int, heads: int, eps: float) -> None:
        super().__init__(d, eps)
        self.attn.heads = heads

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        a = self.attn
        q, k, v = F.linear(self.ln_1(x), a.in_proj_weight, a.in_proj_bias).chunk(3, -1)
        x = x + a.out_proj(attend(q, k, v, a.heads, mask, 0.0, False))
        return x + self.mlp(self.ln_2(x))


class SingleStreamPTUnifier(VariantPTUnifier):
    def __init__(self, c: VariantConfig) -> None:
        super().__init__(c)
        d, eps = c.hidden_size, c.layer_norm_eps["fusion"]
        del self.multi_modal_vision_layers, self.multi_modal_language_layers
        if not c.vision_layers:
            self.vision_encoder.visual.ln_post = nn.Identity()
        if c.fusion_kind == "single_stream_bert":
            self.multi_modal_layers = nn.ModuleList(BertLayer(d, c.fusion_heads, eps, c.dropout) for _ in range(c.fusion_layers))
        else:
            self.multi_modal_blocks = nn.ModuleList(MaskedBlock(d, c.fusion_heads, eps) for _ in range(c.fusion_layers))
            self.multi_modal_ln_post = nn.LayerNorm(d, eps)

    def fuse(self, text: Tensor, mask: Tensor | None, image: Tensor, text_read: Read = "all", image_read: Read = "all") -> tuple[Tensor, Tensor]:
        """text [b, t, d], image [b, n, d] -> the same after all layers. Padding is no key; what is read decides nothing here."""
        t = text.shape[1]
        if mask is not None:
            mask = torch.cat([mask, mask.new_zeros(len(image), 1, 1, image.shape[1])], -1)
        x = torch.cat([text, image], 1)
        if self.config.fusion_kind == "single_stream_bert":
            for layer in self.multi_modal_layers:
                x = layer(x, mask)
        else:
            for block in self.multi_modal_blocks:
                x = block(x, mask)
            x = self.multi_modal_ln_post(x)
        return x[:, :t], x[:, t:]
