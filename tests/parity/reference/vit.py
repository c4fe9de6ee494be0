"""DINOv2's vision transformer in PyTorch, as facebookresearch/dinov2 (`dinov2/models/vision_transformer.py`,
`dinov2/hub/backbones.py`) has it in names and structure, and the heads of crates/train/src/networks/patch_head.rs."""

import torch
import torch.nn.functional as F
from torch import nn

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
