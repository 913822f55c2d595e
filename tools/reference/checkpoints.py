#!/usr/bin/env python3
"""Small checkpoints as PyTorch and ONNX write them, for the tests of ptu-checkpoint: crates/checkpoint/tests/fixtures/.

Python 3.11, the versions of requirements-checkpoints.txt. Values are drawn from a fixed seed. `expected.json` lists, for groups of
files with the same tensors, shape and type of each tensor and the bits of its values as 32-bit floats: as PyTorch reads them back,
for ONNX as drawn. The legacy files differ from run to run in the keys of their storages, which are addresses. From the root of the
repository: python tools/reference/checkpoints.py
"""

import argparse
import json
from collections import OrderedDict
from pathlib import Path, PosixPath

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

OUT = Path(__file__).parents[2] / "crates/checkpoint/tests/fixtures"


def state_dict(draw):
    base = draw(6, 5)
    return OrderedDict({
        "plain.weight": draw(4, 3),
        "half": draw(4).half(),
        "bfloat": draw(2, 3).bfloat16(),
        "double": draw(3).double() / 3,
        "tied": base,
        "transposed": base.t(),
        "sliced": base[1:4, ::2],
        "permuted": draw(2, 3, 2, 2).permute(2, 0, 3, 1),
        "scalar": draw(1)[0],
        "empty": torch.zeros(0, 3),
        "special": torch.tensor([float("inf"), -0.0, 1e-45, 65504.0]),
        "special_half": torch.tensor([float("-inf"), 6e-8, 65504.0]).half(),
        "parameter": torch.nn.Parameter(draw(2, 2)),
        "position_ids": torch.arange(7).expand(1, -1),
        "mask": torch.ones(3, dtype=torch.bool),
    })


def lightning(draw):
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(draw(*parameter.shape))
    optimizer = torch.optim.AdamW(model.parameters())
    model(draw(3, 3)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2, 2])
    plain = {"lr": 1e-3, "name": "é", "sizes": [1, (2, None)], "flag": True, "negative": -(1 << 40)}
    other = {
        "namespace": argparse.Namespace(a=1, b={"c": "d"}), "path": PosixPath("a/b"), "number": np.float64(3),
        "array": np.arange(3), "big": 1 << 80, "type": torch.float16, "device": torch.device("cpu"), "set": {7},
    }
    return {
        "epoch": 3, "global_step": 10, "pytorch-lightning_version": "1.7.0", "state_dict": model.state_dict(),
        "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [schedule.state_dict()],
        "hyper_parameters": {**plain, **other},
    }


def initializer(name, tensor, raw):
    """A tensor with its elements in `raw_data`, or in the field of its type."""
    if tensor.dtype == torch.bfloat16:
        bits, kind = tensor.view(torch.int16).numpy().view(np.uint16), TensorProto.BFLOAT16
    elif tensor.dtype == torch.float16:
        bits, kind = tensor.numpy().view(np.uint16), TensorProto.FLOAT16
    elif raw:
        return numpy_helper.from_array(tensor.numpy(), name)
    else:
        array = tensor.numpy()
        return helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array.ravel())
    content = {"raw_data": bits.tobytes()} if raw else {"int32_data": [int(value) for value in bits.ravel()]}
    return TensorProto(name=name, data_type=kind, dims=list(tensor.shape), **content)


def graph(draw, raw):
    tensors = {"single": draw(3, 4), "half": draw(5).half(), "double": draw(2).double(), "bfloat": draw(6).bfloat16(),
               "integers": torch.arange(3)}
    constant = draw(2)
    nodes = [
        helper.make_node("MatMul", ["x", "single"], ["y"], name="/encoder/MatMul"),
        helper.make_node("Constant", [], ["constant"], value=initializer("", constant, raw)),
        helper.make_node("Transpose", ["y"], ["z"], perm=[1, 0]),
        helper.make_node("Gemm", ["z", "single"], ["out"], alpha=0.5, transB=1, mode="text", scales=[0.25, 2.0]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [4, 3])
    stored = [initializer(name, tensor, raw) for name, tensor in tensors.items()]
    return helper.make_model(helper.make_graph(nodes, "graph", [x], [out], stored)), {**tensors, "constant": constant}


def described(tensors):
    def bits(tensor):
        return tensor.detach().to(torch.float32).contiguous().numpy().view(np.uint32).ravel().tolist()
    return {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape),
               "bits": bits(tensor) if tensor.dtype.is_floating_point else None}
        for name, tensor in tensors.items()
    }


def group(expected, name, files):
    """Notes the tensors of files, by file, under one name. They must be the same in all."""
    first, *others = [described(tensors) for tensors in files.values()]
    assert all(other == first for other in others), name
    expected.append({"files": list(files), "tensors": first})


def main():
    (OUT / "external").mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(3)
    torch.manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    def saved(content, name, **options):
        torch.save(content, OUT / name, **options)
        return torch.load(OUT / name, weights_only=False)  # our own file

    state, run, expected = state_dict(draw), lightning(draw), []
    legacy = {"_use_new_zipfile_serialization": False}
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in state.items()}, OUT / "state.safetensors")
    group(expected, "state", {
        "zip.pt": saved(state, "zip.pt"),
        "zip-protocol-5.pt": saved(state, "zip-protocol-5.pt", pickle_protocol=5),
        "legacy.pt": saved(state, "legacy.pt", **legacy),
        "legacy-protocol-4.pt": saved(state, "legacy-protocol-4.pt", pickle_protocol=4, **legacy),
        "state.safetensors": load_file(OUT / "state.safetensors"),
    })
    group(expected, "lightning", {
        "lightning.ckpt": saved(run, "lightning.ckpt")["state_dict"],
        "lightning-legacy.ckpt": saved(run, "lightning-legacy.ckpt", **legacy)["state_dict"],
    })
    for name, raw in {"raw.onnx": True, "typed.onnx": False}.items():
        model, tensors = graph(draw, raw)
        onnx.save(model, OUT / name)
        group(expected, name, {name: tensors})
    model, tensors = graph(draw, True)
    (OUT / "external/model.onnx_data").unlink(missing_ok=True)  # it would be appended to
    onnx.save_model(model, OUT / "external/model.onnx", save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    group(expected, "external", {"external": tensors})
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), OUT / "torchscript.pt")
    torch.save(torch.nn.Linear(1, 1), OUT / "module.pt")
    with open(OUT / "expected.json", "w") as file:
        json.dump(expected, file, indent=0, separators=(",", ":"))


main()
