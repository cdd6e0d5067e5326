"""What the decimated mesh lost, as pictures: a tangent-space normal map of the field, and ambient occlusion.

Normals are the field's own gradient where each texel meets the zero set. Occlusion is seen by rays against the surface
before decimation and reaches 12 cm only, so that arms and legs, which will move, leave little of themselves behind.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh
from avatargen.mesh.clean import vertex_normals
from avatargen.mesh.texture import Texels, fill_texture, rasterize_uvs, surface_points
from avatargen.render.tangents import corner_tangents

REACH = 0.12
"""Metres at which a surface hides nothing any more."""
RAYS = 64
_TAP = 0.0015
"""Metres from a point at which the field is asked for its slope."""
_LEAST = 0.2
"""Cosine between true and smooth normal below which the texel met another surface and stays flat."""
_LIFT = 0.0008
"""Metres above the surface from which rays start."""
_CHUNK = 1 << 15
_SMALLEST = 64
_CORNERS = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], dtype=np.float64)


def with_detail(
    mesh: Mesh,
    sdf: Callable[[Tensor], Tensor],
    occluder: Mesh,
    settings: MeshSettings,
    slope: Callable[[Tensor], Tensor] | None = None,
) -> Mesh:
    """`mesh` with the normal map and the occlusion that the settings ask for, on the UVs that it has.

    Args:
        mesh: with UVs; metres.
        sdf: points [n, 3] to signed distances [n], metres, negative inside.
        occluder: the surface in full resolution, in the same pose.
        settings: `normal_map`, `occlusion`, `texture_size`; occlusion is soft and gets half as many texels a side.
        slope: points [n, 3] of the surface to its unit normals; None: the gradient of `sdf`.
    """

    def normals_at(points: np.ndarray) -> np.ndarray:
        if slope is None:
            return field_normals(points, sdf)
        return slope(torch.from_numpy(points.astype(np.float32))).cpu().numpy().astype(np.float64)

    if settings.normal_map:
        size = settings.texture_size
        texels = rasterize_uvs(mesh, size)
        found = normals_at(surface_points(mesh, texels, sdf))
        picture = fill_texture(texels, 0.5 + 0.5 * tangent_normals(mesh, texels, found), size)
        mesh = replace(mesh, normal_map=picture)
    if settings.occlusion:
        size = max(_SMALLEST, settings.texture_size // 2)
        texels = rasterize_uvs(mesh, size)
        points = surface_points(mesh, texels, sdf)
        free = calmed(openness(points, normals_at(points), occluder), texels, size)
        mesh = replace(mesh, occlusion=fill_texture(texels, np.repeat(free[:, None], 3, axis=1), size)[..., 0])
    return mesh


def field_normals(
    points: Float[np.ndarray, "n 3"], sdf: Callable[[Tensor], Tensor], step: float = _TAP
) -> Float[np.ndarray, "n 3"]:
    """Unit gradients of a distance function, from four taps at the corners of a tetrahedron `step` metres wide."""
    total = np.zeros(points.shape)
    for corner in _CORNERS:
        taps = torch.from_numpy((points + step * corner).astype(np.float32))
        with torch.no_grad():
            total += corner * sdf(taps).cpu().numpy()[:, None]
    return _unit(total)


def tangent_normals(mesh: Mesh, texels: Texels, normals: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """World normals of texels in the mesh's own frames: x along u, y along v (up), z along the smooth normal.

    Frames are interpolated as renderers do it: unit tangents, bitangents and normals of the corners, mixed, then made
    unit. A normal that looks away from its face becomes (0, 0, 1).
    """
    if mesh.uvs is None or mesh.uv_faces is None:
        raise ValueError("the mesh has no UVs: unfold it first")
    smooth = vertex_normals(mesh)
    tangents = corner_tangents(mesh.vertices, smooth, mesh.faces, mesh.uvs, mesh.uv_faces)
    corner_normals = smooth[mesh.faces]
    sides = tangents[..., 3:] * np.cross(corner_normals, tangents[..., :3])
    frame = [
        _unit(np.einsum("nk,nkc->nc", texels.bary, corners[texels.face]))
        for corners in (tangents[..., :3], sides, corner_normals)
    ]
    # the frame is not quite square: solve for the mixture that gives the normal back
    matrix = np.stack(frame, axis=-1)
    whole = np.abs(np.linalg.det(matrix)) > 0.05
    matrix[~whole] = np.eye(3)
    out = _unit(np.linalg.solve(matrix, normals[..., None])[..., 0])
    flat = ~whole | (out[:, 2] < _LEAST)
    out[flat] = (0.0, 0.0, 1.0)
    return out


def openness(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    occluder: Mesh,
    reach: float = REACH,
    rays: int = RAYS,
) -> Float[np.ndarray, " n"]:
    """How much of the sky over each point is free, weighted by the cosine: 1 in the open, 0 where nothing gets in.

    What a ray hits at a distance d hides `1 - d / reach` of it.

    Args:
        points: metres.
        normals: unit.
        occluder: what hides the sky.
        reach: metres.
        rays: for each point; the same directions for all, turned about the normal by an angle of each point's own.
    """
    scene = EmbreeScene()
    TriangleMesh(
        scene, np.ascontiguousarray(occluder.vertices, np.float32), np.ascontiguousarray(occluder.faces, np.int32)
    )
    steps = (np.arange(rays) + 0.5) / rays
    radius, height = np.sqrt(steps), np.sqrt(1.0 - steps)
    golden = math.pi * (3.0 - math.sqrt(5.0))
    result = np.ones(len(points))
    for first in range(0, len(points), _CHUNK):
        rows = slice(first, min(first + _CHUNK, len(points)))
        up = normals[rows]
        side = _unit(np.cross(up, np.eye(3)[np.abs(up).argmin(1)]))
        other = np.cross(up, side)
        # Weyl's sequence: neighbours in the list are turned far apart
        turn = 2 * math.pi * np.modf(np.arange(rows.start, rows.stop) * 0.7548776662466927)[0]
        angle = turn[:, None] + golden * np.arange(rays)
        directions = (
            (radius * np.cos(angle))[..., None] * side[:, None]
            + (radius * np.sin(angle))[..., None] * other[:, None]
            + height[:, None] * up[:, None]
        )
        origins = np.repeat(points[rows] + _LIFT * up, rays, axis=0)
        flat = np.ascontiguousarray(directions.reshape(-1, 3), dtype=np.float32)
        far = scene.run(np.ascontiguousarray(origins, dtype=np.float32), flat, query="DISTANCE")
        seen = np.clip(np.where(np.isfinite(far), far, reach) / reach, 0.0, 1.0)
        result[rows] = seen.reshape(-1, rays).mean(1)
    return result


def calmed(values: Float[np.ndarray, " n"], texels: Texels, size: int) -> Float[np.ndarray, " n"]:
    """Values of texels averaged with their neighbours' on the picture; takes off the noise of few rays."""
    picture, weight = np.zeros((size, size)), np.zeros((size, size))
    picture[texels.row, texels.column], weight[texels.row, texels.column] = values, 1.0
    picture, weight = (
        ndimage.gaussian_filter(image, 1.0, mode="constant", truncate=2.0) for image in (picture, weight)
    )
    return (picture / np.maximum(weight, 1e-6))[texels.row, texels.column]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-20)
