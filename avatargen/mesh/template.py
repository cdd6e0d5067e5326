"""The body's own mesh, moved onto a sculpted surface: clean edge loops, the body's UVs, joints and weights.

Each vertex travels along its smooth normal to the nearest zero of the field, out or in. Where there is none that
belongs to it (inside the mouth, behind the lids, between legs that have grown together), or where ways that meet would
squash a face, it moves as its neighbours do.
"""

from collections.abc import Callable

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Bool, Float
from torch import Tensor

from avatargen.core.values import Mesh
from avatargen.mesh.clean import vertex_normals
from avatargen.mesh.rig import edge_graph, even_out

_ROUNDS = 14
_NEAR_ENOUGH = 0.0008
"""Metres from the zero set within which a vertex counts as arrived."""
_SLACK = 0.001
"""Metres that the way along the normal may be longer than half as much again as the distance says."""
_OFF = 0.0002
"""Metres from a vertex at which looking for other parts of the body begins."""
_FACING = 0.3
"""Least cosine of the field's slope and the normal where a vertex arrives: it must not come to a far side."""
_STEP = 0.002
_LEAST_AREA = 0.2
"""Of a face, over its own on the body; where ways along the normals squash it further they are evened out."""
_SHORTER = 0.8
_UNSQUASHING = 12
"""Rounds of that at most."""


def onto_surface(body: Mesh, sdf: Callable[[Tensor], Tensor], reach: float) -> Mesh:
    """`body` with its vertices on the zero set of `sdf`; faces, UVs and order stay as they are.

    Args:
        body: the posed coarse body, metres.
        sdf: points [n, 3] to signed distances [n], metres, negative inside.
        reach: no vertex moves farther, metres.
    """
    points, normals = body.vertices.astype(np.float64), vertex_normals(body)
    way, arrived = ways_to_surface(points, normals, sdf, reach)
    arrived &= np.abs(way) < free_ways(body, normals, np.sign(way)) + _OFF
    graph = edge_graph(body.faces.astype(np.int64), points)
    signed = np.stack([np.maximum(way, 0), np.maximum(-way, 0)], axis=1)  # evening out knows no negative values
    moved, least = points, _LEAST_AREA * _areas(points, body.faces)
    share = np.ones(len(points))
    for _ in range(_UNSQUASHING):
        # A piece of the mesh that arrives nowhere stays where it is.
        insistence = np.where(arrived, np.inf, 1e-6)
        outward, inward = even_out(np.where(arrived[:, None], signed, 0.0), graph, insistence).T
        moved = points + (share * (outward - inward))[:, None] * normals
        squashed = np.zeros(len(points), dtype=bool)
        squashed[body.faces[_areas(moved, body.faces) < least]] = True
        if not squashed.any():
            break
        # First as the neighbours do; where these too go too far for so narrow a fold, less far.
        share[squashed & ~arrived] *= _SHORTER
        arrived = arrived & ~squashed
    return Mesh(vertices=moved.astype(np.float32), faces=body.faces, uvs=body.uvs, uv_faces=body.uv_faces)


def _areas(points: np.ndarray, faces: np.ndarray) -> Float[np.ndarray, " f"]:
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def ways_to_surface(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    sdf: Callable[[Tensor], Tensor],
    reach: float,
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """How far along its normal each point meets the zero set (metres, negative inwards), and whether it does."""

    def at(way: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return sdf(torch.from_numpy((points + way[:, None] * normals).astype(np.float32))).cpu().numpy()

    first = at(np.zeros(len(points)))
    room = np.minimum(1.5 * np.abs(first) + _SLACK, reach)
    way, value = np.zeros(len(points)), first
    for _ in range(_ROUNDS):
        way = np.clip(way - 0.9 * value, -room, room)
        value = at(way)
    slope = (at(way + _STEP) - at(way - _STEP)) / (2 * _STEP)
    return way, (np.abs(value) < _NEAR_ENOUGH) & (slope > _FACING)


def free_ways(body: Mesh, normals: Float[np.ndarray, "v 3"], side: Float[np.ndarray, " v"]) -> Float[np.ndarray, " v"]:
    """How far each vertex can go along (side 1) or against its normal before it meets the body itself; metres."""
    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(body.vertices, np.float32), np.ascontiguousarray(body.faces, np.int32))
    directions = np.ascontiguousarray(normals * np.where(side < 0, -1.0, 1.0)[:, None], dtype=np.float32)
    origins = np.ascontiguousarray(body.vertices + _OFF * directions, dtype=np.float32)
    found = scene.run(origins, directions, query="DISTANCE")
    return np.where(np.isfinite(found) & (found < 1e6), found, np.inf)
