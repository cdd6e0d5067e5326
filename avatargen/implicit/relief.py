"""Paint with thickness: where the color has left the body's own look, cloth or hair covers it, and covers have height.

The height is decided on the body's vertices, smoothed along its surface and stored on a grid, so that borders become
hems and not noise. It says nothing about cut: what hangs free is `avatargen.implicit.tailor`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.core.parts import PARTS, SMPL_JOINTS
from avatargen.implicit.color import Look
from avatargen.implicit.distance import Grid
from avatargen.implicit.sdf import BodyField, Volume, part_kind
from avatargen.render.shading import vertex_normals

PART_RELIEF: dict[str, float] = {
    "scalp": 0.014,
    "face": 0.001,
    "neck": 0.003,
    "hand": 0.001,
    "foot": 0.008,
    "eye": 0.0,
    "lips": 0.0,
    "brow": 0.0,
}
"""Usual height, in metres, of what covers a part (shoes hide the toes); cloth where nothing is said."""
CLOTH = 0.005
_COVERED = (0.12, 0.40)
"""Distance of two colors (norm of the sRGB difference) from which a part counts as covered, a bit and fully."""
_RATIO = 2
_SMOOTHING = 4
_REACH, _CHUNK = 0.06, 1 << 18
"""Heights are asked for this near the body, metres; so many places at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Near:
    """Places near the body, and what is known of each."""

    points: Float[Tensor, "n 3"]
    normals: Float[Tensor, "n 3"]
    """Of the body beneath."""
    parts: Integer[Tensor, " n"]
    """Of the body beneath (avatargen.core.parts)."""
    painted: Float[Tensor, " n"]
    """Height of what is painted there, metres."""


def vertex_relief(
    faces: Integer[Tensor, "f 3"],
    parts: Integer[Tensor, " f"] | None,
    look: Float[Tensor, "v 3"],
    style: Float[Tensor, "v 3"],
) -> Float[Tensor, " v"]:
    """Height at each vertex, from the colors (sRGB) without and with the style; metres."""
    low, high = _COVERED
    share = (((style - look).norm(dim=-1) - low) / (high - low)).clamp(0.0, 1.0)
    height = torch.full((len(faces),), CLOTH)
    if parts is not None:
        height = torch.tensor([PART_RELIEF.get(part_kind(name), CLOTH) for name in PARTS])[parts.cpu()]
    per_vertex = share.new_full((len(look),), float("inf"))
    for corner in range(3):
        per_vertex.scatter_reduce_(0, faces[:, corner], height.to(share), reduce="amin")
    return _smoothed(torch.where(per_vertex.isfinite(), per_vertex, 0.0) * share, faces)


def _smoothed(values: Float[Tensor, " v"], faces: Integer[Tensor, "f 3"]) -> Float[Tensor, " v"]:
    one = torch.ones(len(faces)).to(values)
    count = torch.zeros_like(values)
    for corner in range(3):
        count.index_add_(0, faces[:, corner], 2.0 * one)
    for _ in range(_SMOOTHING):
        total = torch.zeros_like(values)
        for corner in range(3):
            total.index_add_(0, faces[:, corner], values[faces[:, corner - 1]] + values[faces[:, corner - 2]])
        values = 0.5 * (values + total / count.clamp_min(1.0))
    return values


def relief_volume(body: BodyField, height: Float[Tensor, " v"]) -> Volume:
    """Heights of vertices carried into the space around the body."""
    grid, face = body.distance.whole.grid, body.distance.whole_face
    coarse = face[::_RATIO, ::_RATIO, ::_RATIO].long()
    values = height[body.surface.faces].mean(1)[coarse]
    padded = torch.nn.functional.pad(values[None, None], (1,) * 6, mode="replicate")
    smooth = torch.nn.functional.avg_pool3d(padded, 3, stride=1)
    nx, ny, nz = coarse.shape
    rough = Grid(origin=grid.origin, spacing=grid.spacing * _RATIO, shape=(nx, ny, nz))
    return Volume(grid=rough, values=smooth.reshape(-1, 1))


def paint_relief(
    body: BodyField,
    look: Look,
    parts: Integer[Tensor, " f"] | None,
    style: Float[Tensor, "v 3"],
    factor: float,
) -> Volume:
    """The volume to be taken off the distance so that painted clothes and hair stand off the skin."""
    own = torch.sigmoid(look.logits)
    return relief_volume(body, factor * vertex_relief(look.faces, parts, own, style))


def raised(
    body: BodyField,
    parts: Integer[Tensor, " f"],
    relief: Volume,
    heights: Callable[[Near], Float[Tensor, " n"]],
) -> Volume:
    """Heights near the body on its finest grid, where `relief` holds those of what is painted."""
    grid, surface = body.distance.whole.grid, body.surface
    near = torch.nonzero(body.distance.whole.values[:, 0].abs() < _REACH).squeeze(1)
    face = body.distance.whole_face.reshape(-1)[near].long()
    normals = vertex_normals(surface.vertices, surface.faces)[surface.faces].mean(1)
    values = torch.zeros_like(body.distance.whole.values)
    for rows, on in zip(near.split(_CHUNK), face.split(_CHUNK), strict=True):
        points = grid.nodes(rows).to(normals)
        values[rows, 0] = heights(
            Near(points=points, normals=normals[on], parts=parts[on].long(), painted=relief(points))
        )
    return Volume(grid=grid, values=values)


def along_limb(
    points: Float[Tensor, "n 3"], joints: Float[Tensor, "24 3"], start: str, end: str
) -> tuple[Float[Tensor, " n"], float]:
    """How far points lie along the way between two joints (SMPL's names), and its length; metres."""
    first, last = (joints[SMPL_JOINTS.index(name)] for name in (start, end))
    length = float((last - first).norm())
    return (points - first) @ (last - first) / length, length
