"""Writes calibration.json: temperature, log loss and expected calibration error by PyTorch, in float64.

Run in this folder: python calibration.py (torch 2.11).
"""

import json

import torch

BINS = 15
generator = torch.Generator().manual_seed(5)
cases = []
for pixels, classes, factor in [(1500, 2, 3.0), (1200, 3, 0.5), (1000, 5, 1.6)]:
    logits = 2 * torch.randn(pixels, classes, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(torch.softmax(logits, 1), 1, generator=generator)[:, 0]
    probabilities = torch.softmax(factor * logits, 1).to(torch.float32)
    # Four digits keep the file small; the rounded values are what both sides read.
    probabilities = torch.round(probabilities * 1e4) / 1e4
    # A pixel whose truth has probability 0, as a stitched prediction may have.
    probabilities[0] = torch.tensor([1.0] + [0.0] * (classes - 1))
    labels[0] = 1
    logs = probabilities.clamp(min=torch.finfo(torch.float32).tiny).to(torch.float64).log()

    log_beta = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_beta], lr=0.5, max_iter=500, tolerance_grad=1e-13, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(log_beta.exp() * logs, labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    beta = log_beta.exp().detach()

    def measures(scaled):
        confidence = torch.softmax(scaled, 1).gather(1, probabilities.argmax(1, keepdim=True))[:, 0]
        right = (probabilities.argmax(1) == labels).to(torch.float64)
        bins = (confidence * BINS).long().clamp(max=BINS - 1)
        error = 0.0
        counts = []
        for i in range(BINS):
            of_bin = bins == i
            counts.append(int(of_bin.sum()))
            if counts[-1]:
                error += counts[-1] * abs(float(right[of_bin].mean() - confidence[of_bin].mean()))
        return float(torch.nn.functional.cross_entropy(scaled, labels)), error / pixels, counts

    before, after = measures(logs), measures(beta * logs)
    cases.append({
        "classes": classes,
        "probabilities": [round(p, 4) for p in probabilities.flatten().tolist()],
        "labels": labels.tolist(),
        "temperature": float(1 / beta),
        "log_loss": [before[0], after[0]],
        "expected_error": [before[1], after[1]],
        "pixels": [before[2], after[2]],
    })

with open("calibration.json", "w") as file:
    json.dump(cases, file, separators=(",", ":"))
    file.write("\n")
