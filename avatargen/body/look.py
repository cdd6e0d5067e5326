"""A plain human look for the bare body: skin with gentle variation, eyes with iris and pupil, lips, brows.

Colors are sRGB in 0..1. Everything is a function of a place on the body's surface in its neutral T-pose, so it can
be evaluated at vertices (`base_colors`) or at any surface point (`base_color_at`, which is sharper: brows, irises).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.body.open_body import mask_names, surface_masks
from avatargen.core.parts import PART_ID

Color = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colors of one complexion."""

    skin: Color
    blush: Color
    """What cheeks, nose, ears, knuckles and knees lean to."""
    lips: Color
    brows: Color
    iris: Color


LOOKS: dict[str, Look] = {
    "light": Look(
        skin=(0.89, 0.71, 0.61),
        blush=(0.84, 0.50, 0.43),
        lips=(0.74, 0.42, 0.39),
        brows=(0.30, 0.20, 0.13),
        iris=(0.33, 0.47, 0.58),
    ),
    "pale": Look(
        skin=(0.94, 0.80, 0.73),
        blush=(0.90, 0.58, 0.53),
        lips=(0.79, 0.48, 0.46),
        brows=(0.45, 0.31, 0.19),
        iris=(0.38, 0.53, 0.49),
    ),
    "medium": Look(
        skin=(0.78, 0.57, 0.43),
        blush=(0.72, 0.42, 0.32),
        lips=(0.64, 0.36, 0.31),
        brows=(0.16, 0.10, 0.07),
        iris=(0.36, 0.22, 0.11),
    ),
    "brown": Look(
        skin=(0.58, 0.39, 0.27),
        blush=(0.52, 0.28, 0.20),
        lips=(0.47, 0.25, 0.21),
        brows=(0.09, 0.06, 0.05),
        iris=(0.25, 0.14, 0.07),
    ),
    "dark": Look(
        skin=(0.38, 0.25, 0.18),
        blush=(0.34, 0.17, 0.13),
        lips=(0.34, 0.18, 0.16),
        brows=(0.05, 0.04, 0.03),
        iris=(0.17, 0.09, 0.05),
    ),
}
"""Complexions by name."""

_SCLERA: Color = (0.93, 0.91, 0.89)
_NO_REST = "the body has no part labels; a look can only be painted on the open body"
_IRIS_DEG, _PUPIL_DEG = 21.0, 8.5
_IRIS_DEG_AT_VERTICES, _PUPIL_DEG_AT_VERTICES = 18.5, 11.8
"""Wider pupils between vertices: about a dozen vertices make the front of an eyeball, the mix would be all iris."""
_GAZE_DOWN_DEG = 4.5
"""The lids of the neutral face leave a window below the eyeball's middle; level eyes would hide under the upper lid."""


def base_colors(body: BodyModel, skin: str = "light") -> Float[Tensor, "v 3"]:
    """The look at each vertex. A body without part labels (SMPL) comes out in plain skin.

    Raises:
        KeyError: unknown complexion; see `LOOKS`.
    """
    if body.kind != "open" or body.parts is None:
        return _tensor(LOOKS[skin].skin, body.template).expand_as(body.template).clone()
    marks = _landmarks(body, _IRIS_DEG_AT_VERTICES, _PUPIL_DEG_AT_VERTICES)
    return _paint(body.template, _eye_sides(body), surface_masks().to(body.template), LOOKS[skin], marks)


def base_color_at(
    body: BodyModel, faces: Integer[Tensor, " n"], barycentric: Float[Tensor, "n 3"], skin: str = "light"
) -> Float[Tensor, "n 3"]:
    """The look at points of the surface, given by face and barycentric coordinates: sharper than between vertices."""
    if body.kind != "open" or body.parts is None:
        return _tensor(LOOKS[skin].skin, barycentric).expand_as(barycentric).clone()
    corners = body.faces[faces]
    weight = barycentric.to(body.template).unsqueeze(-1)
    points = (body.template[corners] * weight).sum(1)
    masks = (surface_masks().to(body.template)[corners] * weight).sum(1)
    return _paint(points, _eye_sides(body)[corners[:, 0]], masks, LOOKS[skin], _landmarks(body))


@dataclass(frozen=True, kw_only=True)
class _Landmarks:
    """Places on the neutral body that the paint is laid out by; left side, metres."""

    eye: Tensor
    radius: Tensor
    elbow: Tensor
    knee: Tensor
    wrist: Tensor
    iris_deg: float
    pupil_deg: float


def _landmarks(body: BodyModel, iris_deg: float = _IRIS_DEG, pupil_deg: float = _PUPIL_DEG) -> _Landmarks:
    parts, template = body.parts, body.template
    if parts is None:
        raise ValueError(_NO_REST)
    eye = template[body.faces[parts == PART_ID["left_eye"]].unique()]
    center = (eye.amax(0) + eye.amin(0)) / 2
    joints = body.joint_regressor @ template
    place = {name: joints[index] for index, name in enumerate(body.joint_names)}
    return _Landmarks(
        eye=center,
        radius=(eye - center).norm(dim=1).mean(),
        elbow=place["left_elbow"],
        knee=place["left_knee"],
        wrist=place["left_wrist"],
        iris_deg=iris_deg,
        pupil_deg=pupil_deg,
    )


