"""Exact closest points on a triangle mesh, for many points at once (SciPy's k-d trees, torch arithmetic)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy.spatial import KDTree
from torch import Tensor

_CHUNK = 1 << 16
# Triangles are sorted into trees by size (metres), so that small ones need few candidates.
_SIZES = (0.004, 0.010, 0.025, float("inf"))


def closest_on_triangles(
    points: Float[Tensor, "n 3"], corners: Float[Tensor, "n 3 3"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Barycentric weights of the point of triangle `i` that is closest to point `i`, and the squared distance.

    The closest point is the foot on the plane where that lies inside, else the best of the three edges.
    Degenerate triangles count as their edges.
    """
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    ap = points - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    p0, p1 = (ap * ab).sum(-1), (ap * ac).sum(-1)
    tiny = 1e-20
    raw = d00 * d11 - d01 * d01
    # Slivers whose area drowns in rounding are left to their edges.
    solid = raw > 1e-6 * d00 * d11
    determinant = raw.clamp_min(tiny)
    v = (d11 * p0 - d01 * p1) / determinant
    w = (d00 * p1 - d01 * p0) / determinant
    inside = solid & (v >= 0) & (w >= 0) & (v + w <= 1)
    squared = (ap * ap).sum(-1)
    # On an edge the squared distance is a quadratic in the place along it.
    on_ab = (p0 / d00.clamp_min(tiny)).clamp(0, 1)
    on_ac = (p1 / d11.clamp_min(tiny)).clamp(0, 1)
    d_bc = d00 + d11 - 2 * d01
    on_bc = ((p1 - p0 + d00 - d01) / d_bc.clamp_min(tiny)).clamp(0, 1)

    def distance(v: Tensor, w: Tensor) -> Tensor:
        return squared - 2 * (v * p0 + w * p1) + v * v * d00 + 2 * v * w * d01 + w * w * d11

    zero = torch.zeros_like(v)
    best_v, best_w, best = on_ab, zero, distance(on_ab, zero)
    for other_v, other_w in ((zero, on_ac), (1 - on_bc, on_bc)):
        other = distance(other_v, other_w)
        nearer = other < best
        best_v, best_w = torch.where(nearer, other_v, best_v), torch.where(nearer, other_w, best_w)
        best = torch.minimum(best, other)
    v, w = torch.where(inside, v, best_v), torch.where(inside, w, best_w)
    best = torch.where(inside, distance(v, w), best).clamp_min(0.0)
    return torch.stack([1 - v - w, v, w], dim=-1), best


@dataclass(frozen=True, kw_only=True, eq=False)
class Closest:
    """Where on a mesh the closest points are."""

    face: Integer[Tensor, " n"]
    bary: Float[Tensor, "n 3"]
    distance: Float[Tensor, " n"]
    """Unsigned, metres."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SurfaceIndex:
    """A triangle mesh prepared for closest-point questions."""

    vertices: Float[Tensor, "v 3"]
    faces: Integer[Tensor, "f 3"]

    @cached_property
    def corners(self) -> Float[Tensor, "f 3 3"]:
        """Corner positions of each face."""
        return self.vertices[self.faces]

    @cached_property
    def _trees(self) -> list[tuple[KDTree, np.ndarray, float]]:
        centers = self.corners.mean(1)
        reach = (self.corners - centers[:, None]).norm(dim=-1).amax(1).numpy()
        trees, low = [], -1.0
        for high in _SIZES:
            chosen = np.flatnonzero((reach > low) & (reach <= high))
            if len(chosen):
                trees.append((KDTree(centers.numpy()[chosen]), chosen, float(reach[chosen].max())))
            low = high
        return trees

    def query(self, points: Float[Tensor, "n 3"]) -> Closest:
        """The exact closest points: candidates are added until no other triangle can be nearer."""
        count = len(points)
        face = torch.zeros(count, dtype=torch.long)
        bary = torch.zeros(count, 3, dtype=self.vertices.dtype)
        best = torch.full((count,), float("inf"), dtype=self.vertices.dtype)
        for tree, chosen, reach in self._trees:
            open_rows, k, done = np.arange(count), min(4, len(chosen)), 0
            while len(open_rows):
                ranks = np.arange(done + 1, k + 1)
                found, near = tree.query(points[open_rows].numpy(), k=ranks, workers=-1)  # pyright: ignore[reportArgumentType]
                rows = torch.from_numpy(open_rows)
                self._take_better(points, rows, torch.from_numpy(chosen[near]), face, bary, best)
                if k == len(chosen):
                    break
                # A triangle of this tree that was not looked at is at least this far away.
                unsure = found[:, -1] - reach < best[rows].sqrt().numpy()
                open_rows, done, k = open_rows[unsure], k, min(k * 3, len(chosen))
        return Closest(face=face, bary=bary, distance=best.sqrt())

    def _take_better(
        self, points: Tensor, rows: Tensor, candidates: Tensor, face: Tensor, bary: Tensor, best: Tensor
    ) -> None:
        width = candidates.shape[1]
        step = max(1, _CHUNK // width)
        for start in range(0, len(rows), step):
            part, faces = rows[start : start + step], candidates[start : start + step]
            weights, squared = closest_on_triangles(
                points[part].repeat_interleave(width, 0), self.corners[faces.reshape(-1)]
            )
            nearest, which = squared.view(-1, width).min(1)
            better = nearest < best[part]
            part, which = part[better], which[better]
            best[part] = nearest[better]
            face[part] = faces[better].gather(1, which[:, None])[:, 0]
            bary[part] = weights.view(-1, width, 3)[better, which]

    def interpolate(self, attributes: Float[Tensor, "v c"], closest: Closest) -> Float[Tensor, "n c"]:
        """Attributes of vertices at the closest points."""
        return (attributes[self.faces[closest.face]] * closest.bary[..., None]).sum(1)
