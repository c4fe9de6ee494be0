"""Writes what PyTorch, lightly and torchvision compute for the operations and networks of crates/tensor, the methods of crates/train and
the augmentations of crates/data: ops.json, networks.json, methods.json and augment.json (`reference/augment.py` says
what is in that one); and what smp, torchmetrics and scipy compute for src/metrics: metrics.json.

    python tests/parity/generate.py              makes all files anew
    python tests/parity/generate.py methods      makes methods.json alone anew
    python tests/parity/generate.py --check      makes them anew in memory and compares with those committed

Needs torch 2.11, torchvision 0.26, segmentation_models_pytorch 0.5 lightly 1.5.20,
torchmetrics 1.9 and scipy 1.17; the versions that were at work
are in the files. Weights and inputs are not: both sides draw them from one hash (`reference/hashed.py`). Of every
tensor the files hold its norm and one or two projections on hashed directions, in float64, and the relative error (L2,
over the whole tensor) of PyTorch's own float32 result. All on one thread, NCHW.
"""

import json
import pathlib
import sys

import lightly
import segmentation_models_pytorch as smp
import torch
import torchvision

from reference import augment, methods, metrics, networks, ops

FOLDER = pathlib.Path(__file__).parent
# float64 sums are taken in another order on another machine: 1e-10 of the norm.
SUMMARY = 1e-10
# So are float32's, whose errors are random draws: a factor of two, and nothing below one rounding.
FACTOR, ROUNDING = 2.0, 2.0**-24


def fixtures(only):
    versions = {module.__name__: module.__version__ for module in (torch, torchvision, smp, lightly)}
    versions["cpu"] = torch.backends.cpu.get_cpu_capability()
    made = {
        "ops": ops.fixture,
        "networks": networks.fixtures,
        "methods": methods.fixtures,
        "metrics": metrics.fixtures,
        "augment": lambda: {"cases": augment.fixture()},
    }
    return {f"{name}.json": {"versions": versions, **make()} for name, make in made.items() if name in (only or made)}


def text(fixture):
    """One case a line, so that a difference is found."""
    lines = []
    for section, content in fixture.items():
        if isinstance(content, list):
            cases = ",\n".join(json.dumps(case, separators=(",", ":")) for case in content)
            lines.append(f"{json.dumps(section)}:[\n{cases}\n]")
        else:
            lines.append(f"{json.dumps(section)}:{json.dumps(content)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def is_kept(value):
    return isinstance(value, list) and len(value) in (3, 4) and all(isinstance(number, float) for number in value)


def differences(place, new, old):
    """Where two fixtures differ by more than they may."""
    if is_kept(new) and is_kept(old) and len(new) == len(old):
        far = [abs(a - b) > SUMMARY * new[0] for a, b in zip(new[:-1], old[:-1])]
        ours, theirs = (max(value[-1], ROUNDING) for value in (new, old))
        if any(far) or not 1 / FACTOR <= ours / theirs <= FACTOR:
            yield f"{place}: {new}, committed {old}"
    elif isinstance(new, dict) and isinstance(old, dict) and new.keys() == old.keys():
        for key in new:
            yield from differences(f"{place} {key}", new[key], old[key])
    elif isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        for index, pair in enumerate(zip(new, old)):
            yield from differences(f"{place}[{index}]", *pair)
    elif new != old:
        yield f"{place}: {new}, committed {old}"


def main():
    torch.set_num_threads(1)
    found = []
    only = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    for name, fixture in fixtures(only).items():
        path = FOLDER / name
        if "--check" in sys.argv[1:]:
            new, old = json.loads(text(fixture)), json.loads(path.read_text())
            if name == "augment.json":
                found += augment.differences(new.pop("cases"), old.pop("cases"))
            found += differences(name, new, old)
        else:
            path.write_text(text(fixture))
            print(path.name, path.stat().st_size, "bytes")
    if "--check" in sys.argv[1:]:
        print("\n".join(found) or "the committed fixtures are what PyTorch computes here")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
