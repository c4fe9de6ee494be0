"""PyTorch's side of swin.rs: Swin-Unet and CS-UNet as `tests/parity/reference/swin.py` writes them out (the authors' structure, with
indices and masks made beforehand), torchvision's ResNet as the convolutional branch."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tests" / "parity"))

from reference import swin  # noqa: E402


def network(spec, resnet, features):
    sizes = (96, spec.numbers("depths"), 3, spec.window, spec.network == "cs-unet")
    if spec.network == "swin-unet":
        return swin.SwinUnet(*sizes, spec.classes)
    cnn, channels = resnet(spec)
    return swin.CsUnet(*sizes, spec.classes, cnn, lambda cnn, x: features(cnn, x)[1:], channels[1:])
