"""Attention: inside of windows as Swin's code has it (microsoft/Swin-Transformer, `models/swin_transformer.py`), and
`scaled_dot_product_attention`."""

import torch
import torch.nn.functional as F

from .hashed import compared, tensor


def leaf(values, dtype):
    return values.to(dtype).requires_grad_()


def tensors(y, inputs):
    y.backward(tensor("seed", y.shape).to(y.dtype))
    return {"y": y} | {name: value.grad for name, value in inputs.items()}


def case(compute, **parameters):
    return {**parameters, "tensors": compared(lambda dtype: compute(dtype, **parameters))}


def windows(grid, side):
    """[batch, height, width, channels] to [batch · windows, side², channels]."""
    batch, height, width, channels = grid.shape
    cut = grid.reshape(batch, height // side, side, width // side, side, channels)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(-1, side * side, channels)


def grid(found, side, height, width):
    back = found.reshape(-1, height // side, width // side, side, side, found.shape[-1])
    return back.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, found.shape[-1])


def relative_position_index(side):
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    at = torch.stack([rows.flatten(), columns.flatten()])
    relative = at[:, :, None] - at[:, None, :] + side - 1
    return relative[0] * (2 * side - 1) + relative[1]


def mask(height, width, side, shift):
    regions = torch.zeros(1, height, width, 1)
    parts = (slice(0, -side), slice(-side, -shift), slice(-shift, None))
    for number, (rows, columns) in enumerate((rows, columns) for rows in parts for columns in parts):
        regions[:, rows, columns] = number
    regions = windows(regions, side)[..., 0]
    return torch.where(regions[:, :, None] == regions[:, None, :], 0.0, -100.0)


def window_attention(dtype, batch, size, channels, heads, window, shift, scale):
    height, width = size
    side, shift = (min(size), 0) if min(size) <= window else (window, shift)
    inputs = {
        "qkv": leaf(tensor("qkv", (batch, height, width, 3 * channels), scale=scale), dtype),
        "table": leaf(tensor("table", ((2 * side - 1) ** 2, heads)), dtype),
    }
    rolled = torch.roll(inputs["qkv"], (-shift, -shift), (1, 2))
    qkv = windows(rolled, side).reshape(-1, side**2, 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv[0] * (channels // heads) ** -0.5, qkv[1], qkv[2]
    bias = inputs["table"][relative_position_index(side).flatten()].reshape(side**2, side**2, heads)
    scores = q @ k.transpose(-2, -1) + bias.permute(2, 0, 1)
    if shift:
        added = mask(height, width, side, shift).to(dtype)[None, :, None]
        scores = (scores.unflatten(0, (batch, -1)) + added).flatten(0, 1)
    found = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, side**2, channels)
    return tensors(torch.roll(grid(found, side, height, width), (shift, shift), (1, 2)), inputs)


def attention(dtype, batch, tokens, heads, width, scale):
    inputs = {"qkv": leaf(tensor("qkv", (batch, tokens, 3 * heads * width), scale=scale), dtype)}
    q, k, v = inputs["qkv"].reshape(batch, tokens, 3, heads, width).permute(2, 0, 3, 1, 4)
    found = F.scaled_dot_product_attention(q, k, v)
    return tensors(found.transpose(1, 2).reshape(batch, tokens, heads * width), inputs)


def fixture():
    shapes = [
        # batch, size, channels, heads, window
        (2, (8, 12), 12, 2, 4),
        (1, (14, 21), 64, 2, 7),
        (2, (16, 24), 96, 3, 8),
        # One window, and one that is smaller than asked for.
        (2, (8, 8), 128, 4, 8),
        (3, (4, 4), 32, 1, 7),
    ]
    return {
        "window_attention": [
            case(
                window_attention, batch=batch, size=size, channels=channels, heads=heads, window=window, shift=shift,
                scale=scale,
            )
            for batch, size, channels, heads, window in shapes
            for shift, scale in ((0, 3.0), (window // 2, 1.0))
        ],
        "attention": [
            case(attention, batch=batch, tokens=tokens, heads=heads, width=width, scale=scale)
            for batch, tokens, heads, width, scale in [
                (2, 50, 3, 32, 3.0), (1, 50, 2, 5, 1.0), (1, 257, 3, 64, 1.0), (1, 257, 2, 64, 3.0), (1, 1370, 1, 64, 1.0)
            ]
        ],
    }  # fmt: skip
