"""Writes the parity cases of the Rust tests: python tools/reference/make_fixtures.py [CASE...]

Each goes to crates/workflow/tests/fixtures/parity/<case>/. Random numbers are NumPy's PCG64 from a fixed seed; every expected
value, gradient and trained weight is computed in float64 in the published order of work and stored as float32. The same
versions (requirements.txt) on the same kind of machine give the same bytes.
"""
from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ptunifier_reference import Switches, resize_positions
from variants import VariantConfig, build, forward, load_case, train

OUT = Path(__file__).resolve().parents[2] / "crates/workflow/tests/fixtures/parity"
POOL = "pretrain-pool"
LIMIT = 2048  # `gradients_up_to` of the cases that stand beside pretrain-pool

# at least one of each optimizer group; no key bias (its gradient is rounding only)
WEIGHTS_AFTER = (
    "language_encoder.embeddings.word_embeddings.weight",            # backbone, decays
    "language_encoder.embeddings.token_type_embeddings.weight",      # backbone, decays; BERT's second row has no gradient
    "language_encoder.encoder.layer.0.attention.self.value.weight",  # backbone, decays
    "vision_encoder.visual.class_embedding",                         # backbone, decays
    "vision_encoder.visual.ln_post.weight",                          # backbone, decays by the published rule only
    "vision_encoder.visual.transformer.resblocks.0.ln_1.weight",     # backbone, decays by the published rule only
    "modality_type_embeddings.weight",                               # backbone, not fusion
    "language_encoder.embeddings.LayerNorm.weight",                  # backbone, no decay
    "vision_encoder.visual.ln_post.bias",                            # backbone, no decay
    "itm_head.fc.weight",                                            # head, decays
    "itc_head.vision_ln.weight",                                     # head, decays by the published rule only
    "mlm_head.bias",                                                 # head, no decay
    "mlm_head.transform.LayerNorm.weight",                           # head, no decay
    "multi_modal_language_proj.weight",                              # fusion, decays
    "pseudo_language_token_pool",                                    # fusion, decays, unchosen rows too
    "pseudo_vision_token_pool",                                      # fusion, decays, unchosen rows too
    "multi_modal_vision_layers.0.output.LayerNorm.weight",           # fusion, no decay
    "multi_modal_language_proj.bias",                                # fusion, no decay
    "multi_modal_layers.1.output.dense.weight",                      # fusion of one stream, decays
    "mim_head.mask_token",                                           # head, decays
    "mim_head.blocks.1.mlp.c_proj.weight",                           # head, decays
    "multi_modal_blocks.0.attn.in_proj_weight",                      # fusion of one stream, decays
    "multi_modal_ln_post.weight",                                    # fusion of one stream, decays by the published rule only
    "image_prompt_slots",                                            # fusion, decays, as all that follow
    "text_prompt_keys",
    "image_prompt_codebook.queries",
    "image_prompt_codebook.codes",                                   # no gradient: moving averages
    "text_prompt_codebook.uses",
)
# take no part (specification, section 8), any shape is accepted
SPARE = {"vision_encoder.positional_embedding": (2, 4), "vision_encoder.token_embedding.weight": (3, 4), "vision_encoder.ln_final.weight": (4,),
         "vision_encoder.ln_final.bias": (4,), "language_encoder.pooler.dense.weight": (4, 4), "language_encoder.pooler.dense.bias": (4,)}

OPTIMIZER = {"name": "adamw", "betas": [0.9, 0.98], "eps": 1e-8, "learning_rate": 5e-4, "weight_decay": 0.01, "lr_multiplier_head": 5,
             "lr_multiplier_multi_modal": 5, "warmup_fraction": 0.1, "steps": 4, "schedule": "linear decay to 0 after linear warmup"}
# loss weights other than the published ones, so that fixed ones would show
BASE = {"case": "pretrain", "image_size": 12, "patch_size": 4, "vision_width": 64, "vision_layers": 2, "vision_pretrain_grid": 3, "vocab_size": 61,
        "text_width": 64, "text_layers": 1, "text_heads": 4, "text_positions": 12, "max_text_len": 10, "hidden_size": 8, "fusion_layers": 2,
        "fusion_heads": 2, "visual_pool": 12, "textual_pool": 12, "visual_prompts": 4, "textual_prompts": 4, "answers": 0,
        "loss_weights": {"mlm": 0.5, "itm": 0.3, "itc": 0.2}, "itc_temperature": 0.1, "optimizer": OPTIMIZER,
        "layer_norm_eps": {"vision": 1e-5, "text": 1e-5, "fusion": 1e-5}, "dropout": 0.0}
