#!/usr/bin/env python3
"""Tiny random encoders as their programs store them, with what these compute, for the tests of ptu-import:
crates/import/tests/fixtures/<name>/.

Python 3.11, the versions of requirements-encoders.txt. Weights and inputs are drawn from a fixed seed. `expected.safetensors` holds
`input` (pixels or ids) and `tokens` (all tokens behind the last norm, without registers; the mean of all tokens first where there is
no class token), computed in float64. From the root of the repository: python tools/reference/encoders.py [OUT SEED]
With OUT and SEED, other weights and inputs are drawn, into another folder, and a small BiomedCLIP too (`cargo xtask interop`).
"""

import json
import sys
from pathlib import Path

import timm
import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from safetensors.torch import save_file
from transformers import (
    BertConfig, BertModel, CLIPVisionConfig, CLIPVisionModel, Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel, RobertaConfig, RobertaModel, SiglipVisionConfig, SiglipVisionModel, ViTConfig, ViTModel,
)

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "crates/import/tests/fixtures"
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0
SIZE, PATCH, WIDTH, LAYERS, HEADS = 12, 4, 8, 2, 2
HF = dict(image_size=SIZE, patch_size=PATCH, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS)
COLOURS = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.5, 0.125]}


def drawn(model, seed):
    """The model with all weights drawn, so that every bias, norm and scale shows."""
    generator = torch.Generator().manual_seed(seed + SEED)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            values = torch.randn(weight.shape, generator=generator) * 0.4
            is_norm = weight.dim() == 1 and name.endswith("weight")
            weight.copy_(values + 1 if is_norm else values)
    return model.eval()


def save(name, model, config, **expected):
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.float().contiguous() for key, value in model.state_dict().items() if value.is_floating_point()}
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    expected = {key: value.float().contiguous() if value.is_floating_point() else value for key, value in expected.items()}
    save_file(expected, folder / "expected.safetensors")
    return folder


def pixels(seed, size=SIZE):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(seed + SEED), dtype=torch.float64)


def compute(model, run):
    """What `run` gives with the model in float64; the model is returned to float32."""
    with torch.no_grad():
        tokens = run(model.double())
    model.float()
    return tokens


def with_mean(tokens):
    return torch.cat([tokens.mean(1, keepdim=True), tokens], 1)


def transformers_image(name, model, seed, tokens):
    drawn(model, seed)
    image = pixels(seed + 100)
    expected = {"input": image, "tokens": compute(model, lambda it: tokens(it, image))}
    config = model.config.to_dict() | {"architectures": [type(model).__name__]}
    folder = save(name, model, config, **expected)
    settings = COLOURS | {"do_center_crop": name.startswith("clip"), "size": {"shortest_edge": 16}, "crop_size": {"height": 12}}
    if not settings["do_center_crop"]:
        settings |= {"size": {"height": SIZE, "width": SIZE}, "crop_size": None}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")
    return folder


def images():
    last = lambda model, image: model(image).last_hidden_state
    clip = CLIPVisionModel(CLIPVisionConfig(**HF, intermediate_size=32))
    transformers_image("clip", clip, 1, lambda it, x: it.vision_model.post_layernorm(it(x).last_hidden_state))
    transformers_image("vit", ViTModel(ViTConfig(**HF, intermediate_size=24)), 2, last)
    dino = Dinov2Model(Dinov2Config(**HF))
    folder = transformers_image("dinov2", dino, 3, last)
    larger = pixels(203, 20)
    tokens = compute(dino, lambda it: it(larger).last_hidden_state)
    save_file({"input": larger.float(), "tokens": tokens.float()}, folder / "expected-20.safetensors")
    onnx = OUT / "dinov2-onnx" / "model.onnx"
    onnx.parent.mkdir(exist_ok=True)
    torch.onnx.export(dino, (pixels(103).float(),), onnx, dynamo=False, opset_version=17)
    registers = Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**HF, num_register_tokens=3))

    def without_registers(model, image):
        tokens = model(image).last_hidden_state
        return torch.cat([tokens[:, :1], tokens[:, 4:]], 1)

    transformers_image("dinov2-registers", registers, 4, without_registers)
    siglip = SiglipVisionModel(SiglipVisionConfig(**HF, intermediate_size=20))
    transformers_image("siglip", siglip, 5, lambda it, x: with_mean(it(x).last_hidden_state))


