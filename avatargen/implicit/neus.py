"""Sampling and rendering as AvatarCLIP does it (NeuS, arXiv:2106.10689, section 3): for comparison, not for speed.

Everything is in the unit frame. Even samples over two units of each ray, then rounds of importance samples from a
coarse guess of the surface; opacities from the distance and its slope at the middle of each section.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatargen.render.volume import weights_from_alphas

_FIRST_SHARPNESS = 64.0
_EIKONAL_REACH = 1.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Sections:
    """Sections along rays: where they begin, and how long they are."""

    starts: Float[Tensor, "rays n"]
    lengths: Float[Tensor, "rays n"]

    @property
    def middles(self) -> Float[Tensor, "rays n"]:
        """Their middles."""
        return self.starts + 0.5 * self.lengths


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendered:
    """What rays saw."""

    opacity: Float[Tensor, " rays"]
    style: Float[Tensor, "rays 3"]
    """Premultiplied by opacity, as `base` is."""
    base: Float[Tensor, "rays 3"]
    normal: Float[Tensor, "rays 3"]
    """Unit length; zero where nothing was seen."""
    eikonal: Float[Tensor, ""]
    """Mean squared deviation of the gradient's length from one, over samples near the unit ball."""


def ball_span(
    origins: Float[Tensor, "rays 3"], directions: Float[Tensor, "rays 3"]
) -> tuple[Float[Tensor, " rays"], Float[Tensor, " rays"]]:
    """One unit before and one behind the place nearest to the origin, not before the camera; unit directions."""
    middle = -(origins * directions).sum(-1)
    return (middle - 1.0).clamp_min(0.0), middle + 1.0


