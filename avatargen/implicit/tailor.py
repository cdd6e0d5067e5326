"""Cuts what the words name to the measures of the posed body: solids on grids, their colors, the joints they follow.

What hangs free of the body (a skirt, a cape, a pointed hat, long hair) cannot grow out of it by a few centimetres, and
pictures of 128 pixels do not carry its cut. So it starts from a pattern, as the body starts from a shape model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.core.parts import SMPL_JOINTS
from avatargen.implicit.clothes import cape, skirt, sleeves, waist_and_hem
from avatargen.implicit.distance import Grid
from avatargen.implicit.figure import Figure, figure_of
from avatargen.implicit.headwear import beard, hair, hat
from avatargen.implicit.sdf import Volume
from avatargen.implicit.shapes import ramp
from avatargen.implicit.worn import Piece, pieces_of

_PATTERNS: dict[str, Callable[[np.ndarray, Figure, Piece], np.ndarray]] = {
    "skirt": skirt,
    "sleeves": sleeves,
    "cape": cape,
    "hair": hair,
    "beard": beard,
    "hat": hat,
}
_SPACING = {"skirt": 0.008, "cape": 0.007}
_FINE = 0.005
_LOOK = 0.03
_REACH = 0.45
_PAD = 0.02
_ROLLED = 0.012
_PLACES = 20_000
_INDEX = {name: index for index, name in enumerate(SMPL_JOINTS)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Sewn:
    """One piece as a solid."""

    piece: Piece
    volume: Volume
    """Signed distance near the piece, metres."""

    def __call__(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Signed distance; beyond the grid what is left of the way to it is added."""
        low, high = self.volume.grid.bounds.to(points)
        inside = torch.minimum(torch.maximum(points, low), high)
        return self.volume(inside) + (points - inside).norm(dim=-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outfit:
    """All that is worn over the body."""

    figure: Figure
    sewn: tuple[Sewn, ...]

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """The box that holds all pieces."""
        boxes = torch.stack([one.volume.grid.bounds for one in self.sewn])
        return torch.stack([boxes[:, 0].amin(0), boxes[:, 1].amax(0)])

    @property
    def places(self) -> Float[Tensor, "k 3"]:
        """Points on all of the pieces' surface, a few centimetres apart."""
        found = []
        for one in self.sewn:
            near = torch.nonzero(one.volume.values[:, 0].abs() < _ROLLED).squeeze(1)
            found.append(one.volume.grid.nodes(near[:: max(1, len(near) // _PLACES)]))
        return torch.cat(found)

    def distance(self, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, " n"], Integer[Tensor, " n"]]:
        """Signed distance to the nearest piece, and which that is."""
        return torch.stack([one(points) for one in self.sewn]).min(0)

    def colors(self, points: Float[Tensor, "n 3"], which: Integer[Tensor, " n"]) -> Float[Tensor, "n 3"]:
        """The pieces' own colors, sRGB; NaN where a piece has none."""
        found = torch.full((len(points), 3), float("nan"), device=points.device)
        for number, one in enumerate(self.sewn):
            if one.piece.color is not None:
                there = which == number
                shade = _weave(points[there], one.piece)[:, None]
                found[there] = (points.new_tensor(one.piece.color) * shade).clamp(0.0, 1.0)
        return found

    def weights(self, points: Float[np.ndarray, "n 3"], which: Integer[np.ndarray, " n"]) -> Float[np.ndarray, "n 24"]:
        """How far each joint (in SMPL's order) moves points of the pieces; rows sum to one."""
        found = np.zeros((len(points), len(SMPL_JOINTS)))
        for number, one in enumerate(self.sewn):
            there = which == number
            found[there] = _follow(points[there], self.figure, one.piece)
        return found

    def to(self, device: torch.device | str) -> "Outfit":
        """The same on `device`."""
        sewn = tuple(Sewn(piece=one.piece, volume=one.volume.to(device)) for one in self.sewn)
        return Outfit(figure=self.figure, sewn=sewn)


def dress(
    description: str,
    vertices: Float[Tensor, "v 3"],
    faces: Integer[Tensor, "f 3"],
    parts: Integer[Tensor, " f"] | None,
    joints: Float[Tensor, "j 3"],
    *,
    usual_hair: bool = True,
) -> Outfit | None:
    """What a description names that hangs free of the body, cut to a posed one, on the CPU.

    None where nothing is named, or the body's parts or joints are unknown. `usual_hair`: see `pieces_of`.
    """
    pieces = pieces_of(description, usual_hair)
    if not pieces or parts is None or len(joints) < len(SMPL_JOINTS):
        return None
    points, corners, labels = vertices.detach().cpu().numpy(), faces.cpu().numpy(), parts.cpu().numpy()
    return tailor(pieces, figure_of(points, corners, labels, joints.detach().cpu().numpy()[: len(SMPL_JOINTS)]))


def tailor(pieces: Sequence[Piece], figure: Figure) -> Outfit | None:
    """Cut `pieces` to a figure; None where there are none."""
    sewn = tuple(filter(None, (_cut(piece, figure) for piece in pieces)))
    return Outfit(figure=figure, sewn=sewn) if sewn else None


def _cut(piece: Piece, figure: Figure) -> Sewn | None:
    pattern = _PATTERNS[piece.kind]
    low, high = figure.vertices.min(0) - _REACH, figure.vertices.max(0) + _REACH
    rough = _nodes(low, high, _LOOK)
    near = rough[pattern(rough, figure, piece) < _LOOK]
    if not len(near):
        return None
    low, high = near.min(0) - _LOOK - _PAD, near.max(0) + _LOOK + _PAD
    box = torch.from_numpy(np.stack([low, high]))
    grid = Grid.over(box, _SPACING.get(piece.kind, _FINE))
    nodes = grid.nodes(torch.arange(int(np.prod(grid.shape)))).numpy().astype(np.float64)
    values = np.concatenate([pattern(part, figure, piece) for part in np.array_split(nodes, max(1, len(nodes) >> 18))])
    return Sewn(piece=piece, volume=Volume(grid=grid, values=torch.from_numpy(values.astype(np.float32))[:, None]))


def _nodes(low: np.ndarray, high: np.ndarray, spacing: float) -> np.ndarray:
    lines = [np.arange(a, b + spacing, spacing) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3)


def _weave(points: Float[Tensor, "n 3"], piece: Piece) -> Float[Tensor, " n"]:
    """Brightness of cloth and hair from place to place, about one."""
    x, y, z = points.unbind(-1)
    if piece.kind in ("hair", "beard"):
        around = torch.atan2(x, z)
        return 1.0 + 0.10 * torch.cos(61.0 * around + 9.0 * torch.sin(23.0 * y)) + 0.06 * torch.cos(37.0 * around)
    if piece.kind == "hat":
        return torch.ones_like(x)
    return 1.0 + 0.02 * torch.cos(310.0 * x) * torch.cos(290.0 * y) * torch.cos(300.0 * z)


def _follow(points: np.ndarray, figure: Figure, piece: Piece) -> np.ndarray:
    """Joint weights of points on a piece, by what such a piece hangs from."""
    found = np.zeros((len(points), len(SMPL_JOINTS)))
    x, y = points[:, 0], points[:, 1]

    def add(name: str, share: np.ndarray) -> None:
        found[:, _INDEX[name]] += share

    if piece.kind in ("hat", "beard"):
        add("head", np.ones(len(points)))
        return found
    if piece.kind == "hair":
        loose = 1.0 - ramp(y, figure.joint("neck")[1] - 0.10, figure.joint("head")[1] + 0.02)
        low = 1.0 - ramp(y, figure.joint("spine2")[1] - 0.05, figure.joint("spine3")[1] + 0.10)
        add("head", 1.0 - loose)
        add("spine3", loose * (1.0 - low))
        add("spine2", loose * low)
        return found
    if piece.kind == "cape":
        chest, waist = figure.joint("spine3")[1], figure.joint("spine1")[1]
        upper = ramp(y, waist - 0.05, chest + 0.05)
        fall = 1.0 - ramp(y, figure.joint("left_knee")[1] - 0.1, waist)
        left = ramp(x, -0.25, 0.25)
        add("spine3", upper)
        add("spine1", (1.0 - upper) * (1.0 - 0.75 * fall))
        add("left_hip", (1.0 - upper) * 0.75 * fall * left)
        add("right_hip", (1.0 - upper) * 0.75 * fall * (1.0 - left))
        return found
    if piece.kind == "sleeves":
        left = (x > 0).astype(float)
        for side, mine in (("left", left), ("right", 1.0 - left)):
            elbow, wrist = figure.joint(f"{side}_elbow"), figure.joint(f"{side}_wrist")
            along = (points - elbow) @ (wrist - elbow) / float((wrist - elbow) @ (wrist - elbow))
            bent = ramp(along, -0.25, 0.15)
            add(f"{side}_shoulder", mine * (1.0 - bent))
            add(f"{side}_elbow", mine * bent)
        return found
    waist, _ = waist_and_hem(figure, piece.length)
    hips, knee = figure.joint("left_hip")[1], figure.joint("left_knee")[1]
    legs = 0.85 * (1.0 - ramp(y, min(hips - 0.25, 0.5 * (hips + knee)), hips + 0.02))
    left = ramp(x, -0.14, 0.14)
    shin = 0.8 * (1.0 - ramp(y, knee - 0.22, knee + 0.06))
    trunk = ramp(y, waist - 0.08, waist)
    add("spine1", (1.0 - legs) * trunk)
    add("pelvis", (1.0 - legs) * (1.0 - trunk))
    for side, mine in (("left", left), ("right", 1.0 - left)):
        add(f"{side}_hip", legs * mine * (1.0 - shin))
        add(f"{side}_knee", legs * mine * shin)
    return found
