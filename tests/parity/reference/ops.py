"""The operations' fixtures: for each case its parameters, and what is kept of its output and of every gradient."""

import itertools
import math

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from lightly.loss import NTXentLoss

from .hashed import compared, labels, nchw, nhwc, tensor


def leaf(values, dtype):
    return values.to(dtype).requires_grad_()


def images(name, batch, size, channels, dtype, **spread):
    return nchw(tensor(name, (batch, *size, channels), **spread), dtype, gradient=True)


def tensors(y, inputs):
    """Output and gradients for the hashed seed `seed`, images as NHWC."""
    out = nhwc(y) if y.dim() == 4 else y
    seed = tensor("seed", out.shape).to(y.dtype)
    y.backward(seed.permute(0, 3, 1, 2).contiguous() if y.dim() == 4 else seed)
    found = {"y": out}
    for name, value in inputs.items():
        # Kernels of convolutions stay as PyTorch has them, OIHW.
        found[name] = nhwc(value.grad) if value.dim() == 4 and name != "weight" else value.grad
    return found


def case(compute, **parameters):
    return {**parameters, "tensors": compared(lambda dtype: compute(dtype, **parameters))}


def convolution(dtype, kernel, stride, padding, dilation, channels, size, batch, bias):
    (c_in, c_out), shape = channels, (channels[1], channels[0], *kernel)
    inputs = {
        "x": images("x", batch, size, c_in, dtype),
        "weight": leaf(tensor("weight", shape, scale=math.sqrt(6.0 / math.prod(shape[1:]))), dtype),
    }
    if bias:
        inputs["bias"] = leaf(tensor("bias", (c_out,)), dtype)
    y = F.conv2d(inputs["x"], inputs["weight"], inputs.get("bias"), stride, padding, dilation)
    return tensors(y, inputs)


def convolutions():
    # Every combination once, at a size that the largest kernel just fits, channels in turn.
    pairs = itertools.cycle([(3, 5), (5, 16), (16, 3), (16, 16), (5, 64), (17, 15)])
    for kernel, stride, padding, dilation in itertools.product((1, 2, 3, 5, 7), (1, 2, 3), (0, 1, 2, 3), (1, 2)):
        common = {"channels": next(pairs), "batch": 1 + (stride + padding) % 2, "bias": (kernel + stride) % 2 == 0}
        yield {
            "kernel": (kernel, kernel), "stride": stride, "padding": padding, "dilation": dilation,
            "size": (13, 16), **common,
        }  # fmt: skip
    # 3x3, stride 1, padding 1 has ways of its own (Winograd): every remainder of height and width by small tiles.
    sizes = [(1, 1), (2, 5), (3, 4), (7, 9), (8, 8), (6, 12), (10, 11), (32, 32), (33, 18)]
    for size, channels in itertools.product(sizes, [(3, 5), (16, 16), (64, 64), (15, 130), (130, 16), (64, 5)]):
        yield {
            "kernel": (3, 3), "stride": 1, "padding": 1, "dilation": 1,
            "channels": channels, "size": size, "batch": 2, "bias": size == (7, 9),
        }  # fmt: skip
    # Eight or more images of 2x2 pixels have another way.
    for channels, batch in [((16, 16), 8), ((16, 130), 33), ((130, 16), 9), ((256, 64), 16)]:
        yield {
            "kernel": (3, 3), "stride": 1, "padding": 1, "dilation": 1,
            "channels": channels, "size": (2, 2), "batch": batch, "bias": batch == 9,
        }  # fmt: skip
    # As networks have them, and what is neither square nor even.
    for kernel, stride, padding, channels, size, batch in [
        ((7, 7), 2, 3, (3, 64), (61, 70), 2),
        ((1, 1), 1, 0, (130, 64), (9, 7), 3),
        ((1, 1), 2, 0, (64, 130), (9, 7), 3),
        ((3, 3), 2, 1, (64, 130), (15, 8), 2),
        ((3, 3), 1, 1, (16, 5), (64, 64), 2),
        ((3, 3), 1, 1, (512, 64), (4, 4), 2),
        ((3, 3), 1, 1, (64, 512), (2, 3), 2),
        ((3, 1), 1, 1, (16, 16), (8, 9), 2),
        ((1, 3), 1, 1, (16, 16), (8, 9), 2),
        ((2, 5), 2, 2, (5, 16), (11, 6), 2),
        ((7, 1), 3, 3, (5, 3), (6, 23), 1),
    ]:
        yield {
            "kernel": kernel, "stride": stride, "padding": padding, "dilation": 1,
            "channels": channels, "size": size, "batch": batch, "bias": kernel != (3, 3),
        }  # fmt: skip


def batch_norm(dtype, training, residual, relu, shape, offset):
    batch, *size, channels = shape
    inputs = {
        "x": images("x", batch, size, channels, dtype, offset=offset),
        "weight": leaf(tensor("weight", (channels,), scale=0.3, offset=1.0), dtype),
        "bias": leaf(tensor("bias", (channels,)), dtype),
    }
    mean = tensor("running_mean", (channels,), scale=0.1, offset=offset).to(dtype)
    variance = tensor("running_var", (channels,), scale=0.3, offset=1.0).to(dtype)
    y = F.batch_norm(inputs["x"], mean, variance, inputs["weight"], inputs["bias"], training)
    if residual:
        inputs["residual"] = images("residual", batch, size, channels, dtype)
        y = y + inputs["residual"]
    found = tensors(F.relu(y) if relu else y, inputs)
    return {**found, "running_mean": mean, "running_var": variance} if training else found


