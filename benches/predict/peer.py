"""A peer of `matssl-run predict`: the sliding window that one would write by hand.

    python peer.py eager|compiled|openvino MODEL INPUT OUT --batch N [--tile 256] [--overlap 0.5] [--threads 2] [--probe]

MODEL is a model folder, INPUT an image or a folder of them. Writes OUT/NAME.png for each, and one line of JSON: `ready_s` (imports, weights,
compilation, one batch to warm up: not counted), `seconds` (from the first file opened to the last mask written), `megapixels`.
With --probe it times three batches of the network alone instead, and says `tile_s`, the least time for a tile.

Tiles are laid as matssl-run lays them: the last one of a row or column ends at the image's edge. Probabilities are blended with a sin² window,
float32. The last batch is filled up, so that every batch has one shape.
"""

import argparse
import json
import os
import time
from pathlib import Path

START = time.perf_counter()

arguments = argparse.ArgumentParser()
arguments.add_argument("side", choices=["eager", "compiled", "openvino"])
arguments.add_argument("model", type=Path)
arguments.add_argument("input", type=Path)
arguments.add_argument("out", type=Path)
arguments.add_argument("--batch", type=int, required=True)
arguments.add_argument("--tile", type=int, default=256)
arguments.add_argument("--overlap", type=float, default=0.5)
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--probe", action="store_true")
arguments = arguments.parse_args()
os.environ["OMP_NUM_THREADS"] = str(arguments.threads)

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

Image.MAX_IMAGE_PIXELS = None
SIDE = arguments.tile


def read(file):
    """uint8 [height, width, 3]."""
    if file.suffix in (".tif", ".tiff"):
        import tifffile

        grey = tifffile.imread(file)
        return np.repeat(grey[:, :, None], 3, 2) if grey.ndim == 2 else grey
    return np.asarray(Image.open(file).convert("RGB"))


def corners(size):
    """Where tiles begin."""
    step = max(1, round(SIDE * (1 - arguments.overlap)))
    return sorted({*range(0, size - SIDE, step), size - SIDE})


def smp_network(description):
    import segmentation_models_pytorch as smp
    from safetensors.torch import load_file

    network = description["network"]
    kind = smp.Unet if network.get("architecture") == "unet" else smp.UnetPlusPlus
    encoder = network["encoder"]
    made = kind(encoder["arch"], encoder_weights=None, in_channels=encoder.get("in_channels", 3), classes=network["classes"])
    made.load_state_dict(load_file(arguments.model / "model.safetensors"), strict=True)
    return made.eval()


description = json.loads((arguments.model / "model.json").read_text())
classes = description["network"]["classes"]
mean, std = (np.asarray(description["normalisation"][name], np.float32) for name in ("mean", "std"))
scale, shift = (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)
phase = np.pi * (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
window = np.outer(np.sin(phase) ** 2, np.sin(phase) ** 2).astype(np.float32)


def torch_side(compiled):
    """(a function from uint8 tiles [batch, side, side, 3] to probabilities [batch, classes, side, side], zeros, as an array)."""
    import torch

    torch.set_num_threads(arguments.threads)
    network = smp_network(description).to(memory_format=torch.channels_last)
    if compiled:
        network = torch.compile(network)
    factor, summand = (torch.from_numpy(vector).view(1, 3, 1, 1) for vector in (scale, shift))

    @torch.inference_mode()
    def probabilities(tiles):
        # A permuted [batch, side, side, 3] is channels-last already.
        images = torch.from_numpy(tiles).permute(0, 3, 1, 2).float() * factor + summand
        return network(images.contiguous(memory_format=torch.channels_last)).softmax(1).contiguous().numpy()

    return probabilities


def openvino_side():
    import openvino

    core = openvino.Core()
    onnx = arguments.model / "model.onnx"
    if onnx.exists():
        # Our own file normalises by itself.
        model, normalised = core.read_model(onnx), False
    else:
        import torch

        with torch.no_grad():
            example = torch.zeros(1, 3, SIDE, SIDE)
            model, normalised = openvino.convert_model(smp_network(description), example_input=example), True
    model.reshape([arguments.batch, 3, SIDE, SIDE])
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": arguments.threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def probabilities(tiles):
        images = np.ascontiguousarray(tiles.transpose(0, 3, 1, 2), np.float32)
        if normalised:
            images *= scale[:, None, None]
            images += shift[:, None, None]
        (logits,) = request.infer([images], share_inputs=True, share_outputs=True).values()
        logits = np.exp(logits - logits.max(1, keepdims=True))
        logits /= logits.sum(1, keepdims=True)
        return logits

    return probabilities


def predict(image, probabilities):
    """uint8 [height, width]."""
    height, width = image.shape[:2]
    sums = np.zeros((classes, height, width), np.float32)
    # Every pixel's weights add up to a number that is the same for all classes: the label does not need it.
    tiles = [(y, x) for y in corners(height) for x in corners(width)]
    for first in range(0, len(tiles), arguments.batch):
        places = tiles[first : first + arguments.batch]
        filled = places + [places[-1]] * (arguments.batch - len(places))
        found = probabilities(np.stack([image[y : y + SIDE, x : x + SIDE] for y, x in filled]))
        for (y, x), tile in zip(places, found):
            sums[:, y : y + SIDE, x : x + SIDE] += tile * window
    return sums.argmax(0).astype(np.uint8)


def write(labels, file):
    mask = Image.fromarray(labels, mode="P")
    colours = [int(entry["color"][at : at + 2], 16) for entry in description["classes"] for at in (1, 3, 5)]
    mask.putpalette(colours)
    mask.save(file)


side = openvino_side() if arguments.side == "openvino" else torch_side(arguments.side == "compiled")
blank = np.zeros((arguments.batch, SIDE, SIDE, 3), np.uint8)
side(blank)
ready = time.perf_counter()
if arguments.probe:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        side(blank)
        times.append(time.perf_counter() - begin)
    print(json.dumps({"tile_s": min(times) / arguments.batch}))
else:
    files = sorted(arguments.input.iterdir()) if arguments.input.is_dir() else [arguments.input]
    arguments.out.mkdir(parents=True, exist_ok=True)
    pixels = 0
    for file in files:
        image = read(file)
        pixels += image.shape[0] * image.shape[1]
        write(predict(image, side), arguments.out / f"{file.stem}.png")
    done = time.perf_counter()
    print(json.dumps({"ready_s": ready - START, "seconds": done - ready, "megapixels": pixels / 1e6}))
