"""Plates of armour as heights over the body: shoulder caps, breastplate, tassets, cops, greaves, gauntlets, sabatons.

Armour follows the limbs that it covers, so unlike a skirt it needs no solid of its own: it is a relief with hard edges,
laid over what is painted, and moves with the body's own weights.
"""

import re
from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.core.parts import PART_ID, SMPL_JOINTS
from avatargen.implicit.relief import Near, along_limb, raised
from avatargen.implicit.sdf import BodyField, Volume
from avatargen.implicit.worn import says

_ARMOUR = re.compile(r"\b(?:(?<!leather )(?<!chain )armou?r(?:ed)?|plate mail|plates? of metal|cuirass)\b")
_EDGE = 0.015
"""Width of a plate's edge, as a share of its limb."""
_LAME = 0.004
"""What one lame stands off the next, metres."""


def wears_armour(text: str) -> bool:
    """Whether the words, or the outfit that they name, dress somebody in plates."""
    return says(text, _ARMOUR)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Limb:
    """Places on a limb."""

    along: Float[Tensor, " n"]
    """Share of the way between its joints."""
    front: Float[Tensor, " n"]
    """How far the surface there faces the front, -1..1."""
    outward: Float[Tensor, " n"]
    """The same away from the other side of the body."""


def plate_heights(
    points: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    parts: Integer[Tensor, " n"],
    joints: Float[Tensor, "24 3"],
) -> Float[Tensor, " n"]:
    """How far plates stand off the body near points, metres; zero where there are none.

    Args:
        points: in the frame of the posed body, front +z, up +y.
        normals: of the body beneath each of them.
        parts: of the body beneath each of them (avatargen.core.parts).
        joints: of the posed body, in SMPL's order.
    """
    height = points.new_zeros(len(points))

    def put(part: str, values: Tensor) -> None:
        nonlocal height
        height = torch.where(parts == PART_ID[part], values, height)

    front = normals[:, 2]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for part, (start, end), plates in _LIMBS:
            along = _share(points, joints, f"{side}_{start}", f"{side}_{end}")
            put(f"{side}_{part}", plates(_Limb(along=along, front=front, outward=sign * normals[:, 0])))
        put(f"{side}_foot", _foot(points, joints[SMPL_JOINTS.index(f"{side}_ankle")]))
        put(f"{side}_hand", _hand(points, normals, joints, side))
    trunk = _trunk(points, front, joints)
    for part in ("upper_torso", "lower_torso", "pelvis", "neck"):
        put(part, trunk)
    return height


def plated(body: BodyField, parts: Integer[Tensor, " f"], joints: Float[Tensor, "24 3"], relief: Volume) -> Volume:
    """`relief` and plates over it, on the body's finest grid."""

    def heights(near: Near) -> Tensor:
        return torch.maximum(plate_heights(near.points, near.normals, near.parts, joints), near.painted)

    return raised(body, parts, relief, heights)


def _foot(points: Tensor, ankle: Tensor) -> Tensor:
    """A shoe of four lames, thick enough to hide the toes; the sole stays."""
    ahead = points[:, 2] - ankle[2]
    above = ((points[:, 1] - ankle[1] + 0.075) / 0.01).clamp(0.0, 1.0)
    return above * (0.008 + 0.5 * _LAME * _steps(-ahead, -0.14, 0.02, 4))


def _hand(points: Tensor, normals: Tensor, joints: Tensor, side: str) -> Tensor:
    """Two lames on the back of the hand, as far as the knuckles; palm, thumb and fingers stay free."""
    wrist, hand = (joints[SMPL_JOINTS.index(f"{side}_{name}")] for name in ("wrist", "hand"))
    way = torch.nn.functional.normalize(hand - wrist, dim=0)
    back = torch.linalg.cross(way, way.new_tensor([0.0, 0.0, -1.0 if side == "left" else 1.0]))
    facing = ((normals @ torch.nn.functional.normalize(back, dim=0) - 0.3) / 0.3).clamp(0.0, 1.0)
    along = _share(points, joints, f"{side}_wrist", f"{side}_hand")
    return facing * _band(along, -1.0, 0.95) * (0.010 - _LAME * _steps(along, 0.0, 0.95, 2))


def _upper_arm(limb: _Limb) -> Tensor:
    cap = _band(limb.along, -1.0, 0.42) * (0.016 - _LAME * _steps(limb.along, 0.05, 0.42, 3))
    return torch.maximum(cap, 0.007 * _band(limb.along, 0.50, 0.86))


def _forearm(limb: _Limb) -> Tensor:
    cop = 0.012 * _band(limb.along, -0.2, 0.12)
    guard = _band(limb.along, 0.22, 0.92) * (0.007 + 0.007 * ((limb.along - 0.62) / 0.3).clamp(0.0, 1.0))
    return torch.maximum(cop, guard)


def _thigh(limb: _Limb) -> Tensor:
    facing = ((limb.front + 0.8 * limb.outward) / 0.2).clamp(0.0, 1.0)
    tasset = _band(limb.along, -1.0, 0.40) * facing * (0.022 - _LAME * _steps(limb.along, 0.0, 0.4, 3))
    cuisse = 0.008 * _band(limb.along, 0.30, 0.84)
    cop = _band(limb.along, 0.92, 2.0) * (0.008 + 0.008 * limb.front.clamp_min(0.0))
    return torch.maximum(torch.maximum(tasset, cuisse), cop)


def _shin(limb: _Limb) -> Tensor:
    cop = _band(limb.along, -1.0, 0.08) * (0.008 + 0.008 * limb.front.clamp_min(0.0))
    greave = _band(limb.along, 0.16, 0.90) * (0.007 + 0.006 * limb.front.clamp_min(0.0).square())
    return torch.maximum(cop, greave)


def _trunk(vertices: Tensor, front: Tensor, joints: Tensor) -> Tensor:
    """From hips to neck as a share of the way: fauld in lames, a waist, a breastplate with a keel, a collar."""
    low, high = joints[SMPL_JOINTS.index("pelvis"), 1] - 0.06, joints[SMPL_JOINTS.index("neck"), 1]
    up = (vertices[:, 1] - low) / (high - low)
    fauld = _band(up, -1.0, 0.36) * (0.008 + _LAME * _steps(-up, -0.36, 0.0, 3))
    keel = 0.007 * torch.exp(-((vertices[:, 0] / 0.022) ** 2)) * front.clamp_min(0.0)
    breast = _band(up, 0.42, 0.94) * (0.016 + keel)
    return torch.maximum(torch.maximum(fauld, breast), 0.010 * _band(up, 0.97, 1.04))


_LIMBS = (
    ("upper_arm", ("shoulder", "elbow"), _upper_arm),
    ("forearm", ("elbow", "wrist"), _forearm),
    ("thigh", ("hip", "knee"), _thigh),
    ("shin", ("knee", "ankle"), _shin),
)
"""Parts, the joints they lie between, and what they wear."""


def _band(value: Tensor, low: float, high: float) -> Tensor:
    """1 between two places, falling to 0 within an edge's width."""
    return ((value - low) / _EDGE + 0.5).clamp(0.0, 1.0) * ((high - value) / _EDGE + 0.5).clamp(0.0, 1.0)


def _steps(value: Tensor, low: float, high: float, count: int) -> Tensor:
    """0, 1, ... count - 1 from `low` to `high`."""
    return ((value - low) / (high - low) * count).floor().clamp(0, count - 1)


def _share(points: Tensor, joints: Tensor, start: str, end: str) -> Tensor:
    along, length = along_limb(points, joints, start, end)
    return along / length
