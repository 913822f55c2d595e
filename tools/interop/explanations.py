"""Computes explanations again in PyTorch, from an exported model, and compares them with those of `ptunifier explain --json`.

    python tools/interop/explanations.py HF EXPLANATIONS IMAGE TEXT SCORE

HF is what `export --to hf` wrote, EXPLANATIONS the output of `explain --json` for IMAGE and TEXT (`-` for none) with `--steps 32`; SCORE is
`contrast`, `match`, or the number of an output. Attention and integrated gradients are written down here once more, from the papers and
docs/specification.md, section 7.1. The largest difference may be 1 % of the largest value.
"""

import json
import sys

import numpy as np
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

STEPS = 32
LARGEST = 0.01


def module(model):
    return sys.modules[type(model).__module__]


class Recorder:
    """Attention probabilities of all calls, with their gradients."""

    def __init__(self, model):
        self.calls, self.module = [], module(model)
        self.module.attend = self.attend

    def attend(self, query, key, value, mask, heads):
        split = lambda x: x.unflatten(-1, (heads, -1)).transpose(1, 2)
        query, key, value = split(query), split(key), split(value)
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
        probabilities = scores.softmax(-1)
        probabilities.retain_grad()
        self.calls.append(probabilities)
        return (probabilities @ value).transpose(1, 2).flatten(2)

    def take(self):
        weighted = [(one.grad[0] * one[0]).clamp(min=0).mean(0).detach() for one in self.calls]
        self.calls = []
        return weighted


def normalised(relevance):
    own = relevance - torch.eye(len(relevance))
    sums = own.sum(1, keepdim=True)
    return torch.where(sums > 0, own / sums.clamp(min=1e-30), own) + torch.eye(len(relevance))


