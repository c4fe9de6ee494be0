"""lightly's side: two views of each patch by SimCLRTransform with its defaults. The protocol is that of workers.rs.

Patches are PIL images in memory, RGB in either case: lightly's transform needs three channels, and LightlyDataset makes
them when it reads an image. What is timed ends with the two tensors; they are not joined to a batch.
"""

import json
import random
import sys
import time

import lightly
import numpy as np
import torch
import torchvision
import PIL
from lightly.transforms import SimCLRTransform


def say(text):
    print(text, flush=True)


def patches(path):
    """The file's one tensor: u8 [count, height, width, channels] after a header."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))["patches"]
        pixels = np.frombuffer(file.read(), np.uint8).reshape(header["shape"])
    if pixels.shape[-1] == 1:
        pixels = pixels.repeat(3, axis=-1)
    return [PIL.Image.fromarray(patch) for patch in pixels]


def main():
    if "versions" in sys.argv[1:]:
        say(", ".join(f"{module.__name__} {module.__version__}" for module in (lightly, torchvision, torch, PIL)))
        return
    torch.set_num_threads(1)
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(0)
    transform = SimCLRTransform()
    images = []
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "open":
            images = patches(rest)
            say("ready")
        elif word == "make":
            start = time.perf_counter()
            for index in range(int(rest)):
                first, second = transform(images[index % len(images)])
            say(repr(time.perf_counter() - start))


main()
