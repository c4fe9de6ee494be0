"""Makes what the benchmark predicts with and on.

    python make.py model FOLDER resnet18|resnet50      a model folder: U-Net++ of width 64, 5 classes, random weights
    python make.py images FOLDER COUNT                 COUNT grey micrographs of 1280×960, PNG
    python make.py image FILE SIDE                     one of SIDE×SIDE, as a TIFF of tiles
    python make.py compare FOLDER FOLDER               share of pixels with the same label in masks of the same names

Needs numpy, pillow, tifffile; a model also torch, segmentation_models_pytorch, safetensors and blake3.
"""

import json
import sys
from pathlib import Path

import numpy as np

CLASSES = 5
TILE, OVERLAP = 256, 0.5


def model(folder, encoder):
    import blake3
    import segmentation_models_pytorch as smp
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = smp.UnetPlusPlus(encoder, encoder_weights=None, in_channels=3, classes=CLASSES)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    arch = {
        "encoder": {"arch": encoder, "width": 64, "variant": "v1.5"},
        "decoder_channels": [256, 128, 64, 32, 16],
        "classes": CLASSES,
    }
    names = [f"phase {number}" for number in range(CLASSES)]
    config = {"network": arch, "crop_size": TILE, "class_names": names, "selected_on": "val"}
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.safetensors"
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, weights, metadata={"config": json.dumps(config)})
    colours = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee"]
    description = {
        "format_version": 1,
        "name": f"random {encoder}",
        "network": arch,
        "classes": [
            {"name": name, "value": value, "color": colours[value], "ignored": False} for value, name in enumerate(names)
        ],
        "normalisation": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        "read_as": {},
        "tile": TILE,
        "overlap": OVERLAP,
        "provenance": {"experiment": "", "stage": "", "key": "", "seed": None, "program": "benches/predict", "inputs": {}},
        "files": {"model.safetensors": blake3.blake3(weights.read_bytes()).hexdigest()},
    }
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n")


def micrograph(height, width, seed):
    """Grains of four greys, blurred noise: uint8 [height, width]."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 4, (height // 24 + 2, width // 24 + 2)).astype(np.uint8) * 50 + 40
    grains = coarse.repeat(24, 0).repeat(24, 1)[:height, :width]
    noise = random.normal(0, 12, (height, width)).astype(np.float32)
    return np.clip(grains + noise, 0, 255).astype(np.uint8)


def images(folder, count):
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(micrograph(960, 1280, number)).save(folder / f"field{number:02}.png")


def image(file, side):
    import tifffile

    file.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(file, micrograph(side, side, 99), tile=(256, 256))


def labels(file):
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    return np.asarray(Image.open(file))


def compare(ours, theirs):
    """The least share over all masks of `theirs`; a mask of the same name may lie anywhere below `ours`."""
    shares = []
    for file in sorted(theirs.glob("*.png")):
        found = [path for path in ours.rglob(f"{file.stem}*.png") if labels(path).shape == labels(file).shape]
        if not found:
            sys.exit(f"{ours} has no mask for {file.name}")
        shares.append(max(float((labels(path) == labels(file)).mean()) for path in found))
    print(min(shares))


if __name__ == "__main__":
    verb, path, *rest = sys.argv[1:]
    {
        "model": lambda: model(Path(path), *rest),
        "images": lambda: images(Path(path), int(rest[0])),
        "image": lambda: image(Path(path), int(rest[0])),
        "compare": lambda: compare(Path(path), Path(rest[0])),
    }[verb]()
