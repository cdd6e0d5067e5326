"""Rays through distance fields: where they enter a box, and where along them a surface may be."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

DistanceFunction = Callable[[Tensor], Tensor]
"""Points [n, 3] to signed distances [n], negative inside."""


def box_span(
    origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"], bounds: Float[Tensor, "2 3"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Where rays enter and leave an axis-aligned box; they miss it where near >= far. Near is at least zero."""
    inverse = 1.0 / torch.where(directions.abs() < 1e-9, torch.full_like(directions, 1e-9), directions)
    first, second = (bounds[0] - origins) * inverse, (bounds[1] - origins) * inverse
    near = torch.minimum(first, second).amax(-1).clamp_min(0.0)
    return near, torch.maximum(first, second).amin(-1)


@dataclass(frozen=True, eq=False)
class Trace:
    """The places a march stopped at, in order, with the distances found there."""

    depth: Float[Tensor, "n steps"]
    """Distance along the unit ray; repeats the last place once a ray is done."""
    sdf: Float[Tensor, "n steps"]


@torch.no_grad()
def march(
    sdf: DistanceFunction,
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    near: Float[Tensor, " n"],
    far: Float[Tensor, " n"],
    steps: int,
    least: float,
    shrink: float = 0.9,
) -> Trace:
    """Sphere-trace, but never stop short: steps of `shrink * |sdf|`, at least `least`, until deep inside or past `far`.

    A ray that grazes a surface slows down there and goes on, so that the places show grazes as well as hits.
    Rays end where the distance falls below `-5 least`. `directions` must have unit length.
    """
    count = len(origins)
    depth = near.new_empty(count, steps)
    found = near.new_empty(count, steps)
    t, alive = near.clone(), torch.arange(count, device=near.device)
    last = torch.full_like(t, float("inf"))
    for step in range(steps):
        if len(alive):
            here = t[alive]
            value = sdf(origins[alive] + here[:, None] * directions[alive])
            last[alive] = value
            depth[:, step], found[:, step] = t, last
            ahead = here + (value.abs() * shrink).clamp_min(least)
            going = (value > -5.0 * least) & (ahead < far[alive])
            t[alive] = torch.where(going, ahead, here)
            alive = alive[going]
        else:
            depth[:, step], found[:, step] = t, last
    return Trace(depth, found)
