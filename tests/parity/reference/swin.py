"""Swin, Swin-Unet and CS-UNet written out, as microsoft/Swin-Transformer, HuCaoFighting/Swin-Unet and the authors' CS-UNet
have them: structure, names and order of all sums. `check_against` holds the trunk to torchvision's and timm's."""

import torch
from torch import nn

EPSILON = 1e-5


def windows_of(x, window):
    """[batch * windows, window², channels] of [batch, height, width, channels]."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height // window, window, width // window, window, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, channels)


def image_of(windows, window, height, width):
    batch = windows.shape[0] // (height // window * (width // window))
    x = windows.view(batch, height // window, width // window, window, window, -1)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, height, width, -1)


class WindowAttention(nn.Module):
    def __init__(self, dim, window, heads):
        super().__init__()
        self.window, self.heads, self.scale = window, heads, (dim // heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        grid = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        relative = (grid[:, :, None] - grid[:, None, :]).permute(1, 2, 0) + window - 1
        self.index = relative[..., 0] * (2 * window - 1) + relative[..., 1]

    def forward(self, x, mask):
        count, tokens, channels = x.shape
        q, k, v = self.qkv(x).reshape(count, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q * self.scale) @ k.transpose(-2, -1)
        scores = scores + self.relative_position_bias_table[self.index].permute(2, 0, 1)
        if mask is not None:
            images = count // mask.shape[0]
            scores = scores.view(images, mask.shape[0], self.heads, tokens, tokens) + mask[:, None]
            scores = scores.view(count, self.heads, tokens, tokens)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(count, tokens, channels))


class Mlp(nn.Module):
    def __init__(self, dim, residual):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.fc3 = nn.Linear(dim, dim) if residual else None

    def forward(self, u):
        y = self.fc2(nn.functional.gelu(self.fc1(u)))
        return y if self.fc3 is None else self.fc3(nn.functional.gelu(y + u))


class Block(nn.Module):
    def __init__(self, dim, heads, window, shift, residual):
        super().__init__()
        self.window, self.shift, self.masks = window, shift, {}
        self.norm1, self.attn = nn.LayerNorm(dim, EPSILON), WindowAttention(dim, window, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, EPSILON), Mlp(dim, residual)

    def mask(self, height, width, shift, like):
        size = (height, width, like.dtype)
        if size not in self.masks:
            self.masks[size] = self.made_mask(height, width, shift, like)
        return self.masks[size]

    def made_mask(self, height, width, shift, like):
        regions = torch.zeros(1, height, width, 1, dtype=like.dtype)
        count = 0
        bands = (slice(0, -self.window), slice(-self.window, -shift), slice(-shift, None))
        for rows in bands:
            for columns in bands:
                regions[:, rows, columns] = count
                count += 1
        regions = windows_of(regions, self.window).squeeze(-1)
        apart = regions[:, None, :] != regions[:, :, None]
        return torch.where(apart, torch.tensor(-100.0, dtype=like.dtype), torch.tensor(0.0, dtype=like.dtype))

    def forward(self, x):
        height, width = x.shape[1:3]
        # Microsoft's reduces `window_size` where the map is not larger; the map must then be as large, for the table's sake.
        shift = 0 if min(height, width) <= self.window else self.shift
        y = self.norm1(x)
        y = torch.roll(y, (-shift, -shift), (1, 2)) if shift else y
        y = self.attn(windows_of(y, self.window), self.mask(height, width, shift, x) if shift else None)
        y = image_of(y, self.window, height, width)
        x = x + (torch.roll(y, (shift, shift), (1, 2)) if shift else y)
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj, self.norm = nn.Conv2d(3, dim, 4, 4), nn.LayerNorm(dim, EPSILON)

    def forward(self, x):
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.reduction, self.norm = nn.Linear(4 * dim, 2 * dim, bias=False), nn.LayerNorm(4 * dim, EPSILON)

    def forward(self, x):
        cells = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(cells, -1)))


def expanded(x, side):
    """einops: b h w (p1 p2 c) -> b (h p1) (w p2) c."""
    batch, height, width, channels = x.shape
    x = x.view(batch, height, width, side, side, channels // side**2).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height * side, width * side, channels // side**2)


class PatchExpand(nn.Module):
    def __init__(self, channels_in, expanded_to, side):
        super().__init__()
        self.side = side
        self.expand = nn.Linear(channels_in, expanded_to, bias=False)
        self.norm = nn.LayerNorm(expanded_to // side**2, EPSILON)

    def forward(self, x):
        return self.norm(expanded(self.expand(x), self.side))


class Layer(nn.Module):
    """Blocks, and what follows them."""

    def __init__(self, dim, depth, heads, window, residual, **after):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim, heads, window, window // 2 * (i % 2), residual) for i in range(depth))
        for name, module in after.items():
            setattr(self, name, module)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


class Swin(nn.Module):
    def __init__(self, width, depths, heads, window, residual):
        super().__init__()
        self.patch_embed = PatchEmbed(width)
        self.layers = nn.ModuleList()
        for stage, depth in enumerate(depths):
            dim = width << stage
            after = {"downsample": PatchMerging(dim)} if stage < 3 else {}
            self.layers.append(Layer(dim, depth, heads << stage, window, residual, **after))
        self.norm = nn.LayerNorm(8 * width, EPSILON)

    def both(self, image):
        """The inputs of all stages, and their outputs, the last one after the norm."""
        x, inputs, outputs = self.patch_embed(image), [], []
        for layer in self.layers:
            inputs.append(x)
            x = layer(x)
            outputs.append(x)
            x = layer.downsample(x) if hasattr(layer, "downsample") else self.norm(x)
        return inputs, outputs[:3] + [x]

    def forward(self, image):
        return self.both(image)[1]


class Decoder(nn.Module):
    def __init__(self, width, depths, heads, window, residual, classes, beside=(0, 0, 0, 0)):
        super().__init__()
        self.layers_up = nn.ModuleList([PatchExpand(8 * width + beside[3], 16 * width, 2)])
        self.concat_back_dim = nn.ModuleList([nn.Identity()])
        for stage in (2, 1, 0):
            dim = width << stage
            after = {"upsample": PatchExpand(dim, 2 * dim, 2)} if stage > 0 else {}
            self.layers_up.append(Layer(dim, depths[stage], heads << stage, window, residual, **after))
            self.concat_back_dim.append(nn.Linear(2 * dim + beside[stage], dim))
        self.norm_up = nn.LayerNorm(width, EPSILON)
        self.up = PatchExpand(width, 16 * width, 4)
        self.output = nn.Conv2d(width, classes, 1, bias=False)

    def forward(self, deepest, skips, beside):
        tokens = [[feature.permute(0, 2, 3, 1)] if feature is not None else [] for feature in beside]
        y = self.layers_up[0](torch.cat([deepest, *tokens[3]], -1))
        for level, layer in list(enumerate(self.layers_up))[1:]:
            stage = 3 - level
            y = layer(self.concat_back_dim[level](torch.cat([y, skips[stage], *tokens[stage]], -1)))
            y = layer.upsample(y) if hasattr(layer, "upsample") else y
        return self.output(self.up(self.norm_up(y)).permute(0, 3, 1, 2))


class SwinUnet(nn.Module):
    """Encoder and decoder share one level of names."""

    def __init__(self, width, depths, heads, window, residual, classes):
        super().__init__()
        swin = Swin(width, depths, heads, window, residual)
        decoder = Decoder(width, depths, heads, window, residual, classes)
        for part in (swin, decoder):
            for name, module in part.named_children():
                setattr(self, name, module)
        # Plain attributes: their parameters are counted once.
        object.__setattr__(self, "swin", swin)
        object.__setattr__(self, "decode", decoder)

    def forward(self, image):
        inputs, outputs = self.swin.both(image)
        return self.decode(outputs[3], inputs[:3], [None] * 4)


class CsUnet(nn.Module):
    """`cnn` gives features at the strides 4, 8, 16 and 32 by `stages(cnn, image)`."""

    def __init__(self, width, depths, heads, window, residual, classes, cnn, stages, beside):
        super().__init__()
        self.encoder = Swin(width, depths, heads, window, residual)
        self.cnn = nn.Module()
        self.cnn.cnn_encoder = cnn
        self.stages = stages
        self.decoder = Decoder(width, depths, heads, window, residual, classes, beside)

    def forward(self, image):
        inputs, outputs = self.encoder.both(image)
        return self.decoder(outputs[3], inputs[:3], self.stages(self.cnn.cnn_encoder, image))


def torchvisions(name):
    """The name in torchvision's `swin_t` of a tensor of the trunk."""
    name = name.replace("patch_embed.proj.", "features.0.0.").replace("patch_embed.norm.", "features.0.2.")
    parts = name.split(".")
    if parts[0] == "layers":
        place = 2 * int(parts[1]) + (1 if parts[2] == "blocks" else 2)
        parts = ["features", str(place), *parts[3:]]
    return ".".join(parts).replace("mlp.fc1", "mlp.0").replace("mlp.fc2", "mlp.3")


