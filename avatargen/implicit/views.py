"""Which views an avatar is looked at from while it is optimised: the guidance's own, jittered, in a fixed order."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.guidance.views import random_view
from avatargen.render.cameras import Cameras, orbit, stack_cameras

ORDER: tuple[str, ...] = (
    "body", "back", "upper", "face",
    "body", "back", "lower", "feet",
    "body", "back", "upper", "face",
    "body", "back", "lower", "hands",
)  # fmt: skip
"""The views, by their names in `avatargen.guidance.prompts`, in the order in which steps take them."""


def step_views(step: int, count: int, order: Sequence[str] = ORDER) -> tuple[str, ...]:
    """The views of a step; steps go round `order`."""
    return tuple(order[(step * count + number) % len(order)] for number in range(count))


def step_cameras(
    names: tuple[str, ...], joints: Float[Tensor, "24 3"], size: int, generator: torch.Generator
) -> tuple[tuple[str, ...], Cameras]:
    """One jittered camera for each view, and the names that suit what they see after jittering."""
    views = [random_view(name, joints, generator) for name in names]
    cameras = [
        orbit(view.azimuth_deg, view.elevation_deg, view.distance, view.target, view.fov_deg, size) for view in views
    ]
    return tuple(view.name for view in views), stack_cameras(cameras)
