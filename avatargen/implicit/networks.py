"""The networks of AvatarCLIP's recipe (arXiv:2205.08535), which are NeuS' (arXiv:2106.10689): distance and two colors.

Points are in the unit frame of the recipe: the body lies within the unit ball. The distance network is an MLP over
sines and cosines of the point, with softplus in between and the encoding joined to the input of its last layer; its
gradient in the point comes from one more sweep through the same layers, written out, so that a loss on the gradient
costs no second forward pass. Every layer is weight-normalised. Nothing here depends on the direction of view.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

_BETA = 100.0


def encode_frequencies(points: Float[Tensor, "n 3"], octaves: int) -> Float[Tensor, "n c"]:
    """The point, then for each octave k the sines of `2^k x` and their cosines (NeRF, arXiv:2003.08934, equation 4).

    As in NeuS there is no factor pi. `c` is `3 + 6 octaves`.
    """
    scaled = [points * 2.0**k for k in range(octaves)]
    return torch.cat([points, *(wave for s in scaled for wave in (torch.sin(s), torch.cos(s)))], dim=1)


def pull_back_frequencies(
    grad: Float[Tensor, "n c"], points: Float[Tensor, "n 3"], octaves: int
) -> Float[Tensor, "n 3"]:
    """The gradient in the points of something whose gradient in their encoding is `grad`."""
    total = grad[:, :3]
    for k in range(octaves):
        scale, at = 2.0**k, 3 + 6 * k
        scaled = points * scale
        total = total + scale * (
            grad[:, at : at + 3] * torch.cos(scaled) - grad[:, at + 3 : at + 6] * torch.sin(scaled)
        )
    return total


class NormalisedLinear(nn.Module):
    """`x (g v / |v|)' + b`, each row of `v` with a length `g` of its own (weight normalisation, arXiv:1602.07868)."""

    def __init__(self, weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"]) -> None:
        super().__init__()
        self.length = nn.Parameter(weight.norm(dim=1))
        self.direction = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(bias.clone())

    def weight(self) -> Float[Tensor, "out in"]:
        """The matrix itself; differentiable."""
        return self.direction * (self.length / self.direction.norm(dim=1))[:, None]

    def forward(self, inputs: Float[Tensor, "n in"]) -> Float[Tensor, "n out"]:
        """Apply the layer."""
        return torch.nn.functional.linear(inputs, self.weight(), self.bias)


class SdfNetwork(nn.Module):
    """A point to its signed distance (unit frame, negative inside) and a feature; starts as a sphere.

    The start is the geometric one of SAL (arXiv:1911.10414) and IGR: hidden weights N(0, 2/out), nothing from sines and
    cosines, and a last layer that adds up what the layer before it found. The layer after a skip makes up for its
    1/sqrt(2), so that the start is the sphere of `radius` with a gradient of length one, on average.
    """

    def __init__(
        self, width: int, layers: int, skip: tuple[int, ...], octaves: int, radius: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.octaves, self.skip = octaves, frozenset(skip)
        if not self.skip <= set(range(1, layers + 1)):
            raise ValueError(f"the skip must be among layers 1 to {layers}, not {sorted(self.skip)}")
        encoded = 3 + 6 * octaves
        if width <= encoded and self.skip:
            raise ValueError(f"a layer {width} wide has no room for the {encoded} numbers of the encoding")
        widths = [encoded] + [width] * layers + [1 + width]
        made = []
        for number in range(layers + 1):
            fan_in, fan_out = widths[number], widths[number + 1]
            if number + 1 in self.skip:
                fan_out -= encoded
            made.append(self._first(number, fan_in, fan_out, encoded, layers, radius, generator))
        self.linears = nn.ModuleList(made)

    def _first(
        self, number: int, fan_in: int, fan_out: int, encoded: int, layers: int, radius: float, draws: torch.Generator
    ) -> NormalisedLinear:
        last, joined = number == layers, number in self.skip
        noise = torch.randn(fan_out, fan_in, generator=draws)
        if last:
            own = fan_in - encoded if joined else fan_in
            weight, bias = math.sqrt(math.pi / own) + 1e-4 * noise, torch.full((fan_out,), -radius)
        else:
            weight, bias = math.sqrt(2.0 / fan_out) * noise, torch.zeros(fan_out)
        if joined:
            weight = math.sqrt(2.0) * weight
        if number == 0:
            weight[:, 3:] = 0.0
        if joined:
            weight[:, -encoded:] = 0.0
        return NormalisedLinear(weight, bias)

    def forward(self, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, " n"], Float[Tensor, "n c"]]:
        """Distance and feature; differentiable in everything."""
        found, _ = self._sweep(points, keep=False)
        return found[:, 0], found[:, 1:]

    def distance(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Distance alone; differentiable in everything."""
        return self(points)[0]

    def with_gradient(
        self, points: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, " n"], Float[Tensor, "n c"], Float[Tensor, "n 3"]]:
        """Distance, feature, and the distance's gradient in the point; all three are differentiable in the weights."""
        found, before = self._sweep(points, keep=True)
        linears = self._layers()
        grad = linears[-1].weight()[:1].expand(len(points), -1)
        joined = torch.zeros_like(points[:, :1])
        encoded = 3 + 6 * self.octaves
        for number in range(len(linears) - 1, 0, -1):
            if number in self.skip:
                grad = grad / math.sqrt(2.0)
                joined, grad = joined + grad[:, -encoded:], grad[:, :-encoded]
            grad = (grad * torch.sigmoid(_BETA * before[number - 1])) @ linears[number - 1].weight()
        return found[:, 0], found[:, 1:], pull_back_frequencies(grad + joined, points, self.octaves)

    def _layers(self) -> list[NormalisedLinear]:
        return [layer for layer in self.linears if isinstance(layer, NormalisedLinear)]

    def _sweep(self, points: Tensor, *, keep: bool) -> tuple[Tensor, list[Tensor]]:
        """The last layer's output, and what the others gave before their softplus if `keep`."""
        encoded = encode_frequencies(points, self.octaves)
        linears, hidden, before = self._layers(), encoded, []
        for number, linear in enumerate(linears):
            if number in self.skip:
                hidden = torch.cat([hidden, encoded], dim=1) / math.sqrt(2.0)
            hidden = linear(hidden)
            if number < len(linears) - 1:
                if keep:
                    before.append(hidden)
                hidden = torch.nn.functional.softplus(hidden, beta=_BETA)
        return hidden, before