def relevance(model, calls):
    """Relevance of the inputs of both encoders, from the calls of one pass."""
    config, visual = model.config, model.vision_encoder.visual
    of_image = calls[: len(visual.transformer.resblocks)]
    of_text = calls[len(of_image) : len(of_image) + config.text["layers"]]
    fusion = calls[len(of_image) + len(of_text) :]
    image, text = fusion[2].shape[0], fusion[0].shape[0]
    ii, tt, it, ti = torch.eye(image), torch.eye(text), torch.zeros(image, text), torch.zeros(text, image)
    for layer in range(config.fusion["layers"]):
        own_text, cross_text, own_image, cross_image = fusion[4 * layer : 4 * layer + 4]
        tt_1, ti_1 = tt + own_text @ tt, ti + own_text @ ti
        ii_1, it_1 = ii + own_image @ ii, it + own_image @ it
        ti_2, tt_2 = ti_1 + normalised(tt_1).T @ cross_text @ normalised(ii), tt_1 + cross_text @ it
        it_2, ii_2 = it_1 + normalised(ii_1).T @ cross_image @ normalised(tt), ii_1 + cross_image @ ti
        ii, tt, it, ti = ii_2, tt_2, it_2, ti_2
    images, texts = ii[0] + ti[0], tt[0] + it[0]
    if config.fusion["add_mean"]:
        images, texts = images + images[0] / image, texts + texts[0] / text
    side, grid = config.image["merge"], visual.grid
    if side > 1 and image == 1 + (-(-grid // side)) ** 2:
        cells = -(-grid // side)
        spread = torch.zeros(1 + grid * grid)
        spread[0] = images[0]
        for cell in range(cells * cells):
            for place in range(side * side):
                row = min(cell // cells * side + place // side, grid - 1)
                column = min(cell % cells * side + place % side, grid - 1)
                spread[1 + row * grid + column] += images[1 + cell] / side**2
        images = spread
    special, registers = int(config.image["class_token"]), config.image["registers"]
    if special == 0:
        images = images[1:] + images[0] / (len(images) - 1)
    images = torch.cat([images[:special], torch.zeros(registers), images[special:]])
    for attention in reversed(of_image):
        images = images + images @ attention
    for attention in reversed(of_text):
        texts = texts + texts @ attention
    return images[special + registers :], texts


def features(model, inputs):
    return model(**inputs).features


def score(model, inputs, goal):
    if goal == "match":
        logits = model.itm_head.fc(features(model, inputs))
        return (logits[:, 1] - logits[:, 0]).sum()
    return getattr(model, model.task_head_name)(features(model, inputs))[:, int(goal)].sum()


def contrast(model, image, text):
    return (model(**image).embeds * model(**text).embeds).sum()


def attention(model, inputs, goal):
    recorder = Recorder(model)
    if goal != "contrast":
        score(model, inputs, goal).backward()
        return relevance(model, recorder.take())
    image, text = parts(inputs)
    alone = model(**image).embeds
    count = len(recorder.calls)
    (alone * model(**text).embeds).sum().backward()
    calls = recorder.take()
    return relevance(model, calls[:count])[0], relevance(model, calls[count:])[1]


def parts(inputs):
    return {"pixel_values": inputs["pixel_values"]}, {name: inputs[name] for name in ("input_ids", "attention_mask")}


class Way:
    """Replaces the embedded inputs of both encoders by points on the way from the baseline, after the prompts were chosen."""

    def __init__(self, model):
        self.visual, self.language = model.vision_encoder.visual, model.language_encoder
        self.encode = self.visual.encode, self.language.encode
        self.padding = model.config.text["padding"]

    def run(self, model, inputs, goal, share):
        tokens = {}

        def on_the_way(name, real, baseline):
            tokens[name] = (baseline + share * (real - baseline)).detach().requires_grad_()
            return tokens[name], (real - baseline).detach()

        differences = {}
        self.visual.encode = lambda x: self.encode[0](self.replaced(x, tokens, differences, on_the_way, "image", inputs))
        self.language.encode = lambda x, mask: self.encode[1](self.replaced(x, tokens, differences, on_the_way, "text", inputs), mask)
        if goal == "contrast":
            value = contrast(model, *parts(inputs))
        else:
            value = score(model, inputs, goal)
        gradients = torch.autograd.grad(value, list(tokens.values()))
        self.visual.encode, self.language.encode = self.encode
        return {name: (gradient * differences[name]).sum(-1)[0] for name, gradient in zip(tokens, gradients)}

    def replaced(self, x, tokens, differences, on_the_way, name, inputs):
        key = "pixel_values" if name == "image" else "input_ids"
        if key not in inputs:
            return x
        with torch.no_grad():
            if name == "image":
                real, baseline = self.visual.embed(inputs[key]), self.visual.embed(torch.zeros_like(inputs[key]))
            else:
                empty = inputs[key].clone()
                empty[:, 1:-1] = self.padding
                real, baseline = self.language.embeddings(inputs[key]), self.language.embeddings(empty)
        if x.shape != real.shape or not torch.equal(x, real):
            return x  # what stands in for the other modality
        x, differences[name] = on_the_way(name, real, baseline)
        return x


def integrated(model, inputs, goal):
    way, sums = Way(model), {}
    for point, weight in zip(*np.polynomial.legendre.leggauss(STEPS)):
        for name, parts in way.run(model, inputs, goal, float(point + 1) / 2).items():
            sums[name] = sums.get(name, 0) + parts * float(weight) / 2
    special = int(model.config.image["class_token"])
    return sums["image"][special:] if "image" in sums else None, sums.get("text")


def main(folder, file, image, text, goal):
    model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    inputs = dict(processor(images=None if image == "-" else Image.open(image), text=None if text == "-" else [text]))
    original = module(model).attend
    for one in json.load(open(file))["explanations"]:
        if one["method"] == "attention":
            patches, tokens = attention(model, inputs, goal)
        else:
            module(model).attend = original
            patches, tokens = integrated(model, inputs, goal)
        pairs = []
        if "patches" in one:
            pairs.append(("patches", patches, torch.tensor(one["patches"])))
        if "words" in one:
            pairs.append(("words", tokens[1:-1].sum()[None], torch.tensor([sum(word["weight"] for word in one["words"])])))
        for name, found, expected in pairs:
            largest = float(expected.abs().max())
            difference = float((found - expected).abs().max()) / largest
            print(f"{one['method']}, {name}: largest difference {difference:.1e} of the largest value {largest:.3e}")
            assert difference <= LARGEST, "the explanations differ"


if __name__ == "__main__":
    main(*sys.argv[1:])
