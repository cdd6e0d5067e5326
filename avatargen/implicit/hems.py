"""Boots and gloves end in a hem: a band that stands off the limb where their paint ends.

Where that is nobody says; it is measured on the painted body, from the foot or the hand upward.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.core.parts import PART_ID
from avatargen.guidance.embedded.reader import read
from avatargen.implicit.color import Look
from avatargen.implicit.relief import along_limb
from avatargen.implicit.worn import Color, says, tight_text

_HEIGHT, _WIDTH, _EDGE = 0.0035, 0.035, 0.003
"""What a hem stands off, its width, and in what its edges rise; metres."""
_SLICE = 0.01
_OWN = 0.30
"""Distance of two colors (norm of the sRGB difference) up to which paint is the boot's."""
_NAMED = {"feet": re.compile(r"\bboots?\b"), "hands": re.compile(r"\b(?:gloves?|mittens|gauntlets)\b")}
_LIMBS = {"feet": ("foot", "shin", "ankle", "knee", 0.0), "hands": ("hand", "forearm", "wrist", "elbow", -0.03)}
"""Slot of what is worn: its part and the next, the joints between which that lies, and where the search begins."""


@dataclass(frozen=True, kw_only=True)
class Hem:
    """Where one boot or glove ends."""

    side: str
    slot: str
    top: float
    """On the way from the ankle (wrist) towards the knee (elbow), metres."""


def worn_colors(text: str) -> dict[str, Color]:
    """The color of the boots ("feet") and of the gloves ("hands") that a text or its outfits name."""
    found = {}
    asked = read(tight_text(text)).colors
    for slot, named in _NAMED.items():
        paint = asked[slot][0] if slot in asked else ()
        if len(paint) == 1 and says(text, named):
            red, green, blue = (value / 255.0 for value in paint[0][0])
            found[slot] = (red, green, blue)
    return found


def find_hems(
    colors: Mapping[str, Color],
    look: Look,
    style: Float[Tensor, "v 3"],
    vertices: Float[Tensor, "v 3"],
    parts: Integer[Tensor, " f"],
    joints: Float[Tensor, "24 3"],
) -> tuple[Hem, ...]:
    """Where paint of these colors ends on the limbs of a painted body; nothing for what reaches beyond the limb."""
    found = []
    for slot, color in colors.items():
        own, following, low, high, start = _LIMBS[slot]
        for side in ("left", "right"):
            mine = (parts == PART_ID[f"{side}_{own}"]) | (parts == PART_ID[f"{side}_{following}"])
            rows = look.faces[mine].unique()
            along, length = along_limb(vertices[rows], joints, f"{side}_{low}", f"{side}_{high}")
            worn = (style[rows] - style.new_tensor(color)).norm(dim=-1) < _OWN
            top = start
            while top < 0.95 * length:
                here = worn[(along >= top) & (along < top + _SLICE)].float()
                if len(here) and float(here.mean()) < 0.5:
                    break
                top += _SLICE
            if start < top < 0.95 * length:
                found.append(Hem(side=side, slot=slot, top=top))
    return tuple(found)


def hem_heights(
    points: Float[Tensor, "n 3"],
    parts: Integer[Tensor, " n"],
    joints: Float[Tensor, "24 3"],
    hems: tuple[Hem, ...],
) -> Float[Tensor, " n"]:
    """How far hems stand off near points, metres, by the part of the body beneath each."""
    height = points.new_zeros(len(points))
    for hem in hems:
        own, following, low, high, _ = _LIMBS[hem.slot]
        there = (parts == PART_ID[f"{hem.side}_{own}"]) | (parts == PART_ID[f"{hem.side}_{following}"])
        along, _ = along_limb(points, joints, f"{hem.side}_{low}", f"{hem.side}_{high}")
        inside = torch.minimum(along - (hem.top - _WIDTH), hem.top - along)
        height = torch.where(there, torch.maximum(height, _HEIGHT * (inside / _EDGE + 0.5).clamp(0.0, 1.0)), height)
    return height
