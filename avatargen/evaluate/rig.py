"""Are the weights such that engines take them, and does the skin hold when the avatar moves?"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from avatargen.body.rigged import pose_rigged
from avatargen.core.values import RiggedMesh
from avatargen.mesh.clean import face_areas

_SOLID = 1e-6
"""Square metres; smaller triangles are counted apart, since a hair's breadth stretches them tenfold."""


def weight_report(avatar: RiggedMesh) -> dict[str, float | int]:
    """How many bones a vertex follows at most, and how far its weights are from summing to one at worst."""
    return {
        "bones_per_vertex": int((avatar.weights > 0).sum(1).max()),
        "weight_sum_error": float(np.abs(avatar.weights.astype(np.float64).sum(1) - 1).max()),
    }


def stretch_report(avatar: RiggedMesh, rotations: Float[np.ndarray, "t j 3 3"]) -> dict[str, float | int]:
    """How much the triangles' areas grow over the poses, against the T-pose."""
    rest = np.maximum(face_areas(avatar.mesh), 1e-12)
    worst = np.ones(len(rest))
    for first in range(0, len(rotations), 16):
        for points in pose_rigged(avatar, rotations[first : first + 16]):
            worst = np.maximum(worst, face_areas(replace(avatar.mesh, vertices=points)) / rest)
    solid = rest > _SOLID
    return {
        "poses": len(rotations),
        "largest_growth": round(float(worst[solid].max(initial=1.0)), 2),
        "growth_of_999_in_1000": round(float(np.quantile(worst[solid], 0.999)), 2) if solid.any() else 1.0,
        "faces_beyond_ten": int((worst[solid] > 10).sum()),
        "slivers_beyond_ten": int((worst[~solid] > 10).sum()),
    }