class ColorNetwork(nn.Module):
    """Point, normal and feature to two colors: the reconstruction's, and the style's by one more linear head."""

    def __init__(self, feature: int, width: int, layers: int, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [6 + feature] + [width] * layers
        self.hidden = nn.ModuleList(_drawn(fan_in, fan_out, generator) for fan_in, fan_out in pairwise(sizes))
        self.base = _drawn(sizes[-1], 3, generator)
        self.style = _drawn(sizes[-1], 3, generator)

    def forward(
        self, points: Float[Tensor, "n 3"], gradient: Float[Tensor, "n 3"], feature: Float[Tensor, "n c"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """Style and reconstruction, in 0..1."""
        inner = torch.cat([points, gradient, feature], dim=1)
        for layer in self.hidden:
            inner = torch.relu(layer(inner))
        return torch.sigmoid(self.style(inner)), torch.sigmoid(self.base(inner))


def _drawn(fan_in: int, fan_out: int, generator: torch.Generator) -> NormalisedLinear:
    """Uniform within one over the root of `fan_in`, as torch's own linear layers start."""
    limit = 1.0 / math.sqrt(fan_in)
    weight = limit * (2.0 * torch.rand(fan_out, fan_in, generator=generator) - 1.0)
    return NormalisedLinear(weight, limit * (2.0 * torch.rand(fan_out, generator=generator) - 1.0))
