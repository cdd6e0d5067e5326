"""Where to look at a body from: one camera per view name, as plain numbers (this layer renders nothing).

Distances and targets follow the posed joints, so a child's face is found as well as a giant's. Azimuth 0 looks
at the front, +90 degrees at the character's left side; a positive elevation looks down.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.errors import InputError
from avatargen.core.parts import SMPL_JOINTS

FOV_DEG = 30.0
"""Full opening angle of every view; small enough that faces are not bent."""

_JOINT = {name: number for number, name in enumerate(SMPL_JOINTS)}


@dataclass(frozen=True, kw_only=True)
class View:
    """A camera on a sphere around `target`, and the wording that suits what it sees."""

    name: str
    """Key of `avatargen.guidance.prompts.wordings`."""
    azimuth_deg: float
    elevation_deg: float
    distance: float
    """Metres from the target."""
    target: tuple[float, float, float]
    fov_deg: float = FOV_DEG


def _frame(name: str, center: Tensor, half: float, azimuth_deg: float, elevation_deg: float) -> View:
    """The view that shows `half` metres above and below `center`."""
    x, y, z = (float(v) for v in center)
    distance = half / math.tan(math.radians(FOV_DEG) / 2)
    return View(name=name, azimuth_deg=azimuth_deg, elevation_deg=elevation_deg, distance=distance, target=(x, y, z))


def named_view(
    name: str, joints: Float[Tensor, "24 3"], azimuth_deg: float | None = None, elevation_deg: float = 0.0
) -> View:
    """The camera for a view name of `avatargen.guidance.prompts.VIEWS`.

    Args:
        name: body | back | face | upper | lower | hands | feet.
        joints: posed joints in SMPL's order, metres.
        azimuth_deg: default: what shows it best: 180 for the back, the left or right hand from its side.
        elevation_deg: default level, but feet are seen a little from above.

    Raises:
        InputError: no such view.
    """
    at = {joint: joints[number].detach().cpu() for joint, number in _JOINT.items()}
    soles = 0.5 * (at["left_foot"] + at["right_foot"])
    tall = float(at["head"][1] - soles[1])  # about 0.88 of the body's height
    crown = at["head"] + torch.tensor([0.0, 0.13 * tall, 0.0])
    front = 0.0 if azimuth_deg is None else azimuth_deg
    match name:
        case "body" | "back":
            turn = (180.0 if name == "back" else 0.0) if azimuth_deg is None else azimuth_deg
            wide = float((joints[:, 0].max() - joints[:, 0].min()) / 2) + 0.12 * tall
            half = max(0.62 * tall, wide)
            return _frame(name, 0.5 * (crown + soles), half, turn, elevation_deg)
        case "face":
            return _frame(name, at["head"] + torch.tensor([0.0, 0.05 * tall, 0.0]), 0.115 * tall, front, elevation_deg)
        case "upper":
            return _frame(name, 0.5 * (crown + at["pelvis"]), 0.33 * tall, front, elevation_deg)
        case "lower":
            return _frame(name, 0.5 * (at["pelvis"] + soles), 0.37 * tall, front, elevation_deg)
        case "hands":
            side = "right" if azimuth_deg is not None and azimuth_deg < 0 else "left"
            turn = 60.0 if azimuth_deg is None else azimuth_deg
            return _frame(name, 0.5 * (at[f"{side}_wrist"] + at[f"{side}_hand"]), 0.13 * tall, turn, elevation_deg)
        case "feet":
            return _frame(name, soles, 0.18 * tall, 25.0 if azimuth_deg is None else azimuth_deg, elevation_deg + 20.0)
        case _:
            raise InputError(f"unknown view {name!r}; there are body, back, face, upper, lower, hands, feet")


def random_view(name: str, joints: Float[Tensor, "24 3"], generator: torch.Generator) -> View:
    """A camera near `named_view`'s: a body from all around (named "back" behind it), a face within 15 deg or so.

    Deviations as in AvatarCLIP (Hong et al. 2022): azimuth N(0, 60 deg) for bodies and N(0, 15 deg) for details,
    elevation N(0, 12 deg), distance times U(0.85, 1.25), target moved by N(0, 3 %) of the distance.
    """
    draw = torch.randn(6, generator=generator, device=generator.device).cpu()
    shares = torch.rand(2, generator=generator, device=generator.device).cpu()
    spread = 60.0 if name == "body" else 15.0
    base = named_view(name, joints)
    if name == "hands" and float(shares[1]) < 0.5:
        base = named_view(name, joints, -60.0)
    azimuth = base.azimuth_deg + spread * float(draw[0].clamp(-3, 3))
    azimuth = (azimuth + 180.0) % 360.0 - 180.0
    if name in ("body", "back"):
        name = "back" if abs(azimuth) > 90.0 else "body"
    x, y, z = (
        a + 0.03 * base.distance * math.tan(math.radians(FOV_DEG)) * float(d.clamp(-2, 2))
        for a, d in zip(base.target, draw[2:5], strict=True)
    )
    return View(
        name=name,
        azimuth_deg=azimuth,
        elevation_deg=base.elevation_deg + 12.0 * float(draw[1].clamp(-2, 2)),
        distance=base.distance * (0.85 + 0.4 * float(shares[0])),
        target=(x, y, z),
    )
