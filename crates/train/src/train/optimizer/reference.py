"""The values in tests.rs, from torch 2.11.0 and lightly 1.5.20 in float64: `python reference.py`.

Three parameters, five steps, gradients 2·sin(step + i) by place i over all of them, learning rates that change; `norm`
stands for the scale of a batch norm.
"""

import math

import torch
from lightly.utils.lars import LARS

STARTS = {"weight": [0.5, -1.25, 2.0], "norm": [1.0, 0.75], "bias": [-0.75]}
ZEROS = {"weight": [0.0, 0.0, 0.0], "norm": [1.0, 0.75], "bias": [0.0]}
RATES = [0.1, 0.05, 0.02, 0.1, 0.03]


def train(make, decay_norms_and_biases, clip_norm=None, starts=STARTS, late=0):
    p = {name: torch.nn.Parameter(torch.tensor(start, dtype=torch.float64)) for name, start in starts.items()}
    rest = {} if decay_norms_and_biases else {"weight_decay": 0.0}
    optimizer = make([{"params": [p["weight"]]}, {"params": [p["norm"], p["bias"]], **rest}])
    for step, rate in enumerate(RATES):
        place = 0
        for value in p.values():
            at = range(place, place + len(value))
            value.grad = torch.tensor([2 * math.sin(step + i) for i in at], dtype=torch.float64)
            place += len(value)
        if step < late:
            p["norm"].grad = None
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(p.values(), clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    return [x for value in p.values() for x in value.tolist()]


def sgd(**options):
    return lambda parameters: torch.optim.SGD(parameters, lr=0.1, **options)


def adam(**options):
    return lambda parameters: torch.optim.Adam(parameters, lr=0.1, **options)


def adamw(**options):
    return lambda parameters: torch.optim.AdamW(parameters, lr=0.1, **options)


def lars(**options):
    return lambda parameters: LARS(parameters, lr=0.1, **options)


for name, values in {
    "sgd": train(sgd(momentum=0.9, weight_decay=0.03), True),
    "sgd without momentum": train(sgd(weight_decay=0.03), True),
    "sgd, norms and biases": train(sgd(momentum=0.9, weight_decay=0.03), False),
    "nesterov": train(sgd(momentum=0.9, weight_decay=0.03, nesterov=True), True),
    "adam": train(adam(weight_decay=0.03), True),
    "adam, norms and biases, betas": train(adam(weight_decay=0.03, betas=(0.5, 0.9), eps=1e-4), False),
    "adamw": train(adamw(), True),
    "adamw, norms and biases": train(adamw(weight_decay=0.3), False),
    "lars": train(lars(momentum=0.9, weight_decay=0.03), True),
    "lars, norms and biases": train(lars(momentum=0.9, weight_decay=0.03), False),
    "lars, nesterov": train(lars(momentum=0.8, weight_decay=0.03, nesterov=True, trust_coefficient=0.02, eps=1e-3), False),
    "sgd, clipped": train(sgd(momentum=0.9, weight_decay=0.03), True, 3.48),
    "adamw, clipped": train(adamw(), True, 2.7),
    "lars, clipped": train(lars(momentum=0.9, weight_decay=0.03), False, 2.7),
    "adam, norm from the third step on": train(adam(weight_decay=0.03), True, late=2),
    "adamw, norm from the third step on": train(adamw(), True, late=2),
    "lars from zeros": train(lars(momentum=0.9, weight_decay=0.03), True, starts=ZEROS),
}.items():
    print(f"{name}: {values}")
