"""PyTorch's side of the benchmark: one process, told what to do line by line; see workers.rs for the protocol.

Not called pytorch.py: torchvision tries to import a module of that name.

    python pytorch_side.py versions [DEVICE]
    python pytorch_side.py nchw|channels-last|compiled THREADS [DEVICE [float32|tf32|bf16]]
"""
import importlib
import os
import sys
import time

# What a machine with a GPU may lack: pytorch_fallback.py stands in.
OPTIONAL = ("segmentation_models_pytorch", "lightly")


def versions(device):
    import torch
    found = []
    for name in ("torch", "torchvision") + OPTIONAL:
        try:
            found.append(f"{name} {importlib.import_module(name).__version__}")
        except ImportError:
            if device == "cpu" or name not in OPTIONAL:
                raise
            found.append(f"{name} as in pytorch_fallback.py")
    if device != "cpu":
        found.append(f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")
        found.append(torch.cuda.get_device_name(device))
    print(", ".join(found))


if sys.argv[1] == "versions":
    versions(sys.argv[2] if len(sys.argv) > 2 else "cpu")
    sys.exit()

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(int(sys.argv[2]))
# Masks of shifted windows make numbers so small (exp(-100)) that a CPU is slow at them. PyTorch keeps them by default.
torch.set_flush_denormal(os.environ.get("PYTORCH_FLUSH_DENORMAL") == "1")
FORMAT = torch.contiguous_format if sys.argv[1] == "nchw" else torch.channels_last
COMPILED = sys.argv[1] == "compiled"
DEVICE = torch.device(sys.argv[3] if len(sys.argv) > 3 else "cpu")
PRECISION = sys.argv[4] if len(sys.argv) > 4 else "float32"
ON_GPU = DEVICE.type == "cuda"
if ON_GPU:
    torch.cuda.set_device(DEVICE)
    # bf16: what autocast leaves in float32 may use TF32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = PRECISION != "float32"
    torch.backends.cudnn.benchmark = True
torch.manual_seed(0)


# What the calls of one direction of a layer take together, about; as in ours.rs.
LAYER_SECONDS = 0.02


def autocast():
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=PRECISION == "bf16")


def compiled(function):
    return torch.compile(function) if COMPILED else function


def finish():
    """Waits for what a GPU still has to do."""
    if ON_GPU:
        torch.cuda.synchronize()