def timms(name):
    """The name in timm's (0.9 or later), where patches are merged at the beginning of a stage."""
    parts = name.split(".")
    if parts[0] == "layers" and parts[2] == "downsample":
        parts[1] = str(int(parts[1]) + 1)
    return ".".join(parts)


def load_strictly(theirs, state, rename):
    """Loads all tensors of `state` into `theirs`; indices and masks, which are computed, are its own."""
    renamed = {rename(name): value for name, value in state.items()}
    computed = ("relative_position_index", "attn_mask", "head.weight", "head.bias", "head.fc.weight", "head.fc.bias")
    own = {name: value for name, value in theirs.state_dict().items() if name.endswith(computed)}
    theirs.load_state_dict({**own, **renamed}, strict=True)
    return theirs


def torchvision_swin(width, depths, heads, window):
    import torchvision

    return torchvision.models.SwinTransformer(
        [4, 4], width, list(depths), [heads << stage for stage in range(4)], [window, window], stochastic_depth_prob=0.0
    )


def check_against(width, depths, heads, window, side):
    """Differences of the trunk's output from torchvision's and timm's, same weights; and how many values there are."""
    import timm

    ours = Swin(width, depths, heads, window, False).double().eval()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.1)
    image = torch.randn(2, 3, side, side, dtype=torch.float64)
    vision = load_strictly(torchvision_swin(width, depths, heads, window).double().eval(), ours.state_dict(), torchvisions)
    other = timm.models.swin_transformer.SwinTransformer(
        img_size=side, patch_size=4, window_size=window, embed_dim=width, depths=tuple(depths),
        num_heads=tuple(heads << stage for stage in range(4)), drop_path_rate=0.0,
    ).double().eval()  # fmt: skip
    other = load_strictly(other, ours.state_dict(), timms)
    with torch.no_grad():
        found = ours(image)[3]
        expected = [vision.norm(vision.features(image)), other.forward_features(image)]
    count = sum(parameter.numel() for parameter in ours.parameters())
    return [((found - theirs).norm() / theirs.norm()).item() for theirs in expected], count


if __name__ == "__main__":
    torch.manual_seed(0)
    print("Swin-T at 224², window 7:", check_against(96, (2, 2, 6, 2), 3, 7, 224))
    print("narrow at 256², window 8:", check_against(24, (2, 1, 2, 2), 3, 8, 256))
    unet = SwinUnet(96, (2, 2, 2, 2), 3, 7, False, 9)
    print("Swin-Unet, nine classes:", sum(parameter.numel() for parameter in unet.parameters()))
