"""What pytorch_side.py takes from segmentation_models_pytorch 0.5 and lightly, for machines that lack them: the same
functions, modules and parameter names, with no more work than theirs.

    python pytorch_fallback.py      compares them with theirs, where they are installed
"""
import torch
import torch.nn.functional as F
from torch import nn


def convolution(channels_in, channels_out):
    conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class Block(nn.Module):
    """Upsampling, concatenation with the skips, two convolutions."""

    def __init__(self, below, skips, channels_out):
        super().__init__()
        self.conv1 = convolution(below + skips, channels_out)
        self.conv2 = convolution(channels_out, channels_out)

    def forward(self, x, skip=None):
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], 1)
        return self.conv2(self.conv1(x))


class UnetPlusPlusDecoder(nn.Module):
    """`x_{depth}_{layer}`: layer counts from the deepest up, depth from the decoder's own diagonal (0) towards the
    encoder. Each block takes what lies below it and all of its row that lies before it, the encoder's feature last."""

    def __init__(self, encoder_channels, decoder_channels):
        super().__init__()
        deepest, *skips = encoder_channels[:0:-1]
        below = [deepest] + decoder_channels[:-1]
        self.layers = len(skips)
        blocks = {}
        for layer, skip in enumerate(skips):
            blocks[f"x_0_{layer}"] = Block(below[layer], skip * (layer + 1), decoder_channels[layer])
            for depth in range(1, layer + 1):
                blocks[f"x_{depth}_{layer}"] = Block(skips[layer - 1], skip * (layer + 1 - depth), skip)
        blocks[f"x_0_{self.layers}"] = Block(below[-1], 0, decoder_channels[-1])
        self.blocks = nn.ModuleDict(blocks)

    def forward(self, features):
        deepest, *skips = features[:0:-1]
        # found[depth]: what the block x_{depth}_{layer} made, for the present layer.
        found = []
        for layer, skip in enumerate(skips):
            below, found, row = found, [None] * (layer + 1), [skip]
            for depth in range(layer, -1, -1):
                x = below[depth] if depth < layer else (deepest if layer == 0 else skips[layer - 1])
                found[depth] = self.blocks[f"x_{depth}_{layer}"](x, torch.cat(row, 1) if len(row) > 1 else row[0])
                row = [found[depth]] + row
        return self.blocks[f"x_0_{self.layers}"](found[0])


class SegmentationHead(nn.Sequential):
    def __init__(self, channels_in, classes, kernel_size):
        super().__init__(nn.Conv2d(channels_in, classes, kernel_size, padding=kernel_size // 2))


class DiceLoss(nn.Module):
    def __init__(self, mode, from_logits):
        super().__init__()
        assert mode == "multiclass" and from_logits

    def forward(self, logits, target):
        """Logits [batch, classes, height, width], target [batch, height, width]."""
        p = logits.softmax(1)
        t = F.one_hot(target, logits.size(1)).permute(0, 3, 1, 2)
        dims = (0, 2, 3)
        count = t.sum(dims)
        score = 2 * (p * t).sum(dims) / (p.sum(dims) + count).clamp_min(1e-7)
        return ((1 - score) * (count > 0)).mean()


class NTXentLoss(nn.Module):
    def __init__(self, temperature):
        super().__init__()
        self.temperature = temperature

    def forward(self, first, second):
        """Embeddings [batch, dimensions] of two views."""
        pairs = len(first)
        all = F.normalize(torch.cat([first, second]), dim=1)
        similarity = all @ all.T / self.temperature
        similarity.fill_diagonal_(-torch.inf)
        partner = torch.arange(2 * pairs, device=all.device).roll(pairs)
        return F.cross_entropy(similarity, partner)


def check():
    """Equal weights, equal inputs: outputs, losses and gradients in float64."""
    from lightly.loss import NTXentLoss as Lightlys
    from segmentation_models_pytorch.base import SegmentationHead as SmpsHead
    from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder as Smps
    from segmentation_models_pytorch.losses import DiceLoss as SmpsDice
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)

    def same(what, ours, theirs, inputs, ours_inputs=None):
        """Values and gradients of Σ value · seed."""
        assert ours.shape == theirs.shape, what
        seed = torch.randn_like(ours)
        pairs = [(ours, theirs)] + list(zip(torch.autograd.grad(ours, ours_inputs or inputs, seed),
                                            torch.autograd.grad(theirs, inputs, seed)))
        worst = max(((a - b).norm() / b.norm()).item() for a, b in pairs)
        assert worst < 1e-9, (what, worst)
        print(f"{what}: {len(pairs)} tensors, worst relative difference {worst:.1e}")

    for channels, decoder, size in [
        ([3, 64, 256, 512, 1024, 2048], [256, 128, 64, 32, 16], 64),
        ([3, 16, 16, 32, 64, 128], [64, 48, 32, 16, 16], 96),
    ]:
        theirs, ours = Smps(encoder_channels=channels, decoder_channels=decoder), UnetPlusPlusDecoder(channels, decoder)
        ours.load_state_dict(theirs.state_dict(), strict=True)
        count = sum(p.numel() for p in ours.parameters())
        assert count == sum(p.numel() for p in theirs.parameters())
        features = [torch.randn(2, c, size >> level, size >> level, requires_grad=level > 0)
                    for level, c in enumerate(channels)]
        inputs = features[1:] + list(theirs.parameters())
        ours_inputs = features[1:] + list(ours.parameters())
        same(f"decoder, {count} parameters", ours(features), theirs(features), inputs, ours_inputs)
    theirs, ours = SmpsHead(16, 5, kernel_size=3), SegmentationHead(16, 5, kernel_size=3)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 16, 32, 32, requires_grad=True)
    same("head", ours(x), theirs(x), [x])
    logits = torch.randn(3, 5, 16, 24, requires_grad=True)
    # Class 4 is absent.
    target = torch.randint(0, 4, (3, 16, 24))
    make = dict(mode="multiclass", from_logits=True)
    same("Dice", DiceLoss(**make)(logits, target), SmpsDice(**make)(logits, target), [logits])
    views = [torch.randn(16, 128, requires_grad=True) for _ in range(2)]
    same("NT-Xent", NTXentLoss(0.07)(*views), Lightlys(0.07)(*views), views)


if __name__ == "__main__":
    check()
