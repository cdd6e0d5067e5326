"""Antialiasing across silhouettes, which is also what lets gradients move them.

Visibility is sampled at pixel centres, so an image would not change when an outline moves by less than a
pixel. In the manner of nvdiffrast (Laine et al. 2020, arXiv:2011.03277, section 3.6) two neighbouring
pixels on different sides of an outline are blended by where the outline crosses the line between their
centres. nvdiffrast looks for that outline among the edges of the triangle the nearer pixel sees, which
misses it where triangles are smaller than pixels; here all outline edges of the mesh are walked instead:
each is intersected with the rows and columns of pixel centres that it crosses.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from avatargen.render.cameras import Cameras, project
from avatargen.render.fragments import Fragments

_NEAR = 1e-4


@dataclass(frozen=True, eq=False)
class Edges:
    """The edges of a mesh, each once. It depends on the faces alone, so one value serves a whole optimisation."""

    ends: Integer[Tensor, "e 2"]
    """Vertices of the edge."""
    faces: Integer[Tensor, "e 2"]
    """The two faces beside it; the same face twice at a border."""
    opposite: Integer[Tensor, "e 2"]
    """The third vertex of each of those faces."""
    open: Bool[Tensor, " e"]
    """Borders, and edges of more than two faces: always outlines."""


@torch.no_grad()
def mesh_edges(faces: Integer[Tensor, "f 3"]) -> Edges:
    """The edges of `faces` with what lies on both sides."""
    count = len(faces)
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).long()
    opposite = torch.cat([faces[:, 2], faces[:, 0], faces[:, 1]]).long()
    owner = torch.arange(count, device=faces.device).repeat(3)
    low, high = pairs.amin(1), pairs.amax(1)
    base = int(high.max()) + 1 if count else 1
    key, order = torch.sort(low * base + high, stable=True)
    _, sizes = torch.unique_consecutive(key, return_counts=True)
    first = torch.cumsum(sizes, 0) - sizes
    second = first + (sizes > 1).long()
    one, two = order[first], order[second]
    return Edges(
        torch.stack([low[one], high[one]], dim=1),
        torch.stack([owner[one], owner[two]], dim=1),
        torch.stack([opposite[one], opposite[two]], dim=1),
        sizes != 2,
    )


@dataclass(frozen=True, eq=False)
class _Crossings:
    """Where outlines cross lines between the centres of neighbouring pixels."""

    inside: Integer[Tensor, " n"]
    """Flat index of the pixel on the surface's side."""
    outside: Integer[Tensor, " n"]
    position: Float[Tensor, " n"]
    """0 at the inside centre, 1 at the outside centre; differentiable."""
    depth: Float[Tensor, " n"]


def _outlines(
    points: Float[Tensor, "b v 3"], vertices: Float[Tensor, "m v 3"], faces: Tensor, edges: Edges, cameras: Cameras
) -> tuple[Integer[Tensor, " n"], Integer[Tensor, " n"], Integer[Tensor, " n"]]:
    """View, edge and the vertex on the surface's side, of each edge where the surface turns out of sight."""
    with torch.no_grad():
        corners = vertices[:, faces]
        normals = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        towards = cameras.positions.to(vertices.dtype)[:, None] - corners[:, :, 0]
        front = (normals * towards).sum(-1) > 0  # [b, f]
        sides = front[:, edges.faces]
        visible = (points[..., 2] > _NEAR)[:, edges.ends].all(-1)
        view, edge = torch.nonzero(((sides[..., 0] != sides[..., 1]) | edges.open) & visible, as_tuple=True)
        # The front face's third vertex tells the surface's side; at a border both entries are the one face.
        turned = (~sides[view, edge, 0]).long()
        return view, edge, edges.opposite[edge, turned]


