"""Which triangles of a mesh run through each other."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy.spatial import KDTree

from avatargen.core.values import Mesh

_CHUNK = 400_000
_EDGE = 1e-9
"""How far inside its triangle, as a share, an edge has to pierce it; touching is not crossing."""


def crossing_faces(mesh: Mesh) -> Bool[np.ndarray, " f"]:
    """Faces that another face, which shares no vertex with it, runs through.

    Two triangles cross where an edge of one pierces the inside of the other (Moeller and Trumbore's test, 1997, on
    each of six edges). Triangles that lie in one plane are not found.
    """
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    crossed = np.zeros(len(corners), dtype=bool)
    low, high = corners.min(1), corners.max(1)
    for first, second in _neighbours(corners):
        boxes = ((low[first] <= high[second]) & (low[second] <= high[first])).all(1)
        first, second = first[boxes], second[boxes]
        apart = (mesh.faces[first][:, :, None] != mesh.faces[second][:, None, :]).all((1, 2))
        first, second = first[apart], second[apart]
        hit = _pierced(corners[first], corners[second]) | _pierced(corners[second], corners[first])
        crossed[first[hit]] = crossed[second[hit]] = True
    return crossed


def _neighbours(
    corners: Float[np.ndarray, "f 3 3"],
) -> Iterator[tuple[Integer[np.ndarray, " n"], Integer[np.ndarray, " n"]]]:
    """Pairs of faces whose bounding spheres meet, each pair once, in chunks.

    Faces are put in classes by size, so that one long triangle does not make neighbours of all the small ones.
    """
    middle = corners.mean(1)
    radius = np.linalg.norm(corners - middle[:, None], axis=2).max(1)
    size = np.floor(np.log2(np.maximum(radius, 1e-9))).astype(int)
    classes = [np.flatnonzero(size == s) for s in np.unique(size)]
    trees = [KDTree(middle[rows]) for rows in classes]
    for i, small in enumerate(classes):
        for j in range(i, len(classes)):
            large = classes[j]
            reach = radius[small].max() + radius[large].max()
            for rows in np.array_split(np.arange(len(large)), max(1, len(large) // 2000)):
                found = trees[i].query_ball_point(middle[large[rows]], reach)
                counts = np.fromiter((len(f) for f in found), dtype=np.int64, count=len(found))
                first = np.repeat(large[rows], counts)
                second = (
                    small[np.concatenate([np.asarray(f, dtype=np.int64) for f in found])] if counts.sum() else first
                )
                close = np.linalg.norm(middle[first] - middle[second], axis=1) <= radius[first] + radius[second]
                once = close & (first < second) if i == j else close
                first, second = first[once], second[once]
                for start in range(0, len(first), _CHUNK):
                    yield first[start : start + _CHUNK], second[start : start + _CHUNK]


def _pierced(a: Float[np.ndarray, "n 3 3"], b: Float[np.ndarray, "n 3 3"]) -> Bool[np.ndarray, " n"]:
    """Whether an edge of each `a` goes through the inside of its `b`."""
    one, two = b[:, 1] - b[:, 0], b[:, 2] - b[:, 0]
    hit = np.zeros(len(a), dtype=bool)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        along = a[:, end] - a[:, start]
        p = np.cross(along, two)
        determinant = (one * p).sum(1)
        solid = np.abs(determinant) > 1e-18
        inverse = 1.0 / np.where(solid, determinant, 1.0)
        offset = a[:, start] - b[:, 0]
        u = (offset * p).sum(1) * inverse
        q = np.cross(offset, one)
        v = (along * q).sum(1) * inverse
        t = (two * q).sum(1) * inverse
        hit |= solid & (u > _EDGE) & (v > _EDGE) & (u + v < 1.0 - _EDGE) & (t > _EDGE) & (t < 1.0 - _EDGE)
    return hit
