"""Motions as rows of numbers for the sequence model, and back.

A row holds 22 joints in 6-D (root first, as oriented in the window's own heading), the root's horizontal velocity and
height in units of the resting pelvis height, and two foot contacts. The window's heading is that of its first frame,
where the root also starts over the origin. Everything runs at 30 frames a second.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.parts import SMPL_PARENTS
from avatargen.core.rotations import matrix_from_6d, sixd_from_matrix

RATE = 30.0
JOINTS = 22
FEATURES = JOINTS * 6 + 3 + 2
ROTATION = slice(0, JOINTS * 6)
VELOCITY = slice(JOINTS * 6, JOINTS * 6 + 2)
HEIGHT = JOINTS * 6 + 2
CONTACT = slice(JOINTS * 6 + 3, FEATURES)
FEET = (10, 11)
ANKLES = (7, 8)
LIMBS = ((1, 4, 7, 10), (2, 5, 8, 11), (3, 6, 9), (12, 15), (13, 16, 18, 20), (14, 17, 19, 21))
"""Joints that move together: legs, trunk, head and neck, arms."""

# A plain adult of 0.93 m pelvis height, rounded by hand; only for losses that weigh joints by what they move.
_METRES = (
    (0.0, 0.0, 0.0),
    (0.08, -0.08, 0.0),
    (-0.08, -0.08, 0.0),
    (0.0, 0.11, -0.02),
    (0.02, -0.38, 0.0),
    (-0.02, -0.38, 0.0),
    (0.0, 0.13, 0.0),
    (0.0, -0.40, -0.03),
    (0.0, -0.40, -0.03),
    (0.0, 0.06, 0.02),
    (0.02, -0.06, 0.13),
    (-0.02, -0.06, 0.13),
    (0.0, 0.21, -0.02),
    (0.08, 0.12, -0.02),
    (-0.08, 0.12, -0.02),
    (0.0, 0.09, 0.04),
    (0.11, 0.03, -0.01),
    (-0.11, 0.03, -0.01),
    (0.26, 0.0, 0.0),
    (-0.26, 0.0, 0.0),
    (0.25, 0.0, 0.0),
    (-0.25, 0.0, 0.0),
)
REST_HEIGHT = 0.93


def standard_offsets() -> Float[Tensor, "22 3"]:
    """Joint offsets from their parents in T-pose, in units of the resting pelvis height."""
    return torch.tensor(_METRES) / REST_HEIGHT


def limb_of_features() -> Float[Tensor, " f"]:
    """The limb that each number of a row belongs to; 0 for pelvis, path and contacts."""
    found = torch.zeros(FEATURES)
    for number, joints in enumerate(LIMBS, 1):
        for joint in joints:
            found[6 * joint : 6 * joint + 6] = number
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """A batch of windows in a common length; positions in units of the resting pelvis height."""

    rotations: Float[Tensor, "b t 22 3 3"]
    root: Float[Tensor, "b t 3"]
    contacts: Float[Tensor, "b t 2"]


def heading(root_rotation: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """The yaw about +Y (radians) that best explains an orientation; 0 faces +Z."""
    r = root_rotation
    return torch.atan2(r[..., 0, 2] - r[..., 2, 0], r[..., 0, 0] + r[..., 2, 2])


def yaw_matrix(yaw: Float[Tensor, "*b"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation about +Y."""
    c, s, o, i = yaw.cos(), yaw.sin(), torch.zeros_like(yaw), torch.ones_like(yaw)
    return torch.stack((c, o, s, o, i, o, -s, o, c), dim=-1).unflatten(-1, (3, 3))


def canonical(clip: Clip) -> Clip:
    """Turn and shift each window so that it starts over the origin with heading 0."""
    turn = yaw_matrix(-heading(clip.rotations[:, 0, 0]))
    start = clip.root[:, :1] * torch.tensor([1.0, 0.0, 1.0], device=clip.root.device)
    root = torch.einsum("bij,btj->bti", turn, clip.root - start)
    oriented = torch.einsum("bij,btjk->btik", turn, clip.rotations[:, :, 0])
    rotations = torch.cat((oriented[:, :, None], clip.rotations[:, :, 1:]), dim=2)
    return Clip(rotations=rotations, root=root, contacts=clip.contacts)


def to_features(clip: Clip) -> Float[Tensor, "b t 137"]:
    """Rows of a batch of windows, brought to the canonical frame first."""
    clip = canonical(clip)
    flat = clip.root[..., [0, 2]]
    velocity = (flat[:, 1:] - flat[:, :-1]) * RATE
    velocity = torch.cat((velocity, velocity[:, -1:]), dim=1)
    return torch.cat(
        (sixd_from_matrix(clip.rotations).flatten(2), velocity, clip.root[..., 1:2], clip.contacts), dim=-1
    )


def from_features(features: Float[Tensor, "b t 137"]) -> Clip:
    """The windows that rows describe; the velocity is integrated, contacts are taken as they are."""
    rotations = matrix_from_6d(features[..., ROTATION].unflatten(-1, (JOINTS, 6)))
    steps = features[:, :-1, VELOCITY] / RATE
    flat = torch.cat((torch.zeros_like(features[:, :1, VELOCITY]), steps.cumsum(1)), dim=1)
    root = torch.stack((flat[..., 0], features[..., HEIGHT], flat[..., 1]), dim=-1)
    return Clip(rotations=rotations, root=root, contacts=features[..., CONTACT])


def _levels() -> tuple[tuple[list[int], list[int]], ...]:
    depth = [0] * JOINTS
    for joint in range(1, JOINTS):
        depth[joint] = depth[SMPL_PARENTS[joint]] + 1
    rows = []
    for level in range(1, max(depth) + 1):
        joints = [j for j in range(JOINTS) if depth[j] == level]
        rows.append((joints, [SMPL_PARENTS[j] for j in joints]))
    return tuple(rows)


_LEVELS = _levels()


def joint_positions(rotations: Float[Tensor, "*b 22 3 3"], offsets: Float[Tensor, "22 3"]) -> Float[Tensor, "*b 22 3"]:
    """Joints relative to the pelvis, by forward kinematics; whole tree levels at a time."""
    world: list[Tensor] = [rotations[..., 0, :, :]] + [rotations[..., 0, :, :]] * (JOINTS - 1)
    place: list[Tensor] = [torch.zeros_like(rotations[..., 0, :, 0])] * JOINTS
    for joints, parents in _LEVELS:
        above = torch.stack([world[p] for p in parents], dim=-3)
        moved = torch.stack([place[p] for p in parents], dim=-2) + (above @ offsets[joints][..., None]).squeeze(-1)
        turned = above @ rotations[..., joints, :, :]
        for row, joint in enumerate(joints):
            world[joint], place[joint] = turned[..., row, :, :], moved[..., row, :]
    return torch.stack(place, dim=-2)
