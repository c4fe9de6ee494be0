"""Makes the files swin-*.gz beside it: Swin transformers in the form of what others publish or save (torch 2.11, torchvision 0.26,
timm 1.0.31, safetensors).

`python generate_swin.py`. Each holds a Swin transformer of width 4, depths 1, 2, 1, 1, one head at first and windows of 2 patches,
with the names and shapes of torchvision's and timm's own classes; Microsoft's names are those of timm with the patches merged at
the end of a stage (`models/swin_transformer.py` there), with its buffers. A number is a function of the tensor's name as Microsoft has
it and of its place, as `values` of generate.py makes it; of a table of biases it is that of `tables` below.
"""

import gzip
import io
import re
from collections import OrderedDict
from pathlib import Path

import timm
import torch
from safetensors.torch import save as safetensors
from torchvision.models.swin_transformer import SwinTransformer

FOLDER = Path(__file__).parent
SIZES = {"window": 2, "width": 4, "depths": [1, 2, 1, 1], "heads": [1, 2, 4, 8]}


def values(name, shape):
    """FNV-1a of the name gives where the numbers begin."""
    start = 0x811C9DC5
    for byte in f"/{name}".encode():
        start = (start ^ byte) * 0x01000193 % 2**32
    count = int(torch.tensor(shape).prod()) if shape else 1
    return (((torch.arange(count) * 7 + start % 251) % 251 - 125) / 64).reshape(shape)


def tables(name, window, heads):
    """Of a table for windows of `window`: a plane, y + 2x + head, which interpolation does not bend in the middle."""
    side = 2 * window - 1
    y, x, head = torch.meshgrid(torch.arange(side), torch.arange(side), torch.arange(heads), indexing="ij")
    return (y + 2 * x + head).float().reshape(side * side, heads)


def microsoft_of_torchvision(name):
    name = re.sub(r"^features\.0\.0\.", "patch_embed.proj.", name)
    name = re.sub(r"^features\.0\.2\.", "patch_embed.norm.", name)
    match = re.match(r"^features\.(\d+)\.(.*)", name)
    if not match:
        return name
    number, rest = int(match[1]), match[2]
    if number % 2 == 0:
        return f"layers.{number // 2 - 1}.downsample.{rest}"
    rest = rest.replace("mlp.0.", "mlp.fc1.").replace("mlp.3.", "mlp.fc2.")
    return f"layers.{number // 2}.blocks.{rest}"


def microsoft_of_timm(name):
    match = re.match(r"^layers\.(\d+)\.downsample\.(.*)", name)
    return f"layers.{int(match[1]) - 1}.downsample.{match[2]}" if match else name


def state(model, rename, window):
    """The model's state with the numbers above, buffers as they are."""
    content = OrderedDict()
    for name, tensor in model.state_dict().items():
        ours = rename(name)
        if ours.endswith("relative_position_bias_table"):
            content[name] = tables(ours, window, tensor.shape[1])
        elif tensor.is_floating_point() and not ours.endswith("attn_mask") and not ours.startswith("head"):
            content[name] = values(ours, tensor.shape)
        else:
            content[name] = tensor
    return content


def torchvision_swin(window):
    return SwinTransformer(
        [4, 4], SIZES["width"], SIZES["depths"], SIZES["heads"], [window, window], num_classes=3
    )


def timm_swin(window):
    return timm.models.swin_transformer.SwinTransformer(
        img_size=64 * window // 2,
        embed_dim=SIZES["width"],
        depths=SIZES["depths"],
        num_heads=SIZES["heads"],
        window_size=window,
        num_classes=3,
        strict_img_size=True,
    )


def microsoft(window):
    """timm's tensors under Microsoft's names, with Microsoft's buffers and head."""
    content = OrderedDict()
    for name, tensor in state(timm_swin(window), microsoft_of_timm, window).items():
        if name.endswith(("attn_mask", "relative_position_index")):
            continue
        content[microsoft_of_timm(name).replace("head.fc.", "head.")] = tensor
    for stage, depth in enumerate(SIZES["depths"]):
        for block in range(depth):
            index = torch.zeros(window**2, window**2, dtype=torch.int64)
            content[f"layers.{stage}.blocks.{block}.attn.relative_position_index"] = index
            if block % 2:
                content[f"layers.{stage}.blocks.{block}.attn_mask"] = torch.zeros(4, window**2, window**2)
    return content


def write(name, content):
    if not isinstance(content, bytes):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        content = buffer.getvalue()
    (FOLDER / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))


# Microsoft's published files hold the network under `model`; their training's checkpoints have the rest beside it.
write("swin-microsoft.pth", {"model": microsoft(2)})
write("swin-microsoft-training.pth", {"model": microsoft(2), "epoch": 29, "max_accuracy": 84.2})
# torchvision's `swin_t-704ceda3.pth`.
write("swin-torchvision.pth", state(torchvision_swin(2), microsoft_of_torchvision, 2))
# timm on Hugging Face.
timm_state = {name: tensor.contiguous() for name, tensor in state(timm_swin(2), microsoft_of_timm, 2).items()}
write("swin-timm.safetensors", safetensors(timm_state, {"format": "pt"}))
# For windows of another size.
write("swin-window-4.pth", {"model": microsoft(4)})
# CS-UNet's third layer of a block (`mlp.fc3`).
residual = microsoft(2)
for stage, depth in enumerate(SIZES["depths"]):
    for block in range(depth):
        width = SIZES["width"] << stage
        for name, shape in (("weight", [width, width]), ("bias", [width])):
            name = f"layers.{stage}.blocks.{block}.mlp.fc3.{name}"
            residual[name] = values(name, shape)
write("swin-residual.pth", {"model": residual})
