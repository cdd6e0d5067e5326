"""A distance function to a closed mesh: marching cubes in blocks, only where the surface can be.

The grid is rectilinear: places named by the caller (head, hands) get finer cells along each axis, and because all
blocks share the same grid lines no cracks can open. Where blocks are skipped the field keeps one sign.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from skimage.measure import marching_cubes
from torch import Tensor

from avatargen.core.errors import InputError
from avatargen.core.values import Mesh

_BLOCK = 16


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
    values = _band_values(sdf, lines, places, reach)
    if not (values.min() < 0.0 < values.max()):
        raise InputError("there is no surface inside the bounds\n  The field is of one sign everywhere.")
    # A mask would open the surface at the rim of the band; without one marching is quick enough.
    vertices, faces, _, _ = marching_cubes(values, level=0.0, gradient_direction="descent", allow_degenerate=True)
    places = np.stack([np.interp(vertices[:, a], np.arange(len(lines[a])), lines[a]) for a in range(3)], axis=1)
    return Mesh(vertices=places.astype(np.float32), faces=faces.astype(np.int64))


def _band_values(
    sdf: Callable[[Tensor], Tensor], lines: list[np.ndarray], start: Float[np.ndarray, "v 3"] | None, reach: float
) -> Float[np.ndarray, "x y z"]:
    """Distances at the grid points of the blocks that may hold surface; elsewhere a distance of the right sign."""
    shape = tuple(len(line) for line in lines)
    counts = tuple(-(-(n - 1) // _BLOCK) for n in shape)
    middles, halves = zip(*(_block_spans(line, count) for line, count in zip(lines, counts, strict=True)), strict=True)
    centers = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 3)
    radius = np.linalg.norm(np.stack(np.meshgrid(*halves, indexing="ij"), axis=-1).reshape(-1, 3), axis=1)
    near = np.ones(len(centers), dtype=bool)
    if start is not None:
        away, _ = KDTree(start).query(centers, workers=-1)
        near = away < radius + reach
    # Asked everywhere, for the middle of a stout body is far from any start vertex and yet inside.
    at_center = _evaluate(sdf, centers)
    # The learned part may bend the distance; a factor on the radius leaves room for that.
    busy = near & (np.abs(at_center) < 1.5 * radius + 2.0 * max(float(np.diff(line).max()) for line in lines))
    sign = np.where(at_center < 0.0, -1.0, 1.0).astype(np.float32).reshape(counts)
    coarse = [np.minimum(np.arange(n) // _BLOCK, count - 1) for n, count in zip(shape, counts, strict=True)]
    values = (sign * radius.reshape(counts).astype(np.float32))[np.ix_(*coarse)]
    chosen = _dilated(busy.reshape(counts), shape)
    flat = np.flatnonzero(chosen)
    index = np.unravel_index(flat, shape)
    points = np.stack([line[i] for line, i in zip(lines, index, strict=True)], axis=1)
    values.reshape(-1)[flat] = _evaluate(sdf, points)
    # A value of zero would put several vertices on one grid point, and merging them tears the surface.
    least = 1e-3 * min(float(np.diff(line).min()) for line in lines)
    return np.where(np.abs(values) < least, np.where(values < 0, -least, least), values).astype(np.float32)


def _block_spans(line: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    first = line[np.arange(count) * _BLOCK]
    last = line[np.minimum((np.arange(count) + 1) * _BLOCK, len(line) - 1)]
    return 0.5 * (first + last), 0.5 * (last - first)


def _dilated(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The grid points of the given blocks, their upper faces included."""
    chosen = np.zeros(shape, dtype=bool)
    for block in np.argwhere(blocks):
        chosen[tuple(slice(b * _BLOCK, (b + 1) * _BLOCK + 1) for b in block)] = True
    return chosen


def _evaluate(sdf: Callable[[Tensor], Tensor], points: np.ndarray, chunk: int = 1 << 18) -> Float[np.ndarray, " n"]:
    tensor = torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
    with torch.no_grad():
        parts = [sdf(part).cpu() for part in tensor.split(chunk)]
    return torch.cat(parts).numpy() if parts else np.zeros(0, dtype=np.float32)
