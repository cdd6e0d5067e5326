"""The same motion calmer or livelier: joints swing less or farther about their mean, and sooner or later."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.rotations import (
    angle_between,
    axis_angle_from_matrix,
    matrix_from_6d,
    matrix_from_axis_angle,
    sixd_from_matrix,
)
from motiongen.motion_features import Clip

_WIDEST = (0.6, 1.25)
"""Bounds of how much farther joints may swing; tempo does the rest."""
_SNAP = math.radians(60.0)


def livelier(clip: Clip, factor: float) -> Clip:
    """A clip whose joints move `factor` times as fast: by its root farther, and by the rest sooner.

    It is shorter or longer than the clip. Where the pelvis goes grows with the swing; how it turns does not.
    """
    if factor == 1.0:
        return clip
    wider = min(_WIDEST[1], max(_WIDEST[0], factor**0.5))
    body = _wider(clip.rotations[:, :, 1:], wider)
    way = clip.root - clip.root[:, :1]
    # Height stays: knees that bend farther would otherwise hang in the air; the floor is found later.
    root = clip.root + (wider - 1.0) * way * torch.tensor([1.0, 0.0, 1.0])
    wide = Clip(rotations=torch.cat((clip.rotations[:, :, :1], body), dim=2), root=root, contacts=clip.contacts)
    frames = clip.root.shape[1]
    count = max(8, round((frames - 1) * wider / factor) + 1)
    return retimed(wide, torch.linspace(0.0, frames - 1.0, count))


def _wider(rotations: Float[Tensor, "b t j 3 3"], by: float) -> Float[Tensor, "b t j 3 3"]:
    """Rotations about their mean over time, turned `by` times as far from it."""
    mean = matrix_from_6d(sixd_from_matrix(rotations).mean(1, keepdim=True))
    away = axis_angle_from_matrix(mean.transpose(-1, -2) @ rotations)
    return mean @ matrix_from_axis_angle(by * away)


def retimed(clip: Clip, times: Float[Tensor, " n"]) -> Clip:
    """The clip at fractional frame numbers within it."""
    frames = clip.root.shape[1]
    low = times.floor().long().clamp(0, frames - 1)
    high, share = (low + 1).clamp_max(frames - 1), times - low

    def at(values: Tensor) -> Tensor:
        part = share.view(1, -1, *[1] * (values.dim() - 2))
        return values[:, low] + part * (values[:, high] - values[:, low])

    rotations = matrix_from_6d(sixd_from_matrix(at(clip.rotations)))
    return Clip(rotations=rotations, root=at(clip.root), contacts=at(clip.contacts))


def unsnapped(clip: Clip) -> Clip:
    """No joint but the root turns by more than 60 degrees a frame: what does is spread over the frames beside it."""
    rotations = clip.rotations
    for _ in range(12):
        snaps = (angle_between(rotations[:, 1:, 1:], rotations[:, :-1, 1:]) > _SNAP).float().transpose(1, 2)
        if not bool(snaps.any()):
            break
        near = torch.nn.functional.max_pool1d(torch.nn.functional.pad(snaps, (2, 2)), 4, 1).transpose(1, 2)
        body = sixd_from_matrix(rotations[:, :, 1:])
        ends = torch.cat((body[:, :1], body, body[:, -1:]), dim=1)
        mean = (ends[:, :-2] + 2.0 * body + ends[:, 2:]) / 4.0
        body = matrix_from_6d(body + near[..., None] * (mean - body))
        rotations = torch.cat((rotations[:, :, :1], body), dim=2)
    return Clip(rotations=rotations, root=clip.root, contacts=clip.contacts)
