"""The closest points of a surface that face the same way, by exact point-triangle distance.

Candidates come from a k-d tree in six dimensions (position, `facing` x normal), whose squared distance
`d^2 + 2 facing^2 (1 - cos)` is the cost that the exact step minimises too. A hand's back is so never taken for
its palm, nor the inside of an arm for the flank beside it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from scipy.spatial import KDTree

# Four samples per corner region, edge and middle: enough that the nearest triangle is among the nearest samples
# although the body's triangles range from 1 mm on a lip to 6 cm on the back.
SAMPLES = np.array(
    [[8, 1, 1], [1, 8, 1], [1, 1, 8], [5, 4, 1], [1, 5, 4], [4, 1, 5], [4, 3, 3]], dtype=np.float64
) / np.array([[10], [10], [10], [10], [10], [10], [10]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Nearest:
    """Where each query point touches the surface."""

    face: Integer[np.ndarray, " n"]
    bary: Float[np.ndarray, "n 3"]
    distance: Float[np.ndarray, " n"]
    """Metres to that place."""
    cost: Float[np.ndarray, " n"]
    """Metres too: the distance, lengthened where the normals disagree."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """Triangles with smooth vertex normals."""

    vertices: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v 3"]
    faces: Integer[np.ndarray, "f 3"]


def nearest_facing(
    points: Float[np.ndarray, "n 3"],
    normals: Float[np.ndarray, "n 3"],
    surface: Surface,
    *,
    facing: float = 0.05,
    candidates: int = 12,
) -> Nearest:
    """The place of `surface` with the least `sqrt(d^2 + 2 facing^2 (1 - cos))` for each point.

    Args:
        points: metres.
        normals: unit; zero counts as facing nowhere.
        surface: what is searched.
        facing: metres that a right angle between the normals costs, divided by the square root of two.
        candidates: samples of the surface that are looked at exactly; more is slower and rarely better.
    """
    corners, corner_normals = surface.vertices[surface.faces], surface.normals[surface.faces]
    places = np.einsum("sk,fkc->fsc", SAMPLES, corners).reshape(-1, 3)
    directions = _unit(np.einsum("sk,fkc->fsc", SAMPLES, corner_normals)).reshape(-1, 3)
    tree = KDTree(np.concatenate((places, facing * directions), axis=1), balanced_tree=False)
    count = min(candidates, len(places))
    _, sample = tree.query(np.concatenate((points, facing * normals), axis=1), k=count)
    face = sample.reshape(len(points), count) // len(SAMPLES)
    bary = closest_barycentric(points[:, None], corners[face])
    distance_sq = ((np.einsum("nck,nckx->ncx", bary, corners[face]) - points[:, None]) ** 2).sum(-1)
    facing_there = _unit(np.einsum("nck,nckx->ncx", bary, corner_normals[face]))
    cost_sq = distance_sq + facing**2 * ((facing_there - normals[:, None]) ** 2).sum(-1)
    best = cost_sq.argmin(1)
    rows = np.arange(len(points))
    return Nearest(
        face=face[rows, best],
        bary=bary[rows, best],
        distance=np.sqrt(distance_sq[rows, best]),
        cost=np.sqrt(cost_sq[rows, best]),
    )


def closest_barycentric(
    points: Float[np.ndarray, "*b 3"], corners: Float[np.ndarray, "*c 3 3"]
) -> Float[np.ndarray, "*c 3"]:
    """Barycentric coordinates of the triangle's point that is closest to each point (shapes broadcast).

    The foot on the plane where it lies inside, else the closest of the feet on the three edges.
    """
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    inside = np.stack((1 - v - w, v, w), axis=-1)
    zero = np.zeros_like(v)
    # feet on the edges ab, ac and bc, each clamped to its ends
    s = np.clip(d20 / np.maximum(d00, 1e-30), 0, 1)
    t = np.clip(d21 / np.maximum(d11, 1e-30), 0, 1)
    bc = c - b
    u = np.clip(((points - b) * bc).sum(-1) / np.maximum((bc * bc).sum(-1), 1e-30), 0, 1)
    edges = np.stack(
        (
            np.stack((1 - s, s, zero), axis=-1),
            np.stack((1 - t, zero, t), axis=-1),
            np.stack((zero, 1 - u, u), axis=-1),
        ),
        axis=-2,
    )
    feet = np.einsum("...ek,...kx->...ex", edges, corners)
    nearest_edge = ((feet - points[..., None, :]) ** 2).sum(-1).argmin(-1)
    on_edge = np.take_along_axis(edges, nearest_edge[..., None, None], axis=-2)[..., 0, :]
    # a sliver without area has no inside to speak of
    is_inside = (inside.min(-1) >= 0) & (area > 1e-24)
    return np.where(is_inside[..., None], inside, on_edge)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
