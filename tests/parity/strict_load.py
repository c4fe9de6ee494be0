"""Loads what this program saved into torchvision's and smp's own networks with strict=True, and checks every number.

    MATSSL_PARITY_OUT=DIR cargo test --release --test parity saved_files
    python tests/parity/strict_load.py DIR
"""

import pathlib
import sys

import segmentation_models_pytorch as smp
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file

from generate import weight


def check(network, path):
    saved = load_file(path)
    network.load_state_dict(saved, strict=True)
    for name, value in network.state_dict().items():
        assert saved[name].dtype == value.dtype, name
        assert torch.equal(value, weight(name, tuple(value.shape)).to(value.dtype)), name
    with safe_open(path, "pt") as file:
        print(path.name, len(saved), "tensors load strictly and are equal; config:", file.metadata()["config"])


folder = pathlib.Path(sys.argv[1])
resnet = torchvision.models.resnet50()
resnet.fc = torch.nn.Identity()
check(resnet, folder / "resnet50.safetensors")
check(smp.UnetPlusPlus("resnet18", encoder_weights=None, classes=5), folder / "unet_plus_plus.safetensors")
# The other way: what PyTorch saves, in the form of older checkpoints.
torch.save(resnet.state_dict(), folder / "resnet50.pth")
