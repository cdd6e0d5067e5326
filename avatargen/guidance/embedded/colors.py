"""Colors as vectors whose dot product is a smooth bump around a color, with a pull that reaches across the gamut.

The kernel is a sum over the axes of CIE Lab of one-dimensional periodic kernels (a few harmonics of cosines and
sines, the spectrum a mixture of Gaussians), so it has one maximum and no side lobes to get stuck in: its gradient in
a pixel always points to the asked color. The constant harmonic is left out; far colors have negative similarity.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

_PERIOD = 520.0
"""Longer than twice the widest difference along an axis, so that no color is near its own echo."""
_HARMONICS = 12
_WIDTHS = ((20.0, 0.4), (50.0, 0.3), (120.0, 0.3))
"""Standard deviations in Lab units, and their shares."""
_AXES = ((1.7, 0.34), (1.0, 0.33), (1.0, 0.33))
"""Scale and share of L, a and b. L spans 100 units where a and b span 200."""

COLOR_WIDTH = len(_AXES) * 2 * _HARMONICS
"""Length of a color's vector."""


def lab_from_srgb(images: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """CIE Lab (D65) of sRGB values in 0..1; differentiable, with a bounded slope near black."""
    rgb = images.clamp(0.0, 1.0)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)
    matrix = linear.new_tensor(
        [
            [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883],
        ]
    )
    xyz = linear @ matrix.T
    low = 216.0 / 24389.0
    f = torch.where(xyz > low, xyz.clamp_min(low) ** (1 / 3), (24389.0 / 27.0 * xyz + 16.0) / 116.0)
    x, y, z = f.unbind(-1)
    return torch.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], dim=-1)


def _spectrum() -> list[float]:
    base = 2 * math.pi / _PERIOD
    power = [
        sum(share * width * math.exp(-0.5 * (k * base * width) ** 2) for width, share in _WIDTHS)
        for k in range(1, _HARMONICS + 1)
    ]
    return [p / sum(power) for p in power]


_SPECTRUM = _spectrum()


def color_features(lab: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 72"]:
    """Unit vectors of Lab colors."""
    base = 2 * math.pi / _PERIOD
    parts = []
    for axis, (scale, share) in enumerate(_AXES):
        angle = (base * scale) * lab[..., axis]
        for k, power in enumerate(_SPECTRUM, start=1):
            weight = math.sqrt(share * power)
            parts += [weight * torch.cos(k * angle), weight * torch.sin(k * angle)]
    return torch.stack(parts, dim=-1)


def features_of_srgb(color: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 72"]:
    """Unit vectors of sRGB colors in 0..1."""
    return color_features(lab_from_srgb(color))
