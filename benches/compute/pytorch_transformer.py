"""PyTorch's side of transformer.rs: operations of vision transformers, and torchvision's block of Swin.

Tokens lie in rows on both sides, so that the format "channels-last" is nothing else here. It is what window attention is told
apart by: there it goes through `scaled_dot_product_attention` with bias and mask (as timm does), in the other format it is
written out (as Microsoft and torchvision do).
"""

import torch
import torch.nn.functional as F
from torch import nn


def windows(grid, side):
    batch, height, width, channels = grid.shape
    cut = grid.reshape(batch, height // side, side, width // side, side, channels)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, side * side, channels)


def grid(found, side, size):
    back = found.reshape(-1, size // side, size // side, side, side, found.shape[-1])
    return back.permute(0, 1, 3, 2, 4, 5).reshape(-1, size, size, found.shape[-1])


def positions(side):
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    at = torch.stack([rows.flatten(), columns.flatten()])
    relative = at[:, :, None] - at[:, None, :] + side - 1
    return (relative[0] * (2 * side - 1) + relative[1]).flatten()


def mask(size, side, shift):
    regions = torch.zeros(1, size, size, 1)
    parts = (slice(0, -side), slice(-side, -shift), slice(-shift, None))
    for number, (rows, columns) in enumerate((rows, columns) for rows in parts for columns in parts):
        regions[:, rows, columns] = number
    regions = windows(regions, side)[..., 0]
    return torch.where(regions[:, :, None] == regions[:, None, :], 0.0, -100.0)


def window_attention(spec, operation, fused):
    batch, size, channels, heads = spec.batch, spec.size, spec.channels, spec.heads
    side, shift = (size, 0) if size <= spec.window else (spec.window, spec.shift)
    x = torch.randn(batch, size, size, 3 * channels, requires_grad=True)
    table = (0.02 * torch.randn((2 * side - 1) ** 2, heads)).requires_grad_()
    index, added = positions(side), mask(size, side, shift) if shift else None

    def forward():
        rolled = torch.roll(x, (-shift, -shift), (1, 2)) if shift else x
        q, k, v = windows(rolled, side).reshape(-1, side**2, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
        bias = table[index].reshape(side**2, side**2, heads).permute(2, 0, 1)[None]
        if shift:
            bias = bias + added[:, None]
        if fused:
            found = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.repeat(batch if shift else 1, 1, 1, 1))
        else:
            scores = (q * (channels // heads) ** -0.5) @ k.transpose(-2, -1)
            scores = (scores.unflatten(0, (batch, -1)) + bias).flatten(0, 1)
            found = scores.softmax(-1) @ v
        y = grid(found.transpose(1, 2).reshape(-1, side**2, channels), side, size)
        return torch.roll(y, (shift, shift), (1, 2)) if shift else y
    return operation(forward, [x, table])


def attention(spec, operation, _):
    x = torch.randn(spec.batch, spec.tokens, 3 * spec.channels, requires_grad=True)

    def forward():
        q, k, v = x.reshape(spec.batch, spec.tokens, 3, spec.heads, -1).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    return operation(forward, [x])


def module(make):
    def prepare(spec, operation, _):
        net = make(spec)
        x = torch.randn(spec.batch, spec.size, spec.size, spec.channels, requires_grad=True)
        return operation(lambda: net(x), [x, *net.parameters()])
    return prepare


def swin_block(spec):
    from torchvision.models.swin_transformer import SwinTransformerBlock
    side, shift = (spec.size, 0) if spec.size <= spec.window else (spec.window, spec.shift)
    return SwinTransformerBlock(spec.channels, spec.heads, [side] * 2, [shift] * 2, stochastic_depth_prob=0.0)


KINDS = {
    "window-attention": window_attention, "attention": attention, "gelu": module(lambda spec: nn.GELU()),
    "layer-norm": module(lambda spec: nn.LayerNorm(spec.channels)),
    "linear": module(lambda spec: nn.Linear(spec.channels, spec.out)), "swin-block": module(swin_block),
}
