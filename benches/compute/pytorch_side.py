"""PyTorch's side of the benchmark: one process, told what to do line by line; see workers.rs for the protocol.

Not called pytorch.py: torchvision tries to import a module of that name.

    python pytorch_side.py versions
    python pytorch_side.py nchw|channels-last THREADS
"""
import sys
import time


def versions():
    import lightly
    import segmentation_models_pytorch
    import torch
    import torchvision
    modules = (torch, torchvision, segmentation_models_pytorch, lightly)
    print(", ".join(f"{module.__name__} {module.__version__}" for module in modules))


if sys.argv[1] == "versions":
    versions()
    sys.exit()

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(int(sys.argv[2]))
FORMAT = torch.channels_last if sys.argv[1] == "channels-last" else torch.contiguous_format
torch.manual_seed(0)


class Spec:
    def __init__(self, line):
        self.kind, *words = line.split()
        self.fields = dict(word.split("=", 1) for word in words)

    def __getattr__(self, key):
        text = self.fields[key]
        for read in (int, float):
            try:
                return read(text)
            except ValueError:
                pass
        return text

    def numbers(self, key):
        return [int(number) for number in self.fields[key].split("-")]


def images(*shape):
    return torch.randn(*shape).to(memory_format=FORMAT)


class ResNet18(nn.Module):
    """torchvision's ResNet-18 with any width (torchvision's own takes 64 only), in two parts for encoders."""

    def __init__(self, width):
        super().__init__()
        from torchvision.models.resnet import BasicBlock
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        before = width
        for stage in range(4):
            after, stride = width << stage, 1 if stage == 0 else 2
            down = None
            if stride > 1 or before != after:
                down = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
            blocks = [BasicBlock(before, after, stride, down), BasicBlock(after, after)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            before = after


def resnet(spec):
    if spec.arch == "resnet18":
        if spec.width != 64:
            return ResNet18(spec.width), [spec.width << stage for stage in (0, 0, 1, 2, 3)]
        channels = [64, 64, 128, 256, 512]
    else:
        assert spec.width == 64
        channels = [64, 256, 512, 1024, 2048]
    import torchvision
    net = getattr(torchvision.models, spec.arch)()
    del net.fc
    return net, channels


def features(net, x):
    stem = net.relu(net.bn1(net.conv1(x)))
    all = [stem]
    x = net.maxpool(stem)
    for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
        x = layer(x)
        all.append(x)
    return all


class MatSsl(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.net, channels = resnet(spec)
        self.paper = spec.gate == "paper"
        self.gates = nn.ParameterList([nn.Parameter(torch.ones(c)) for c in channels[1:]])
        self.head = nn.Sequential(
            nn.Linear(sum(channels[1:]), spec.hidden, bias=False), nn.BatchNorm1d(spec.hidden), nn.ReLU(),
            nn.Linear(spec.hidden, spec.output, bias=False), nn.BatchNorm1d(spec.output))

    def forward(self, x):
        pooled = [f.mean((2, 3)) for f in features(self.net, x)[1:]]
        gated = [torch.sigmoid(f) * g if self.paper else torch.sigmoid(g) * f for g, f in zip(self.gates, pooled)]
        return self.head(torch.cat(gated, 1))


class UnetPlusPlus(nn.Module):
    """segmentation_models_pytorch's U-Net++ on an encoder of any width."""

    def __init__(self, spec):
        super().__init__()
        from segmentation_models_pytorch.base import SegmentationHead
        from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
        self.net, channels = resnet(spec)
        decoder = spec.numbers("decoder")
        self.decoder = UnetPlusPlusDecoder(encoder_channels=[3] + channels, decoder_channels=decoder)
        self.head = SegmentationHead(decoder[-1], spec.classes, kernel_size=3)

    def forward(self, x):
        return self.head(self.decoder([x] + features(self.net, x)))


def unet(spec):
    if spec.width != 64:
        return UnetPlusPlus(spec)
    import segmentation_models_pytorch as smp
    decoder = spec.numbers("decoder")
    return smp.UnetPlusPlus(spec.arch, encoder_weights=None, decoder_channels=decoder, classes=spec.classes)


def training(model, optimizer, loss):
    def step():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        value = loss(model)
        value.backward()
        optimizer.step()
        value.item()
        return [time.perf_counter() - start]
    return step


def sgd(model, spec):
    return torch.optim.SGD(model.parameters(), spec.lr, momentum=spec.momentum, weight_decay=spec.wd)


def matssl(spec):
    from lightly.loss import NTXentLoss
    model = MatSsl(spec).to(memory_format=FORMAT)
    first, second = [images(spec.batch, 3, spec.size, spec.size) for _ in range(2)]
    criterion = NTXentLoss(spec.tau)
    return training(model, sgd(model, spec), lambda model: criterion(model(first), model(second)))


def unet_step(spec):
    import segmentation_models_pytorch as smp
    model = unet(spec).to(memory_format=FORMAT)
    x = images(spec.batch, 3, spec.size, spec.size)
    target = torch.randint(0, spec.classes, (spec.batch, spec.size, spec.size))
    criterion = smp.losses.DiceLoss(mode="multiclass", from_logits=True)
    adam = torch.optim.Adam(model.parameters(), spec.lr, weight_decay=spec.wd)
    return training(model, adam, lambda model: criterion(model(x), target))


def unet_inference(spec):
    model = unet(spec).to(memory_format=FORMAT).eval()
    x = images(spec.batch, 3, spec.size, spec.size)

    def step():
        start = time.perf_counter()
        with torch.inference_mode():
            model(x).softmax(1).argmax(1)
        return [time.perf_counter() - start]
    return step


def encoder(spec):
    model = resnet(spec)[0].to(memory_format=FORMAT)
    x = images(spec.batch, 3, spec.size, spec.size)
    return training(model, sgd(model, spec), lambda model: features(model, x)[-1].mean((2, 3)).square().mean())


def operation(forward, inputs):
    """Times forward and backward of `forward()` with respect to `inputs`, each per call."""
    seed = torch.randn_like(forward().detach())

    def once():
        start = time.perf_counter()
        y = forward()
        middle = time.perf_counter()
        torch.autograd.grad(y, inputs, seed)
        return middle - start, time.perf_counter() - middle

    once()
    calls = max(1, min(200, round(0.2 / sum(once()))))

    def step():
        times = [once() for _ in range(calls)]
        return [sum(part) / calls for part in zip(*times)]
    return step


def conv(spec):
    x = images(spec.batch, getattr(spec, "in"), spec.size, spec.size).requires_grad_(spec.dx == 1)
    w = images(spec.out, getattr(spec, "in"), spec.kernel, spec.kernel).mul_(0.02).requires_grad_()
    forward = lambda: F.conv2d(x, w, None, spec.stride, spec.kernel // 2)
    return operation(forward, [x, w] if spec.dx == 1 else [w])


def batch_norm(spec):
    shape = (spec.batch, spec.channels, spec.size, spec.size)
    x, residual = images(*shape).requires_grad_(), images(*shape).requires_grad_()
    w, b = torch.ones(spec.channels, requires_grad=True), torch.zeros(spec.channels, requires_grad=True)
    mean, variance = torch.zeros(spec.channels), torch.ones(spec.channels)

    def forward():
        y = F.batch_norm(x, mean, variance, w, b, True)
        if spec.residual:
            y += residual
        return F.relu_(y)
    return operation(forward, [x, w, b] + [residual] * spec.residual)


def max_pool(spec):
    x = images(spec.batch, spec.channels, spec.size, spec.size).requires_grad_()
    return operation(lambda: F.max_pool2d(x, 3, 2, 1), [x])


def upsample_concat(spec):
    x = images(spec.batch, spec.channels, spec.size, spec.size).requires_grad_()
    side = 2 * spec.size
    skips = [images(spec.batch, c, side, side).requires_grad_() for c in spec.numbers("skips")]

    def forward():
        # As segmentation_models_pytorch: the skips are joined first, where there are several.
        skip = torch.cat(skips, 1) if len(skips) > 1 else skips[0]
        return torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1)
    return operation(forward, [x] + skips)


def global_average_pool(spec):
    x = images(spec.batch, spec.channels, spec.size, spec.size).requires_grad_()
    return operation(lambda: x.mean((2, 3)), [x])


KINDS = {
    "matssl": matssl, "unet++": unet_step, "unet++-inference": unet_inference, "encoder": encoder, "conv": conv,
    "batch-norm": batch_norm, "max-pool": max_pool, "upsample-concat": upsample_concat,
    "global-average-pool": global_average_pool,
}


def peak_kib():
    with open("/proc/self/status") as status:
        return next(line.split()[1] for line in status if line.startswith("VmHWM:"))


def say(text):
    print(text, flush=True)


step = None
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "set":
        step = None
        spec = Spec(rest)
        step = KINDS[spec.kind](spec)
        say("ready")
    elif word == "go":
        say(" ".join(repr(seconds) for seconds in step()))
    elif word == "end":
        say(peak_kib())
        break
