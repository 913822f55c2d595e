"""Compares exported models with `ptunifier embed` on the same records: `transformers`, ONNX Runtime, and the reference in PyTorch.

    python tools/interop/exports.py FOLDER

FOLDER has `hf`, `onnx` and `ptunifier` (what `export` wrote), `shards` (a folder of shards) and the vectors of its records:
`images.jsonl`, `texts.jsonl`, `pairs.jsonl` (features) and `images-contrast.jsonl`, `texts-contrast.jsonl` (if the model has vectors to
compare). Every difference must be at most 1e-4; records whose choice of prompts is closer than 1e-5 are counted and left out.
Needs tools/interop/requirements-exports.txt.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

LARGEST = 1e-4
MARGIN = 1e-5
BATCH = 10


def vectors(path):
    """Vectors of records by id."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["id"]: np.array(line["vector"], dtype=np.float32) for line in lines if "vector" in line}


def records(folder):
    """Image and text of each record that has both."""
    found = {}
    for file in sorted(folder.rglob("*.parquet")):
        for row in pyarrow.parquet.read_table(file).to_pylist():
            if row["image"] and row["image"]["bytes"] and row["texts"]:
                image = Image.open(io.BytesIO(row["image"]["bytes"]))
                found[row["id"]] = (image, " ".join(row["texts"]))
    return found


