"""Writes networks.json: what PyTorch computes in float64 for the networks of src/nn, small enough to be kept.

Weights and inputs are not stored: both sides draw them from one counter-based hash (`uniform` below, `hashed` in
tests/parity.rs). Of every tensor the file keeps its norm and two projections on hashed vectors.

Made with torch 2.11.0, torchvision 0.26.0, segmentation_models_pytorch 0.5.0:  python tests/parity/generate.py
"""

import json
import pathlib

import numpy as np
import segmentation_models_pytorch as smp
import torch
import torchvision

MASK = (1 << 64) - 1


def uniform(name, count):
    """`count` numbers in [-1, 1): splitmix64 of (FNV-1a of the name, index)."""
    start = 0xCBF29CE484222325
    for byte in name.encode():
        start = ((start ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(start) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0


def tensor(name, *shape):
    return torch.from_numpy(uniform(name, int(np.prod(shape)))).reshape(shape)


def weight(name, shape):
    """The value of a parameter or buffer of `shape`, by its kind."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    values = tensor(name, *shape)
    if len(shape) == 4:
        return values * (6.0 / (shape[1] * shape[2] * shape[3])) ** 0.5
    if name.endswith(("running_var", "weight")):
        return 1.0 + 0.3 * values
    return 0.1 * values


def filled(network):
    """`network` in float64 with hashed weights."""
    network = network.double()
    network.load_state_dict({name: weight(name, tuple(value.shape)) for name, value in network.state_dict().items()})
    return network


def summary(name, values):
    flat = values.detach().double().reshape(-1).numpy()
    return [float(np.linalg.norm(flat))] + [float(flat @ uniform(f"{name}#{i}", flat.size)) for i in (1, 2)]


def state(network):
    """Gradients of the parameters, and the running statistics after the one step."""
    gradients = {name: summary(name, p.grad) for name, p in network.named_parameters() if p.grad is not None}
    buffers = {name: summary(name, b) for name, b in network.named_buffers() if not name.endswith("tracked")}
    return {"gradients": gradients, "buffers": buffers}


def nhwc(value):
    return value.permute(0, 2, 3, 1)


def features(network, x):
    stem = network.relu(network.bn1(network.conv1(x)))
    first = network.layer1(network.maxpool(stem))
    second = network.layer2(first)
    third = network.layer3(second)
    return [stem, first, second, third, network.layer4(third)]


def encoder(arch, variant, height, width):
    network = getattr(torchvision.models, arch)()
    network.fc = torch.nn.Identity()
    if variant == "v1":
        network.maxpool = torch.nn.MaxPool2d(3, 2, padding=0, ceil_mode=True)
        for layer in (network.layer2, network.layer3, network.layer4):
            if hasattr(layer[0], "conv3"):
                layer[0].conv1.stride, layer[0].conv2.stride = layer[0].conv2.stride, layer[0].conv1.stride
    network = filled(network)
    x = tensor("x", 2, height, width, 3).permute(0, 3, 1, 2).requires_grad_()
    network.eval()
    evaluated = [summary(f"feature{i}", nhwc(f)) for i, f in enumerate(features(network, x))]
    network.train()
    outputs = [nhwc(f) for f in features(network, x)]
    loss = sum((f * tensor(f"seed{i}", *f.shape)).sum() / f.numel() ** 0.5 for i, f in enumerate(outputs))
    loss.backward()
    trained = [summary(f"feature{i}", f) for i, f in enumerate(outputs)]
    found = state(network)
    found["gradients"]["x"] = summary("x", nhwc(x.grad))
    return {"arch": arch, "variant": variant, "size": [height, width], "eval": evaluated, "train": trained, **found}


def labels(classes, *shape):
    """Classes 0 to classes - 2, so that one is absent, with every label in ten or so ignored (255)."""
    draws = tensor("labels", *shape)
    found = ((draws + 1.0) / 2.0 * (classes - 1)).long()
    return torch.where(tensor("ignored", *shape) > 0.8, torch.tensor(255), found)


def segmentation(arch, height, width, classes):
    network = filled(smp.UnetPlusPlus(arch, encoder_weights=None, classes=classes))
    x = tensor("x", 2, height, width, 3).permute(0, 3, 1, 2)
    target = labels(classes, 2, height, width)
    network.eval()
    evaluated = summary("logits", nhwc(network(x)))
    network.train()
    logits = network(x)
    dice = smp.losses.DiceLoss(mode="multiclass", from_logits=True, smooth=0.0, eps=1e-7, ignore_index=255)(
        logits, target
    )
    entropy = torch.nn.functional.cross_entropy(logits, target, ignore_index=255)
    entropy_gradient = torch.autograd.grad(entropy, logits, retain_graph=True)[0]
    dice_gradient = torch.autograd.grad(dice, logits, retain_graph=True)[0]
    dice.backward()
    return {
        "arch": arch,
        "size": [height, width],
        "classes": classes,
        "eval": evaluated,
        "train": summary("logits", nhwc(logits)),
        "dice": dice.item(),
        "dice_gradient": summary("logits", nhwc(dice_gradient)),
        "cross_entropy": entropy.item(),
        "cross_entropy_gradient": summary("logits", nhwc(entropy_gradient)),
        **state(network),
    }


if __name__ == "__main__":
    fixture = {
        "encoders": [
            encoder("resnet18", "v1.5", 64, 64),
            encoder("resnet18", "v1", 61, 70),
            encoder("resnet50", "v1.5", 61, 70),
            encoder("resnet50", "v1", 64, 64),
        ],
        "segmentations": [segmentation("resnet18", 64, 64, 5), segmentation("resnet50", 32, 64, 3)],
    }
    path = pathlib.Path(__file__).with_name("networks.json")
    path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")
