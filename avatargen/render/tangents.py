"""Tangents for normal maps, after MikkTSpace (Mikkelsen 2008), which glTF and Blender expect.

The tangent at a corner is the direction in which u grows, the mean over the faces around that share the vertex, its UV
and its orientation, each weighted by its angle there. `bitangent = w * cross(normal, tangent)` is where v (up) grows.
"""

import numpy as np
from jaxtyping import Float, Integer


def corner_tangents(
    vertices: Float[np.ndarray, "v 3"],
    normals: Float[np.ndarray, "v 3"],
    faces: Integer[np.ndarray, "f 3"],
    uvs: Float[np.ndarray, "t 2"],
    uv_faces: Integer[np.ndarray, "f 3"],
) -> Float[np.ndarray, "f 3 4"]:
    """Unit tangents, perpendicular to the vertex normals, and the sign `w` of their bitangents, for each corner.

    Args:
        vertices: metres.
        normals: unit, of vertices.
        faces: corners' vertices.
        uvs: v up.
        uv_faces: corners' UVs.
    """
    flat = faces.reshape(-1).astype(np.int64)
    normal = normals[flat].astype(np.float64)
    points, uv = vertices[faces].astype(np.float64), uvs[uv_faces].astype(np.float64)
    e1, e2 = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    d1, d2 = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    area = d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]
    mirrored = area < 0
    along = np.where(mirrored, -1.0, 1.0)[:, None] * (d2[:, 1:] * e1 - d1[:, 1:] * e2)
    # a face without area in the texture has no direction to give
    along = np.where(np.abs(area)[:, None] > 1e-20, along, 0.0)
    share = _corner_angles(points, normal.reshape(-1, 3, 3))[..., None] * _unit(
        np.repeat(along, 3, axis=0) - normal * (normal * np.repeat(along, 3, axis=0)).sum(1, keepdims=True)
    ).reshape(-1, 3, 3)
    key = (flat * len(uvs) + uv_faces.reshape(-1)) * 2 + np.repeat(mirrored, 3)
    group = np.unique(key, return_inverse=True)[1].reshape(-1)
    total = np.stack([np.bincount(group, share.reshape(-1, 3)[:, axis]) for axis in range(3)], axis=1)[group]
    total -= normal * (normal * total).sum(1, keepdims=True)
    lost = np.linalg.norm(total, axis=1) < 1e-12
    total[lost] = _any_perpendicular(normal[lost])
    sign = np.where(np.repeat(mirrored, 3), -1.0, 1.0)
    return np.concatenate([_unit(total), sign[:, None]], axis=1).reshape(-1, 3, 4)


def _corner_angles(points: np.ndarray, normals: np.ndarray) -> Float[np.ndarray, "f 3"]:
    """Angle of each face at its corners, seen along the corner's normal; radians."""
    angles = []
    for corner in range(3):
        arms = [points[:, (corner + step) % 3] - points[:, corner] for step in (1, 2)]
        n = normals[:, corner]
        a, b = (_unit(arm - n * (n * arm).sum(1, keepdims=True)) for arm in arms)
        angles.append(np.arccos(np.clip((a * b).sum(1), -1.0, 1.0)))
    return np.stack(angles, axis=1)


def _any_perpendicular(normals: np.ndarray) -> np.ndarray:
    axis = np.eye(3)[np.abs(normals).argmin(1)] if len(normals) else normals
    return _unit(np.cross(normals, axis))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-20)
