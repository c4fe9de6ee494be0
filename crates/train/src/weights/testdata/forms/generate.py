"""Makes the files beside it, in the form of what others publish or save (torch 2.11, torchvision 0.26, safetensors).

`python generate.py`. Each holds a resnet18 of width 1: torchvision's names and shapes, with every number of channels that is
a multiple of 64 divided by 64. A number is a function of the tensor's torchvision name, of what network of the file it
belongs to (`salt`), and of its place: `values` here, `value` in ../../tests/forms.rs. Files are compressed with gzip.
"""

import argparse
import gzip
import io
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torchvision
from safetensors.torch import save as safetensors

FOLDER = Path(__file__).parent
SHAPES = [
    (name, [size // 64 if size >= 64 and size % 64 == 0 else size for size in tensor.shape])
    for name, tensor in torchvision.models.resnet18().state_dict().items()
    if not name.startswith("fc.")
]
SEQUENTIAL = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}


def values(salt, name, shape):
    """FNV-1a of the name gives where the numbers begin."""
    start = 0x811C9DC5
    for byte in f"{salt}/{name}".encode():
        start = (start ^ byte) * 0x01000193 % 2**32
    if name.endswith("num_batches_tracked"):
        return torch.tensor(start % 1000)
    count = int(torch.tensor(shape).prod()) if shape else 1
    numbers = (torch.arange(count) * 7 + start % 251) % 251 - 125
    numbers = (numbers / 64).reshape(shape)
    return numbers.abs() if name.endswith("running_var") else numbers


def resnet(prefix="", salt="", rename=lambda name: name):
    return OrderedDict((prefix + rename(name), values(salt, name, shape)) for name, shape in SHAPES)


def numbered(name):
    part, rest = name.split(".", 1)
    return f"{SEQUENTIAL[part]}.{rest}"


def head(*names):
    return OrderedDict((name, torch.ones(2, 2)) for name in names)


class Net(torch.nn.Module):
    """A module of a class of its own. The legacy layout holds the text of its class."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))


def write(name, content, legacy=False):
    if not isinstance(content, bytes):
        # PyTorch names the folder inside after a file, and "archive" without one.
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=not legacy)
        content = buffer.getvalue()
    (FOLDER / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))


def optimizer(state):
    parameters = [torch.nn.Parameter(tensor) for tensor in list(state.values())[:2]]
    sgd = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    sgd.step()
    return sgd.state_dict()


# torchvision's published files.
write("torchvision.pth", resnet() | head("fc.weight", "fc.bias"))
# The same, with the name of the file in the archive: of 21 letters, which makes the first record of the list of files as long as
# the records of zip64 behind the list.
with TemporaryDirectory() as folder:
    path = Path(folder) / "twenty-one-characters.pth"
    torch.save(resnet() | head("fc.weight", "fc.bias"), path)
    write(path.name, path.read_bytes())
# timm: on Hugging Face, and its training's checkpoints (`utils/checkpoint_saver.py`).
write("timm.safetensors", safetensors(resnet() | head("fc.weight", "fc.bias"), {"format": "pt"}))
write("timm.pth.tar", {
    "epoch": 3, "arch": "resnet18", "state_dict": resnet("module."), "optimizer": optimizer(resnet()), "version": 2,
    "args": argparse.Namespace(model="resnet18", opt="sgd"), "amp_scaler": {"scale": 65536.0},
    "state_dict_ema": resnet(salt="ema"), "metric": 71.5,
})
# NASA's MicroNet: a state dict under the name `.pth.tar`; and as its trainings write it (PyTorch's ImageNet example).
write("micronet.pth.tar", resnet() | head("fc.weight", "fc.bias"), legacy=True)
write("micronet-training.pth.tar", {
    "epoch": 30, "arch": "resnet18", "state_dict": resnet("module.") | head("module.fc.weight", "module.fc.bias"),
    "best_acc1": torch.tensor(76.6), "optimizer": optimizer(resnet()), "scheduler": {"last_epoch": 30},
})
# MoCo v2 and v3 (facebookresearch/moco, moco-v3).
write("moco-v2.pth.tar", {
    "epoch": 200, "arch": "resnet18",
    "state_dict": head("module.queue") | {"module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    | resnet("module.encoder_q.") | head("module.encoder_q.fc.0.weight", "module.encoder_q.fc.2.weight")
    | resnet("module.encoder_k.", "k") | head("module.encoder_k.fc.0.weight", "module.encoder_k.fc.2.weight"),
    "optimizer": optimizer(resnet()),
}, legacy=True)
write("moco-v3.pth.tar", {
    "epoch": 300, "arch": "resnet18",
    "state_dict": resnet("module.base_encoder.") | head("module.base_encoder.fc.0.weight", "module.predictor.0.weight")
    | resnet("module.momentum_encoder.", "k") | head("module.momentum_encoder.fc.0.weight"),
    "optimizer": optimizer(resnet()), "scaler": {},
})
# DenseCL (OpenSelfSup): the backbone is the query encoder's first part, the same tensors by two names; and as published,
# the backbone alone.
query = resnet("encoder_q.0.")
write("densecl.pth", {
    "meta": {"epoch": 200, "mmcv_version": "0.2.16"},
    "state_dict": head("queue", "queue2") | query | head("encoder_q.1.mlp.0.weight") | resnet("encoder_k.0.", "k")
    | head("encoder_k.1.mlp.0.weight") | {name.replace("encoder_q.0.", "backbone."): query[name] for name in query},
    "optimizer": optimizer(resnet()),
}, legacy=True)
write("densecl-backbone.pth", {"state_dict": resnet(), "author": "DenseCL"}, legacy=True)
# lightly's examples: `backbone = nn.Sequential(*list(resnet.children())[:-1])`.
write("lightly.pth", resnet("backbone.", rename=numbered)
      | head("projection_head.layers.0.weight", "projection_head.layers.2.weight"))
# PyTorch Lightning, with a lightly model inside.
write("lightning.ckpt", {
    "epoch": 9, "global_step": 1000, "pytorch-lightning_version": "2.4.0",
    "state_dict": resnet("model.backbone.") | head("model.head.weight", "criterion.weight"),
    "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 10}}}},
    "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5)}},
    "optimizer_states": [optimizer(resnet())], "lr_schedulers": [{"last_epoch": 9}],
    "hparams_name": "kwargs", "hyper_parameters": {"lr": 0.1},
})
# torch.compile and DataParallel together.
write("compiled.pt", {"model_state_dict": resnet("_orig_mod.module.encoder."), "loss": 0.1})
# MatSSL's own code (utils/ssl_trainer.py saves the state dict of each epoch): MatSSL's model names the layers of its backbone
# a second time; its MoCo v2 has a momentum encoder beside; its DenseCL wraps both.
backbone = resnet("backbone.")
again = OrderedDict()
for name, tensor in backbone.items():
    part, rest = name.removeprefix("backbone.").split(".", 1)
    again[f"layer1.{SEQUENTIAL[part]}.{rest}" if part in ("conv1", "bn1", "layer1") else f"{part}.{rest}"] = tensor
write("matssl.pth", backbone | head("projection_head.layers.0.weight", "projection_head.layers.1.running_mean") | again
      | head("attn_module.gates.0", "attn_module.gates.1"))
write("matssl-mocov2.pth", resnet("backbone.") | head("projection_head.layers.0.weight") | resnet("backbone_momentum.", "k")
      | head("projection_head_momentum.layers.0.weight"))
write("matssl-densecl.pth", resnet("backbone.backbone.") | head("projection_head_global.layers.0.weight")
      | resnet("backbone_momentum.backbone.", "k"))
# DINO (facebookresearch/dino, main_dino.py).
write("dino.pth", {
    "student": resnet("module.backbone.", "k") | head("module.head.mlp.0.weight", "module.head.last_layer.weight_g"),
    "teacher": resnet("backbone.") | head("head.mlp.0.weight", "head.last_layer.weight_g"),
    "optimizer": optimizer(resnet()), "epoch": 800, "args": argparse.Namespace(arch="resnet18"),
    "dino_loss": {"center": torch.zeros(1, 2)}, "fp16_scaler": None,
})
# Barlow Twins and VICReg (facebookresearch).
write("barlowtwins.pth", {
    "epoch": 1000, "model": resnet("module.backbone.") | head("module.projector.0.weight", "module.bn.running_mean"),
    "optimizer": optimizer(resnet()),
})
# VISSL.
write("vissl.torch", {
    "phase_idx": 99, "iteration": 1, "loss": 0.1,
    "classy_state_dict": {"train": False, "base_model": {"model": {
        "trunk": resnet("_feature_blocks."), "heads": head("0.clf.0.weight"),
    }, "meters": {}}},
})
# segmentation_models_pytorch.
write("smp.pth", resnet("encoder.") | head("decoder.blocks.0.conv1.0.weight", "segmentation_head.0.weight"))
# What is refused: a pickled module, the same inside a checkpoint (legacy), TorchScript, sparse and quantised tensors.
module = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))
write("module.pth", module)
write("module-inside.pth", {"epoch": 1, "model": Net()}, legacy=True)
script = io.BytesIO()
torch.jit.save(torch.jit.trace(module, torch.zeros(1, 1, 1, 1)), script)
write("torchscript.pt", script.getvalue())
sparse = resnet()
sparse["conv1.weight"] = sparse["conv1.weight"].to_sparse()
write("sparse.pth", sparse)
quantised = resnet()
quantised["conv1.weight"] = torch.quantize_per_tensor(quantised["conv1.weight"], 0.1, 0, torch.qint8)
write("quantised.pth", quantised)
