"""The networks' fixtures: what PyTorch makes of whole networks with hashed weights.

Of each network: its outputs in inference and in training mode, the gradient of every parameter, the running
statistics after that step, and the weights after three steps of SGD and of Adam.
"""

import segmentation_models_pytorch as smp
import torch
import torchvision
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead

from .hashed import error, kept, labels, nchw, nhwc, tensor, weight

STEPS = 3
SGD = {"momentum": 0.9, "weight_decay": 0.01}
ADAM = {"weight_decay": 0.01}
# Two where the mathematics is tested most sharply; elsewhere one, for the files' sake.
PROJECTIONS = {"inference": 2, "training": 2, "gradient": 2, "statistics": 1, "sgd": 1, "adam": 1, "frozen": 1}


def resnet(arch, variant):
    """torchvision's, or what its names meant first: stride on the first 1x1, first pooling unpadded in ceil mode."""
    network = getattr(torchvision.models, arch)()
    network.fc = torch.nn.Identity()
    if variant == "v1":
        network.maxpool = torch.nn.MaxPool2d(3, 2, padding=0, ceil_mode=True)
        for layer in (network.layer2, network.layer3, network.layer4):
            if hasattr(layer[0], "conv3"):
                layer[0].conv1.stride, layer[0].conv2.stride = layer[0].conv2.stride, layer[0].conv1.stride
    return network


def stages(network, x):
    stem = network.relu(network.bn1(network.conv1(x)))
    first = network.layer1(network.maxpool(stem))
    second = network.layer2(first)
    third = network.layer3(second)
    return [stem, first, second, third, network.layer4(third)]


class Encoder:
    """Features of every stage; the loss is their product with hashed seeds."""

    def __init__(self, arch, variant, batch, size):
        self.arch, self.variant, self.shape = arch, variant, (batch, *size, 3)

    def build(self):
        return resnet(self.arch, self.variant)

    def image(self, dtype):
        return nchw(tensor("x", self.shape), dtype)

    def outputs(self, network, x):
        return {f"feature{level}": nhwc(feature) for level, feature in enumerate(stages(network, x))}

    def loss(self, outputs):
        seeds = [tensor(f"seed{level}", out.shape).to(out.dtype) for level, out in enumerate(outputs.values())]
        return sum((out * seed).sum() / out.numel() ** 0.5 for out, seed in zip(outputs.values(), seeds))


class Segmentation:
    """smp.Unet or smp.UnetPlusPlus with the Dice loss, a class absent and labels ignored."""

    def __init__(self, architecture, arch, classes, batch, size):
        self.architecture, self.arch, self.classes, self.shape = architecture, arch, classes, (batch, *size, 3)

    def build(self):
        kind = {"unet": smp.Unet, "unet++": smp.UnetPlusPlus}[self.architecture]
        return kind(self.arch, encoder_weights=None, classes=self.classes)

    def image(self, dtype):
        return nchw(tensor("x", self.shape), dtype)

    def outputs(self, network, x):
        return {"logits": nhwc(network(x))}

    def loss(self, outputs):
        logits = outputs["logits"].permute(0, 3, 1, 2)
        target = labels(self.classes, self.shape[:3], ignore=True)
        return smp.losses.DiceLoss("multiclass", from_logits=True, smooth=0.0, eps=1e-7, ignore_index=255)(
            logits, target
        )


class Fusion(torch.nn.Module):
    """MatSSL: pooled stages, gated, side by side, then SimCLR's head."""

    def __init__(self, arch, gate, hidden, output):
        super().__init__()
        self.gate = gate
        self.encoder = resnet(arch, "v1.5")
        widths = [w * (4 if arch in ("resnet50", "resnet101") else 1) for w in (64, 128, 256, 512)]
        self.attn_module = torch.nn.Module()
        self.attn_module.gates = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(w)) for w in widths])
        self.projection_head = SimCLRProjectionHead(sum(widths), hidden, output)

    def gated(self, features, gate):
        # The paper's Eq. 1, and the authors' released code.
        return features.sigmoid() * gate if self.gate == "paper" else gate.sigmoid() * features

    def forward(self, x):
        pooled = [feature.mean((2, 3)) for feature in stages(self.encoder, x)[1:]]
        return self.projection_head(torch.cat([self.gated(f, g) for f, g in zip(pooled, self.attn_module.gates)], 1))


class MatSsl:
    """Two views through the same network, one after the other, and NT-Xent."""

    def __init__(self, arch, gate, hidden, output, temperature, batch, size):
        self.arch, self.gate, self.hidden, self.output = arch, gate, hidden, output
        self.temperature, self.shape = temperature, (batch, *size, 3)

    def build(self):
        return Fusion(self.arch, self.gate, self.hidden, self.output)

    def image(self, dtype):
        return [nchw(tensor(name, self.shape), dtype) for name in ("first", "second")]

    def outputs(self, network, views):
        return {"first": network(views[0]), "second": network(views[1])}

    def loss(self, outputs):
        return NTXentLoss(temperature=self.temperature)(outputs["first"], outputs["second"])


def build(subject, dtype):
    network = subject.build().double()
    network.load_state_dict({name: weight(name, tuple(v.shape)) for name, v in network.state_dict().items()})
    return network.to(dtype)


