"""Is the surface whole, and is its texture spent where people look?"""

from dataclasses import replace

import numpy as np

from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.values import Mesh, RiggedMesh
from avatargen.evaluate.crossings import crossing_faces
from avatargen.mesh.clean import component_count, face_areas

_SLIVER = 1e-9
"""Square metres; a triangle below this is degenerate."""


def mesh_report(mesh: Mesh, crossings: bool = True) -> dict[str, float | int]:
    """Counts of what can be wrong with a surface; all but the first three are zero on a sound one.

    `crossings` also looks for faces that run through each other, which takes a few seconds.
    """
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    report: dict[str, float | int] = {
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        # Of the enclosed space, by the divergence theorem; negative if the faces look inwards.
        "volume": round(float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6), 5),
        "pieces_besides_the_first": component_count(mesh) - 1,
        "open_edges": int((uses == 1).sum()),
        "non_manifold_edges": int((uses > 2).sum()),
        "degenerate_faces": int((face_areas(mesh) < _SLIVER).sum()),
    }
    if crossings:
        report["crossing_faces"] = int(crossing_faces(mesh).sum())
    return report


def crossings_in_a_pose(avatar: RiggedMesh) -> int:
    """Faces that run through each other in the pose that the surface was sculpted in.

    In T-pose the legs stand so close that thick thighs and knees touch, which says nothing about the surface.
    """
    posed = pose_rigged(avatar, a_pose()[None].numpy())[0]
    return int(crossing_faces(replace(avatar.mesh, vertices=posed.astype(np.float32))).sum())


def texel_density(avatar: RiggedMesh) -> dict[str, float | int] | None:
    """Texels per centimetre of surface: the body's median, and the head's; None without a texture."""
    mesh = avatar.mesh
    if mesh.texture is None or mesh.uvs is None or mesh.uv_faces is None:
        return None
    height, width = mesh.texture.shape[:2]
    uv = mesh.uvs[mesh.uv_faces].astype(np.float64) * np.array([width, height])
    one, two = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    texels = 0.5 * np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0])
    area = face_areas(mesh)
    solid = area > _SLIVER
    density = np.sqrt(texels[solid] / (area[solid] * 1e4))
    head = avatar.weights[:, avatar.skeleton.names.index("head")][mesh.faces].mean(1)[solid] > 0.5
    found = {"median": round(_median(density, area[solid]), 2)}
    if head.any():
        found["head"] = round(_median(density[head], area[solid][head]), 2)
    return found


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
