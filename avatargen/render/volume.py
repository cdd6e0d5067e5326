"""Turn signed distances along rays into weights and colors (NeuS, arXiv:2106.10689, equations 10 to 13).

Distances are taken at the *edges* of the intervals along a ray, so they outnumber the intervals by one; they are
negative inside. Everything is differentiable in distances, sharpness and values, and works in any precision.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def log_survival(sdf: Float[Tensor, "rays edges"], sharpness: Float[Tensor, ""]) -> Float[Tensor, "rays edges-1"]:
    """Logarithm of the share of light that passes each interval, at most zero.

    NeuS (13): `alpha = max((F(f_i) - F(f_i+1)) / F(f_i), 0)` with `F(f) = sigmoid(sharpness f)`, hence
    `1 - alpha = min(F(f_i+1) / F(f_i), 1)`. Taken in logarithms nothing underflows, however deep inside.
    """
    level = torch.nn.functional.logsigmoid(sharpness * sdf)
    return (level[:, 1:] - level[:, :-1]).clamp_max(0.0)


def alphas_from_sdf(sdf: Float[Tensor, "rays edges"], sharpness: Float[Tensor, ""]) -> Float[Tensor, "rays edges-1"]:
    """Opacity of each interval, 0..1; zero where a ray leaves the surface."""
    return -torch.expm1(log_survival(sdf, sharpness))


def weights_from_sdf(sdf: Float[Tensor, "rays edges"], sharpness: Float[Tensor, ""]) -> Float[Tensor, "rays edges-1"]:
    """Chance that a ray ends in each interval; unbiased, aware of occlusion, sums to at most one."""
    passed = log_survival(sdf, sharpness)
    reached = torch.cumsum(passed, dim=1) - passed
    return torch.exp(reached) * -torch.expm1(passed)


def weights_from_alphas(alphas: Float[Tensor, "rays n"]) -> Float[Tensor, "rays n"]:
    """Chance that a ray ends in each interval, from opacities; sums to at most one."""
    passed = torch.cumprod(1.0 - alphas, dim=1)
    return alphas * torch.cat([torch.ones_like(passed[:, :1]), passed[:, :-1]], dim=1)


def composite(
    weights: Float[Tensor, "rays n"],
    values: Float[Tensor, "rays n c"],
    background: Float[Tensor, "rays c"] | None = None,
) -> Float[Tensor, "rays c"]:
    """Weighted sum of values; what is left of the light comes exactly from `background`."""
    total = (weights[..., None] * values).sum(1)
    if background is None:
        return total
    return total + (1.0 - weights.sum(1, keepdim=True)) * background


def sample_edges(
    edges: Float[Tensor, "rays m"],
    weights: Float[Tensor, "rays m-1"],
    count: int,
    offset: Float[Tensor, " rays"] | None = None,
    margin: float = 0.002,
) -> Float[Tensor, "rays count"]:
    """`count` increasing distances, dense where `weights` are high (inverse of their cumulative share).

    `offset` in -0.5..0.5 shifts each ray's inner places by that part of their spacing. The share `margin` of the
    weights is left out at both ends: it may lie far from the rest and would make the outer intervals long.
    """
    share = weights + 1e-12
    cumulative = torch.cat([torch.zeros_like(share[:, :1]), torch.cumsum(share, dim=1)], dim=1)
    cumulative = cumulative / cumulative[:, -1:]
    place = torch.linspace(margin, 1.0 - margin, count, dtype=edges.dtype, device=edges.device)
    place = place.expand(len(edges), count)
    if offset is not None:
        inner = place[:, 1:-1] + offset[:, None] / (count - 1)
        place = torch.cat([place[:, :1], inner.clamp(margin, 1.0 - margin), place[:, -1:]], dim=1)
    place = place.contiguous()
    upper = torch.searchsorted(cumulative, place, right=True).clamp(1, edges.shape[1] - 1)
    low, high = cumulative.gather(1, upper - 1), cumulative.gather(1, upper)
    part = ((place - low) / (high - low).clamp_min(1e-9)).clamp(0.0, 1.0)
    return torch.lerp(edges.gather(1, upper - 1), edges.gather(1, upper), part)


def significant(weights: Float[Tensor, "rays n"], share: float = 0.01) -> Bool[Tensor, "rays n"]:
    """Where a color can still matter: all that is left out of a ray weighs less than `share`."""
    return weights.detach() > share / weights.shape[1]


def eikonal_loss(gradients: Float[Tensor, "n 3"]) -> Float[Tensor, ""]:
    """Mean squared deviation of the gradient's length from one: a distance field has none."""
    return ((gradients.square().sum(-1) + 1e-12).sqrt() - 1.0).square().mean()
