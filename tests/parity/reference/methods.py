"""The self-supervised methods' fixtures: two full updates of each by lightly's heads, losses and momentum updates.

What lightly has no code for is written here as the paper's own code has it: DenseCL's pooled dense queue
(`densecl.py` of the authors' repository).
Of every parameter, buffer and queue after two steps of SGD the file has its norm and a projection, in float64; and the
two losses.
"""

import copy
import math

import torch
import torch.nn.functional as F
from lightly.loss import BarlowTwinsLoss, NegativeCosineSimilarity, NTXentLoss, VICRegLoss
from lightly.models.modules import heads
from lightly.models.utils import select_most_similar, update_momentum

from .hashed import kept, nchw, tensor, weight
from .networks import resnet, stages

ARCH, CHANNELS = "resnet18", 512
BATCH, SIZE = 4, (64, 64)
STEPS = 2
SGD = {"lr": 1e-2, "momentum": 0.9, "weight_decay": 0.01}


class Network(torch.nn.Module):
    """Encoder, heads, what follows them below `momentum`, and queues, named as on the Rust side."""

    def __init__(self, parts, followed=(), queues=None):
        super().__init__()
        self.encoder = resnet(ARCH, "v1.5")
        for name, head in parts.items():
            self.add_module(name, head)
        self.followed = followed
        if followed:
            self.momentum = torch.nn.Module()
            for name in followed:
                self.momentum.add_module(name, copy.deepcopy(getattr(self, name)))
        for name, shape in (queues or {}).items():
            self.register_buffer(name, torch.empty(shape))

    def hashed(self):
        self.double()
        self.load_state_dict({name: value_of(name, tuple(v.shape)) for name, v in self.state_dict().items()})
        return self.train()

    def follow(self, keep):
        for name in self.followed:
            update_momentum(getattr(self, name), getattr(self.momentum, name), keep)

    def trained(self):
        return [p for name, p in self.named_parameters() if not name.startswith("momentum.")]


def value_of(name, shape):
    if name.endswith("queue"):
        return F.normalize(tensor(name, shape), dim=1)
    return weight(name, shape)


def last_map(encoder, x):
    return stages(encoder, x)[-1]


def features(encoder, x):
    return last_map(encoder, x).mean((2, 3))


def bank(temperature, queue):
    """lightly's NT-Xent with a memory bank that holds `queue`."""
    loss = NTXentLoss(temperature=temperature, memory_bank_size=tuple(queue.shape))
    loss.memory_bank.bank = queue.clone()
    return loss


class SimClr:
    spec = {"name": "simclr", "temperature": 0.1, "head": {"hidden": 256, "output": 64}}

    def build(self):
        return Network({"projection_head": heads.SimCLRProjectionHead(CHANNELS, 256, 64)})

    def loss(self, network, views, step):
        z = [network.projection_head(features(network.encoder, view)) for view in views]
        return NTXentLoss(temperature=0.1)(*z)


class MoCoV2:
    queue, keep = 12, 0.9

    def __init__(self):
        self.spec = {
            "name": "mocov2", "temperature": 0.2, "momentum": self.keep, "queue_size": self.queue,
            "head": {"hidden": 256, "output": 64},
        }  # fmt: skip

    def build(self):
        head = heads.MoCoProjectionHead(CHANNELS, 256, 64)
        network = Network({"projection_head": head}, ("encoder", "projection_head"), {"queue": (self.queue, 64)})
        self.criterion = None
        return network

    def loss(self, network, views, step):
        self.criterion = self.criterion or bank(0.2, network.queue)
        network.follow(self.keep)
        query = network.projection_head(features(network.encoder, views[0]))
        with torch.no_grad():
            key = network.momentum.projection_head(features(network.momentum.encoder, views[1]))
        loss = self.criterion(query, key)
        network.queue.copy_(self.criterion.memory_bank.bank)
        return loss


