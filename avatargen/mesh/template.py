"""The body's own mesh, moved onto a sculpted surface: clean edge loops, the body's UVs, joints and weights.

Each vertex travels along its smooth normal to the nearest zero of the field, out or in. Where there is none that
belongs to it (inside the mouth, behind the lids, between legs that have grown together) it moves as its neighbours do.
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
    # A piece of the mesh that arrives nowhere stays where it is.
    insistence = np.where(arrived, np.inf, 1e-6)
    signed = np.stack([np.maximum(way, 0), np.maximum(-way, 0)], axis=1)  # evening out knows no negative values
    outward, inward = even_out(np.where(arrived[:, None], signed, 0.0), graph, insistence).T
    moved = points + (outward - inward)[:, None] * normals
    return Mesh(vertices=moved.astype(np.float32), faces=body.faces, uvs=body.uvs, uv_faces=body.uv_faces)


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
