"""The exact signed distance of a closed mesh on a grid: exact near the surface, close to exact far from it.

Each closed piece of the mesh (skin, eyeballs) is signed by its own winding number and the pieces are united by the
minimum, so that faces buried in another piece leave no trace. Hollows that cannot be reached from outside are filled.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from torch import Tensor

from avatargen.implicit.closest import closest_on_triangles

_CHUNK = 1 << 17
_FAR_SPACING, _REACHED_SPACING = 0.024, 0.008
"""Of the grids on which distances beyond the exact band are found, everywhere and within `_REACHED`; metres."""
_REACHED = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Where the nodes of a regular grid are; node (i, j, k) lies at `origin + spacing * (i, j, k)`, k fastest."""

    origin: tuple[float, float, float]
    spacing: float
    shape: tuple[int, int, int]

    @staticmethod
    def over(box: Float[Tensor, "2 3"], spacing: float) -> "Grid":
        """The grid that starts at the lowest corner of a box and covers it."""
        low, high = box.double()
        nx, ny, nz = (int(n) for n in ((high - low) / spacing).ceil().long() + 1)
        x, y, z = (float(v) for v in low)
        return Grid(origin=(x, y, z), spacing=spacing, shape=(nx, ny, nz))

    @property
    def count(self) -> int:
        """How many nodes there are."""
        nx, ny, nz = self.shape
        return nx * ny * nz

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Lowest and highest corner."""
        low = torch.tensor(self.origin)
        return torch.stack([low, low + self.spacing * (torch.tensor(self.shape) - 1)])

    def nodes(self, flat: Integer[Tensor, " n"]) -> Float[Tensor, "n 3"]:
        """Positions of nodes given by flat index."""
        _, ny, nz = self.shape
        i, rest = flat // (ny * nz), flat % (ny * nz)
        grid = torch.stack([i, rest // nz, rest % nz], dim=-1)
        return torch.tensor(self.origin, device=flat.device) + self.spacing * grid.float()


@dataclass(frozen=True, kw_only=True, eq=False)
class DistanceGrid:
    """Signed distance at the nodes of a grid, and which face is (nearly) the closest there."""

    grid: Grid
    sdf: Float[Tensor, "x y z"]
    """Metres, negative inside; exact within the band, else good to a few millimetres."""
    face: Integer[Tensor, "x y z"]


def distance_grid(
    vertices: Float[Tensor, "v 3"],
    faces: Integer[Tensor, "f 3"],
    *,
    spacing: float,
    band: float,
    pad: float = 0.0,
    box: Float[Tensor, "2 3"] | None = None,
) -> DistanceGrid:
    """Signed distance of a closed mesh on a grid; exact for nodes nearer than `band`.

    Args:
        vertices: metres.
        faces: of closed pieces, counter-clockwise seen from outside.
        spacing: of the nodes, metres.
        band: metres.
        pad: how far the grid reaches beyond the mesh.
        box: lowest and highest corner of the grid, instead of mesh and pad; most of it must be air.
    """
    vertices, faces = vertices.detach().float().cpu(), faces.cpu()
    if box is None:
        box = torch.stack([vertices.amin(0) - pad, vertices.amax(0) + pad])
    grid = Grid.over(box, spacing)
    far, face = _far_field(vertices, faces, grid)
    far = far.clamp_min_(band)
    sdf = far.clone()
    for piece in _pieces(faces.numpy()):
        corners = vertices[faces[piece]]
        span = _span(corners, grid, band)
        if any(low >= high for low, high in span):
            continue
        squared, which = _near_field(corners, grid, span, band)
        inside = _winding(corners.double(), grid, span) > 0
        view = tuple(slice(low, high) for low, high in span)
        exact = squared < band * band
        # Beyond its band a piece is only known by sign: outside it has no say, inside it is at least that deep.
        depth = torch.where(inside, -far[view], torch.full_like(squared, float("inf")))
        signed = torch.where(exact, squared.sqrt() * torch.where(inside, -1.0, 1.0), depth)
        lower = signed < sdf[view]
        face[view] = torch.where(lower & exact, piece[which].int(), face[view])
        sdf[view] = torch.where(lower, signed, sdf[view])
    return DistanceGrid(grid=grid, sdf=_fill_hollows(sdf, spacing), face=face)


def _pieces(faces: Integer[np.ndarray, "f 3"]) -> list[Integer[Tensor, " n"]]:
    count = int(faces.max()) + 1
    pairs = np.concatenate([faces[:, :2], faces[:, 1:]])
    links = coo_matrix((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    label = connected_components(links, directed=False)[1][faces[:, 0]]
    return [torch.from_numpy(np.flatnonzero(label == name)) for name in np.unique(label)]


def _span(corners: Float[Tensor, "f 3 3"], grid: Grid, margin: float) -> tuple[tuple[int, int], ...]:
    """Half-open index ranges of the nodes within `margin` of the bounding box of triangles."""
    flat = corners.reshape(-1, 3).double()
    origin = torch.tensor(grid.origin, dtype=torch.float64)
    low = ((flat.amin(0) - margin - origin) / grid.spacing).floor().long().clamp_min(0)
    high = ((flat.amax(0) + margin - origin) / grid.spacing).ceil().long() + 1
    return tuple((int(a), min(int(b), n)) for a, b, n in zip(low, high, grid.shape, strict=True))


def surface_samples(corners: Float[Tensor, "f 3 3"], spacing: float) -> tuple[Tensor, Tensor]:
    """Points [n, 3] spread over triangles, no place on them farther than `spacing` from one, and their faces [n]."""
    edges = (corners - corners.roll(1, dims=1)).norm(dim=-1).amax(1)
    parts = (edges / spacing).ceil().long().clamp_min(1)
    points, owners = [], []
    for count in parts.unique().tolist():
        chosen = torch.nonzero(parts == count).squeeze(1)
        i, j = torch.meshgrid(torch.arange(count), torch.arange(count), indexing="ij")
        keep = i + j < count
        u, v = (i[keep] + 1 / 3) / count, (j[keep] + 1 / 3) / count
        bary = torch.stack([1 - u - v, u, v], dim=-1).to(corners.dtype)
        points.append(torch.einsum("sk,fkc->fsc", bary, corners[chosen]).reshape(-1, 3))
        owners.append(chosen.repeat_interleave(len(bary)))
    return torch.cat(points), torch.cat(owners)


def _far_field(vertices: Tensor, faces: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Unsigned distance and face at every node, from exact-to-a-sample distances on coarser grids.

    The finer of the two is asked only where surfaces can grow to: there slopes have to be right, too.
    """
    corners = vertices[faces]
    points, owners = surface_samples(corners, 0.010)
    tree = KDTree(points.numpy())

    def ask(nodes: Tensor) -> tuple[Tensor, Tensor]:
        owner = owners[torch.from_numpy(tree.query(nodes.numpy(), workers=-1)[1])]
        return closest_on_triangles(nodes, corners[owner])[1].sqrt(), owner.int()

    middle, ratio = _coarser(grid, _REACHED_SPACING)
    rough, rough_ratio = _coarser(middle, _FAR_SPACING)
    distance, face = ask(rough.nodes(torch.arange(rough.count)))
    distance, face = _spread(distance, face, rough, middle, rough_ratio)
    reached = torch.nonzero(distance < _REACHED).squeeze(1)
    distance[reached], face[reached] = ask(middle.nodes(reached))
    distance, face = _spread(distance, face, middle, grid, ratio)
    return distance.view(grid.shape), face.view(grid.shape)


