"""OpenAI's CLIP (Radford et al. 2021, arXiv:2103.00020), written from its description: two towers, nothing else.

Parameter names follow OpenAI's state dicts, so their weights load unchanged; sizes are read off the weights.
"""

import math
import re
from collections.abc import Mapping

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn import functional

from avatargen.core.errors import BrokenFileError

HEAD_WIDTH = 64
"""Channels per attention head in every published model."""


class Mlp(nn.Module):
    """Two layers with x * sigmoid(1.702 x) between them ("QuickGELU")."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        hidden = self.c_fc(x)
        return self.c_proj(hidden * torch.sigmoid(1.702 * hidden))


class Attention(nn.Module):
    """Multi-head self attention; weights as in `torch.nn.MultiheadAttention`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b n w"], causal: bool) -> Float[Tensor, "b n w"]:
        """Every token looks at all tokens, or with `causal` only at earlier ones and itself."""
        batch, count, width = x.shape
        mixed = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = mixed.reshape(batch, count, 3, width // HEAD_WIDTH, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(seen.transpose(1, 2).reshape(batch, count, width))


class Block(nn.Module):
    """Attention and MLP, each behind a layer norm and around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = Attention(width)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = Mlp(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        """Same shape as `x`."""
        x = x + self.attn(self.ln_1(x), causal)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """A stack of blocks."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width) for _ in range(layers))

    def forward(self, x: Float[Tensor, "b n w"], causal: bool = False) -> Float[Tensor, "b n w"]:
        """Same shape as `x`."""
        for block in self.resblocks:
            x = block(x, causal)
        return x


class VisionTransformer(nn.Module):
    """Patches and a class token through a transformer."""

    def __init__(self, resolution: int, patch: int, width: int, layers: int, features: int) -> None:
        super().__init__()
        self.resolution = resolution
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty((resolution // patch) ** 2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, layers)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, features))

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Features of normalised images of side `resolution`."""
        patches = self.conv1(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.to(patches.dtype).expand(len(images), 1, -1)
        x = torch.cat([first, patches], dim=1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x))
        return self.ln_post(x[:, 0]) @ self.proj


class Bottleneck(nn.Module):
    """Residual block whose stride is an average pool, after the second convolution and in the shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride > 1 or before != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(before, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """[b, before, h, w] to [b, 4 width, h / stride, w / stride]."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        if self.stride > 1:
            x, y = functional.avg_pool2d(x, self.stride), functional.avg_pool2d(y, self.stride)
        shortcut = x if self.downsample is None else self.downsample(x)
        return functional.relu(self.bn3(self.conv3(y)) + shortcut)


class AttentionPool(nn.Module):
    """One attention layer whose query is the mean of all places."""

    def __init__(self, side: int, width: int, features: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.empty(side**2 + 1, width))
        self.k_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, features)

    def forward(self, x: Float[Tensor, "b w s s"]) -> Float[Tensor, "b d"]:
        """One row per image."""
        places = x.flatten(2).transpose(1, 2)
        places = torch.cat([places.mean(1, keepdim=True), places], dim=1) + self.positional_embedding

        def heads(y: Tensor) -> Tensor:
            return y.reshape(*y.shape[:2], -1, HEAD_WIDTH).transpose(1, 2)

        seen = functional.scaled_dot_product_attention(
            heads(self.q_proj(places[:, :1])), heads(self.k_proj(places)), heads(self.v_proj(places))
        )
        return self.c_proj(seen.transpose(1, 2).reshape(len(x), -1))


class ModifiedResNet(nn.Module):
    """CLIP's ResNet: three stem convolutions, average-pooled strides, attention pooling."""

    def __init__(self, resolution: int, blocks: tuple[int, ...], width: int, features: int) -> None:
        super().__init__()
        self.resolution = resolution
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        before = width
        for number, count in enumerate(blocks):
            inner = width * 2**number
            stride = 1 if number == 0 else 2
            layer = [Bottleneck(before if i == 0 else 4 * inner, inner, stride if i == 0 else 1) for i in range(count)]
            self.add_module(f"layer{number + 1}", nn.Sequential(*layer))
            before = 4 * inner
        self.attnpool = AttentionPool(resolution // 32, before, features)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Features of normalised images of side `resolution`."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = functional.relu(self.bn3(self.conv3(x)))
        x = functional.avg_pool2d(x, 2)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(self, name)(x)
        return self.attnpool(x)


class Clip(nn.Module):
    """Both towers; features are not normalised."""

    def __init__(
        self, visual: VisionTransformer | ModifiedResNet, vocabulary: int, context: int, width: int, layers: int
    ) -> None:
        super().__init__()
        features = (
            visual.proj.shape[1] if isinstance(visual, VisionTransformer) else visual.attnpool.c_proj.out_features
        )
        self.visual = visual
        self.transformer = Transformer(width, layers)
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.empty(context, width))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, features))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def encode_image(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d"]:
        """Features of normalised images of side `visual.resolution`."""
        return self.visual(images)

    def encode_text(self, tokens: Integer[Tensor, "b n"]) -> Float[Tensor, "b d"]:
        """Features at the end-of-text token, which has the highest number of all."""
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        x = self.ln_final(self.transformer(x, causal=True))
        return x[torch.arange(len(x), device=x.device), tokens.argmax(-1)] @ self.text_projection


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len({match.group(1) for key in state if (match := re.match(pattern, key))})


def build_clip(state: Mapping[str, Tensor], source: str) -> Clip:
    """The model whose weights `state` holds, in float32, frozen.

    Raises:
        BrokenFileError: keys or shapes are not those of a CLIP model; names `source` and the key.
    """
    tensors = {key: value for key, value in state.items() if key not in _NOT_WEIGHTS}
    for key in ("text_projection", "positional_embedding", "token_embedding.weight", "ln_final.weight"):
        if key not in tensors:
            raise BrokenFileError(
                f"{source} is not a CLIP model in OpenAI's layout: {key!r} is missing\n"
                f"  It has {len(tensors)} tensors: {', '.join(list(tensors)[:4]) or 'none'} ..."
            )
    try:
        with torch.device("meta"):
            model = _empty(tensors)
    except (KeyError, ValueError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise BrokenFileError(f"{source} is not a CLIP model in OpenAI's layout: {error}") from error
    expected = model.state_dict()
    _check_shapes(tensors, expected, source)
    model.load_state_dict({k: v.to(expected[k].dtype) for k, v in tensors.items()}, assign=True)
    return model.eval().requires_grad_(False)


_NOT_WEIGHTS = frozenset({"input_resolution", "context_length", "vocab_size"})
"""Numbers that OpenAI's archives store among the weights."""


def _check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    for key, value in expected.items():
        if key not in tensors:
            raise BrokenFileError(f"{source}: {key!r} is missing")
        if tensors[key].shape != value.shape:
            raise BrokenFileError(f"{source}: {key!r} is {tuple(tensors[key].shape)}, expected {tuple(value.shape)}")
        if value.is_floating_point() and not bool(torch.isfinite(tensors[key]).all()):
            raise BrokenFileError(f"{source}: {key!r} holds numbers that are not finite")
    for key in tensors:
        if key not in expected:
            raise BrokenFileError(f"{source}: {key!r} belongs to no CLIP model of OpenAI's")


def _empty(state: Mapping[str, Tensor]) -> Clip:
    """The model of the right sizes, without values."""
    width, features = state["text_projection"].shape
    layers = _count(state, r"transformer\.resblocks\.(\d+)\.")
    if "visual.proj" in state:
        inner, _, patch, _ = state["visual.conv1.weight"].shape
        side = math.isqrt(state["visual.positional_embedding"].shape[0] - 1)
        deep = _count(state, r"visual\.transformer\.resblocks\.(\d+)\.")
        visual = VisionTransformer(side * patch, patch, inner, deep, features)
    else:
        inner = state["visual.layer1.0.conv1.weight"].shape[0]
        side = math.isqrt(state["visual.attnpool.positional_embedding"].shape[0] - 1)
        blocks = tuple(_count(state, rf"visual\.layer{n}\.(\d+)\.") for n in (1, 2, 3, 4))
        visual = ModifiedResNet(side * 32, blocks, inner, features)
    vocabulary, context = state["token_embedding.weight"].shape[0], state["positional_embedding"].shape[0]
    return Clip(visual, vocabulary, context, width, layers)
