"""Writes the golden texts of the generation tests: python tools/reference/golden_generate.py

A tiny RoBERTa decoder with cross-attention (`RobertaForCausalLM`) with random weights generates texts with `generate` of
`transformers`. Versions: transformers 5.24.0, torch 2.11.0, numpy 2.4.6, safetensors 0.8.0 (requirements-generate.txt).

crates/model/tests/golden/generate.safetensors  weights under the names of the specification, section 8.8, and a memory for each case
crates/model/tests/golden/generate.json         options, tokens and scores of each case; probabilities after the sampling filters

Sampled texts are made with given uniform numbers: `torch.multinomial` is replaced by the inverse of the cumulative
distribution, one draw after the other, without replacement.
"""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import RobertaConfig, RobertaForCausalLM
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

OUT = Path(__file__).resolve().parents[2] / "crates/model/tests/golden"
START, PADDING, END, VOCABULARY, WIDTH, LAYERS, HEADS, POSITIONS = 0, 1, 2, 40, 32, 2, 4, 26
NAMES = (("roberta.embeddings.", "clm_head.bert.embeddings."), ("roberta.encoder.", "clm_head.bert.encoder."),
         ("lm_head.dense.", "clm_head.lm_head.transform.dense."), ("lm_head.layer_norm.", "clm_head.lm_head.transform.LayerNorm."),
         ("lm_head.decoder.weight", "clm_head.lm_head.decoder.weight"), ("lm_head.bias", "clm_head.lm_head.bias"))


class Decoder(RobertaForCausalLM):
    """`generate` does not pass `encoder_hidden_states` on to a model without encoder: the memory [tokens, width] is a member."""
    memory: torch.Tensor

    def forward(self, input_ids: torch.Tensor, **options):  # noqa: ANN003, ANN201
        return super().forward(input_ids, **options, encoder_hidden_states=self.memory.expand(len(input_ids), -1, -1))


def decoder(g: np.random.Generator) -> Decoder:
    """Weights so large that texts differ between inputs and end at different lengths."""
    config = RobertaConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=4 * WIDTH,
                           max_position_embeddings=POSITIONS, type_vocab_size=1, layer_norm_eps=1e-5, is_decoder=True, add_cross_attention=True,
                           tie_word_embeddings=False, bos_token_id=START, pad_token_id=PADDING, eos_token_id=END, attn_implementation="eager",
                           hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = Decoder(config).eval()
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            norm = "LayerNorm.weight" in name or "layer_norm.weight" in name
            scale = 0.1 if norm or name.endswith("bias") else 2.0 if "position" in name else 1.0 if "embeddings" in name else (2.5 if "lm_head" in name else 0.9) / WIDTH**0.5
            values = g.standard_normal(tuple(parameter.shape)) * scale + float(norm)
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))
        model.lm_head.bias[END] += 0.5
        model.lm_head.bias[PADDING] -= 30  # the library numbers positions differently after a padding token, with and without cache
        model.lm_head.decoder.bias = model.lm_head.bias  # one bias: without tied embeddings, the library has two
    return model


def weights(model: Decoder) -> dict[str, torch.Tensor]:
    found = {}
    for name, parameter in model.named_parameters():
        for theirs, ours in NAMES:
            if name.startswith(theirs):
                found[ours + name[len(theirs):]] = parameter.detach().clone().contiguous()
    return found


class FewerTokens(Exception):
    """More continuations are to be sampled than the filters leave; `torch.multinomial` does not allow it either."""


class Uniforms:
    """`torch.multinomial` with given uniform numbers, which it remembers."""

    def __init__(self, g: np.random.Generator) -> None:
        self.g, self.used = g, []

    def __call__(self, weights: torch.Tensor, num_samples: int, **_: object) -> torch.Tensor:
        assert len(weights) == 1
        left, drawn = weights[0].double().numpy().copy(), []
        for _ in range(num_samples):
            if not left.sum() > 0:
                raise FewerTokens
            self.used.append(round(float(self.g.uniform()), 6))
            index = int(np.searchsorted(np.cumsum(left), self.used[-1] * left.sum(), side="right"))
            drawn.append(index)
            left[index] = 0
        return torch.tensor([drawn])