NARROW = {"text_width": 16}
NO_POOLS = {"visual_pool": 0, "textual_pool": 0, "visual_prompts": 0, "textual_prompts": 0}
BERT = {"text_style": "bert", "start": 2, "end": 3, "padding": 0, "layer_norm_eps": {"vision": 1e-5, "text": 1e-12, "fusion": 1e-12}}


def beside(**changes) -> dict:
    """A case of the weights of pretrain-pool: its checkpoint is a link to that file, large gradients are left out."""
    optimizer = {**OPTIMIZER, **changes.pop("optimizer", {})}
    return {**BASE, "gradients_up_to": LIMIT, "optimizer": optimizer, **changes}


MIM = {"mim": {"ratio": 0.5, "after": 1, "width": 12, "layers": 2, "heads": 3},
       "loss_weights": {"mlm": 0.5, "itm": 0.3, "itc": 0.2, "mlm_text_only": 0.4, "mim": 0.7, "mim_image_only": 0.6}}
SINGLE = {"vision_layers": 0, "text_layers": 0, "gradients_up_to": LIMIT}
CODES = {"codes": 6, "width": 5, "take": 3, "levels": 2, "layers": 1, "weight": 0.8, "commitment": 0.25, "decay": 0.8, "restart": 0}
# made by `beside`
BESIDE = ("pretrain-fixed", "pretrain-max-cosine", "pretrain-decay-default", "pretrain-cosine-schedule", "text-only-mlm")
TASK = {**{k: v for k, v in BASE.items() if k not in ("loss_weights", "itc_temperature", "optimizer")}, **NARROW}
# name -> (seed, configuration)
CASES = {
    POOL: (2, {**BASE, "gradients_up_to": LIMIT}),
    "pretrain-no-prompts": (11, {**BASE, **NARROW, **NO_POOLS, "text_layers": 2}),
    "pretrain-bert": (11, {**BASE, **NARROW, **BERT, "gradients_up_to": LIMIT}),
    "pretrain-fixed": (11, beside(visual_prompts=12, textual_prompts=12, visual_prompts_kind="fixed", textual_prompts_kind="fixed")),
    "pretrain-max-cosine": (11, beside(pooling="max", similarity="cosine")),
    "pretrain-decay-default": (11, beside(decay_groups="default", optimizer={"weight_decay": 0.1, "warmup_fraction": 0.25, "steps": 12})),
    "pretrain-cosine-schedule": (11, beside(optimizer={"schedule": "cosine", "warmup_fraction": 0.25, "steps": 8})),
    "text-only-mlm": (11, beside(records="texts", optimizer={"steps": 1})),
    "pretrain-soft": (12, {**BASE, "gradients_up_to": LIMIT, "visual_prompts_kind": "soft", "textual_prompts_kind": "soft"}),
    "pretrain-keyed": (11, {**BASE, **NARROW, "gradients_up_to": LIMIT, "visual_prompts_kind": "keyed", "textual_prompts_kind": "keyed", "keyed": {"pull": 0.7, "balance": 0.3}}),
    "pretrain-token": (11, {**BASE, **NO_POOLS, "gradients_up_to": LIMIT, "visual_prompts_kind": "token", "textual_prompts_kind": "token"}),
    "pretrain-codebook": (11, {**BASE, **NO_POOLS, "gradients_up_to": LIMIT, "visual_prompts_kind": "codebook", "textual_prompts_kind": "codebook", "codebook": CODES}),
    "pretrain-single-bert": (11, {**BASE, **NARROW, **SINGLE, "fusion_kind": "single_stream_bert"}),
    "pretrain-single-vit": (11, {**BASE, **SINGLE, "fusion_kind": "single_stream_vit"}),
    "pretrain-masked-images": (11, {**BASE, **NARROW, **MIM, "gradients_up_to": LIMIT}),
    "retrieve": (11, {**TASK, **NO_POOLS, "case": "irtr", "inputs": "pair", "labels": 0}),
    "answer": (12, {**TASK, **NO_POOLS, "case": "vqa", "inputs": "pair", "labels": 0, "answers": 5}),
    "generate": (13, {**TASK, **NO_POOLS, "case": "clm", "inputs": "pair", "labels": 0, "text_positions": 16}),
    "summarise": (14, {**TASK, "case": "clm", "inputs": "text_only", "labels": 0, "text_positions": 16, "text_layers": 2}),
}