def library(name):
    """The module, or what stands in for it on a machine with a GPU."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if not ON_GPU:
            raise
        return importlib.import_module("pytorch_fallback")


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
    # Drawn on the device: gigabytes are, for single layers at large batches.
    return torch.randn(*shape, device=DEVICE).to(memory_format=FORMAT)


def maps(*shape):
    """What an operation takes in: in the type of activations, with a gradient."""
    x = images(*shape)
    return (x.bfloat16() if PRECISION == "bf16" else x).requires_grad_()


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
        make_head = library("segmentation_models_pytorch.base").SegmentationHead
        make = library("segmentation_models_pytorch.decoders.unetplusplus.decoder").UnetPlusPlusDecoder
        self.net, channels = resnet(spec)
        decoder = spec.numbers("decoder")
        self.decoder = make(encoder_channels=[3] + channels, decoder_channels=decoder)
        self.head = make_head(decoder[-1], spec.classes, kernel_size=3)

    def forward(self, x):
        return self.head(self.decoder([x] + features(self.net, x)))


def unet(spec):
    if spec.kind.startswith("swin"):
        import pytorch_swin
        return pytorch_swin.network(spec, resnet, features)
    smp = library("segmentation_models_pytorch")
    if spec.width != 64 or not hasattr(smp, "UnetPlusPlus"):
        return UnetPlusPlus(spec)
    decoder = spec.numbers("decoder")
    return smp.UnetPlusPlus(spec.arch, encoder_weights=None, decoder_channels=decoder, classes=spec.classes)


def placed(model):
    return model.to(DEVICE).to(memory_format=FORMAT)


def training(model, optimizer, outputs, loss):
    """`outputs(model)` in the precision asked for, `loss(*outputs)` in float32."""
    model = compiled(model)

    def step():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            found = outputs(model)
        value = loss(*(output.float() for output in found))
        value.backward()
        optimizer.step()
        value.item()
        finish()
        return [time.perf_counter() - start]
    return step


def sgd(model, spec):
    return torch.optim.SGD(model.parameters(), spec.lr, momentum=spec.momentum, weight_decay=spec.wd)


def matssl(spec):
    model = placed(MatSsl(spec))
    first, second = [images(spec.batch, 3, spec.size, spec.size) for _ in range(2)]
    criterion = library("lightly.loss").NTXentLoss(spec.tau)
    return training(model, sgd(model, spec), lambda model: (model(first), model(second)), criterion)


def unet_step(spec):
    model = placed(unet(spec))
    x = images(spec.batch, 3, spec.size, spec.size)
    target = torch.randint(0, spec.classes, (spec.batch, spec.size, spec.size)).to(DEVICE)
    dice = library("segmentation_models_pytorch.losses").DiceLoss(mode="multiclass", from_logits=True)
    adam = torch.optim.Adam(model.parameters(), spec.lr, weight_decay=spec.wd)
    return training(model, adam, lambda model: (model(x),), lambda logits: dice(logits, target))


def inference(spec, function):
    """Times `function(model, images)` with a model in inference mode."""
    model = placed(unet(spec)).eval()
    x = images(spec.batch, 3, spec.size, spec.size)
    function = compiled(function)

    def step():
        start = time.perf_counter()
        with torch.inference_mode(), autocast():
            found = function(model, x)
        if found.dtype == torch.int64:
            # Labels are for the CPU.
            found.cpu()
        finish()
        return [time.perf_counter() - start]
    return step


def unet_inference(spec):
    return inference(spec, lambda model, x: model(x).softmax(1).argmax(1))


def unet_forward(spec):
    return inference(spec, lambda model, x: model(x))


def encoder(spec):
    model = placed(resnet(spec)[0])
    x = images(spec.batch, 3, spec.size, spec.size)
    last = lambda model: (features(model, x)[-1].mean((2, 3)),)
    return training(model, sgd(model, spec), last, lambda pooled: pooled.square().mean())


def accuracy(spec):
    """Relative errors of output and gradients, as accuracy.rs; in inference mode, so batch norms are constants."""
    import copy

    def outputs(model, x):
        if spec.kind == "accuracy-unet++":
            return model(x)
        return torch.cat([f.mean((2, 3), dtype=torch.promote_types(f.dtype, torch.float32)) for f in features(model, x)], 1)

    def one_pass(model, x, seed, rounded):
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=rounded and PRECISION == "bf16"):
            y = outputs(model, x)
        y.backward((y.detach() if seed is None else seed).to(y.dtype))
        return y.detach().double(), torch.cat([p.grad.double().flatten() for p in model.parameters()])

    def step():
        model = (unet if spec.kind == "accuracy-unet++" else lambda spec: resnet(spec)[0])(spec).eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                spread = lambda offset, scale: offset + scale * (2 * torch.rand(module.num_features) - 1)
                module.running_mean, module.running_var = spread(0, 0.1), spread(1, 0.3)
                module.weight.data = spread(1, 0.3)
        model = placed(model)
        x = images(spec.batch, 3, spec.size, spec.size)
        y, gradients = one_pass(copy.deepcopy(model).double(), x.double(), None, False)
        z, found = one_pass(model, x, y, True)
        return [float((z - y).norm() / y.norm()), float((found - gradients).norm() / gradients.norm())]
    return step


def operation(forward, inputs):
    """Times forward and backward of `forward()` with respect to `inputs`, each per call."""
    forward = autocast()(compiled(forward))
    seed = torch.randn_like(forward().detach())

    def once():
        start = time.perf_counter()
        y = forward()
        finish()
        middle = time.perf_counter()
        torch.autograd.grad(y, inputs, seed)
        finish()
        return middle - start, time.perf_counter() - middle

    once()
    calls = max(1, min(200, round(0.2 / sum(once()))))

    def step():
        times = [once() for _ in range(calls)]
        return [sum(part) / calls for part in zip(*times)]
    return step


def conv(spec):
    x = maps(spec.batch, getattr(spec, "in"), spec.size, spec.size).requires_grad_(spec.dx == 1)
    w = images(spec.out, getattr(spec, "in"), spec.kernel, spec.kernel).mul_(0.02).requires_grad_()
    forward = lambda: F.conv2d(x, w, None, spec.stride, spec.kernel // 2)
    return operation(forward, [x, w] if spec.dx == 1 else [w])


def layer(spec):
    """A convolution, direction by direction without autograd, as layer() in ours.rs; see there."""
    dtype = torch.bfloat16 if PRECISION == "bf16" else torch.float32
    x = images(spec.batch, getattr(spec, "in"), spec.size, spec.size).to(dtype)
    w = images(spec.out, getattr(spec, "in"), spec.kernel, spec.kernel).mul_(0.02)
    rounded, stride, padding = w.to(dtype), [spec.stride] * 2, [spec.kernel // 2] * 2

    def forward():
        # The weight as autocast converts it in each step.
        return F.conv2d(x, w.to(dtype), None, stride, padding)

    def backward(input):
        found = torch.ops.aten.convolution_backward(
            seed, x, rounded, None, stride, padding, [1, 1], False, [0, 0], 1, [input, not input, False])
        return found[0] if input else found[1].float()

    def timed(direction, calls):
        start = time.perf_counter()
        for _ in range(calls):
            direction()
        finish()
        return (time.perf_counter() - start) / calls

    seed = forward()
    directions = [forward, lambda: backward(False)] + [lambda: backward(True)] * spec.dx
    calls = []
    for direction in directions:
        timed(direction, 1)
        calls.append(max(1, min(200, round(LAYER_SECONDS / timed(direction, 2)))))
    return lambda: [timed(*each) for each in zip(directions, calls)]


def batch_norm(spec):
    shape = (spec.batch, spec.channels, spec.size, spec.size)
    x, residual = maps(*shape), maps(*shape)
    ones, zeros = [make(spec.channels, device=DEVICE) for make in (torch.ones, torch.zeros)]
    w, b = ones.clone().requires_grad_(), zeros.clone().requires_grad_()
    mean, variance = zeros.clone(), ones.clone()

    def forward():
        y = F.batch_norm(x, mean, variance, w, b, True)
        if spec.residual:
            y += residual
        return F.relu_(y)
    return operation(forward, [x, w, b] + [residual] * spec.residual)


def max_pool(spec):
    x = maps(spec.batch, spec.channels, spec.size, spec.size)
    return operation(lambda: F.max_pool2d(x, 3, 2, 1), [x])


def upsample_concat(spec):
    x = maps(spec.batch, spec.channels, spec.size, spec.size)
    side = 2 * spec.size
    skips = [maps(spec.batch, c, side, side) for c in spec.numbers("skips")]

    def forward():
        # As segmentation_models_pytorch: the skips are joined first, where there are several.
        skip = torch.cat(skips, 1) if len(skips) > 1 else skips[0]
        return torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1)
    return operation(forward, [x] + skips)


def global_average_pool(spec):
    x = maps(spec.batch, spec.channels, spec.size, spec.size)
    return operation(lambda: x.mean((2, 3)), [x])


KINDS = {
    "matssl": matssl, "unet++": unet_step, "unet++-inference": unet_inference, "unet++-forward": unet_forward,
    "swin-step": unet_step, "swin-inference": unet_inference, "encoder": encoder, "conv": conv, "layer": layer, "batch-norm": batch_norm, "max-pool": max_pool,
    "upsample-concat": upsample_concat, "global-average-pool": global_average_pool, "accuracy": accuracy, "accuracy-unet++": accuracy,
}


def transformer(spec):
    import pytorch_transformer
    return pytorch_transformer.KINDS[spec.kind](spec, operation, FORMAT == torch.channels_last)


def peak_kib():
    if ON_GPU:
        return torch.cuda.max_memory_allocated() >> 10
    with open("/proc/self/status") as status:
        return next(line.split()[1] for line in status if line.startswith("VmHWM:"))


def is_out_of_memory(error):
    # As in crates/tensor/src/device.rs.
    text = str(error).lower().replace("_", " ")
    words = ("out of memory", "alloc failed", "allocation failed")
    return isinstance(error, torch.OutOfMemoryError) or any(word in text for word in words)


def say(text):
    print(text, flush=True)


step = None
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    try:
        if word == "set":
            step = None
            if ON_GPU:
                # Our side works in between.
                torch.cuda.empty_cache()
            spec = Spec(rest)
            step = KINDS.get(spec.kind, transformer)(spec)
            say("ready")
        elif word == "go":
            if ON_GPU:
                # Trying algorithms out takes memory that a step does not: the peak is the last round's.
                torch.cuda.reset_peak_memory_stats()
            say(" ".join(repr(seconds) for seconds in step()))
        elif word == "end":
            say(peak_kib())
            break
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        print(error, file=sys.stderr)
        step = None
        say("out of memory")