def margin(model, pixels, ids, mask):
    """How far the last chosen prompt is from the first one that is not chosen, for each record; infinite if nothing is chosen."""
    config, language, visual = model.config, model.language_encoder, model.vision_encoder.visual
    alone = pixels is None or ids is None
    prompts = config.text_prompts if ids is None else config.image_prompts
    count = len(ids if pixels is None else pixels)
    if not alone or prompts["kind"] != "pool" or prompts["size"] <= prompts["take"]:
        return np.full(count, np.inf)
    if ids is None:
        special = int(config.image["class_token"])
        tokens, pool, projection = visual.embed(pixels)[:, special:], model.pseudo_language_token_pool, model.text_prompt_query_projection
        mask = torch.ones_like(tokens[..., 0], dtype=torch.bool)
    else:
        tokens, pool, projection = language.embeddings(ids)[:, 1:], model.pseudo_vision_token_pool, model.image_prompt_query_projection
        mask = mask[:, 1:].bool()
    tokens, pool = tokens.double(), pool.double()
    query = (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    if prompts["pooling"] == "max":
        query = tokens.masked_fill(~mask[..., None], float("-inf")).max(1).values
    query = query if projection is None else query @ projection.double()
    scores = query @ pool.T
    scores = scores / pool.norm(dim=1) if prompts["similarity"] == "cosine" else scores
    scores = scores.sort(dim=1, descending=True).values
    return (scores[:, prompts["take"] - 1] - scores[:, prompts["take"]]).numpy()


class Compared:
    """The worst differences of one program."""

    def __init__(self):
        self.worst, self.close = {}, 0

    def add(self, name, found, expected, margins):
        for found, expected, margin in zip(found, expected, margins):
            if margin < MARGIN:
                self.close += 1
                continue
            self.worst[name] = max(self.worst.get(name, 0.0), float(np.abs(found - expected).max()))

    def print(self, program, count):
        shown = ", ".join(f"{name} {value:.1e}" for name, value in self.worst.items())
        print(f"{program}: {count} records, largest differences: {shown}; {self.close} closer than {MARGIN:g} left out")
        assert self.worst and max(self.worst.values()) <= LARGEST, f"{program} differs by more than {LARGEST}"


def batches(names):
    return [names[start : start + BATCH] for start in range(0, len(names), BATCH)]


def main(folder):
    found = records(folder / "shards")
    ours = {path.stem: vectors(path) for path in folder.glob("*.jsonl")}
    names = sorted(name for name in found if all(name in ours[kind] for kind in ("images", "texts", "pairs")))
    assert len(names) >= 100, f"only {len(names)} records are embedded as image, text and pair"
    model, told = AutoModel.from_pretrained(folder / "hf", trust_remote_code=True, output_loading_info=True)
    assert not any(told.values()), told
    model.eval()
    processor = AutoProcessor.from_pretrained(folder / "hf", trust_remote_code=True)
    graphs = {name: onnxruntime.InferenceSession(folder / "onnx" / f"{name}.onnx") for name in ("image", "text", "pair")}
    programs = {"transformers": Compared(), "ONNX Runtime": Compared()}
    with torch.no_grad():
        for batch in batches(names):
            images, texts = zip(*(found[name] for name in batch))
            both = processor(images=list(images), text=list(texts))
            pixels, ids, mask = both["pixel_values"], both["input_ids"], both["attention_mask"]
            inputs = {
                "images": {"pixel_values": pixels}, "texts": {"input_ids": ids, "attention_mask": mask},
                "pairs": {"pixel_values": pixels, "input_ids": ids, "attention_mask": mask},
            }
            for kind, graph in (("images", "image"), ("texts", "text"), ("pairs", "pair")):
                given = inputs[kind]
                margins = margin(model, given.get("pixel_values"), given.get("input_ids"), given.get("attention_mask"))
                expected = [ours[kind][name] for name in batch]
                output = model(**given)
                programs["transformers"].add(kind, output.features.numpy(), expected, margins)
                outputs = [one.name for one in graphs[graph].get_outputs()]
                run = dict(zip(outputs, graphs[graph].run(None, {key: value.numpy() for key, value in given.items()})))
                programs["ONNX Runtime"].add(kind, run["features"], expected, margins)
                if output.logits is not None:
                    programs["ONNX Runtime"].add(f"{kind}, logits", run["logits"], output.logits.numpy(), margins)
                contrast = ours.get(f"{kind}-contrast")
                if contrast:
                    expected = [contrast[name] for name in batch]
                    programs["transformers"].add(f"{kind}, contrast", output.embeds.numpy(), expected, margins)
                    programs["ONNX Runtime"].add(f"{kind}, contrast", run["embeds"], expected, margins)
    for program, compared in programs.items():
        compared.print(program, len(names))
    if model.config.fusion["kind"] == "two_stream":  # others have no published names
        reference(folder, model)


def reference(folder, model):
    """The checkpoint has all weights under the published names, and `torch.load` reads it without running code."""
    state = torch.load(folder / "ptunifier" / "ptunifier.ckpt", weights_only=True)["state_dict"]
    state = {name: value for name, value in state.items() if not name.startswith("mim_head.")}  # of training only
    own = model.state_dict()
    assert state.keys() == own.keys(), sorted(state.keys() ^ own.keys())[:5]
    assert all(torch.equal(state[name], own[name]) for name in own), "weights differ"
    print(f"torch.load: {len(state)} weights, all equal")
    sizes = reference_sizes(model.config)
    if sizes is None:
        print("tools/reference: describes no model with this encoder, these prompts or these heads")
        return
    sys.path.append(str(Path(__file__).parents[1] / "reference"))
    import ptunifier_reference

    ptunifier_reference.PTUnifier(ptunifier_reference.Config(**sizes)).load_state_dict(state)
    print("tools/reference: the checkpoint is loaded")


def reference_sizes(config):
    """The configuration of the reference, which describes published models only; `None` if this model is none."""
    image, text, fusion = config.image, config.text, config.fusion
    clip = {
        "drop_last": 1, "heads": None, "mlp_width": None, "activation": "quick_gelu", "class_token": True, "pre_norm": True,
        "patch_bias": False, "layer_scale": False, "registers": 0, "merge": 1,
    }
    pool = {"kind": "pool", "pooling": "mean", "similarity": "dot"}
    prompts = [config.image_prompts, config.text_prompts]
    cases = {"pretrain": {"mlm", "itm", "itc"}, "vqa": {"vqa"}, "cls": {"classification"}, "mlc": {"multilabel"}, "irtr": {"retrieval"}}
    case = next((name for name, heads in cases.items() if heads == set(config.heads)), None)
    published = all(image[key] == value for key, value in clip.items()) and text["style"] == "roberta" and not fusion["add_mean"]
    if not published or case is None or any(one[key] != value for one in prompts for key, value in pool.items()):
        return None
    outputs = config.outputs
    return {
        "case": case, "image_size": image["size"], "patch_size": image["patch"], "vision_width": image["width"],
        "vision_layers": image["layers"], "vocab_size": text["vocabulary"], "text_width": text["width"],
        "text_layers": text["layers"], "text_heads": text["heads"], "text_positions": text["positions"],
        "hidden_size": fusion["width"], "fusion_layers": fusion["layers"], "fusion_heads": fusion["heads"],
        "visual_pool": prompts[0]["size"], "textual_pool": prompts[1]["size"], "visual_prompts": prompts[0]["take"],
        "textual_prompts": prompts[1]["take"], "answers": outputs.get("vqa", 0),
        "labels": outputs.get("classification") or outputs.get("multilabel") or 0,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
