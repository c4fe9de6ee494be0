"""Makes the `.pth` files beside it (torch 2.11): `python generate.py`."""

import argparse
from collections import OrderedDict
from pathlib import Path

import torch

FOLDER = Path(__file__).parent
torch.manual_seed(0)

base = torch.arange(24.0)
state = OrderedDict(
    float32=base[:6].reshape(2, 3),
    # These three share the storage of the first.
    transposed=base[:6].reshape(2, 3).t(),
    steps=base.reshape(4, 6)[1:3, 1::2],
    expanded=base[5:6].expand(2, 2),
    channels_last=torch.arange(24.0).reshape(2, 3, 2, 2).contiguous(memory_format=torch.channels_last),
    float64=torch.tensor([1 / 3, -2.0], dtype=torch.float64),
    float16=torch.tensor([0.5, -65504.0], dtype=torch.float16),
    bfloat16=torch.tensor([0.5, -3e38], dtype=torch.bfloat16),
    int64=torch.tensor([-(2**40), 3]),
    int32=torch.tensor([[-5], [2**31 - 1]], dtype=torch.int32),
    uint8=torch.tensor([0, 255], dtype=torch.uint8),
    bool=torch.tensor([True, False]),
    parameter=torch.nn.Parameter(torch.tensor([1.5, 2.5])),
    scalar=torch.tensor(7),
    empty=torch.zeros(0, 3),
)
state._metadata = OrderedDict([("", {"version": 1})])
training = {
    "epoch": 3,
    "learning_rate": 1e-3,
    "model": {"weight": base[:2], "step": 5},
    # None of this is to be run, or even understood.
    "args": argparse.Namespace(seed=2**70, names={"a", "b"}),
    "optimizer": {"state": {0: {"momentum": torch.tensor([1, 2], dtype=torch.int16)}}},
}
for name, content, options in [
    ("zip", state, {}),
    ("legacy", state, {"_use_new_zipfile_serialization": False}),
    ("training-zip", training, {"pickle_protocol": 4}),
    ("training-legacy", {**training, "model": None, "state_dict": training["model"]},
     {"_use_new_zipfile_serialization": False, "pickle_protocol": 4}),
]:
    torch.save(content, FOLDER / f"{name}.pth", **options)