def timm_image(name, seed, registers, **arguments):
    sizes = dict(img_size=SIZE, patch_size=PATCH, embed_dim=WIDTH, depth=LAYERS, num_heads=HEADS, num_classes=3)
    model = drawn(timm.models.VisionTransformer(**sizes, reg_tokens=registers, **arguments), seed)
    image = pixels(seed + 100)
    tokens = compute(model, lambda it: it.forward_features(image))
    tokens = torch.cat([tokens[:, :1], tokens[:, 1 + registers:]], 1)
    pretrained = {"mean": COLOURS["image_mean"], "std": COLOURS["image_std"], "crop_pct": 0.75}
    config = {"architecture": "vit_test", "model_args": {"num_heads": HEADS}, "pretrained_cfg": pretrained}
    save(name, model, config, input=image, tokens=tokens)


def open_clip_image():
    sizes = dict(image_size=SIZE, patch_size=PATCH, width=WIDTH, layers=LAYERS, heads=HEADS, mlp_ratio=4.0, output_dim=6)
    model = drawn(VisionTransformer(**sizes, act_layer=QuickGELU, output_tokens=True), 8)
    image = pixels(108)

    def tokens(it):
        projection, it.proj = it.proj, None
        pooled, patches = it(image)
        it.proj = projection
        return torch.cat([pooled[:, None], patches], 1)

    expected = compute(model, tokens)
    folder = save("open-clip", model, {}, input=image, tokens=expected)
    vision = {"image_size": SIZE, "layers": LAYERS, "width": WIDTH, "head_width": WIDTH // HEADS, "patch_size": PATCH}
    config = {"model_cfg": {"quick_gelu": True, "vision_cfg": vision}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def texts():
    sizes = dict(vocab_size=40, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=32)
    ids = torch.randint(5, 40, (2, 7), generator=torch.Generator().manual_seed(9 + SEED))
    bert = drawn(BertModel(BertConfig(**sizes, max_position_embeddings=12, pad_token_id=0)), 9)
    bert.config.architectures = ["BertModel"]
    tokens = compute(bert, lambda it: it(ids).last_hidden_state)
    folder = save("bert", bert, bert.config.to_dict(), input=ids, tokens=tokens)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(ord("a") + index) for index in range(26)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}\n')
    roberta = RobertaConfig(**sizes, max_position_embeddings=14, pad_token_id=1, type_vocab_size=1, layer_norm_eps=1e-5)
    roberta = drawn(RobertaModel(roberta), 10)
    tokens = compute(roberta, lambda it: it(ids).last_hidden_state)
    folder = save("roberta", roberta, roberta.config.to_dict(), input=ids, tokens=tokens)
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] + [chr(ord("a") + index) for index in range(26)]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}) + "\n")
    (folder / "merges.txt").write_text("#version: 0.2\n")


def biomedclip():
    """A vision tower of timm and a BERT in one file of open_clip. Its config names architectures of the Hub, so nothing is as small as above."""
    from open_clip import CustomTextCLIP

    vision = {"timm_model_name": "vit_tiny_patch16_224", "timm_model_pretrained": False, "timm_pool": "", "timm_proj": "linear", "image_size": 224}
    text = {"hf_model_name": str(OUT / "bert"), "hf_model_pretrained": False, "hf_proj_type": "mlp",
            "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 7}
    model = drawn_small(CustomTextCLIP(6, vision, text), 11)
    image = pixels(111, 224)
    tokens = compute(model.visual.trunk, lambda it: it.forward_features(image))
    folder = save("biomedclip", model, {}, input=image, tokens=tokens)
    (folder / "model.safetensors").rename(folder / "open_clip_model.safetensors")
    (folder / "config.json").unlink()
    config = {"model_cfg": {"embed_dim": 6, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    ids = torch.randint(5, 40, (2, 7), generator=torch.Generator().manual_seed(12 + SEED))
    states = compute(model.text.transformer, lambda it: it(ids).last_hidden_state)
    save_file({"input": ids, "tokens": states.float().contiguous()}, folder / "expected-text.safetensors")
    for name in ("vocab.txt", "tokenizer_config.json"):
        (folder / name).write_text((OUT / "bert" / name).read_text())


def drawn_small(model, seed):
    """As `drawn`, with smaller values, which a network of twelve layers needs."""
    generator = torch.Generator().manual_seed(seed + SEED)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            is_norm = weight.dim() == 1 and "norm" in name.lower() and name.endswith("weight")
            values = torch.randn(weight.shape, generator=generator) * 0.05
            weight.copy_(values + 1 if is_norm else values)
    return model.eval()


if __name__ == "__main__":
    torch.set_num_threads(1)
    images()
    timm_image("timm", 6, 0)
    timm_image("timm-dinov2", 7, 2, no_embed_class=True, init_values=1e-5)
    open_clip_image()
    texts()
    if len(sys.argv) > 1:
        biomedclip()
