"""Writes boundaries.json: boundary IoU as its authors compute it, and the surface Dice of DeepMind's package, for made masks.

    pip install numpy scipy opencv-python-headless surface-distance
    python boundaries.py

`mask_to_boundary` and `boundary_iou` are those of bowenc0221/boundary-iou-api (boundary_iou/utils/boundary_utils.py; Cheng et al.
2021), with the distance in pixels where a case gives one. The surface Dice is `compute_surface_dice_at_tolerance` of
google-deepmind/surface-distance 0.1 (Nikolov et al. 2018), in 2D.
"""

import json
import pathlib

import cv2
import numpy as np
from scipy import ndimage

# The package is older than scipy 1.15 and numpy 2.
ndimage.filters = ndimage.morphology = ndimage
np.Inf = np.inf
import surface_distance


def mask_to_boundary(mask, distance):
    h, w = mask.shape
    img_diag = np.sqrt(h**2 + w**2)
    dilation = int(round(distance * img_diag)) if distance < 1 else int(distance)
    if dilation < 1:
        dilation = 1
    new_mask = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    kernel = np.ones((3, 3), dtype=np.uint8)
    new_mask_erode = cv2.erode(new_mask, kernel, iterations=dilation)
    mask_erode = new_mask_erode[1 : h + 1, 1 : w + 1]
    return mask - mask_erode


def boundary_iou(gt, dt, distance):
    gt_boundary, dt_boundary = mask_to_boundary(gt, distance), mask_to_boundary(dt, distance)
    intersection = ((gt_boundary * dt_boundary) > 0).sum()
    union = ((gt_boundary + dt_boundary) > 0).sum()
    return float(intersection / union) if union else None


def surface_dice(gt, dt, tolerance, spacing):
    if not (gt.any() or dt.any()):
        return None
    distances = surface_distance.compute_surface_distances(gt.astype(bool), dt.astype(bool), spacing)
    return float(surface_distance.compute_surface_dice_at_tolerance(distances, tolerance))


def labels(seed, height, width, classes, blur):
    """Classes of about equal area with smooth borders."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), blur)
    return np.searchsorted(np.quantile(field, np.arange(1, classes) / classes), field).astype(np.uint8)


def case(seed, height, width, classes, blur, noise):
    truth = labels(seed, height, width, classes, blur)
    rng = np.random.default_rng(seed + 100)
    shifted = np.roll(truth, (1, -1), (0, 1)) if seed % 2 else truth
    other = labels(seed + 200, height, width, classes, blur)
    prediction = np.where(ndimage.gaussian_filter(rng.normal(size=truth.shape), 2) > noise, other, shifted)
    prediction = prediction.astype(np.uint8)
    if seed == 3:
        # A class that is nowhere, one that is only true, and one that is only predicted.
        truth[truth == 1], prediction[prediction == 1] = 0, 0
        prediction[prediction == 3], truth[truth == 2] = 0, 0
    masks = [((truth == c).astype(np.uint8), (prediction == c).astype(np.uint8)) for c in range(classes)]
    rows = lambda mask: ["".join(map(str, row)) for row in mask]
    return {
        "width": width,
        "classes": classes,
        "truth": rows(truth),
        "prediction": rows(prediction),
        "boundary": [
            {"distance": distance, "iou": [boundary_iou(gt, dt, distance) for gt, dt in masks]}
            for distance in (0.02, 0.05, 1.0, 2.0, 5.0)
        ],
        "surface": [
            {
                "tolerance": tolerance,
                "spacing": spacing,
                "dice": [surface_dice(gt, dt, tolerance, spacing) for gt, dt in masks],
            }
            for tolerance, spacing in (
                (0.0, (1.0, 1.0)),
                (1.0, (1.0, 1.0)),
                (2.0, (1.0, 1.0)),
                (120.0, (52.0, 47.5)),
                (1000.0, (52.0, 47.5)),
            )
        ],
    }


if __name__ == "__main__":
    cases = [case(0, 24, 33, 2, 2.0, 0.1), case(1, 31, 20, 3, 1.5, 0.2), case(2, 40, 40, 4, 3.0, 0.15), case(3, 18, 27, 5, 1.0, 0.1)]
    file = pathlib.Path(__file__).parent / "boundaries.json"
    file.write_text(json.dumps(cases, indent=1) + "\n")
    print(file.stat().st_size, "bytes")
