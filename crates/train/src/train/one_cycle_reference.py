"""The values in one_cycle.rs, from torch 2.11.0: `python one_cycle_reference.py`."""

import torch

for steps, options in [
    (10, {}),
    (12, {"pct_start": 0.5, "div_factor": 4.0, "final_div_factor": 100.0}),
    (8, {"pct_start": 0.0}),
]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.8)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.8, total_steps=steps, cycle_momentum=False, **options
    )
    rates = []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < steps:
            cycle.step()
    print(options, rates)