def _cross_lines(
    start: Float[Tensor, "n 3"],
    end: Float[Tensor, "n 3"],
    third: Float[Tensor, "n 3"],
    view: Integer[Tensor, " n"],
    along: int,
    cameras: Cameras,
) -> _Crossings:
    """Crossings with the rows (`along` = 0: pairs of horizontal neighbours) or columns (1) of pixel centres."""
    across = 1 - along
    lines = (cameras.height, cameras.width)[along]
    length = (cameras.width, cameras.height)[along]
    with torch.no_grad():
        low = torch.minimum(start[:, across], end[:, across])
        high = torch.maximum(start[:, across], end[:, across])
        first = torch.ceil(low - 0.5).clamp(0, lines)
        counts = (torch.ceil(high - 0.5).clamp(0, lines) - first).long()
        row = torch.repeat_interleave(torch.arange(len(start), device=start.device), counts)
        place = torch.arange(len(row), device=start.device) - (torch.cumsum(counts, 0) - counts)[row]
        line = first.long()[row] + place
    a, b, c, view = start[row], end[row], third[row], view[row]
    share = (line.to(a.dtype) + 0.5 - a[:, across]) / (b[:, across] - a[:, across])
    position = a[:, along] + share * (b[:, along] - a[:, along]) - 0.5
    depth = 1.0 / ((1.0 - share) / a[:, 2] + share / b[:, 2])
    with torch.no_grad():
        before = torch.floor(position).long()
        keep = (before >= 0) & (before + 1 < length)
        # The third vertex projects beyond (+) or before (-) the edge's line in the direction of `along`.
        slope = (b[:, along] - a[:, along]) / (b[:, across] - a[:, across])
        side = c[:, along] - (a[:, along] + slope * (c[:, across] - a[:, across]))
        surface_after = (side > 0)[keep]
        step = 1 if along == 0 else cameras.width
        cell = (before * step + line * (cameras.width if along == 0 else 1))[keep]
        cell = cell + view[keep] * (cameras.height * cameras.width)
        inside = torch.where(surface_after, cell + step, cell)
        outside = torch.where(surface_after, cell, cell + step)
    share = (position - before.to(position.dtype))[keep]
    return _Crossings(inside, outside, torch.where(surface_after, 1.0 - share, share), depth.detach()[keep])


def _outermost(crossing: _Crossings, fragments: Fragments) -> Integer[Tensor, " k"]:
    """Rows of the crossings that separate their two pixels; of several between one pair the farthest out."""
    with torch.no_grad():
        depth, face = fragments.depth.reshape(-1), fragments.face.reshape(-1)
        near, far = depth[crossing.inside], depth[crossing.outside]
        # The edge must lie before what the outer pixel sees, and be nearer in depth to what the inner one sees.
        good = (face[crossing.inside] >= 0) & ((crossing.depth - near).abs() < far - crossing.depth)
        rows = torch.nonzero(good).squeeze(1)
        if len(rows) == 0:
            return rows
        inside, outside = crossing.inside[rows], crossing.outside[rows]
        pair, group = torch.unique(inside * len(depth) + outside, return_inverse=True)
        position = crossing.position.detach()[rows]
        top = position.new_full((len(pair),), -1.0).scatter_reduce(0, group, position, "amax")
        tied = torch.nonzero(position == top[group]).squeeze(1)
        winner = torch.full_like(pair, len(rows)).scatter_reduce(0, group[tied], tied, "amin")
        return rows[winner]


def antialias(
    image: Float[Tensor, "b h w c"],
    vertices: Float[Tensor, "v 3"] | Float[Tensor, "m v 3"],
    faces: Integer[Tensor, "f 3"],
    cameras: Cameras,
    fragments: Fragments,
    edges: Edges | None = None,
) -> Float[Tensor, "b h w c"]:
    """The image with pixels blended across outlines; differentiable in `image` and, at outlines, in `vertices`.

    Pass `edges` (`mesh_edges(faces)`) to save their search when many images of the same faces are made.
    Outlines of parts thinner than a pixel that no pixel centre sees are left as they are.
    """
    meshes = vertices if vertices.ndim == 3 else vertices[None]
    edges = edges or mesh_edges(faces)
    points = project(meshes, cameras)
    view, edge, third = _outlines(points, meshes.detach(), faces, edges, cameras)
    start, end = points[view, edges.ends[edge, 0]], points[view, edges.ends[edge, 1]]
    corner = points.detach()[view, third]
    channels = image.shape[-1]
    flat = image.reshape(-1, channels)
    run = (end - start).detach().abs()
    pixels, others, weights = [], [], []
    for along in (0, 1):
        # A steep edge separates horizontal neighbours, a flat one vertical neighbours; counting each edge in
        # both directions would move outlines twice as fast as they move.
        chosen = torch.nonzero((run[:, 0] > run[:, 1]) == (along == 1)).squeeze(1)
        crossing = _cross_lines(start[chosen], end[chosen], corner[chosen], view[chosen], along, cameras)
        rows = _outermost(crossing, fragments)
        position = crossing.position[rows].to(flat.dtype)
        inside, outside = crossing.inside[rows], crossing.outside[rows]
        grows = position.detach() > 0.5
        pixels.append(torch.where(grows, outside, inside))
        others.append(torch.where(grows, inside, outside))
        weights.append((position - 0.5).abs())
    pixel, other, weight = torch.cat(pixels), torch.cat(others), torch.cat(weights)
    # Up to four neighbours may each claim half of a pixel; together they cannot have more than all of it.
    changed, group = torch.unique(pixel, return_inverse=True)
    total = weight.new_zeros(len(changed)).index_add(0, group, weight)
    share = (weight / total.clamp(min=1.0)[group])[:, None]
    return flat.index_add(0, pixel, share * (flat[other] - flat[pixel])).reshape(image.shape)