def text(model: Decoder, memory: torch.Tensor, options: dict, g: np.random.Generator) -> dict:
    """Options, tokens, score, and the uniform numbers if it samples."""
    uniforms, multinomial = Uniforms(g), torch.multinomial
    torch.multinomial, model.memory = uniforms, memory
    try:
        out = model.generate(torch.tensor([[START]]), use_cache=False, return_dict_in_generate=True, output_scores=True, **options)
    finally:
        torch.multinomial = multinomial
    ids = [int(x) for x in out.sequences[0]]
    while ids[-1] == PADDING:
        ids.pop()
    score = round(float(out.sequences_scores[0]), 6) if options["num_beams"] > 1 else None
    return {"options": options, "ids": ids, "score": score, "uniforms": uniforms.used}


def options(g: np.random.Generator, kind: str) -> dict:
    pick = lambda *values: values[int(g.integers(len(values)))]  # noqa: E731
    o = {"num_beams": 1, "do_sample": False, "max_length": int(g.integers(6, 23)), "length_penalty": 1.0, "early_stopping": False, "no_repeat_ngram_size": 0,
         "min_length": 0, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    if kind in ("beam", "limits", "beam-sample"):
        o |= {"num_beams": int(g.integers(2, 7)), "early_stopping": pick(False, True, "never")}
    if kind == "limits":
        o |= {"length_penalty": pick(-1.0, 0.0, 0.5, 2.0), "no_repeat_ngram_size": pick(0, 1, 2, 3), "min_length": pick(0, 4, 6), "num_beams": pick(1, 2, 3, 5)}
    if kind in ("sample", "beam-sample"):
        o |= {"do_sample": True, "temperature": pick(0.7, 1.0, 1.5), "top_k": pick(0, 20), "top_p": pick(0.9, 1.0)}
    return o


def filters(g: np.random.Generator) -> list[dict]:
    """Probabilities of random logits after temperature, top-k and top-p."""
    cases = []
    for _ in range(30):
        logits = np.round(g.standard_normal(12) * 2, 2)
        o = {"temperature": float(round(g.uniform(0.3, 2), 2)), "top_k": int(g.integers(0, 13)), "top_p": float(round(g.uniform(0.05, 1), 2)), "keep": int(g.integers(1, 3))}
        scores = TemperatureLogitsWarper(o["temperature"])(None, torch.from_numpy(logits)[None])
        scores = TopKLogitsWarper(o["top_k"], min_tokens_to_keep=o["keep"])(None, scores) if o["top_k"] else scores
        scores = TopPLogitsWarper(o["top_p"], min_tokens_to_keep=o["keep"])(None, scores)
        cases.append({**o, "logits": logits.tolist(), "probabilities": [round(x, 8) for x in scores.softmax(-1)[0].tolist()]})
    return cases


def main() -> None:
    torch.set_num_threads(1)
    g = np.random.default_rng(7)
    model = decoder(g)
    arrays, cases = weights(model), []
    kinds = ["greedy"] * 20 + ["beam"] * 30 + ["limits"] * 20 + ["sample"] * 10 + ["beam-sample"] * 10
    for number, kind in enumerate(kinds):
        memory = torch.from_numpy(g.standard_normal((int(g.integers(1, 9)), WIDTH)).astype(np.float32))
        arrays[f"memory.{number}"] = memory
        found = None
        while found is None:
            try:
                found = text(model, memory, options(g, kind), g)
            except FewerTokens:
                continue
        cases.append({"kind": kind, **found})
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(arrays, OUT / "generate.safetensors")
    lines = ",\n".join(json.dumps(case) for case in cases)
    rest = ",\n".join(json.dumps(case) for case in filters(g))
    (OUT / "generate.json").write_text(f'{{"cases": [\n{lines}\n], "filters": [\n{rest}\n]}}\n')
    ended = [c["ids"][-1] == END for c in cases]
    print(f"{len(cases)} cases, {sum(ended)} ended by themselves, {len({tuple(c['ids']) for c in cases})} different texts")


if __name__ == "__main__":
    main()