def random_weights(c: VariantConfig, g: np.random.Generator) -> dict[str, Tensor]:
    """Weights large enough that a mistake in any part shows; rows of a pool differ in length."""
    model = build(c)
    shapes = {n: tuple(p.shape) for n, p in [*model.named_parameters(), *model.named_buffers()]} | SPARE
    if c.case == "irtr":  # a retrieval checkpoint comes from pre-training and still holds ITM's head
        shapes |= {"itm_head.fc.weight": (2, 2 * c.hidden_size), "itm_head.fc.bias": (2,)}
    weights = {}
    for n, shape in sorted(shapes.items()):
        norm, table = n.endswith("weight") and len(shape) == 1, ("embedding" in n or "token_pool" in n) and len(shape) == 2
        scale = 0.1 if norm else 0.05 if n.endswith("bias") else 0.2 if table else 0.1 if len(shape) == 1 else 0.5 / shape[-1] ** 0.5
        values = g.standard_normal(shape) * scale + float(norm)
        if c.text_style == "bert" and n.startswith("language_encoder.embeddings."):
            values *= 1 if norm or n.endswith("bias") else 0.2  # so small that an epsilon of 1e-5 in place of 1e-12 shows
        if n.endswith(".uses"):
            values = 0.5 + np.abs(values)
        if "token_pool" in n:
            values *= g.uniform(0.5, 2, (shape[0], 1))
        weights[n] = torch.from_numpy(np.asarray(values, np.float32))
    return weights


