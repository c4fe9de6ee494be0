"""Losses of segmentation: segmentation_models_pytorch, torch, and NASA's `DiceBCELoss` (pretrained-microscopy-models, `losses.py`)."""

import itertools

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import lovasz

from .hashed import compared, labels, nchw, nhwc, tensor


def lovasz_grad(sorted_truth):
    """smp's `_lovasz_grad`, which computes in float32 whatever it is given."""
    truth = sorted_truth.sum()
    intersection = truth - sorted_truth.cumsum(0)
    union = truth + (1 - sorted_truth).cumsum(0)
    jaccard = 1.0 - intersection / union
    return torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])


lovasz._lovasz_grad = lovasz_grad


def nasa_dice_bce(logits, target, skip):
    """Its network ends in a softmax (or one sigmoid), and the loss takes the sigmoid of that."""
    found = logits.softmax(1)
    truth = F.one_hot(torch.where(target == skip, 0, target), logits.shape[1]).permute(0, 3, 1, 2).to(logits.dtype)
    if logits.shape[1] == 2:
        found, truth = found[:, 1:], truth[:, 1:]
    counted = (target != skip)[:, None].expand_as(found)
    inputs, targets = torch.sigmoid(found[counted]), truth[counted]
    dice = 1 - (2.0 * (inputs * targets).sum() + 1) / (inputs.sum() + targets.sum() + 1)
    return 0.7 * F.binary_cross_entropy(inputs, targets) + 0.3 * dice


def one(name, logits, target, ignore, weights, alpha=0.3, beta=0.7, gamma=None, label_smoothing=0.0):
    skip = 255 if ignore else None
    if name == "cross-entropy":
        weight = None if weights is None else torch.tensor(weights, dtype=logits.dtype)
        return F.cross_entropy(logits, target, weight, ignore_index=255, label_smoothing=label_smoothing)
    if name == "nasa-dice-bce":
        return nasa_dice_bce(logits, target, 255)
    if name == "dice":
        return smp.losses.DiceLoss("multiclass", smooth=0.0, eps=1e-7, ignore_index=skip)(logits, target)
    if name == "jaccard" and not ignore:
        return smp.losses.JaccardLoss("multiclass")(logits, target)
    if name == "jaccard":
        return smp.losses.TverskyLoss("multiclass", alpha=1.0, beta=1.0, ignore_index=skip)(logits, target)
    if name in ("tversky", "focal-tversky"):
        power = 1.0 if name == "tversky" else gamma or 0.75
        loss = smp.losses.TverskyLoss("multiclass", alpha=alpha, beta=beta, gamma=power, ignore_index=skip)
        return loss(logits, target)
    if name == "focal":
        return smp.losses.FocalLoss("multiclass", gamma=2.0 if gamma is None else gamma, ignore_index=skip)(logits, target)
    return smp.losses.LovaszLoss("multiclass", ignore_index=skip)(logits, target)


def loss(dtype, spec, weights, shape, ignore, scale):
    batch, height, width, classes = shape
    logits = nchw(tensor("logits", tuple(shape), scale=scale), dtype, gradient=True)
    target = labels(classes, (batch, height, width), ignore)
    if isinstance(spec, str):
        value = one(spec, logits, target, ignore, weights)
    elif "name" in spec:
        own = {key: value for key, value in spec.items() if key != "name"}
        value = one(spec["name"], logits, target, ignore, weights, **own)
    else:
        value = sum(weight * one(name, logits, target, ignore, weights) for name, weight in spec.items())
    value.backward()
    return {"loss": value, "logits": nhwc(logits.grad)}


SPECS = [
    "jaccard",
    "focal",
    {"name": "focal", "gamma": 0.5},
    "tversky",
    {"name": "tversky", "alpha": 0.8, "beta": 0.1},
    "focal-tversky",
    {"name": "focal-tversky", "gamma": 2.0},
    "lovasz-softmax",
    "nasa-dice-bce",
    {"name": "cross-entropy", "label_smoothing": 0.1},
    {"cross-entropy": 0.4, "dice": 0.6},
]


def cases():
    shapes = [(2, 32, 32, 5), (1, 7, 9, 3), (2, 8, 8, 2)]
    for spec, ignore, shape in itertools.product(SPECS, (False, True), shapes):
        yield {"spec": spec, "weights": None, "shape": shape, "ignore": ignore, "scale": 2.0}
    for smoothing, ignore in itertools.product((0.0, 0.2), (False, True)):
        spec = {"name": "cross-entropy", "label_smoothing": smoothing}
        weights = [0.25, 1.0, 4.0, 0.0, 2.0]
        yield {"spec": spec, "weights": weights, "shape": (2, 32, 32, 5), "ignore": ignore, "scale": 2.0}


def fixture():
    return {"losses": [{**case, "tensors": compared(lambda dtype, case=case: loss(dtype, **case))} for case in cases()]}