@torch.no_grad()
def sample_depths(
    distance: Callable[[Tensor], Tensor],
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    *,
    uniform: int,
    importance: int,
    rounds: int,
    generator: torch.Generator | None,
) -> Sections:
    """Where to look along each ray: `uniform + importance` sections.

    Args:
        distance: points [n, 3] to signed distances [n].
        origins: of the rays.
        directions: unit length.
        uniform: even samples.
        importance: further samples; a multiple of `rounds`.
        rounds: the surface is guessed anew in each.
        generator: shifts the even samples of each ray together, by up to half of their spacing; None: no shift.
    """
    near, far = ball_span(origins, directions)
    depth = near[:, None] + (far - near)[:, None] * torch.linspace(0, 1, uniform, device=near.device)
    if generator is not None:
        shift = torch.rand(len(near), 1, generator=generator, device=generator.device).to(near) - 0.5
        depth = depth + shift * 2.0 / uniform
    if importance and rounds:
        found = _along(distance, origins, directions, depth)
        for number in range(rounds):
            weights = _guess(origins, directions, depth, found, _FIRST_SHARPNESS * 2.0**number)
            more = _inverse(depth, weights, importance // rounds)
            order = torch.argsort(torch.cat([depth, more], dim=1), dim=1)
            depth = torch.cat([depth, more], dim=1).gather(1, order)
            if number + 1 < rounds:
                found = torch.cat([found, _along(distance, origins, directions, more)], dim=1).gather(1, order)
    last = torch.full_like(depth[:, :1], 2.0 / uniform)
    return Sections(starts=depth, lengths=torch.cat([depth[:, 1:] - depth[:, :-1], last], dim=1))


def _along(distance: Callable[[Tensor], Tensor], origins: Tensor, directions: Tensor, depth: Tensor) -> Tensor:
    points = origins[:, None] + depth[..., None] * directions[:, None]
    return distance(points.reshape(-1, 3)).view(depth.shape)


def _guess(origins: Tensor, directions: Tensor, depth: Tensor, found: Tensor, sharpness: float) -> Tensor:
    """Weights of the sections between samples, from the distances at their ends and the steeper slope of two."""
    radius = (origins[:, None] + depth[..., None] * directions[:, None]).norm(dim=-1)
    inside = (radius[:, :-1] < 1.0) | (radius[:, 1:] < 1.0)
    gap = depth[:, 1:] - depth[:, :-1]
    slope = (found[:, 1:] - found[:, :-1]) / (gap + 1e-5)
    before = torch.cat([torch.zeros_like(slope[:, :1]), slope[:, :-1]], dim=1)
    slope = torch.minimum(before, slope).clamp(-1e3, 0.0) * inside
    middle = 0.5 * (found[:, 1:] + found[:, :-1])
    return weights_from_alphas(section_alphas(middle, slope, gap, torch.as_tensor(sharpness).to(gap)))


def _inverse(depth: Tensor, weights: Tensor, count: int) -> Float[Tensor, "rays count"]:
    """Places at even shares of the cumulated weights."""
    share = weights + 1e-5
    cumulative = torch.cumsum(share / share.sum(1, keepdim=True), dim=1)
    cumulative = torch.cat([torch.zeros_like(cumulative[:, :1]), cumulative], dim=1)
    place = (torch.arange(count, device=depth.device) + 0.5) / count
    place = place.to(depth).expand(len(depth), count).contiguous()
    upper = torch.searchsorted(cumulative, place, right=True).clamp(1, depth.shape[1] - 1)
    low, high = cumulative.gather(1, upper - 1), cumulative.gather(1, upper)
    part = ((place - low) / (high - low).clamp_min(1e-5)).clamp(0.0, 1.0)
    return torch.lerp(depth.gather(1, upper - 1), depth.gather(1, upper), part)


def section_alphas(
    middle: Float[Tensor, "rays n"],
    slope: Float[Tensor, "rays n"],
    length: Float[Tensor, "rays n"],
    sharpness: Float[Tensor, ""],
) -> Float[Tensor, "rays n"]:
    """Opacity of sections (NeuS, equation 13) whose ends are reckoned from the distance in the middle and its slope."""
    enter = torch.sigmoid(sharpness * (middle - 0.5 * slope * length))
    leave = torch.sigmoid(sharpness * (middle + 0.5 * slope * length))
    # eps keeps 0/0 away deep inside, where both underflow.
    return ((enter - leave + 1e-5) / (enter + 1e-5)).clamp(0.0, 1.0)


def render_rays(
    look: Callable[[Tensor], tuple[Tensor, Tensor, Tensor, Tensor]],
    origins: Float[Tensor, "rays 3"],
    directions: Float[Tensor, "rays 3"],
    sections: Sections,
    sharpness: Float[Tensor, ""],
) -> Rendered:
    """Render along given sections; differentiable in whatever `look` learns and in the sharpness.

    Args:
        look: points [n, 3] to distance [n], gradient [n, 3], style and reconstruction [n, 3].
        origins: of the rays.
        directions: unit length.
        sections: from `sample_depths`.
        sharpness: inverse width of the surface.
    """
    shape = sections.starts.shape
    points = (origins[:, None] + sections.middles[..., None] * directions[:, None]).reshape(-1, 3)
    sdf, gradient, style, base = look(points)
    slope = -torch.relu(-(gradient.view(*shape, 3) * directions[:, None]).sum(-1))
    weights = weights_from_alphas(section_alphas(sdf.view(shape), slope, sections.lengths, sharpness))
    weighed = weights[..., None]
    normal = (weighed * gradient.view(*shape, 3)).sum(1)
    return Rendered(
        opacity=weights.sum(1),
        style=(weighed * style.view(*shape, 3)).sum(1),
        base=(weighed * base.view(*shape, 3)).sum(1),
        normal=torch.nn.functional.normalize(normal, dim=-1, eps=1e-6),
        eikonal=_eikonal(gradient, points.norm(dim=-1) < _EIKONAL_REACH),
    )


def _eikonal(gradient: Float[Tensor, "n 3"], near: Bool[Tensor, " n"]) -> Float[Tensor, ""]:
    away = ((gradient.square().sum(-1) + 1e-12).sqrt() - 1.0).square()
    return (away * near).sum() / (near.sum() + 1e-5)
