"""Writes what PyTorch computes for Swin, Swin-Unet and CS-UNet (`reference/swin.py`): swin.json, in the form of networks.json.

    python tests/parity/generate_swin.py            makes it anew
    python tests/parity/generate_swin.py --check    compares with what is committed

Needs torch 2.11, and torchvision 0.26 for CS-UNet's convolutional branch. `python -m reference.swin`, in this folder, holds the
trunk to torchvision's and timm's classes.
"""

import json
import pathlib
import sys

import torch
import torchvision

from generate import differences, text
from reference import swin
from reference.hashed import nhwc
from reference.networks import Encoder, fixture, resnet, stages

FILE = pathlib.Path(__file__).parent / "swin.json"


class Transformer(Encoder):
    """Four features, or logits; the loss is their product with hashed seeds."""

    def __init__(self, kind, width, heads, depths, window, mlp, arch, batch, size):
        self.kind, self.arch, self.shape = kind, arch, (batch, *size, 3)
        self.options = (width, depths, heads, window, mlp == "residual")

    def build(self):
        if self.kind == "swin":
            return swin.Swin(*self.options)
        if self.kind == "swin-unet":
            return swin.SwinUnet(*self.options, 3)
        cnn = resnet(self.arch, "v1.5")
        return swin.CsUnet(*self.options, 3, cnn, lambda cnn, x: stages(cnn, x)[1:], (64, 128, 256, 512))

    def outputs(self, network, x):
        found = network(x)
        if self.kind == "swin":
            return {f"feature{level}": feature for level, feature in enumerate(found)}
        return {"feature0": nhwc(found)}


def case(kind, size, window, depths, mlp="plain", arch=None, width=12, batch=1):
    described = {
        "kind": kind, "width": width, "heads": 3, "depths": depths, "window": window, "mlp": mlp, "arch": arch,
        "batch": batch, "size": size,
    }  # fmt: skip
    print(kind, size, window, depths, file=sys.stderr)
    return fixture(Transformer(**described), frozen=True, **described)


def fixtures():
    return {
        "versions": {module.__name__: module.__version__ for module in (torch, torchvision)},
        "swins": [
            # The last stage is one window, unshifted; in the next all stages have several.
            case("swin", (128, 128), 4, [1, 2, 1, 2], width=24, batch=2),
            case("swin", (256, 256), 4, [2, 1, 2, 2]),
            case("swin", (224, 224), 7, [2, 2, 1, 1]),
            case("swin-unet", (128, 128), 4, [1, 1, 1, 1], batch=2),
            case("swin-unet", (256, 256), 4, [2, 2, 2, 2]),
            case("swin-unet", (224, 224), 7, [2, 1, 2, 1], mlp="residual"),
            case("swin-unet", (128, 256), 4, [1, 2, 2, 1], mlp="residual"),
            case("cs-unet", (128, 128), 4, [2, 2, 2, 2], mlp="residual", arch="resnet18", batch=2),
            case("cs-unet", (224, 224), 7, [1, 2, 1, 1], mlp="plain", arch="resnet18"),
        ],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    made = text(fixtures())
    if "--check" in sys.argv[1:]:
        found = list(differences("swin.json", json.loads(made), json.loads(FILE.read_text())))
        print("\n".join(found) or "the committed fixture is what PyTorch computes here")
        sys.exit(bool(found))
    FILE.write_text(made)
    print(FILE.name, FILE.stat().st_size, "bytes")
