"""Writes what PyTorch computes for the plain operations of transformers and SE-ResNets (`reference/plain.py`) and segmentation_models_pytorch
for SE-ResNets: plain.json and se_resnet.json, in the form of ops.json and networks.json.

    python tests/parity/generate_plain.py            makes both anew
    python tests/parity/generate_plain.py --check    compares with what is committed

Needs what `generate.py` needs.
"""

import json
import pathlib
import sys

import segmentation_models_pytorch as smp
import torch
from generate import differences, text
from reference import networks, plain
from reference.hashed import nhwc

FOLDER = pathlib.Path(__file__).parent


class Encoder(networks.Encoder):
    """A published encoder of smp, or with another width the same with all channels scaled."""

    def __init__(self, arch, width, batch, size):
        self.arch, self.width, self.shape = arch, width, (batch, *size, 3)

    def build(self):
        return narrow(self.arch, self.width)

    def outputs(self, network, x):
        return {f"feature{level}": nhwc(feature) for level, feature in enumerate(network(x)[1:])}


class Segmentation(networks.Segmentation):
    def build(self):
        kind = {"unet": smp.Unet, "unet++": smp.UnetPlusPlus}[self.architecture]
        return kind(self.arch, encoder_weights=None, classes=self.classes)


def narrow(arch, width):
    entry = smp.encoders.encoders[arch]

    class Narrow(entry["encoder"]):
        def _make_layer(self, block, planes, **options):
            return super()._make_layer(block, planes * width // 64, **options)

    scaled = [3, width, *(4 * width << stage for stage in range(4))]
    return Narrow(**entry["params"] | {"inplanes": width, "out_channels": scaled})


def encoder(arch, width, batch, size, **options):
    described = {"arch": arch, "width": width, "batch": batch, "size": size}
    return networks.fixture(Encoder(**described), **described, **options)


def segmentation(architecture, arch, classes, batch, size, **options):
    described = {"architecture": architecture, "arch": arch, "classes": classes, "batch": batch, "size": size}
    return networks.fixture(Segmentation(**described), **described, **options)


def se_resnets():
    return {
        "encoders": [
            encoder("se_resnet50", 64, 2, (61, 70), frozen=True),
            encoder("se_resnext50_32x4d", 64, 2, (64, 64), frozen=True),
            encoder("se_resnet50", 8, 2, (64, 64), optimizers=networks.rates(1e-4, 1e-5)),
            encoder("se_resnext50_32x4d", 16, 2, (61, 70)),
        ],
        "segmentations": [
            segmentation("unet", "se_resnext50_32x4d", 3, 2, (64, 64)),
            segmentation("unet++", "se_resnet50", 3, 2, (64, 64)),
        ],
    }


def main():
    torch.set_num_threads(1)
    versions = {module.__name__: module.__version__ for module in (torch, smp)}
    versions["cpu"] = torch.backends.cpu.get_cpu_capability()
    found = []
    for name, make in [("plain.json", plain.fixture), ("se_resnet.json", se_resnets)]:
        made = text({"versions": versions, **make()})
        if "--check" in sys.argv[1:]:
            found += differences(name, json.loads(made), json.loads((FOLDER / name).read_text()))
        else:
            (FOLDER / name).write_text(made)
            print(name, len(made), "bytes")
    if "--check" in sys.argv[1:]:
        print("\n".join(found) or "the committed fixtures are what PyTorch computes here")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