def values(network):
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def gradients(network):
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


def after_steps(subject, dtype, make):
    network = build(subject, dtype).train()
    optimizer, image = make(network.parameters()), subject.image(dtype)
    for _ in range(STEPS):
        optimizer.zero_grad()
        subject.loss(subject.outputs(network, image)).backward()
        optimizer.step()
    return values(network)


def run(subject, dtype, optimizers, frozen):
    """By column and name."""
    image, columns = subject.image(dtype), {}
    network = build(subject, dtype).eval()
    if not isinstance(subject, MatSsl):
        with torch.no_grad():
            columns["inference"] = subject.outputs(network, image)
    if frozen:
        subject.loss(subject.outputs(network, image)).backward()
        columns["frozen"] = gradients(network)
        network.zero_grad()
    network.train()
    outputs = subject.outputs(network, image)
    loss = subject.loss(outputs)
    loss.backward()
    columns["training"] = {**outputs, **({} if isinstance(subject, Encoder) else {"loss": loss})}
    if isinstance(subject, MatSsl):
        del columns["training"]["first"], columns["training"]["second"]
    columns["gradient"] = gradients(network)
    columns["statistics"] = {n: b for n, b in network.named_buffers() if not n.endswith("num_batches_tracked")}
    if optimizers:
        sgd, adam = (optimizers[name] for name in ("sgd", "adam"))
        columns["sgd"] = after_steps(subject, dtype, lambda p: torch.optim.SGD(p, lr=sgd, **SGD))
        columns["adam"] = after_steps(subject, dtype, lambda p: torch.optim.Adam(p, lr=adam, **ADAM))
    return columns


def fixture(subject, optimizers=None, frozen=False, **described):
    """`columns` names the parameters' numbers in their order; all are as `hashed.kept` has them."""
    exact, single = (run(subject, dtype, optimizers, frozen) for dtype in (torch.float64, torch.float32))
    found = {
        column: {
            name: kept(name, tensor, error(tensor, single[column][name]), PROJECTIONS[column])
            for name, tensor in exact[column].items()
        }
        for column in exact
    }
    columns = [c for c in ("gradient", "sgd", "adam", "frozen") if c in found]
    parameters = {name: [found[c][name] for c in columns] for name in found["gradient"]}
    rest = {c: found[c] for c in ("inference", "training", "statistics") if c in found}
    return {**described, "learning_rates": optimizers, **rest, "columns": columns, "parameters": parameters}


def encoder(arch, variant, batch, size, **options):
    described = {"arch": arch, "variant": variant, "batch": batch, "size": size}
    return fixture(Encoder(**described), **described, **options)


def segmentation(architecture, arch, classes, batch, size, **options):
    described = {"architecture": architecture, "arch": arch, "classes": classes, "batch": batch, "size": size}
    return fixture(Segmentation(**described), **described, **options)


def matssl(arch, gate, hidden, output, temperature, batch, size, **options):
    described = {
        "arch": arch, "gate": gate, "hidden": hidden, "output": output,
        "temperature": temperature, "batch": batch, "size": size,
    }  # fmt: skip
    return fixture(MatSsl(**described), **described, **options)


def rates(sgd, adam):
    """Steps large enough to be seen, small enough not to leave the numbers to chance: the networks' training is chaotic,
    the deeper and the fewer the values to a channel the more so, and more so after each step."""
    return {"sgd": sgd, "adam": adam}


def fixtures():
    return {
        "encoders": [
            encoder("resnet18", "v1.5", 2, (64, 64), optimizers=rates(1e-2, 1e-4), frozen=True),
            encoder("resnet34", "v1.5", 2, (61, 70), optimizers=rates(1e-3, 1e-4)),
            encoder("resnet50", "v1.5", 2, (61, 70), optimizers=rates(1e-4, 1e-5), frozen=True),
            encoder("resnet101", "v1.5", 2, (64, 64), optimizers=rates(1e-5, 1e-6)),
            encoder("resnet18", "v1", 2, (61, 70)),
            encoder("resnet34", "v1", 2, (64, 64)),
            encoder("resnet50", "v1", 2, (64, 64)),
            encoder("resnet101", "v1", 2, (61, 70)),
        ],
        "segmentations": [
            segmentation("unet", "resnet18", 4, 2, (32, 64), optimizers=rates(1e-2, 1e-4), frozen=True),
            segmentation("unet", "resnet50", 5, 2, (64, 64), optimizers=rates(1e-3, 1e-6)),
            segmentation("unet++", "resnet18", 5, 2, (64, 32), optimizers=rates(1e-2, 1e-4), frozen=True),
            segmentation("unet++", "resnet50", 3, 2, (64, 64), optimizers=rates(1e-3, 1e-6)),
        ],
        "matssl": [
            matssl("resnet18", "paper", 256, 64, 0.07, 4, (64, 64), optimizers=rates(1e-3, 1e-4)),
            matssl("resnet18", "code", 256, 64, 0.5, 4, (64, 64), optimizers=rates(1e-3, 1e-4)),
            matssl("resnet50", "paper", 256, 64, 0.5, 4, (64, 64)),
            matssl("resnet50", "code", 256, 64, 0.07, 4, (64, 64)),
        ],
    }