def _coarser(grid: Grid, spacing: float) -> tuple[Grid, int]:
    """A grid of about `spacing` that covers `grid` and shares nodes with it: every so many of them."""
    ratio = max(1, round(spacing / grid.spacing))
    nx, ny, nz = (-(-(n - 1) // ratio) + 1 for n in grid.shape)
    return Grid(origin=grid.origin, spacing=grid.spacing * ratio, shape=(nx, ny, nz)), ratio


def _spread(distance: Tensor, face: Tensor, coarse: Grid, fine: Grid, ratio: int) -> tuple[Tensor, Tensor]:
    """Values at the nodes of a coarse grid carried to those of a finer one: distances linearly, faces as they are."""
    size = tuple(ratio * (n - 1) + 1 for n in coarse.shape)
    smooth = torch.nn.functional.interpolate(
        distance.view(1, 1, *coarse.shape), size=size, mode="trilinear", align_corners=True
    )[0, 0]
    x, y, z = ((torch.arange(n) + ratio // 2) // ratio for n in fine.shape)
    nearest = face.view(coarse.shape)[x][:, y][:, :, z]
    return smooth[tuple(slice(n) for n in fine.shape)].reshape(-1), nearest.reshape(-1)


def _near_field(
    corners: Float[Tensor, "f 3 3"], grid: Grid, span: tuple[tuple[int, int], ...], band: float
) -> tuple[Tensor, Tensor]:
    """Squared distance and row of the nearest triangle at the nodes of a box; infinite beyond the band."""
    shape = torch.tensor([high - low for low, high in span])
    base = torch.tensor([low for low, _ in span])
    origin = torch.tensor(grid.origin) + grid.spacing * base
    low = ((corners.amin(1) - band - origin) / grid.spacing).ceil().long().clamp_min(0)
    high = torch.minimum(((corners.amax(1) + band - origin) / grid.spacing).floor().long(), shape - 1)
    extent = (high - low + 1).clamp_min(0)
    count = extent.prod(1)
    # Squared distance in the high half and face in the low half of one integer: the minimum finds both at once,
    # because the bit patterns of positive floats sort like the floats.
    nothing = np.iinfo(np.int64).max
    best = torch.full((int(shape.prod()),), nothing, dtype=torch.int64)
    ends = count.cumsum(0)
    start = 0
    while start < len(corners):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(torch.searchsorted(ends, done + _CHUNK, right=True)))
        rows = torch.arange(start, stop).repeat_interleave(count[start:stop])
        place = torch.arange(len(rows)) - (ends[rows] - count[rows] - done)
        ey, ez = extent[rows, 1], extent[rows, 2]
        i = low[rows, 0] + place // (ey * ez)
        j = low[rows, 1] + place // ez % ey
        k = low[rows, 2] + place % ez
        points = origin + grid.spacing * torch.stack([i, j, k], dim=-1).float()
        squared = closest_on_triangles(points, corners[rows])[1]
        key = (squared.view(torch.int32).long() << 32) | rows
        flat = (i * shape[1] + j) * shape[2] + k
        best.scatter_reduce_(0, flat, key, reduce="amin")
        start = stop
    size = tuple(int(n) for n in shape)
    unset = best == nothing
    squared = (best >> 32).int().view(torch.float32).masked_fill_(unset, float("inf"))
    return squared.view(size), (best & 0xFFFFFFFF).masked_fill_(unset, 0).view(size)


def _winding(corners: Float[Tensor, "f 3 3"], grid: Grid, span: tuple[tuple[int, int], ...]) -> Tensor:
    """How many times a closed surface winds around each node of a box: crossings on the way there along +Z."""
    size = tuple(high - low for low, high in span)
    origin = torch.tensor(grid.origin, dtype=torch.float64) + grid.spacing * torch.tensor([low for low, _ in span])
    # Columns a hair off the nodes meet no edge or corner of a mesh stored in float32.
    flat_origin = origin[:2] + torch.tensor([1.2345e-8 * np.pi, 2.3456e-8 * np.e], dtype=torch.float64)
    xy = (corners[..., :2] - flat_origin) / grid.spacing
    low = xy.amin(1).ceil().long().clamp_min(0)
    high = torch.minimum(xy.amax(1).floor().long(), torch.tensor(size[:2]) - 1)
    extent = (high - low + 1).clamp_min(0)
    count = extent.prod(1)
    rows = torch.arange(len(corners)).repeat_interleave(count)
    place = torch.arange(len(rows)) - (count.cumsum(0) - count)[rows]
    i = low[rows, 0] + place // extent[rows, 1]
    j = low[rows, 1] + place % extent[rows, 1]
    a, b, c = (xy[:, n][rows] - torch.stack([i, j], dim=-1) for n in range(3))
    areas = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], dim=-1)
    total = areas.sum(-1)
    hit = ((areas > 0).all(-1) | (areas < 0).all(-1)) & (total != 0)
    rows, i, j, areas, total = rows[hit], i[hit], j[hit], areas[hit], total[hit]
    z = (areas * corners[rows, :, 2]).sum(-1) / total
    k = ((z - origin[2]) / grid.spacing).ceil().long().clamp_min(0)
    inside_grid = k < size[2]
    turn = torch.where(total > 0, -1, 1).to(torch.int8)
    steps = torch.zeros(size, dtype=torch.int8)
    flat = (i * size[1] + j) * size[2] + k
    steps.view(-1).index_add_(0, flat[inside_grid], turn[inside_grid])
    return steps.cumsum(2, dtype=torch.int8)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _fill_hollows(sdf: Float[Tensor, "x y z"], spacing: float) -> Float[Tensor, "x y z"]:
    """Turn outside nodes that air cannot reach (through gaps of at least a spacing) into inside ones.

    The mouth and the back of the eye sockets would otherwise become pockets in the extracted surface.
    """
    air = (sdf > 0).numpy()
    label, count = ndimage.label((sdf > 0.5 * spacing).numpy())  # pyright: ignore[reportGeneralTypeIssues]
    if count < 2:
        return sdf
    # The open air is by far the largest piece of what is outside.
    outer = int(np.bincount(label.reshape(-1), minlength=2)[1:].argmax()) + 1
    reached = label == outer
    # Only what is close to a pocket needs the slow part: growing the reached air back to the surface.
    for place in ndimage.find_objects(np.where(reached, 0, label)):
        if place is None:
            continue
        view = tuple(slice(max(p.start - 3, 0), p.stop + 3) for p in place)
        grown = np.asarray(ndimage.binary_dilation(reached[view], mask=air[view], iterations=2), dtype=bool)
        closed = torch.from_numpy(air[view] & np.logical_not(grown))
        sdf[view] = torch.where(closed, -sdf[view], sdf[view])
    return sdf