def batch_norms():
    for training, residual, relu in itertools.product((True, False), repeat=3):
        for shape in [(2, 7, 9, 5), (3, 8, 8, 64), (4, 1, 2, 130), (2, 32, 32, 16)]:
            yield {"training": training, "residual": residual, "relu": relu, "shape": shape, "offset": 0.0}
    # Means far from zero, where a variance of E[x^2] - E[x]^2 would be noise; no ReLU, whose flips would be luck.
    for training, offset in itertools.product((True, False), (10.0, 1000.0)):
        yield {"training": training, "residual": False, "relu": False, "shape": (2, 16, 16, 16), "offset": offset}


def max_pool(dtype, kernel, stride, padding, ceil_mode, ties, size, channels):
    values = tensor("x", (2, *size, channels))
    # Halves, with many equal maxima, and zeros as behind a ReLU.
    values = (values * 2.0).round().clamp(min=0.0) / 2.0 if ties else values
    x = nchw(values, dtype, gradient=True)
    return tensors(F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil_mode), {"x": x})


def max_pools():
    windows = [(3, 2, 1), (2, 2, 0), (3, 2, 0), (3, 1, 1), (5, 3, 2)]
    for (kernel, stride, padding), ceil_mode, size in itertools.product(
        windows, (False, True), [(8, 12), (7, 9), (13, 6)]
    ):
        yield {
            "kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode,
            "ties": size == (7, 9), "size": size, "channels": 5 if stride == 2 else 17,
        }  # fmt: skip


def upsample(dtype, mode, size, channels):
    x = images("x", 2, size, channels, dtype)
    kind = {"mode": "nearest"} if mode == "nearest" else {"mode": "bilinear", "align_corners": mode == "corners"}
    return tensors(torch.nn.Upsample(scale_factor=2, **kind)(x), {"x": x})


def upsamples():
    sizes = [(1, 1), (1, 5), (4, 4), (7, 9), (16, 3), (2, 33)]
    for mode, size, channels in itertools.product(("nearest", "centers", "corners"), sizes, (5, 16)):
        yield {"mode": mode, "size": size, "channels": channels}


def concat(dtype, size, channels):
    inputs = {f"x{i}": images(f"x{i}", 2, size, c, dtype) for i, c in enumerate(channels)}
    return tensors(torch.cat(list(inputs.values()), dim=1), inputs)


def global_average_pool(dtype, size, channels):
    x = images("x", 2, size, channels, dtype)
    return tensors(F.adaptive_avg_pool2d(x, 1).flatten(1), {"x": x})


def linear(dtype, rows, channels, bias):
    inputs = {"x": leaf(tensor("x", (rows, channels[0])), dtype)}
    inputs["weight"] = leaf(tensor("weight", (channels[1], channels[0]), scale=math.sqrt(6.0 / channels[0])), dtype)
    if bias:
        inputs["bias"] = leaf(tensor("bias", (channels[1],)), dtype)
    return tensors(F.linear(inputs["x"], inputs["weight"], inputs.get("bias")), inputs)


def segmentation_loss(dtype, loss, shape, ignore, scale):
    batch, height, width, classes = shape
    logits = images("logits", batch, (height, width), classes, dtype, scale=scale)
    target = labels(classes, (batch, height, width), ignore)
    if loss == "dice":
        skip = 255 if ignore else None
        value = smp.losses.DiceLoss("multiclass", from_logits=True, smooth=0.0, eps=1e-7, ignore_index=skip)(
            logits, target
        )
    else:
        value = F.cross_entropy(logits, target, ignore_index=255)
    value.backward()
    return {"loss": value, "logits": nhwc(logits.grad)}


def segmentation_losses():
    shapes = [(2, 32, 32, 5), (1, 7, 9, 3), (3, 65, 64, 4), (2, 8, 8, 2)]
    for loss, ignore, shape in itertools.product(("dice", "cross_entropy"), (False, True), shapes):
        yield {"loss": loss, "shape": shape, "ignore": ignore, "scale": 30.0 if shape[0] == 3 else 2.0}


def nt_xent(dtype, temperature, rows, dimensions, scale):
    first, second = (leaf(tensor(name, (rows, dimensions), scale=scale), dtype) for name in ("first", "second"))
    loss = NTXentLoss(temperature=temperature)(first, second)
    loss.backward()
    return {"loss": loss, "first": first.grad, "second": second.grad}


def nt_xents():
    for temperature, (rows, dimensions, scale) in itertools.product(
        (0.07, 0.1, 0.5, 1.0), [(8, 128, 1.0), (3, 5, 10.0), (32, 16, 0.01), (64, 128, 1.0)]
    ):
        yield {"temperature": temperature, "rows": rows, "dimensions": dimensions, "scale": scale}


def fixture():
    torch.manual_seed(0)
    sizes = [((1, 1), 5), ((7, 9), 16), ((2, 2), 130), ((32, 32), 64)]
    return {
        "convolution": [case(convolution, **c) for c in convolutions()],
        "batch_norm": [case(batch_norm, **c) for c in batch_norms()],
        "max_pool": [case(max_pool, **c) for c in max_pools()],
        "upsample": [case(upsample, **c) for c in upsamples()],
        "concat": [
            case(concat, size=size, channels=channels)
            for size, channels in [((7, 9), (5, 3)), ((8, 8), (64, 16, 130)), ((1, 1), (1, 2, 3, 4)), ((4, 5), (16,))]
        ],
        "global_average_pool": [case(global_average_pool, size=s, channels=c) for s, c in sizes],
        "linear": [
            case(linear, rows=rows, channels=channels, bias=bias)
            for rows, channels in [(1, (5, 3)), (8, (64, 130)), (33, (130, 16)), (4, (960, 64))]
            for bias in (True, False)
        ],
        "segmentation_loss": [case(segmentation_loss, **c) for c in segmentation_losses()],
        "nt_xent": [case(nt_xent, **c) for c in nt_xents()],
    }
