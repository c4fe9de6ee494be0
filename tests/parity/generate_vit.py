"""Writes vit.json: what PyTorch computes for DINOv2's vision transformer and for the heads on it.

    python tests/parity/generate_vit.py          makes the file anew
    python tests/parity/generate_vit.py --timm   holds the module here to timm's vit_small_patch14_dinov2 and its register variant

The networks are in reference/vit.py. Otherwise as generate.py.
"""

import pathlib
import sys

import torch
from generate import text
from reference import networks
from reference.hashed import nhwc, tensor
from reference.vit import Head, Vit

FOLDER = pathlib.Path(__file__).parent


SIZES = {"width": 24, "depth": 2, "heads": 3, "grid": 5}


def vit(arch, **sizes):
    return Vit(**sizes, registers=4 if arch.endswith("-reg") else 0)


class Encoder(networks.Encoder):
    def __init__(self, arch, batch, size, **sizes):
        self.arch, self.shape, self.sizes = arch, (batch, *size, 3), sizes

    def build(self):
        return vit(self.arch, **self.sizes)

    def outputs(self, network, x):
        return {"feature0": nhwc(network(x))}


class Segmentation(networks.Segmentation):
    def __init__(self, architecture, arch, classes, batch, size, **sizes):
        super().__init__(architecture, arch, classes, batch, size)
        self.sizes = sizes

    def build(self):
        return Head(self.architecture, vit(self.arch, **self.sizes), self.classes)


def weight(name, shape, plain=networks.weight):
    """As hashed.py's, tokens and positions as other vectors."""
    return tensor(name, shape, scale=0.1) if len(shape) == 3 else plain(name, shape)


def without_rounding(fixture):
    """A shift right before a batch norm has no gradient in training: what is computed for it is rounding alone."""
    for kept in fixture["parameters"].values():
        kept[:] = [[0.0] * (len(column) - 1) + column[-1:] if column[0] < 1e-12 else column for column in kept]
    return fixture


def fixtures():
    networks.weight = weight
    encoder = lambda **described: networks.fixture(Encoder(**described, **SIZES), frozen=True, **described, **SIZES)
    head = lambda **described: without_rounding(
        networks.fixture(Segmentation(**described, **SIZES), frozen=True, **described, **SIZES)
    )
    return {
        "versions": {"torch": torch.__version__},
        "encoders": [
            encoder(arch="dinov2-small", batch=2, size=(70, 70)),
            encoder(arch="dinov2-small", batch=2, size=(64, 96)),
            encoder(arch="dinov2-small", batch=1, size=(32, 70)),
            encoder(arch="dinov2-small-reg", batch=2, size=(70, 70)),
            encoder(arch="dinov2-small-reg", batch=2, size=(64, 96)),
            encoder(arch="dinov2-small-reg", batch=1, size=(32, 70)),
        ],
        "segmentations": [
            head(architecture="linear", arch="dinov2-small", classes=4, batch=2, size=(64, 96)),
            head(architecture="conv", arch="dinov2-small-reg", classes=3, batch=2, size=(64, 64)),
        ],
    }


def compare_with_timm():
    """Loads this module's weights strictly into timm's networks, through timm's own conversion of Meta's files."""
    import timm
    from timm.models.vision_transformer import checkpoint_filter_fn

    for name, registers in [("vit_small_patch14_dinov2", 0), ("vit_small_patch14_reg4_dinov2", 4)]:
        ours = Vit(384, 12, 6, 37, registers).double().eval()
        count = sum(value.numel() for value in ours.state_dict().values())
        with torch.no_grad():
            for key, value in ours.state_dict().items():
                value.copy_(weight(key, tuple(value.shape)))
        theirs = timm.create_model(name, num_classes=0).double().eval()
        theirs.load_state_dict(checkpoint_filter_fn(ours.state_dict(), theirs), strict=True)
        x = torch.randn(1, 3, 518, 518, dtype=torch.float64)
        with torch.no_grad():
            expected = theirs.forward_features(x)[:, 1 + registers :].transpose(1, 2).reshape(1, 384, 37, 37)
            difference = ((ours(x) - expected).norm() / expected.norm()).item()
        print(f"{name}: {count:,} values, off by {difference:.1e} of the norm from timm {timm.__version__}")
        assert difference < 1e-8


if __name__ == "__main__":
    torch.set_num_threads(1)
    if "--timm" in sys.argv[1:]:
        compare_with_timm()
    else:
        path = FOLDER / "vit.json"
        path.write_text(text(fixtures()))
        print(path.name, path.stat().st_size, "bytes")
