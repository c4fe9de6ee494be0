"""The augmentations' fixture: what torchvision makes of hashed 8-bit images, transform by transform.

On float32 tensors from 0 to 1: there torchvision computes without rounding, as is done here. PIL images, which lightly
passes, are rounded to 8 bits after every step; how far torchvision is from itself thereby stands beside each case
(`pil`, in 255ths). lightly's blur is PIL's, three box filters in place of a Gaussian, and so `pil` is large there.
Of each result the file holds samples, in hundredths of a 255th, and the norm and two projections of all of it.
"""

import numpy as np
import torch
import torchvision.transforms.functional as F
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode

from .hashed import rounded, uniform

SAMPLES = 97
# Norms and projections, relative to the norm; samples, in their unit.
SUMMARY, SAMPLE = 1e-5, 1
BILINEAR = {"interpolation": InterpolationMode.BILINEAR, "antialias": True}


def image(width, height, channels, smooth):
    """u8 [height, width, channels]; noise, or noise with few high frequencies."""
    values = uniform(f"image {width} {height} {channels}", width * height * channels).reshape(height, width, channels)
    if smooth:
        for axis in (0, 1):
            values = (values + np.roll(values, 1, axis) + np.roll(values, 2, axis)) / 3 * 1.5
    return np.floor(np.clip((values + 1) / 2, 0, 1 - 1e-9) * 256).astype(np.uint8)


def transform(case, x):
    """As a torchvision user writes it; `x` is a tensor or a PIL image, `case` says what is done."""
    is_pil = isinstance(x, Image.Image)
    name, value = case["transform"], case.get("value")
    if name == "resized_crop":
        left, top, width, height = case["window"]
        return F.resized_crop(x, top, left, height, width, [case["size"]] * 2, **BILINEAR)
    if name == "flip":
        return F.hflip(x) if value == "horizontal" else F.vflip(x)
    if name == "grayscale":
        return F.rgb_to_grayscale(x, 3)
    if name == "gaussian_blur":
        # The least odd kernel that holds 5 standard deviations and the picture can mirror.
        return x.filter(ImageFilter.GaussianBlur(value)) if is_pil else F.gaussian_blur(x, [21, 21], [value, value])
    if name == "normalize":
        return x
    if name == "chain":
        for step in case["steps"]:
            x = transform(step, x)
        return x
    return getattr(F, f"adjust_{name}")(x, value)


def run(case):
    """Both results, as numbers of 255ths [height, width, 3] (`normalize`: normalised), in double precision."""
    pixels = image(case["width"], case["height"], case["channels"], case["smooth"])
    tensor = torch.from_numpy(pixels.astype(np.float32) / np.float32(255)).permute(2, 0, 1)
    picture = Image.fromarray(pixels if case["channels"] == 3 else pixels[:, :, 0])
    made, by_pil = transform(case, tensor), F.to_tensor(transform(case, picture))
    if case["transform"] == "normalize":
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        made, by_pil = (F.normalize(x.expand(3, -1, -1), mean, std) for x in (made, by_pil))
    made, by_pil = (x.expand(3, -1, -1).permute(1, 2, 0).double().numpy() * 255 for x in (made, by_pil))
    return made, by_pil


def fixture():
    found = []
    for case in cases():
        made, by_pil = run(case)
        flat = made.reshape(-1)
        places = np.arange(SAMPLES) * 31 % flat.size
        found.append({
            **case,
            "samples": np.rint(flat[places] * 100).astype(int).tolist(),
            "summary": [rounded(np.linalg.norm(flat), 9)]
            + [rounded(flat @ uniform(f"{case['transform']}#{number}", flat.size), 9) for number in (1, 2)],
            "pil": rounded(np.abs(made - by_pil).max(), 3),
        })  # fmt: skip
    return found


def cases():
    for channels in (1, 3):
        for smooth in (False, True):
            common = {"width": 24, "height": 24, "channels": channels, "smooth": smooth, "size": 24}
            # Larger, smaller, much smaller, the same; windows in the middle and at the border.
            for window, size in [
                ((0, 0, 40, 36), 24), ((3, 5, 17, 11), 24), ((23, 4, 17, 32), 30), ((1, 2, 37, 33), 7),
                ((9, 9, 24, 24), 24), ((39, 35, 1, 1), 5), ((0, 10, 40, 3), 16),
            ]:  # fmt: skip
                yield {**common, "width": 40, "height": 36, "size": size, "transform": "resized_crop", "window": window}
            for value in ("horizontal", "vertical"):
                yield {**common, "transform": "flip", "value": value}
            for name, values in [
                ("brightness", (0.2, 0.9, 1.8)), ("contrast", (0.2, 1.1, 1.8)), ("saturation", (0.0, 0.5, 1.8)),
                ("hue", (-0.5, -0.2, 0.013, 0.2, 0.5)), ("gaussian_blur", (0.1, 0.4, 1.0, 2.0)),
            ]:  # fmt: skip
                # Grey images have neither saturation nor hue: one case says so.
                for value in values[-1:] if channels == 1 and name in ("saturation", "hue") else values:
                    yield {**common, "transform": name, "value": value}
            if channels == 3:
                yield {**common, "transform": "grayscale"}
            yield {**common, "transform": "normalize"}
            for order in (1, -1):
                jitter = [("brightness", 1.4), ("contrast", 0.7), ("saturation", 1.3), ("hue", -0.1)][::order]
                crop = {"transform": "resized_crop", "window": (4, 3, 30, 33), "size": 24}
                flip, blur = ("flip", "horizontal"), ("gaussian_blur", 0.7)
                rest = [{"transform": name, "value": value} for name, value in (flip, *jitter, blur)]
                yield {**common, "width": 40, "height": 36, "transform": "chain", "steps": [crop, *rest]}


def differences(new, old):
    """Where two fixtures differ by more than they may."""
    if len(new) != len(old):
        yield f"augment.json: {len(new)} cases, committed {len(old)}"
    for one, other in zip(new, old):
        place = f"augment.json {one['transform']} {one.get('value', '')} {one['channels']} {one['smooth']}"
        measured = ("samples", "summary", "pil")
        if any(one[key] != other.get(key) for key in one if key not in measured):
            yield f"{place}: another case was committed"
            continue
        if max(abs(a - b) for a, b in zip(one["samples"], other["samples"])) > SAMPLE:
            yield f"{place}: samples {one['samples']}, committed {other['samples']}"
        if max(abs(a - b) for a, b in zip(one["summary"], other["summary"])) > SUMMARY * one["summary"][0]:
            yield f"{place}: summary {one['summary']}, committed {other['summary']}"
        if abs(one["pil"] - other["pil"]) > 1.0:
            yield f"{place}: PIL differs by {one['pil']}, committed {other['pil']}"
