"""Writes vit.json: what PyTorch computes for DINOv2's vision transformer and for the heads on it.

    python tests/parity/generate_vit.py          makes the file anew
    python tests/parity/generate_vit.py --timm   holds the module here to timm's vit_small_patch14_dinov2 and its register variant

The modules follow facebookresearch/dinov2 (`dinov2/models/vision_transformer.py`, `dinov2/hub/backbones.py`) in names and structure,
the heads crates/train/src/networks/patch_head.rs. Otherwise as generate.py.
"""

import pathlib
import sys

import torch
import torch.nn.functional as F
from generate import text
from reference import networks
from reference.hashed import nhwc, tensor
from torch import nn

FOLDER = pathlib.Path(__file__).parent
PATCH = 14


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = Attention(width, heads), Mlp(width)
        self.ls1, self.ls2 = Scale(width), Scale(width)

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


def padded(x):
    """Zeros around the image up to whole patches (CenterPadding of dinov2/eval/segmentation)."""
    (top, bottom), (left, right) = ((-side % PATCH // 2, -side % PATCH - -side % PATCH // 2) for side in x.shape[2:])
    return F.pad(x, (left, right, top, bottom)), top, left


class Vit(nn.Module):
    """DINOv2's; `registers` also choose how positions are interpolated, as dinov2/hub/backbones.py does."""

    def __init__(self, width, depth, heads, grid, registers):
        super().__init__()
        self.width, self.grid, self.registers = width, grid, registers
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        if registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, registers, width))
        self.register_buffer("mask_token", torch.zeros(1, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def positions(self, rows, columns):
        if (rows, columns) == (self.grid, self.grid):
            return self.pos_embed
        patches = self.pos_embed[:, 1:].reshape(1, self.grid, self.grid, self.width).permute(0, 3, 1, 2)
        if self.registers:
            patches = F.interpolate(patches, size=(rows, columns), mode="bicubic", antialias=True)
        else:
            factors = ((rows + 0.1) / self.grid, (columns + 0.1) / self.grid)
            patches = F.interpolate(patches, scale_factor=factors, mode="bicubic")
        assert patches.shape[2:] == (rows, columns)
        return torch.cat([self.pos_embed[:, :1], patches.permute(0, 2, 3, 1).reshape(1, -1, self.width)], 1)

    def forward(self, x):
        """The normed tokens of the patches as a map, NCHW."""
        patches = self.patch_embed["proj"](padded(x)[0])
        batch, _, rows, columns = patches.shape
        x = torch.cat([self.cls_token.expand(batch, -1, -1), patches.flatten(2).transpose(1, 2)], 1)
        x = x + self.positions(rows, columns)
        if self.registers:
            x = torch.cat([x[:, :1], self.register_tokens.expand(batch, -1, -1), x[:, 1:]], 1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)[:, 1 + self.registers :]
        return x.transpose(1, 2).reshape(batch, self.width, rows, columns)


class Head(nn.Module):
    def __init__(self, architecture, encoder, classes):
        super().__init__()
        self.encoder, width = encoder, encoder.width
        if architecture == "linear":
            self.decoder = nn.ModuleDict({"norm": nn.BatchNorm2d(width)})
        else:
            convolution = lambda a, b: nn.Sequential(nn.Conv2d(a, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            self.decoder = nn.ModuleDict({"conv1": convolution(width, 256), "conv2": convolution(256, 128)})
            width = 128
        self.segmentation_head = nn.Sequential(nn.Conv2d(width, classes, 1))

    def forward(self, x):
        map, (height, width) = self.encoder(x), x.shape[2:]
        if "norm" in self.decoder:
            map = self.decoder["norm"](map)
        else:
            map = self.decoder["conv2"](F.interpolate(self.decoder["conv1"](map), scale_factor=2, mode="nearest"))
        whole, top, left = padded(x)
        logits = F.interpolate(self.segmentation_head(map), size=whole.shape[2:], mode="bilinear", align_corners=False)
        return logits[:, :, top : top + height, left : left + width]


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


def fixtures():
    networks.weight = weight
    encoder = lambda **described: networks.fixture(Encoder(**described, **SIZES), frozen=True, **described, **SIZES)
    head = lambda **described: networks.fixture(Segmentation(**described, **SIZES), frozen=True, **described, **SIZES)
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