def random_text(c: dict, g: np.random.Generator, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Ids and mask [b, t]: start, words, end, padding."""
    start, end, padding, t = c.get("start", 0), c.get("end", 2), c.get("padding", 1), c["max_text_len"]
    ids = np.full((len(lengths), t), padding, np.int64)
    for row, length in zip(ids, lengths):
        row[:length] = [start, *g.integers(4, c["vocab_size"] - 1, length - 2), end]
    return torch.from_numpy(ids), torch.from_numpy((np.arange(t) < np.array(lengths)[:, None]).astype(np.int64))


def random_inputs(c: dict, g: np.random.Generator) -> dict[str, Tensor]:
    """Four records; about a third of the words is masked (one at least), by the mask token, a random one or not at all."""
    lengths = [10, 6, 8, 4]
    ids, mask = random_text(c, g, lengths)
    masked, labels = ids.clone(), torch.full_like(ids, -100)
    for row, length in enumerate(lengths):
        for place in range(1, length - 1):
            if place == 1 + row % 2 or g.random() < 0.3:
                labels[row, place], kind = ids[row, place], g.random()
                masked[row, place] = c["vocab_size"] - 1 if kind < 0.7 else int(g.integers(4, c["vocab_size"] - 1)) if kind < 0.85 else ids[row, place]
    out = {"text_ids": ids, "text_mask": mask, "text_ids_mlm": masked, "text_labels_mlm": labels}
    if c.get("records") == "texts":
        return out
    side = c["image_size"]
    for name in ("image", "false_image"):  # tinted each in its own way: means of noise alone would all choose the same prompts
        out[name] = torch.from_numpy((g.standard_normal((4, 3, side, side)) + g.standard_normal((4, 3, 1, 1))).astype(np.float32))
    if c.get("mim"):  # five of nine patches
        out["kept_patches"] = torch.from_numpy(np.stack([np.sort(g.permutation(9)[:5]) for _ in range(4)]))
    if c["case"] == "irtr":
        for i, other in enumerate(([5, 10, 7, 3], [9, 4, 10, 6], [3, 8, 5, 10])):
            out[f"false_text_{i}_ids"], out[f"false_text_{i}_mask"] = random_text(c, g, other)
    if c["case"] == "vqa":
        out["vqa_label"], out["vqa_score"] = torch.from_numpy(g.integers(0, c["answers"], 4)), torch.tensor([1.0, 0.3, 0.6, 1.0])
    if c["case"] == "clm":
        out["target_ids"], out["target_mask"] = random_text(c, g, [6, 10, 3, 8])
    return out


def single(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: (v.float() if v.is_floating_point() else v).detach().contiguous().clone() for k, v in values.items()}


def telling(folder: Path, x: dict[str, Tensor], index: dict[str, Tensor]) -> None:
    """A case that cannot tell its own variant from its neighbours would be worthless."""
    def other(**changes) -> dict[str, Tensor]:
        model, _ = load_case(folder, torch.float64)
        for k, v in changes.items():
            setattr(model.config, k, v)
        return forward(model, x)
    if folder.name == "pretrain-max-cosine":
        for changes in ({"pooling": "mean"}, {"similarity": "dot"}):
            values = other(**changes)
            assert all(not torch.equal(values[k], v) for k, v in index.items()), f"{changes} chooses the same rows"
    elif folder.name in (POOL, "pretrain-bert"):
        assert all(len({tuple(sorted(row)) for row in v.tolist()}) > 1 for v in index.values()), "every input chooses the same rows"
    elif folder.name == "text-only-mlm":
        whole = forward(load_case(folder, torch.float64)[0], {**x, "text_ids_mlm": x["text_ids"]})
        assert all(not torch.equal(whole[k], v) for k, v in index.items()), "masked and whole text choose the same rows"


def make(name: str) -> None:
    seed, c = CASES[name]
    folder, g = OUT / name, np.random.Generator(np.random.PCG64(seed))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(c, indent=1) + "\n")
    if name in BESIDE:
        (folder / "checkpoint.safetensors").symlink_to(f"../{POOL}/checkpoint.safetensors")
    else:
        save_file(random_weights(VariantConfig.load(folder / "config.json"), g), folder / "checkpoint.safetensors")
    save_file(random_inputs(c, g), folder / "inputs.safetensors")
    model, x = load_case(folder, torch.float64)
    labels = {"itm_labels": torch.tensor([1.0, 0.0, 0.0, 1.0])} if "false_image" in x and c["case"] == "pretrain" else {}
    x |= labels
    expected = forward(model, x)
    telling(folder, x, {k: v for k, v in expected.items() if k.endswith("_index")})
    if c["case"] == "pretrain":
        limit = c.get("gradients_up_to") or 1 << 30
        trained, gradients = train(model, x, Switches(sdpa_image=False))
        after = {k: v for n in WEIGHTS_AFTER if (v := trained.get(k := f"weights_after.{n}")) is not None and v.numel() <= limit}
        curve = {} if c.get("records") == "texts" else {k: trained[k] for k in ("trajectory", "learning_rates")} | after
        expected |= {k: v for k, v in trained.items() if k.endswith("_loss")} | curve | labels
        save_file(single({n: v for n, v in gradients.items() if v.numel() <= limit}), folder / "gradients.safetensors")
    save_file(single(expected), folder / "expected.safetensors")
    # a choice decided by less could fall otherwise in float32
    assert model.closest > 1e-4, f"{name}: a choice was decided by {model.closest:.1e}; take another seed"
    size = sum(f.stat().st_size for f in folder.iterdir() if not f.is_symlink())
    print(f"{name:26}{size:9,} bytes, closest choice {model.closest:.1e}")


def make_resize() -> None:
    folder, grids = OUT / "resize-positions", (2, 4, 5)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    positions = torch.from_numpy(np.random.Generator(np.random.PCG64(10)).standard_normal((10, 64)).astype(np.float32) * 0.1)
    save_file({"positions": positions}, folder / "inputs.safetensors")
    save_file(single({f"resized_{n}x{n}": resize_positions(positions.double(), n) for n in grids}), folder / "expected.safetensors")
    (folder / "config.json").write_text(json.dumps({"case": "resize", "source_grid": 3, "grids": grids, "vision_width": 64}, indent=1) + "\n")
    print(f"{folder.name:26}{sum(f.stat().st_size for f in folder.iterdir()):9,} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in sys.argv[1:] or [*CASES, "resize-positions"]:
        make_resize() if case == "resize-positions" else make(case)
