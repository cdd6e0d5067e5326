"""Two colors at each point of space: the body's own look, kept by a loss, and the style that the text asks for.

Both are `sigmoid(logit(look) + head(features))` with the look of the closest point of the body, so that eyes, brows
and lips are sharp from the first step; heads are linear maps of shared features. There is no view dependence.
Features are a pyramid over space plus one code per body part, blended over the vertices between two parts.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.core.parts import PARTS
from avatargen.implicit.encoding import Pyramid, lookup
from avatargen.implicit.sdf import part_kind

_KINDS = tuple(dict.fromkeys(part_kind(name) for name in PARTS))
# Colors this close to black or white still have a finite logit that an optimisation can leave.
_RIM = 0.02
_OWN_SIDE = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """The body's own colors, and how parts share their codes."""

    faces: Integer[Tensor, "f 3"]
    logits: Float[Tensor, "v 3"]
    part_weights: Float[Tensor, "v p"]
    """Share of each code at each vertex: one code per kind of part, then a weaker one for each side."""

    @property
    def codes(self) -> int:
        """How many part codes there are."""
        return self.part_weights.shape[1]

    def to(self, device: torch.device | str) -> "Look":
        """The same look on `device`."""
        return Look(
            faces=self.faces.to(device), logits=self.logits.to(device), part_weights=self.part_weights.to(device)
        )


def make_look(colors: Float[Tensor, "v 3"], faces: Integer[Tensor, "f 3"], parts: Integer[Tensor, " f"] | None) -> Look:
    """Prepare the body's vertex colors (sRGB, 0..1) and parts."""
    if parts is None:
        weights = torch.zeros(len(colors), 1)
    else:
        whole = torch.zeros(len(colors), len(PARTS))
        for corner in range(3):
            whole.index_put_((faces[:, corner], parts), torch.ones(()), accumulate=True)
        whole = whole / whole.sum(1, keepdim=True).clamp_min(1.0)
        kinds = torch.tensor([_KINDS.index(part_kind(name)) for name in PARTS])
        shared = torch.zeros(len(colors), len(_KINDS)).index_add_(1, kinds, whole)
        weights = torch.cat([shared, _OWN_SIDE * whole], dim=1)
    return Look(faces=faces, logits=torch.logit(colors.float().clamp(_RIM, 1 - _RIM)), part_weights=weights)


@dataclass(frozen=True, kw_only=True, eq=False)
class Colors:
    """What `colors_at` finds, sRGB in 0..1."""

    style: Float[Tensor, "n 3"]
    base: Float[Tensor, "n 3"]
    """The reconstruction head: what the body looks like without the text."""
    look: Float[Tensor, "n 3"]
    """What the reconstruction head should say."""
    change: Float[Tensor, "n 3"]
    """Logit offset of the style."""


def features_at(
    look: Look,
    pyramid: Pyramid,
    table: Float[Tensor, "rows c"],
    part_table: Float[Tensor, "p c"],
    points: Float[Tensor, "n 3"],
    corners: Integer[Tensor, "n 3"],
    bary: Float[Tensor, "n 3"],
) -> Float[Tensor, "n c"]:
    """Shared features at points whose closest points on the body are given; differentiable in the tables."""
    codes = look.part_weights @ part_table
    return pyramid(table, points) + lookup(codes, corners.int(), bary)


def colors_at(
    features: Float[Tensor, "n c"],
    heads: Float[Tensor, "c 6"],
    look: Look,
    corners: Integer[Tensor, "n 3"],
    bary: Float[Tensor, "n 3"],
) -> Colors:
    """Both colors from shared features; columns 0..2 of `heads` are the style, 3..5 the reconstruction."""
    logits = (look.logits[corners] * bary[..., None]).sum(1)
    offsets = features @ heads
    return Colors(
        style=torch.sigmoid(logits + offsets[:, :3]),
        base=torch.sigmoid(logits + offsets[:, 3:]),
        look=torch.sigmoid(logits),
        change=offsets[:, :3],
    )
