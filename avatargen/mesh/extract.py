"""A distance function to a closed mesh: marching cubes in layers, only where the surface can be.

The grid is rectilinear: places named by the caller (head, hands) get finer cells along each axis, and because all
blocks share the same grid lines no cracks can open. Where blocks are skipped the field keeps one sign. Layers of blocks
are evaluated and marched one after another and share a plane of values, so the whole grid is never held.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from scipy.spatial import KDTree
from skimage.measure import marching_cubes
from torch import Tensor

from avatargen.core.errors import InputError
from avatargen.core.values import Mesh

_BLOCK, _SMALL = 16, 4
"""Cells along an edge of the blocks that are looked at first, and of those that such a block is split into."""


def axis_lines(
    low: float, high: float, spacing: float, fine: Sequence[tuple[float, float, float]] = ()
) -> Float[np.ndarray, " n"]:
    """Grid lines from `low` to `high`, `spacing` apart, closer inside each fine (low, high, spacing) range.

    Spacings change by at most a tenth from one cell to the next, so that cells stay nearly cubic.
    """
    lines = [low]
    while lines[-1] < high:
        here = lines[-1]
        step = spacing
        for start, stop, small in fine:
            away = max(start - here, here - stop, 0.0)
            step = min(step, small + 0.1 * away)
        lines.append(here + step)
    return np.asarray(lines)


def extract_surface(
    sdf: Callable[[Tensor], Tensor],
    bounds: Float[np.ndarray, "2 3"],
    spacing: float,
    start: Mesh | None = None,
    *,
    reach: float = 0.08,
    beyond: Float[np.ndarray, "k 3"] | None = None,
    fine: Sequence[tuple[Float[np.ndarray, "2 3"], float]] = (),
) -> Mesh:
    """The zero set of a distance function as a mesh with outward faces; all components.

    Args:
        sdf: points [n, 3] (float32, metres) to signed distances [n], negative inside, changing at most about as
            fast as the place does.
        bounds: lowest and highest corner; the surface must lie strictly inside.
        spacing: of the grid lines, metres.
        start: a mesh the surface is near to; blocks farther than `reach` from its vertices are not looked at.
        reach: metres.
        beyond: places of surface that is farther from `start`.
        fine: boxes (lowest and highest corner) with finer spacings of their own.

    Raises:
        InputError: there is no surface inside the bounds.
    """
    bounds = np.asarray(bounds, dtype=np.float64)
    lines = [
        axis_lines(
            bounds[0, axis],
            bounds[1, axis],
            spacing,
            [(float(box[0, axis]), float(box[1, axis]), small) for box, small in fine],
        )
        for axis in range(3)
    ]
    places = None if start is None else start.vertices if beyond is None else np.concatenate([start.vertices, beyond])
    grid = _Grid(lines=tuple(lines), blocks=_find_blocks(sdf, lines, places, reach))
    pieces, some_in, some_out = _Pieces(), False, False
    for first, values in _layers(sdf, grid):
        inside, outside = bool(values.min() < 0.0), bool(values.max() > 0.0)
        some_in, some_out = some_in or inside, some_out or outside
        if inside and outside:
            # A mask would open the surface at the rim of the band; without one marching is quick enough.
            made = marching_cubes(values, level=0.0, gradient_direction="descent", allow_degenerate=True)
            pieces.add(first, len(values), made[0], made[1])
    if not (some_in and some_out):
        raise InputError("there is no surface inside the bounds\n  The field is of one sign everywhere.")
    return pieces.mesh(lines)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Grid:
    """Grid lines, and what is known of their small blocks."""

    lines: tuple[np.ndarray, ...]
    blocks: Float[np.ndarray, "x y z"]
    """What to write where nothing is asked: a distance of the right sign; 0 where surface may be."""

    @property
    def least(self) -> float:
        """A value of zero would put several vertices on one grid point, and merging them tears the surface."""
        return 1e-3 * min(float(np.diff(line).min()) for line in self.lines)


class _Pieces:
    """Surfaces of layers, from the lowest up; what two of them share in a plane is welded."""

    def __init__(self) -> None:
        self.vertices: list[np.ndarray] = []
        self.faces: list[np.ndarray] = []
        self.count = 0
        self.plane, self.above = -1, {}

    def add(
        self, first: int, lines: int, vertices: Float[np.ndarray, "v 3"], faces: Integer[np.ndarray, "f 3"]
    ) -> None:
        """Add what was marched in the layer that starts at grid line `first`; vertices in cells of the layer."""
        place = np.arange(len(vertices), dtype=np.int64)
        known = np.zeros(len(vertices), dtype=bool)
        # Both layers reckoned these vertices from the same two values: they are equal to the last bit.
        if first == self.plane:
            for row in np.flatnonzero(vertices[:, 0] == 0.0):
                shared = self.above.get(vertices[row, 1:].tobytes())
                if shared is not None:
                    place[row], known[row] = shared, True
        place[~known] = self.count + np.arange(np.count_nonzero(~known))
        top = np.flatnonzero(vertices[:, 0] == lines - 1)
        self.plane = first + lines - 1
        self.above = {vertices[row, 1:].tobytes(): place[row] for row in top}
        self.count += int(np.count_nonzero(~known))
        self.vertices.append(vertices[~known].astype(np.float64) + np.array([first, 0.0, 0.0]))
        self.faces.append(place[faces])

    def mesh(self, lines: Sequence[np.ndarray]) -> Mesh:
        """Everything together, in metres."""
        found = np.concatenate(self.vertices)
        places = np.stack([np.interp(found[:, a], np.arange(len(lines[a])), lines[a]) for a in range(3)], axis=1)
        return Mesh(vertices=places.astype(np.float32), faces=np.concatenate(self.faces))


def _find_blocks(
    sdf: Callable[[Tensor], Tensor],
    lines: Sequence[np.ndarray],
    start: Float[np.ndarray, "v 3"] | None,
    reach: float,
) -> Float[np.ndarray, "x y z"]:
    """For each small block 0 if it may hold surface, else a distance of the right sign."""
    centers, radius = _blocks(lines, _BLOCK)
    near = np.ones(radius.size, dtype=bool)
    if start is not None:
        away, _ = KDTree(start).query(centers(np.arange(radius.size)), workers=-1)
        near = away < radius.reshape(-1) + reach
    # Asked everywhere, for the middle of a stout body is far from any start vertex and yet inside.
    large = _signed_or_zero(sdf, centers, radius, np.arange(radius.size), near)
    centers, radius = _blocks(lines, _SMALL)
    parents = tuple(np.arange(n) // (_BLOCK // _SMALL) for n in radius.shape)
    found = large.reshape(tuple(-(-n // (_BLOCK // _SMALL)) for n in radius.shape))[np.ix_(*parents)]
    asked = np.flatnonzero(found == 0.0)
    found.reshape(-1)[asked] = _signed_or_zero(sdf, centers, radius, asked, np.ones(len(asked), dtype=bool))
    return found


def _blocks(
    lines: Sequence[np.ndarray], width: int
) -> tuple[Callable[[Integer[np.ndarray, " k"]], Float[np.ndarray, "k 3"]], Float[np.ndarray, "x y z"]]:
    """Middles of blocks `width` cells wide, by flat index, and their radii."""
    spans = []
    for line in lines:
        first = np.arange(0, len(line) - 1, width)
        spans.append((line[first], line[np.minimum(first + width, len(line) - 1)]))
    halves = np.meshgrid(*(0.5 * (high - low) for low, high in spans), indexing="ij", sparse=True)
    radius = np.sqrt(sum(np.square(half) for half in halves))

    def centers(flat: np.ndarray) -> np.ndarray:
        index = np.unravel_index(flat, radius.shape)
        return np.stack([0.5 * (low + high)[i] for (low, high), i in zip(spans, index, strict=True)], axis=1)

    return centers, radius


def _signed_or_zero(
    sdf: Callable[[Tensor], Tensor],
    centers: Callable[[np.ndarray], np.ndarray],
    radius: np.ndarray,
    asked: Integer[np.ndarray, " k"],
    near: Bool[np.ndarray, " k"],
) -> Float[np.ndarray, " k"]:
    away, size = _evaluate(sdf, centers(asked)), radius.reshape(-1)[asked]
    # The learned part may bend the distance; twice the radius leaves room for that.
    busy = near & (np.abs(away) < 2.0 * size)
    return np.where(busy, 0.0, np.where(away < 0.0, -size, size)).astype(np.float32)


def _layers(sdf: Callable[[Tensor], Tensor], grid: _Grid) -> Iterator[tuple[int, Float[np.ndarray, "x y z"]]]:
    """First grid line and distances of each layer of blocks, its upper plane included; neighbours share planes."""
    shape = tuple(len(line) for line in grid.lines)
    spread = tuple(np.minimum(np.arange(n) // _SMALL, -(-(n - 1) // _SMALL) - 1) for n in shape)
    below = None
    for first in range(0, shape[0] - 1, _BLOCK):
        lines = np.arange(first, min(first + _BLOCK, shape[0] - 1) + 1)
        values = grid.blocks[np.ix_(spread[0][lines], spread[1], spread[2])]
        # The plane at the top belongs to the next layer as well: its blocks are looked at, too.
        blocks = grid.blocks[first // _SMALL : first // _SMALL + _BLOCK // _SMALL + 1]
        chosen = _dilated(blocks == 0.0, (len(lines), *shape[1:]))
        if below is not None:
            chosen[0] = False
            values[0] = below
        flat = np.flatnonzero(chosen)
        index = np.unravel_index(flat, chosen.shape)
        points = np.stack([line[i] for line, i in zip((grid.lines[0][lines], *grid.lines[1:]), index, strict=True)], 1)
        asked = _evaluate(sdf, points)
        asked = np.where(np.abs(asked) < grid.least, np.where(asked < 0, -grid.least, grid.least), asked)
        values.reshape(-1)[flat] = asked
        below = values[-1]
        yield first, values


def _dilated(blocks: Bool[np.ndarray, "x y z"], shape: tuple[int, ...]) -> Bool[np.ndarray, "x2 y2 z2"]:
    """The grid points of the given small blocks, their upper faces included."""
    for axis, lines in enumerate(shape):
        index, last = np.arange(lines), blocks.shape[axis] - 1
        own, before = np.minimum(index // _SMALL, last), np.maximum(-(-index // _SMALL) - 1, 0)
        blocks = blocks.take(own, axis) | blocks.take(before, axis)
    return blocks


def _evaluate(sdf: Callable[[Tensor], Tensor], points: np.ndarray, chunk: int = 1 << 18) -> Float[np.ndarray, " n"]:
    tensor = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
    with torch.no_grad():
        parts = [sdf(part).cpu() for part in tensor.split(chunk)]
    return torch.cat(parts).numpy() if parts else np.zeros(0, dtype=np.float32)
