"""Runs parity cases through the reference: python tools/reference/check.py [CASE...]. Exit code 1 if any is off, or if none ran.

Without arguments: our own fixtures, and the cases of ../shared/parity beside the repository where it is there. In float32
(--double: float64), each pre-training step computed both as published and tuned. A line names the worst tensor of its kind:
|ours - theirs| / largest |theirs|, gradients with a divisor of at least 1e-4.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ptunifier_reference import Switches, resize_positions
from variants import forward, load_case, train

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT / "crates/workflow/tests/fixtures/parity", ROOT.parent / "shared/parity")
TOLERANCE = {"values": 1e-5, "resized": 1e-6, "losses": 1e-6, "gradients": 3e-5, "trajectory": 1e-5, "weights after": 3e-5}
WAYS = {"published": Switches(sdpa_image=False), "tuned": Switches.tuned(optimizer="plain")}


def kind_of(name: str) -> str:
    late = {"trajectory": "trajectory", "learning_rates": "trajectory"}
    return late.get(name) or ("weights after" if name.startswith("weights_after.") else "losses" if name.endswith("_loss") else "values")


def error(ours: Tensor | None, theirs: Tensor, floor: float = 1e-30) -> float:
    if ours is None or ours.shape != theirs.shape:
        return float("inf")
    if not theirs.is_floating_point():
        return 0.0 if torch.equal(ours, theirs) else float("inf")
    ours, theirs = ours.detach().double(), theirs.double()
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(floor)).item()


def worst(ours: dict[str, Tensor], theirs: dict[str, Tensor], wanted: Callable[[str], bool] = lambda _: True, floor: float = 1e-30) -> Iterator[tuple[float, str]]:
    """The largest error and its tensor; nothing where no tensor is wanted."""
    errors = [(error(ours.get(k), v, floor), k) for k, v in theirs.items() if wanted(k)]
    if errors:
        yield max(errors)


def check_training(folder: Path, x: dict[str, Tensor], expected: dict[str, Tensor], dtype: torch.dtype) -> Iterator[tuple[str, str, float, str]]:
    theirs = load_file(folder / "gradients.safetensors")
    for way, switches in WAYS.items():
        model, _ = load_case(folder, dtype)
        model.configure(switches)
        values, gradients = train(model, x, switches)
        for kind in ("losses", "trajectory", "weights after"):
            for found in worst(values, expected, lambda k: kind_of(k) == kind):
                yield way, kind, *found
        for found in worst(gradients, theirs, floor=1e-4):
            yield way, "gradients", *found
        limit = model.config.gradients_up_to or 1 << 30
        for name in sorted(n for n, v in gradients.items() if n not in theirs and v.numel() <= limit):
            yield way, "gradients", float("inf"), f"{name}: not in the case"


def check(folder: Path, dtype: torch.dtype) -> Iterator[tuple[str, str, float, str]]:
    """Rows (way, kind, worst error, tensor)."""
    expected = load_file(folder / "expected.safetensors")
    if json.loads((folder / "config.json").read_text())["case"] == "resize":
        positions = load_file(folder / "inputs.safetensors")["positions"]
        ours = {k: resize_positions(positions, int(k.split("x")[-1])) for k in expected}
        for found in worst(ours, expected):
            yield "-", "resized", *found
        return
    model, x = load_case(folder, dtype)
    if "itm_labels" in expected:
        x["itm_labels"] = expected["itm_labels"]
    if "source_positions" in x:
        ours = resize_positions(x["source_positions"], model.config.image_size // model.config.patch_size)
        yield "-", "resized", error(ours, model.vision_encoder.visual.positional_embedding), "source_positions"
    values = forward(model, x)
    if model.config.case != "pretrain":
        for found in worst(values, expected):
            yield "-", "values", *found
        return
    for found in worst(values, expected, lambda k: kind_of(k) == "values" and k != "itm_labels"):
        yield "-", "values", *found
    yield from check_training(folder, x, expected, dtype)


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cases", nargs="*", type=Path)
    p.add_argument("--double", action="store_true", help="compute in float64")
    a = p.parse_args()
    torch.set_num_threads(1)
    cases = a.cases or [c for f in FOLDERS if f.is_dir() for c in sorted(f.iterdir())]
    cases, off, most = [c for c in cases if (c / "config.json").exists()], 0, 0.0
    for case in cases:
        for way, kind, value, name in check(case, torch.float64 if a.double else torch.float32):
            bad = not value <= TOLERANCE[kind]
            off, most = off + bad, max(most, value / TOLERANCE[kind])
            print(f"{case.name:26}{way:11}{kind:15}{value:9.1e}  {'OFF ' if bad else ''}{name}", flush=True)
    print(f"reference: {len(cases)} cases, {off} off, worst {most:.2f} of its tolerance")
    return int(off > 0 or not cases)


if __name__ == "__main__":
    sys.exit(main())
