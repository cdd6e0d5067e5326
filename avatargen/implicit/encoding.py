"""Learned values in space: pyramids of voxel grids near a surface, of hashed grids, or of three planes.

A pyramid turns points into rows of one table and trilinear weights, for all levels at once; `lookup` sums them. With
plain sums instead of concatenation the levels act as a preconditioner: coarse cells move whole parts from the first
step on, fine ones add what differs. The hashed table follows Instant-NGP (arXiv:2201.05989, section 3), the planes
EG3D (arXiv:2112.07945, section 3).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
import torch
from jaxtyping import Float, Integer
from torch import Tensor

# Corners of a cell in the order of the weights: x slowest.
_CORNERS = ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))
_PLANES = ((0, 1), (1, 2), (2, 0))
_PRIMES = (1, 2_654_435_761, 805_459_861)
_BLOCK = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """One grid of a pyramid."""

    origin: Float[Tensor, " 3"]
    spacing: float
    gain: float
    """Factor on this level's values."""
    mirror: bool
    """Both halves of the body (x and -x) share values."""
    cells: Integer[Tensor, "x y z"] | None
    """Row of `corners` for each cell, 0 where the level has nothing; None for a hashed level."""
    corners: Integer[Tensor, "n 8"] | None
    """Rows of the table at the corners of each cell."""
    first: int
    """First row of a hashed level."""
    size: int
    """Rows of a hashed level."""

    def rows(self, points: Float[Tensor, "n 3"]) -> tuple[Integer[Tensor, "n 8"], Float[Tensor, "n 8"]]:
        """Rows of the table and trilinear weights at points; row 0 (always zero) where the level has nothing."""
        cell, part = _place(self, points)
        both = torch.stack([1.0 - part, part])
        weights = both[:, None, None, 0] * both[None, :, None, 1] * both[None, None, :, 2]
        weights = weights.view(8, -1).t()
        weights = weights * self.gain if self.gain != 1.0 else weights
        if self.cells is None or self.corners is None:
            return self._hashed(cell), weights.contiguous()
        shape = torch.tensor([[size] for size in self.cells.shape], dtype=torch.int32, device=cell.device)
        inside = ((cell >= 0) & (cell < shape)).all(0)
        flat = ((cell[0] * shape[1] + cell[1]) * shape[2] + cell[2]) * inside
        found = self.cells.view(-1).index_select(0, flat) * inside
        return self.corners.index_select(0, found), weights.contiguous()

    def slopes(self, points: Float[Tensor, "n 3"], axis: int) -> tuple[Integer[Tensor, "n 8"], Float[Tensor, "n 8"]]:
        """As `rows`, but with the weights' derivatives in one coordinate of the points."""
        rows, _ = self.rows(points)
        part = _place(self, points)[1]
        both = torch.stack([1.0 - part, part])
        slope = _stretch(self, points, axis) * torch.ones_like(part[axis])
        both[:, axis] = torch.stack([-slope, slope])
        weights = both[:, None, None, 0] * both[None, :, None, 1] * both[None, None, :, 2]
        return rows, (self.gain * weights.view(8, -1).t()).contiguous()

    def _hashed(self, cell: Tensor) -> Tensor:
        corner = cell.long().t()[:, None] + torch.tensor(_CORNERS, device=cell.device)
        mixed = corner[..., 0] * _PRIMES[0]
        mixed = mixed ^ (corner[..., 1] * _PRIMES[1]) ^ (corner[..., 2] * _PRIMES[2])
        return (mixed % self.size + self.first).int()

    def to(self, device: torch.device | str) -> "Level":
        """The same level on `device`."""

        def moved(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device)

        return replace(self, origin=self.origin.to(device), cells=moved(self.cells), corners=moved(self.corners))


