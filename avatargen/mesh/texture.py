"""Unfold a mesh and paint its texture from a color function: every texel gets the color of its place on the surface."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import xatlas
from jaxtyping import Float, Integer, UInt8
from scipy import ndimage
from torch import Tensor

from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh
from avatargen.mesh.clean import vertex_normals
from avatargen.mesh.magnify import Focus, magnify

_CHUNK = 1 << 21
# How far, in metres, a texel may be moved from the decimated face to the true surface.
_MOST_SHIFT = 0.006


@dataclass(frozen=True, kw_only=True, eq=False)
class Texels:
    """The texels that lie on a face."""

    row: Integer[np.ndarray, " n"]
    column: Integer[np.ndarray, " n"]
    face: Integer[np.ndarray, " n"]
    bary: Float[np.ndarray, "n 3"]


def bake(
    mesh: Mesh,
    color: Callable[[Tensor], Tensor],
    settings: MeshSettings,
    *,
    sdf: Callable[[Tensor], Tensor] | None = None,
    focus: Sequence[Focus] = (),
    color_on: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
) -> Mesh:
    """The mesh with UVs, its own where it has some, and a texture of `settings.texture_size` squared.

    Args:
        mesh: outward faces; metres.
        color: points [n, 3] to sRGB colors [n, 3] in 0..1.
        settings: size and padding of the texture.
        sdf: if given, texels are moved from the mesh onto its zero set before `color` is asked.
        focus: balls that get more texels.
        color_on: asked instead of `color`, with faces [n] and weights of their corners [n, 3] beside the points.
    """
    unfolded = unfold(mesh, settings, focus) if mesh.uvs is None else mesh
    texels = rasterize_uvs(unfolded, settings.texture_size)
    points = surface_points(unfolded, texels, sdf)
    places = torch.from_numpy(points.astype(np.float32))
    with torch.no_grad():
        if color_on is None:
            colors = color(places).cpu().numpy()
        else:
            bary = torch.from_numpy(texels.bary.astype(np.float32))
            colors = color_on(places, torch.from_numpy(texels.face), bary).cpu().numpy()
    image = fill_texture(texels, colors, settings.texture_size)
    return replace(unfolded, texture=image)


def repaint(
    mesh: Mesh,
    colors: Callable[[Integer[Tensor, " n"], Float[Tensor, "n 3"]], Float[Tensor, "n 3"]],
    size: int,
) -> Mesh:
    """The mesh, which has UVs, with a texture of `size` squared from the colors of places on its faces."""
    texels = rasterize_uvs(mesh, size)
    found = colors(torch.from_numpy(texels.face).long(), torch.from_numpy(texels.bary).float())
    image = fill_texture(texels, found.clamp(0, 1).cpu().numpy(), size)
    return replace(mesh, texture=image, vertex_colors=None)


def unfold(mesh: Mesh, settings: MeshSettings, focus: Sequence[Focus] = ()) -> Mesh:
    """The mesh with an atlas of charts in 0..1 that do not overlap."""
    atlas = xatlas.Atlas()
    atlas.add_mesh(magnify(mesh.vertices, focus).astype(np.float32), mesh.faces.astype(np.uint32))
    charts, pack = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_iterations = 1
    pack.resolution = settings.texture_size
    pack.padding = settings.padding
    pack.bilinear = True
    atlas.generate(charts, pack)
    _, faces, uvs = atlas[0]
    return replace(mesh, uvs=uvs.astype(np.float32), uv_faces=faces.astype(np.int64))


def rasterize_uvs(mesh: Mesh, size: int) -> Texels:
    """Which texel centers lie inside which face's UV triangle, and where in it."""
    if mesh.uvs is None or mesh.uv_faces is None:
        raise ValueError("the mesh has no UVs: unfold it first")
    # Pixel coordinates with y down; the center of texel (row, column) is (column + 0.5, row + 0.5).
    flat = np.stack([mesh.uvs[:, 0] * size, (1.0 - mesh.uvs[:, 1]) * size], axis=1).astype(np.float64) - 0.5
    corners = flat[mesh.uv_faces]
    low = np.maximum(np.ceil(corners.min(1)).astype(np.int64), 0)
    high = np.minimum(np.floor(corners.max(1)).astype(np.int64), size - 1)
    extent = np.maximum(high - low + 1, 0)
    count = extent.prod(1)
    ends, start, parts = np.cumsum(count), 0, []
    while start < len(corners):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        parts.append(_covered(corners, low, extent, count, start, stop))
        start = stop
    row, column, face, bary = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Texels(row=row, column=column, face=face, bary=bary)


def _covered(
    corners: np.ndarray, low: np.ndarray, extent: np.ndarray, count: np.ndarray, start: int, stop: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    face = np.repeat(np.arange(start, stop), count[start:stop])
    first = np.cumsum(count[start:stop]) - count[start:stop]
    place = np.arange(len(face)) - np.repeat(first, count[start:stop])
    column = low[face, 0] + place % extent[face, 0]
    row = low[face, 1] + place // extent[face, 0]
    arms = corners[face] - np.stack([column, row], axis=1)[:, None]
    a, b, c = arms[:, 0], arms[:, 1], arms[:, 2]
    areas = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], axis=1)
    total = areas.sum(1)
    safe = np.where(np.abs(total) < 1e-12, 1.0, total)
    bary = areas / safe[:, None]
    # A hair of tolerance leaves no texel on a shared edge without a face.
    inside = (np.abs(total) >= 1e-12) & (bary.min(1) >= -1e-6)
    return row[inside], column[inside], face[inside], bary[inside]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def surface_points(
    mesh: Mesh, texels: Texels, sdf: Callable[[Tensor], Tensor] | None, rounds: int = 2
) -> Float[np.ndarray, "n 3"]:
    """Places of texels on the faces, moved along smooth normals onto the zero set of `sdf` where one is given."""
    corners = mesh.faces[texels.face]
    points = (mesh.vertices[corners] * texels.bary[..., None]).sum(1)
    if sdf is None:
        return points
    normals = (vertex_normals(mesh)[corners] * texels.bary[..., None]).sum(1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    moved = np.zeros(len(points))
    for _ in range(rounds):
        here = torch.from_numpy((points + moved[:, None] * normals).astype(np.float32))
        with torch.no_grad():
            moved = np.clip(moved - sdf(here).cpu().numpy(), -_MOST_SHIFT, _MOST_SHIFT)
    return points + moved[:, None] * normals


def fill_texture(texels: Texels, colors: Float[np.ndarray, "n 3"], size: int) -> UInt8[np.ndarray, "h w 3"]:
    """The image: texels where there are any, elsewhere the nearest one's color, so that no filter finds a seam."""
    image = np.zeros((size, size, 3), dtype=np.uint8)
    empty = np.ones((size, size), dtype=bool)
    image[texels.row, texels.column] = np.round(np.clip(colors, 0.0, 1.0) * 255.0).astype(np.uint8)
    empty[texels.row, texels.column] = False
    if empty.all():
        return image
    near = np.asarray(ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True))
    return image[near[0], near[1]]