class DenseCl:
    queue, keep, temperature, weight = 64, 0.9, 0.2, 0.3

    def __init__(self, matching, negatives):
        self.matching, self.negatives = matching, negatives
        self.spec = {
            "name": "densecl", "temperature": self.temperature, "momentum": self.keep, "queue_size": self.queue,
            "dense_weight": self.weight, "matching": matching, "dense_negatives": negatives,
            "head": {"hidden": 128, "output": 32},
        }  # fmt: skip

    def build(self):
        parts = {name: heads.DenseCLProjectionHead(CHANNELS, 128, 32) for name in ("projection_head", "dense_head")}
        queues = {name: (self.queue, 32) for name in ("queue", "dense_queue")}
        self.criteria = None
        return Network(parts, ("encoder", *parts), queues)

    def embed(self, network, view):
        found = last_map(network.encoder, view)
        rows = found.flatten(2).permute(0, 2, 1)
        return rows, network.projection_head(found.mean((2, 3))), network.dense_head(rows)

    def loss(self, network, views, step):
        self.criteria = self.criteria or (bank(self.temperature, network.queue), bank(self.temperature, network.dense_queue))
        network.follow(self.keep)
        query_map, query, dense = self.embed(network, views[0])
        with torch.no_grad():
            key_map, key, dense_key = self.embed(network.momentum, views[1])
        matched = dense_key if self.matching == "same-position" else select_most_similar(query_map, key_map, dense_key)
        loss = self.criteria[0](query, key)
        network.queue.copy_(self.criteria[0].memory_bank.bank)
        flat, matched = dense.flatten(0, 1), matched.flatten(0, 1)
        if self.negatives == "positions":
            dense_loss = self.criteria[1](flat, matched)
            network.dense_queue.copy_(self.criteria[1].memory_bank.bank)
        else:
            # As densecl.py: logits against the queue, and one pooled key an image pushed.
            q, k = F.normalize(flat, dim=1), F.normalize(matched, dim=1)
            positive, negative = (q * k).sum(1, keepdim=True), q @ network.dense_queue.T.clone()
            logits = torch.cat([positive, negative], 1) / self.temperature
            dense_loss = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
            pooled, first = F.normalize(dense_key.mean(1), dim=1), step * len(query) % self.queue
            network.dense_queue[first : first + len(query)] = pooled
        return (1 - self.weight) * loss + self.weight * dense_loss


class Byol:
    keep = 0.9
    spec = {"name": "byol", "momentum": keep, "head": {"hidden": 256, "output": 64}, "prediction_hidden": 128}

    def build(self):
        parts = {
            "projection_head": heads.BYOLProjectionHead(CHANNELS, 256, 64),
            "prediction_head": heads.BYOLPredictionHead(64, 128, 64),
        }
        return Network(parts, ("encoder", "projection_head"))

    def loss(self, network, views, step):
        # Grill et al. 2020, section 3.2; lightly's cosine_schedule reaches 1 a step earlier.
        network.follow(1 - (1 - self.keep) * (math.cos(math.pi * step / STEPS) + 1) / 2)
        p = [network.prediction_head(network.projection_head(features(network.encoder, view))) for view in views]
        with torch.no_grad():
            z = [network.momentum.projection_head(features(network.momentum.encoder, view)) for view in views]
        similarity = NegativeCosineSimilarity()
        # ‖p̄ − z̄‖² = 2 + 2 · lightly's negative cosine.
        return (2 + 2 * similarity(p[0], z[1])) + (2 + 2 * similarity(p[1], z[0]))


class SimSiam:
    spec = {"name": "simsiam", "head": {"hidden": 256, "output": 128}, "prediction_hidden": 64}

    def build(self):
        parts = {
            "projection_head": heads.SimSiamProjectionHead(CHANNELS, 256, 128),
            "prediction_head": heads.SimSiamPredictionHead(128, 64, 128),
        }
        return Network(parts)

    def loss(self, network, views, step):
        z = [network.projection_head(features(network.encoder, view)) for view in views]
        p = [network.prediction_head(projected) for projected in z]
        similarity = NegativeCosineSimilarity()
        return 0.5 * (similarity(p[0], z[1].detach()) + similarity(p[1], z[0].detach()))


class Expanded:
    """Barlow Twins and VICReg."""

    def __init__(self, name, head, criterion, **weights):
        self.head, self.criterion = head, criterion
        self.spec = {"name": name, "head": {"hidden": 256, "output": 96}, **weights}

    def build(self):
        return Network({"projection_head": self.head(CHANNELS, 256, 96)})

    def loss(self, network, views, step):
        return self.criterion(*[network.projection_head(features(network.encoder, view)) for view in views])


def views(step):
    return [nchw(tensor(f"{name}{step}", (BATCH, *SIZE, 3)), torch.float64) for name in ("first", "second")]


def fixture(subject):
    network = subject.build().hashed()
    optimizer, losses = torch.optim.SGD(network.trained(), **SGD), {}
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = subject.loss(network, views(step), step)
        loss.backward()
        optimizer.step()
        losses[f"loss {step + 1}"] = loss
    state = {n: v for n, v in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    tensors = {name: kept(name, value, 0.0, 1) for name, value in {**losses, **state}.items()}
    shape = {"batch": BATCH, "size": SIZE, "steps": STEPS, "sgd": SGD}
    return {"arch": ARCH, "method": subject.spec, **shape, "tensors": tensors}


def fixtures():
    subjects = [
        SimClr(),
        MoCoV2(),
        DenseCl("most-similar", "pooled"),
        DenseCl("most-similar", "positions"),
        DenseCl("same-position", "positions"),
        Byol(),
        SimSiam(),
        Expanded("barlow-twins", heads.BarlowTwinsProjectionHead, BarlowTwinsLoss(5e-3), off_diagonal_weight=5e-3),
        Expanded("vicreg", heads.VICRegProjectionHead, VICRegLoss()),
    ]
    return {"methods": [fixture(subject) for subject in subjects]}