def _eye_sides(body: BodyModel) -> Integer[Tensor, " v"]:
    """1 on the left eyeball, -1 on the right one, 0 elsewhere."""
    if body.parts is None:
        raise ValueError(_NO_REST)
    sides = torch.zeros(len(body.template), dtype=torch.long, device=body.template.device)
    sides[body.faces[body.parts == PART_ID["left_eye"]].reshape(-1)] = 1
    sides[body.faces[body.parts == PART_ID["right_eye"]].reshape(-1)] = -1
    return sides


def _paint(points: Tensor, eyes: Tensor, masks: Tensor, look: Look, marks: _Landmarks) -> Tensor:
    folded = torch.cat((points[:, :1].abs(), points[:, 1:]), dim=1)  # the body is its own mirror image
    value = {name: masks[:, column : column + 1] for column, name in enumerate(mask_names())}
    color = _skin(points, folded, value, look, marks)
    unit = 2 * marks.eye[0]  # between the eyes' middles, about 6 cm
    face = (folded - marks.eye) / unit
    color = _mix(color, look.lips, 0.85 * value["lips"])
    color = _mix(color, (0.45, 0.18, 0.17), value["inside-mouth"] * (1 - value["lips"]))
    color = _mix(color, look.brows, _brows(face))
    return torch.where((eyes != 0)[:, None], _eyeball(folded, look, marks), color)


def _skin(points: Tensor, folded: Tensor, value: dict[str, Tensor], look: Look, marks: _Landmarks) -> Tensor:
    """Skin: low, smooth variation plus the places where blood shows."""
    color = _tensor(look.skin, points).expand_as(points)
    waves = torch.zeros_like(points[:, :1])
    for frequency, shift in ((9.0, 0.3), (23.0, 1.7), (61.0, 4.1)):
        phase = points * frequency
        waves = waves + torch.sin(phase[:, :1] + shift) * torch.sin(phase[:, 1:2] * 1.1) * torch.sin(phase[:, 2:] + 2.0)
    color = color * (1 + 0.012 * waves)

    unit = 2 * marks.eye[0]
    face = (folded - marks.eye) / unit

    def spot(place: tuple[float, float, float], size: float) -> Tensor:
        away = (face - _tensor(place, face)) / size
        return torch.exp(-away.square().sum(-1, keepdim=True))

    blush = 0.45 * spot((0.12, -0.62, 0.05), 0.42)  # cheeks
    blush = blush + 0.35 * spot((-0.5, -0.72, 0.62), 0.24)  # tip of the nose
    blush = blush + 0.20 * spot((-0.5, -1.75, 0.35), 0.30)  # chin
    blush = blush + 0.35 * value["ears"] + 0.30 * value["eyelids"]

    def near(place: Tensor, size: float) -> Tensor:
        return torch.exp(-((folded - place) / size).square().sum(-1, keepdim=True))

    blush = blush + 0.22 * near(marks.elbow, 0.06) + 0.22 * near(marks.knee, 0.08)
    beyond = ((folded[:, :1] - marks.wrist[0]) / 0.16).clamp(0, 1)
    blush = blush + 0.30 * beyond  # hands, most at the fingertips
    color = _mix(color, look.blush, blush.clamp(0, 0.75))
    nails = value["fingernails"] + value["toenails"]
    return _mix(
        color, tuple(0.5 * c + 0.5 * n for c, n in zip(look.skin, (0.95, 0.78, 0.76), strict=True)), 0.7 * nails
    )


def _brows(face: Tensor) -> Tensor:
    """Opacity of the brows; `face` in eye distances from the left eye's middle."""
    across, up, depth = face.unbind(-1)
    t = ((across + 0.29) / 0.70).clamp(0, 1)  # 0 at the nose, 1 at the temple
    middle = 0.255 + 0.10 * torch.sin(math.pi * (0.18 + 0.62 * t)) - 0.05 * t
    half = 0.062 * (1 - 0.55 * t)
    inside = torch.sigmoid((half - (up - middle).abs()) / 0.014)
    ends = torch.sigmoid((across + 0.29) / 0.025) * torch.sigmoid((0.41 - across) / 0.03)
    hairs = 0.95 + 0.05 * torch.sin(140 * across + 90 * up)
    return (inside * ends * hairs * (depth > -0.5)).unsqueeze(-1) * 0.9


def _eyeball(folded: Tensor, look: Look, marks: _Landmarks) -> Tensor:
    """White, iris with a darker rim, pupil; by the angle from the direction of gaze."""
    down = math.radians(_GAZE_DOWN_DEG)
    gaze = _tensor((0.02, -math.sin(down), math.cos(down)), folded)
    direction = torch.nn.functional.normalize(folded - marks.eye, dim=-1)
    angle = torch.rad2deg(torch.arccos((direction * gaze).sum(-1, keepdim=True).clamp(-0.9999, 0.9999)))

    def within(limit: float, softness: float) -> Tensor:
        return torch.sigmoid((limit - angle) / softness)

    color = _mix(_tensor(_SCLERA, folded).expand_as(folded), (0.80, 0.56, 0.52), torch.sigmoid((angle - 48) / 6) * 0.5)
    color = _mix(color, tuple(0.45 * c for c in look.iris), within(marks.iris_deg, 0.8))
    color = _mix(color, look.iris, within(marks.iris_deg - 3.0, 1.2))
    return _mix(color, (0.03, 0.03, 0.03), within(marks.pupil_deg, 0.7))


def _mix(color: Tensor, other: Color | tuple[float, ...], share: Tensor) -> Tensor:
    return color + share * (_tensor(other, color) - color)


def _tensor(color: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(np.asarray(color), dtype=like.dtype, device=like.device)
