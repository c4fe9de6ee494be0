"""The plain operations of transformers and SE-ResNets: for each case its parameters, and what is kept of its output and of every
gradient. All tensors are channels last but those of convolutions."""

import math

import torch
import torch.nn.functional as F

from .hashed import compared, nchw, nhwc, tensor


def leaf(values, dtype):
    return values.to(dtype).requires_grad_()


def tensors(y, inputs):
    y.backward(tensor("seed", y.shape).to(y.dtype))
    return {"y": y, **{name: value.grad for name, value in inputs.items()}}


def case(compute, **parameters):
    return {**parameters, "tensors": compared(lambda dtype: compute(dtype, **parameters))}


def layer_norm(dtype, shape, epsilon, offset):
    channels = shape[-1]
    inputs = {
        "x": leaf(tensor("x", shape, offset=offset), dtype),
        "norm.weight": leaf(tensor("norm.weight", (channels,), scale=0.3, offset=1.0), dtype),
        "norm.bias": leaf(tensor("norm.bias", (channels,)), dtype),
    }
    return tensors(F.layer_norm(inputs["x"], (channels,), inputs["norm.weight"], inputs["norm.bias"], epsilon), inputs)


def layer_norms():
    for shape in [(2, 7, 9, 5), (3, 8, 64), (2, 16, 16, 96), (2, 300, 384), (5, 130), (1, 3, 3, 1536)]:
        for epsilon, offset in [(1e-5, 0.0), (1e-6, 0.0), (1e-5, 10.0)]:
            yield {"shape": shape, "epsilon": epsilon, "offset": offset}


def pointwise(dtype, function, shape, scale):
    inputs = {"x": leaf(tensor("x", shape, scale=scale), dtype)}
    return tensors({"gelu": F.gelu, "sigmoid": torch.sigmoid}[function](inputs["x"]), inputs)


def pointwises():
    for function in ("gelu", "sigmoid"):
        for scale in (0.1, 1.0, 4.0):
            yield {"function": function, "shape": (3, 70, 31), "scale": scale}


def linear(dtype, shape, outputs, bias):
    inputs = {
        "x": leaf(tensor("x", shape), dtype),
        "weight": leaf(tensor("weight", (outputs, shape[-1]), scale=math.sqrt(6.0 / shape[-1])), dtype),
    }
    if bias:
        inputs["bias"] = leaf(tensor("bias", (outputs,)), dtype)
    return tensors(F.linear(inputs["x"], inputs["weight"], inputs.get("bias")), inputs)


def linears():
    for shape, outputs, bias in [
        ((2, 3, 5), 7, True),
        ((1, 50, 384), 1152, True),
        ((2, 28, 28, 96), 288, True),
        ((1, 40, 33, 96), 384, False),
        ((1, 1100, 130), 33, True),
        ((2, 7, 7, 768), 1536, False),
    ]:
        yield {"shape": shape, "outputs": outputs, "bias": bias}


def cells(dtype, merges, side, order, shape):
    """As written for `timm`'s patch merging (rows first) and Swin-Unet's patch expanding."""
    x = leaf(tensor("x", shape), dtype)
    batch, height, width, channels = shape
    if merges:
        apart = x.reshape(batch, height // side, side, width // side, side, channels)
        cell = apart.permute(0, 1, 3, 2, 4, 5) if order == "row-major" else apart.permute(0, 1, 3, 4, 2, 5)
        y = cell.reshape(batch, height // side, width // side, side * side * channels)
    else:
        cell = x.reshape(batch, height, width, side, side, channels // (side * side))
        apart = cell.permute(0, 1, 3, 2, 4, 5) if order == "row-major" else cell.permute(0, 1, 4, 2, 3, 5)
        y = apart.reshape(batch, height * side, width * side, channels // (side * side))
    return tensors(y, {"x": x})


def all_cells():
    for order in ("row-major", "rows-first"):
        for side in (2, 4):
            yield {"merges": True, "side": side, "order": order, "shape": (2, 8, 12, 5)}
            yield {"merges": False, "side": side, "order": order, "shape": (2, 3, 2, 3 * side * side)}


def scaled(dtype, shape, gate):
    """`gate`: "channels" (LayerScale), "images" (squeeze-and-excitation), or "residual", with the end of a residual block."""
    inputs = {"x": leaf(tensor("x", shape), dtype)}
    factors = (shape[-1],) if gate == "channels" else (shape[0], 1, 1, shape[-1])
    inputs["gate"] = leaf(tensor("gate", factors), dtype)
    y = inputs["x"] * inputs["gate"]
    if gate == "residual":
        inputs["residual"] = leaf(tensor("residual", shape), dtype)
        y = F.relu(y + inputs["residual"])
    return tensors(y, inputs)


def scales():
    for gate in ("channels", "images", "residual"):
        for shape in [(2, 7, 9, 5), (3, 16, 16, 64), (2, 1, 1, 130)]:
            yield {"shape": shape, "gate": gate}


def groups(dtype, kernel, stride, groups, channels, size, bias):
    (c_in, c_out), shape = channels, (channels[1], channels[0] // groups, kernel, kernel)
    inputs = {
        "x": nchw(tensor("x", (2, *size, c_in)), dtype, gradient=True),
        "weight": leaf(tensor("weight", shape, scale=math.sqrt(6.0 / math.prod(shape[1:]))), dtype),
    }
    if bias:
        inputs["bias"] = leaf(tensor("bias", (c_out,)), dtype)
    y = F.conv2d(inputs["x"], inputs["weight"], inputs.get("bias"), stride, kernel // 2, 1, groups)
    y.backward(tensor("seed", nhwc(y).shape).to(dtype).permute(0, 3, 1, 2).contiguous())
    found = {"y": nhwc(y), "x": nhwc(inputs["x"].grad), "weight": inputs["weight"].grad}
    return {**found, "bias": inputs["bias"].grad} if bias else found


def all_groups():
    for kernel, stride, number, channels, size, bias in [
        (3, 1, 32, (128, 128), (14, 17), False),
        (3, 2, 32, (128, 128), (15, 16), False),
        (3, 1, 32, (512, 512), (7, 8), False),
        (3, 2, 32, (1024, 1024), (8, 7), False),
        (3, 1, 5, (15, 10), (9, 6), True),
        (1, 1, 4, (64, 32), (9, 6), True),
        (3, 1, 12, (12, 12), (9, 6), True),
    ]:
        yield {
            "kernel": kernel, "stride": stride, "groups": number, "channels": channels, "size": size, "bias": bias,
        }  # fmt: skip


def fixture():
    made = {
        "layer_norm": (layer_norm, layer_norms),
        "pointwise": (pointwise, pointwises),
        "linear": (linear, linears),
        "cells": (cells, all_cells),
        "scale": (scaled, scales),
        "groups": (groups, all_groups),
    }
    return {name: [case(compute, **one) for one in cases()] for name, (compute, cases) in made.items()}
