"""Writes objects.json: masks with the measures of their objects by scikit-image and scipy.

    pip install numpy scipy scikit-image && python objects.py

The ellipse has the moments of scikit-image plus 1/12 of a pixel's side squared for the pixel itself, as in MATLAB.
"""

import json
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import label, regionprops


def objects(mask, down, across):
    regions = regionprops(label(mask, connectivity=2))
    points = np.array([[r.centroid[1] * across, r.centroid[0] * down] for r in regions])
    nearest = [None] * len(regions)
    if len(regions) > 1:
        nearest = cKDTree(points).query(points, k=2)[0][:, 1].tolist()
    rows = []
    for region, point, distance in zip(regions, points, nearest):
        mu = region.moments_central / region.area
        tensor = np.array(
            [
                [(mu[0, 2] + 1 / 12) * across**2, mu[1, 1] * across * down],
                [mu[1, 1] * across * down, (mu[2, 0] + 1 / 12) * down**2],
            ]
        )
        smaller, larger = np.linalg.eigvalsh(tensor)
        top, left, bottom, right = region.bbox
        edge = top == 0 or left == 0 or bottom == mask.shape[0] or right == mask.shape[1]
        rows.append(
            {
                "area": int(region.area),
                "centroid": point.tolist(),
                "equivalent_diameter": region.equivalent_diameter_area * float(np.sqrt(across * down)),
                "aspect_ratio": float(np.sqrt(larger / smaller)),
                "nearest": distance,
                "touches_edge": bool(edge),
            }
        )
    return rows


rng = np.random.default_rng(19)
cases = []
for height, width, blur, threshold, pixel in [(40, 56, 2.0, 0.05, (1.0, 1.0)), (37, 29, 0.8, 0.2, (0.25, 0.4)), (1, 30, 0.5, 0.1, (1.0, 1.0))]:
    mask = (gaussian_filter(rng.standard_normal((height, width)), blur) > threshold).astype(np.uint8)
    case = {"width": width, "pixel": list(pixel), "mask": ["".join(map(str, row)) for row in mask]}
    cases.append({**case, "objects": objects(mask, pixel[1], pixel[0])})
Path(__file__).with_name("objects.json").write_text(json.dumps(cases, indent=1) + "\n")
