"""mIoU by each of its definitions as segmentation_models_pytorch and torchmetrics compute it, and scipy's signed-rank test.

Images differ in the classes they hold, so that what becomes of an absent class shows.
"""

import numpy as np
import scipy
import scipy.stats
import torch
import torchmetrics
from segmentation_models_pytorch.metrics import get_stats, iou_score
from torchmetrics.classification import MulticlassJaccardIndex
from torchmetrics.functional.segmentation import mean_iou

from . import hashed

SIDE = 12
VERSIONS = {"torchmetrics": torchmetrics.__version__, "scipy": scipy.__version__}


def image(name, number, classes):
    """Truth and prediction [12, 12]: classes 0 to number % classes of the truth; one prediction in five is another class."""
    pixels = SIDE * SIDE
    share = lambda what: (hashed.uniform(f"{name} {what} {number}", pixels) + 1.0) / 2.0
    truth = (share("truth") * (number % classes + 1)).astype(np.int64)
    other = (share("other") * (number % classes + 1)).astype(np.int64)
    prediction = np.where(share("wrong") < 0.2, other, truth)
    return (torch.from_numpy(array).reshape(SIDE, SIDE) for array in (truth, prediction))


def means(classes, images, batch, ignored):
    name = f"metrics {classes}"
    truth, prediction = (torch.stack(side) for side in zip(*(image(name, n, classes) for n in range(images))))
    keep = [c for c in range(classes) if c not in ignored]
    stats = [s.double() for s in get_stats(prediction, truth, mode="multiclass", num_classes=classes)]

    def smp_iou(rows, zero):
        pooled = [s[rows].sum(0, keepdim=True) for s in stats]
        return iou_score(*pooled, reduction=None, zero_division=zero)[0][keep]

    everything = list(range(images))
    batches = [everything[start : start + batch] for start in range(0, images, batch)]
    nan = float("nan")
    case = {
        "classes": classes,
        "images": images,
        "batch": batch,
        "ignored": ignored,
        "smp": {
            "pooled": smp_iou(everything, nan).nanmean().item(),
            "images": float(np.nanmean([smp_iou([n], nan).nanmean().item() for n in everything])),
            "batches": float(np.mean([smp_iou(rows, 0.0).mean().item() for rows in batches])),
        },
        "torchmetrics": {},
    }
    if not ignored:
        jaccard = MulticlassJaccardIndex(num_classes=classes, average="macro").set_dtype(torch.float64)
        case["torchmetrics"]["pooled"] = jaccard(prediction, truth).item()
        per_class = mean_iou(prediction, truth, num_classes=classes, input_format="index", per_class=True).double()
        per_class = torch.where(per_class < 0, torch.tensor(nan, dtype=torch.float64), per_class)
        case["torchmetrics"]["images"] = per_class.nanmean(1).mean().item()
    return case


def signed_rank():
    for n in (8, 9, 12, 20, 40):
        for shift in (0.0, 0.2, 0.5):
            values = hashed.uniform(f"wilcoxon {n}", n) + shift
            p = scipy.stats.wilcoxon(values, method="exact").pvalue
            yield {"differences": values.tolist(), "p": float(p)}
    for values in ([1, -1, 2, 2, -2, 3, 4, 1, 5, 0], [1, 1, 1, 1, 1, -1, -1, 2], [3, 3, 2, 2, 1, 1, -1, -1, 4]):
        values = [float(value) for value in values]
        permutations = scipy.stats.PermutationMethod(n_resamples=np.inf)
        p = scipy.stats.wilcoxon(values, zero_method="wilcox", method=permutations).pvalue
        yield {"differences": values, "p": float(p)}


def fixtures():
    cases = [(3, 5, 2, []), (4, 9, 4, []), (5, 9, 128, [3]), (5, 7, 3, [3, 0]), (2, 4, 1, [])]
    return {"reference": VERSIONS, "means": [means(*case) for case in cases], "signed_rank": list(signed_rank())}
