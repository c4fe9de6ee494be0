"""Numbers that both sides draw alike, so that no tensor is ever stored: `hashed.rs` is the same in Rust.

What enters a computation is rounded to float32, so the float32 and the float64 run start from the very same numbers
and differ by arithmetic alone. Directions of projections are not rounded.
"""

import math

import numpy as np
import torch

MASK = (1 << 64) - 1
DIGITS = 12
# Errors of one rounding each are luck where a tensor is small, so they are averaged over several draws of the inputs.
DRAWS = 4
draw = 0


def uniform(name, count):
    """`count` doubles in [-1, 1): splitmix64 of (FNV-1a of the name, index)."""
    start = 0xCBF29CE484222325
    for byte in name.encode():
        start = ((start ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(start) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0


def tensor(name, shape, scale=1.0, offset=0.0):
    """offset + scale · uniform, rounded to float32, as doubles; of the present draw."""
    values = offset + scale * uniform(f"{name}@{draw}" if draw else name, math.prod(shape))
    return torch.from_numpy(values.astype(np.float32).astype(np.float64)).reshape(tuple(shape))


def weight(name, shape):
    """The value of a network's parameter or buffer, by its kind."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if len(shape) > 1:
        return tensor(name, shape, scale=math.sqrt(6.0 / math.prod(shape[1:])))
    if name.endswith(("running_var", "weight")) or ".gates." in name:
        return tensor(name, shape, scale=0.3, offset=1.0)
    return tensor(name, shape, scale=0.1)


def labels(classes, shape, ignore):
    """Classes 0 to classes - 2, so that one is absent; if `ignore`, one label in ten is 255."""
    found = ((torch.from_numpy(uniform("labels", math.prod(shape))) + 1.0) / 2.0 * (classes - 1)).long()
    ignored = torch.from_numpy(uniform("ignored", math.prod(shape))) > 0.8
    found = torch.where(ignored, torch.tensor(255), found) if ignore else found
    return found.reshape(tuple(shape))


def nchw(value, dtype, gradient=False):
    """A hashed NHWC tensor as PyTorch's default layout wants it."""
    return value.permute(0, 3, 1, 2).contiguous().to(dtype).requires_grad_(gradient)


def nhwc(value):
    return value.permute(0, 2, 3, 1)


def rounded(value, digits=DIGITS):
    return float(f"{value:.{digits}g}")


def kept(name, exact, error, projections=2):
    """What the file holds of a tensor: norm and projections in float64, error of PyTorch's float32."""
    exact = exact.detach().double().reshape(-1).numpy()
    projected = [exact @ uniform(f"{name}#{number}", exact.size) for number in range(1, projections + 1)]
    return [rounded(np.linalg.norm(exact)), *map(rounded, projected), rounded(error, 3)]


def error(exact, single):
    """‖single - exact‖ ÷ ‖exact‖ over the whole tensor."""
    norm = exact.detach().double().norm().item()
    difference = (single.detach().double() - exact.detach().double()).norm().item()
    return difference / norm if norm > 0.0 else difference


def compared(compute):
    """`compute(dtype)` gives tensors by name; runs it in both precisions, and for its errors in several draws."""
    global draw
    errors, found = {}, {}
    for draw in range(DRAWS):
        exact, single = compute(torch.float64), compute(torch.float32)
        for name in exact:
            errors.setdefault(name, []).append(error(exact[name], single[name]))
        found = found or exact
    draw = 0
    mean_square = {name: sum(e * e for e in errors[name]) / DRAWS for name in errors}
    return {name: kept(name, found[name], math.sqrt(mean_square[name])) for name in found}
