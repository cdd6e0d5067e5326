"""Where a collar ends: the underside of the jaw is skinned to the neck, but nobody wears his collar there."""

import torch
from jaxtyping import Integer
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.core.parts import PART_ID

_UNDERSIDE = -0.55
"""Height of the unit normal below which a face of the neck looks down, and so belongs to the jaw."""


def parts_to_paint(body: BodyModel) -> Integer[Tensor, " f"] | None:
    """Part ids of the body's faces (avatargen.core.parts), the underside of the jaw being face; None where unknown."""
    if body.parts is None:
        return None
    a, b, c = body.template[body.faces].unbind(1)
    down = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=-1)[:, 1] < _UNDERSIDE
    return torch.where(down & (body.parts == PART_ID["neck"]), PART_ID["face"], body.parts)