@dataclass(frozen=True, kw_only=True, eq=False)
class Planes:
    """Three grids at right angles whose values add up; beyond their rims the last row repeats."""

    origin: Float[Tensor, " 3"]
    spacing: float
    gain: float
    mirror: bool
    """Both halves of the body (x and -x) share values."""
    shape: tuple[int, int, int]
    """Nodes along each axis."""
    first: int
    """First row."""

    def rows(self, points: Float[Tensor, "n 3"]) -> tuple[Integer[Tensor, "n 12"], Float[Tensor, "n 12"]]:
        """Rows of the table and bilinear weights at points, four for each plane."""
        cell, part, _ = self._within(points)
        return self._corners(cell, torch.stack([1.0 - part, part]), (self.gain,) * 3)

    def slopes(self, points: Float[Tensor, "n 3"], axis: int) -> tuple[Integer[Tensor, "n 12"], Float[Tensor, "n 12"]]:
        """As `rows`, but with the weights' derivatives in one coordinate of the points."""
        cell, part, within = self._within(points)
        both = torch.stack([1.0 - part, part])
        slope = _stretch(self, points, axis) * within[axis]
        both[:, axis] = torch.stack([-slope, slope])
        return self._corners(cell, both, tuple(self.gain if axis in plane else 0.0 for plane in _PLANES))

    def _within(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cells and places in them, those of the rim for points beyond it, and which points are not, [3, n] each."""
        cell, part = _place(self, points)
        last = torch.tensor([[size - 2] for size in self.shape], dtype=torch.int32, device=cell.device)
        part = torch.where(cell < 0, 0.0, torch.where(cell > last, 1.0, part))
        return torch.minimum(cell.clamp_min(0), last), part, (cell >= 0) & (cell <= last)

    def _corners(self, cell: Tensor, both: Float[Tensor, "2 3 n"], gains: Sequence[float]) -> tuple[Tensor, Tensor]:
        rows, weights, first = [], [], self.first
        for (one, two), gain in zip(_PLANES, gains, strict=True):
            corner = first + cell[one] * self.shape[two] + cell[two]
            rows += [corner, corner + 1, corner + self.shape[two], corner + self.shape[two] + 1]
            weights += [gain * both[i, one] * both[j, two] for i in range(2) for j in range(2)]
            first += self.shape[one] * self.shape[two]
        return torch.stack(rows).t().contiguous(), torch.stack(weights).t().contiguous()

    def to(self, device: torch.device | str) -> "Planes":
        """The same planes on `device`."""
        return replace(self, origin=self.origin.to(device))


def _place(level: Level | Planes, points: Tensor) -> tuple[Tensor, Tensor]:
    """Cells and places in them, [3, n] both: columns of three would cost most of the time."""
    scaled = points.t().contiguous()
    if level.mirror:
        # A rounded |x|: even and smooth, so that the plane of symmetry shows no crease.
        x = (scaled[:1].square() + (0.5 * level.spacing) ** 2).sqrt()
        scaled = torch.cat([x, scaled[1:]])
    scaled = (scaled - level.origin[:, None]) / level.spacing
    cell = scaled.floor()
    return cell.int(), scaled - cell


@dataclass(frozen=True, kw_only=True, eq=False)
class Pyramid:
    """Several levels that share one table; row 0 belongs to nobody and stays zero."""

    levels: tuple[Level | Planes, ...]
    rows: int
    """Height of the table."""

    def to(self, device: torch.device | str) -> "Pyramid":
        """The same pyramid on `device`."""
        return replace(self, levels=tuple(level.to(device) for level in self.levels))

    def coarser(self) -> "Pyramid":
        """The coarser half of the levels, of the same table; at least one."""
        return replace(self, levels=self.levels[: max(1, (len(self.levels) + 1) // 2)])

    def encode(self, points: Float[Tensor, "n 3"]) -> tuple[Integer[Tensor, "n k"], Float[Tensor, "n k"]]:
        """Rows and weights of all levels side by side; not differentiable in the points."""
        found = [level.rows(points.detach()) for level in self.levels]
        return torch.cat([rows for rows, _ in found], dim=1), torch.cat([weights for _, weights in found], dim=1)

    def __call__(self, table: Float[Tensor, "rows c"], points: Float[Tensor, "n 3"]) -> Float[Tensor, "n c"]:
        """Sum over levels of the interpolated table; differentiable in the table."""
        rows, weights = self.encode(points)
        return lookup(table, rows, weights)

    def gradient(self, table: Float[Tensor, "rows 1"], points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Exact derivative of a one-column table's value in the points; differentiable in the table."""
        parts = []
        for axis in range(3):
            rows, weights = zip(*(level.slopes(points.detach(), axis) for level in self.levels), strict=True)
            parts.append(lookup(table, torch.cat(rows, dim=1), torch.cat(weights, dim=1)))
        return torch.cat(parts, dim=1)


def _stretch(level: Level | Planes, points: Tensor, axis: int) -> Tensor | float:
    """Derivative of the place in cells (see `_place`) in the points' coordinate."""
    if not level.mirror or axis > 0:
        return 1.0 / level.spacing
    x = points[:, 0]
    return x / (x.square() + (0.5 * level.spacing) ** 2).sqrt() / level.spacing


class _Lookup(torch.autograd.Function):
    """`sum_k weights[n, k] table[rows[n, k]]`, with a backward that is one sparse product.

    torch's own backward of a weighted embedding bag takes 50 to 100 times as long on a CPU (torch 2.13).
    """

    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:  # noqa: ANN001  torch's own type
        ctx.save_for_backward(rows, weights)
        ctx.height = table.shape[0]
        return torch.nn.functional.embedding_bag(rows, table, per_sample_weights=weights, mode="sum")

    @staticmethod
    def backward(ctx, *outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN001  torch's own type
        rows, weights = ctx.saved_tensors
        (grad,) = outputs
        return _scatter(rows, weights, grad, ctx.height), None, None


def _scatter(rows: Tensor, weights: Tensor, grad: Tensor, height: int) -> Tensor:
    count, width = rows.shape
    if grad.device.type != "cpu":
        spread = (grad[:, None] * weights[..., None]).reshape(count * width, -1)
        return grad.new_zeros(height, grad.shape[1]).index_add_(0, rows.reshape(-1).long(), spread)
    starts = np.arange(count + 1, dtype=np.int32) * width
    matrix = scipy.sparse.csr_matrix(
        (weights.numpy().reshape(-1), rows.numpy().reshape(-1), starts), shape=(count, height)
    )
    return torch.from_numpy(np.ascontiguousarray(matrix.T @ grad.contiguous().numpy()))


def lookup(
    table: Float[Tensor, "rows c"], rows: Integer[Tensor, "n k"], weights: Float[Tensor, "n k"]
) -> Float[Tensor, "n c"]:
    """Weighted sums of rows of a table; differentiable in the table only."""
    return _Lookup.apply(table, rows, weights)


def band_pyramid(
    bounds: Float[Tensor, "2 3"],
    spacings: Sequence[float],
    near: Callable[[Tensor, float], Tensor],
    *,
    mirror: bool = False,
    gains: Sequence[float] | None = None,
) -> Pyramid:
    """A pyramid whose level of spacing h has the cells for which `near(cell centers, h)` is true.

    Args:
        bounds: lowest and highest corner of the space, metres.
        spacings: cell size of each level, metres.
        near: points [n, 3] and a spacing to a mask [n].
        mirror: share values between x and -x.
        gains: factor on each level's values; default 1.
    """
    levels, first = [], 1
    low, high = bounds[0].clone(), bounds[1].clone()
    if mirror:
        high[0] = torch.maximum(high[0], -low[0])
        low[0] = 0.0
    for number, spacing in enumerate(spacings):
        origin = low - 0.5 * spacing
        nx, ny, nz = (int(n) for n in ((high - origin) / spacing).ceil().long() + 1)
        shape = (nx, ny, nz)
        index = _chosen_cells(origin, shape, spacing, near, mirror)
        cells = torch.zeros(shape, dtype=torch.int32)
        cells[index[:, 0], index[:, 1], index[:, 2]] = torch.arange(1, len(index) + 1, dtype=torch.int32)
        corner = index[:, None] + torch.tensor(_CORNERS)
        flat = (corner[..., 0] * (ny + 1) + corner[..., 1]) * (nz + 1) + corner[..., 2]
        nodes, rows = torch.unique(flat, return_inverse=True)
        corners = torch.cat([torch.zeros(1, 8, dtype=torch.long), rows + first]).int()
        gain = 1.0 if gains is None else gains[number]
        levels.append(
            Level(
                origin=origin,
                spacing=spacing,
                gain=gain,
                mirror=mirror,
                cells=cells,
                corners=corners,
                first=first,
                size=len(nodes),
            )
        )
        first += len(nodes)
    return Pyramid(levels=tuple(levels), rows=first)


def _chosen_cells(
    origin: Tensor, shape: tuple[int, int, int], spacing: float, near: Callable[[Tensor, float], Tensor], mirror: bool
) -> Integer[Tensor, "n 3"]:
    """Indices of the cells that `near` wants; blocks of cells that it does not want as a whole are left out early."""

    def wanted(index: Tensor, size: float) -> Tensor:
        center = origin + size * (index.float() + 0.5)
        chosen = near(center, size)
        if mirror:
            chosen = chosen | near(center * torch.tensor([-1.0, 1.0, 1.0]), size)
        return index[chosen]

    block = _BLOCK if min(shape) > 2 * _BLOCK else 1
    axes = [torch.arange(-(-n // block)) for n in shape]
    index = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).view(-1, 3)
    index = wanted(index, block * spacing)
    if block == 1:
        return index
    steps = [torch.arange(block)] * 3
    inner = torch.stack(torch.meshgrid(*steps, indexing="ij"), dim=-1).view(1, -1, 3)
    index = (block * index[:, None] + inner).view(-1, 3)
    return wanted(index[(index < torch.tensor(shape)).all(-1)], spacing)


def hash_pyramid(
    bounds: Float[Tensor, "2 3"],
    spacings: Sequence[float],
    size: int,
    *,
    mirror: bool = False,
    gains: Sequence[float] | None = None,
) -> Pyramid:
    """A pyramid whose levels each hash their corners into `size` rows: no limit to the space, but collisions."""
    low = bounds[0].clone()
    if mirror:
        low[0] = 0.0
    levels = tuple(
        Level(
            origin=low - 0.5 * spacing,
            spacing=spacing,
            gain=1.0 if gains is None else gains[number],
            mirror=mirror,
            cells=None,
            corners=None,
            first=1 + number * size,
            size=size,
        )
        for number, spacing in enumerate(spacings)
    )
    return Pyramid(levels=levels, rows=1 + len(levels) * size)


def plane_pyramid(
    bounds: Float[Tensor, "2 3"],
    spacings: Sequence[float],
    *,
    mirror: bool = False,
    gains: Sequence[float] | None = None,
) -> Pyramid:
    """A pyramid whose levels are three planes each: few rows, but places that share a shadow share values."""
    low, high = bounds[0].clone(), bounds[1].clone()
    if mirror:
        high[0] = torch.maximum(high[0], -low[0])
        low[0] = 0.0
    levels, first = [], 1
    for number, spacing in enumerate(spacings):
        origin = low - 0.5 * spacing
        nx, ny, nz = (int(n) for n in ((high - origin) / spacing).ceil().long() + 2)
        gain = 1.0 if gains is None else gains[number]
        levels.append(Planes(origin=origin, spacing=spacing, gain=gain, mirror=mirror, shape=(nx, ny, nz), first=first))
        first += nx * ny + ny * nz + nz * nx
    return Pyramid(levels=tuple(levels), rows=first)
