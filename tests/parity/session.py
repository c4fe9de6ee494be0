"""A PyTorch session with what this program saved, in one command:

    python tests/parity/session.py [FOLDER]

1. The Rust side trains each network by a step and writes its `.safetensors`, an image and its own outputs to FOLDER
   (default: a temporary one).
2. torchvision (encoders), segmentation_models_pytorch (U-Net, U-Net++) and `reference/swin.py` (Swin-Unet, CS-UNet) load them with strict=True, and compute the
   outputs in float32 and float64: the table shows how far ours are from PyTorch's float64, and how far PyTorch's
   float32 is.
3. What PyTorch then saves (`torch.save`, `.pth`) the Rust side loads, and must give the same outputs to the bit.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import segmentation_models_pytorch as smp
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file

from reference.hashed import nhwc
from reference import swin
from reference.networks import stages

ROOT = pathlib.Path(__file__).parents[2]


def rust(test, folder):
    command = ["cargo", "test", "--release", "--quiet", "--test", "parity", test]
    environment = {**os.environ, "MATSSL_PARITY_OUT": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def build(config):
    """The network that the file's own metadata describes, and what its outputs are called."""
    encoder = config.get("encoder", config)
    if config.get("arch") == "swin-tiny" or config.get("architecture") in ("swin-unet", "cs-unet"):
        return build_swin(config)
    assert (encoder["width"], encoder["variant"]) == (64, "v1.5"), encoder
    if "encoder" not in config:
        network = getattr(torchvision.models, encoder["arch"])()
        network.fc = torch.nn.Identity()
        return network, lambda x: {f"feature{level}": f for level, f in enumerate(stages(network, x))}
    kind = {"unet": smp.Unet, "unet++": smp.UnetPlusPlus}[config.get("architecture", "unet++")]
    channels, classes = config["decoder_channels"], config["classes"]
    network = kind(encoder["arch"], encoder_weights=None, decoder_channels=channels, classes=classes)
    return network, lambda x: {"logits": network(x)}


def build_swin(config):
    """torchvision's Swin transformer, or the networks with a decoder of windows."""
    sizes = config.get("transformer") or config.get("encoder", config)
    options = [sizes[name] for name in ("width", "depths", "heads", "window")]
    if "architecture" not in config:
        network = swin.torchvision_swin(*options)
        network.head = torch.nn.Identity()

        def outputs(x):
            features = []
            for place, module in enumerate(network.features):
                x = module(x)
                features += [x] if place % 2 == 1 else []
            features[3] = network.norm(features[3])
            return {f"feature{level}": feature.permute(0, 3, 1, 2) for level, feature in enumerate(features)}

        return network, outputs
    options += [sizes["mlp"] == "residual", config["classes"]]
    if config["architecture"] == "swin-unet":
        network = swin.SwinUnet(*options)
    else:
        cnn = getattr(torchvision.models, config["encoder"]["arch"])()
        cnn.fc = torch.nn.Identity()
        network = swin.CsUnet(*options, cnn, lambda cnn, x: stages(cnn, x)[1:], (64, 128, 256, 512))
    return network, lambda x: {"feature0": network(x)}


def error(found, exact):
    return ((found.double() - exact).norm() / exact.norm()).item()


def check(path):
    saved = load_file(path)
    with safe_open(path, "pt") as file:
        network, outputs = build(json.loads(file.metadata()["config"]))
    if isinstance(network, torchvision.models.SwinTransformer):
        swin.load_strictly(network, saved, swin.torchvisions)
        saved = {swin.torchvisions(name): value for name, value in saved.items()}
    else:
        network.load_state_dict(saved, strict=True)
    for name, value in network.state_dict().items():
        assert name.endswith("relative_position_index") or saved[name].dtype == value.dtype, name
    network.eval()
    ours = load_file(path.with_suffix(".outputs.safetensors"))
    x = ours.pop("x").permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        single = {name: nhwc(value) for name, value in outputs(x).items()}
        # Encoders as zip files, the others as PyTorch wrote them before 1.6.
        is_zip = path.stem.startswith("resnet")
        torch.save(network.state_dict(), path.with_suffix(".pth"), _use_new_zipfile_serialization=is_zip)
        network.double()
        exact = {name: nhwc(value) for name, value in outputs(x.double()).items()}
    assert ours.keys() == exact.keys(), (ours.keys(), exact.keys())
    for name in exact:
        ours_off, theirs_off = error(ours[name], exact[name]), error(single[name], exact[name])
        print(f"| {path.stem} | {len(saved)} | {name} | {ours_off:.1e} | {theirs_off:.1e} | {ours_off / theirs_off:.2f} |")
        assert ours_off <= 2.0 * max(theirs_off, 2.0**-24), (path.stem, name)


def main(folder):
    torch.set_num_threads(1)
    rust("session_writes", folder)
    print("| file | tensors, loaded strictly | output | our error | PyTorch's | ratio |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    files = sorted(path for path in folder.glob("*.safetensors") if ".outputs" not in path.name)
    assert files, f"nothing was written to {folder}"
    for path in files:
        check(path)
    rust("session_reads", folder)
    print(f"\n{len(files)} .pth files that PyTorch saved load here and give the same outputs to the bit")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(pathlib.Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(pathlib.Path(temporary))
