"""From a raw isosurface to a mesh worth keeping: one closed piece, no slivers, few faces."""

from collections.abc import Callable, Sequence

import fast_simplification
import numpy as np
import torch
import trimesh
from jaxtyping import Float, Integer
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from avatargen.core.values import Mesh
from avatargen.mesh.magnify import Focus, magnify, unmagnify

_NUDGE = 0.02
"""Share of the way to its fan's middle by which a doubled vertex leaves its twin."""
_MOST_SNAP = 0.003
_MOST_RIM = 12
"""Edges around the largest hole that is closed."""
_FORCES = (2, 4, 7)
"""How eagerly fast-simplification collapses edges; its own default is 7."""


def largest_component(mesh: Mesh) -> Mesh:
    """The connected piece with the most area; nothing else is kept."""
    if not len(mesh.faces):
        return mesh
    label = piece_of_faces(mesh)
    area = np.bincount(label, face_areas(mesh), minlength=label.max() + 1)
    return select_faces(mesh, label == area.argmax())


def component_count(mesh: Mesh) -> int:
    """How many connected pieces the faces form."""
    return int(piece_of_faces(mesh).max()) + 1 if len(mesh.faces) else 0


def piece_of_faces(mesh: Mesh) -> Integer[np.ndarray, " f"]:
    """Which connected piece each face belongs to, counted from 0."""
    pairs = np.concatenate([mesh.faces[:, :2], mesh.faces[:, 1:]])
    links = coo_matrix((np.ones(len(pairs), dtype=np.int8), pairs.T), shape=(len(mesh.vertices),) * 2)
    label = connected_components(links, directed=False)[1][mesh.faces[:, 0]]
    return np.unique(label, return_inverse=True)[1]


def face_areas(mesh: Mesh) -> Float[np.ndarray, " f"]:
    """Area of each face in square metres."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def select_faces(mesh: Mesh, keep: np.ndarray) -> Mesh:
    """Only the chosen faces and the vertices they use; no UVs or colors."""
    used, faces = np.unique(mesh.faces[keep], return_inverse=True)
    return Mesh(vertices=mesh.vertices[used], faces=faces.reshape(-1, 3))


def is_closed(mesh: Mesh) -> bool:
    """True if every edge has exactly two faces that run along it in opposite directions, and volume is positive."""
    shell = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    return bool(shell.is_watertight and shell.is_winding_consistent and shell.volume > 0)


def vertex_normals(mesh: Mesh) -> Float[np.ndarray, "v 3"]:
    """Unit normals of vertices, faces weighted by area."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    area = np.cross(b - a, c - a)
    total = np.zeros((len(mesh.vertices), 3))
    for corner in range(3):
        np.add.at(total, mesh.faces[:, corner], area)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)


def smooth(mesh: Mesh, rounds: int, strength: float = 0.5) -> Mesh:
    """Taubin smoothing (SIGGRAPH 1995): takes off the staircase of marching cubes without shrinking the body."""
    if rounds < 1:
        return mesh
    count = len(mesh.vertices)
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    both = np.concatenate([edges, edges[:, ::-1]])
    near = csr_matrix((np.ones(len(both)), both.T), shape=(count, count))
    near.data[:] = 1.0
    scale = 1.0 / np.maximum(np.asarray(near.sum(1)).ravel(), 1.0)
    vertices = mesh.vertices.astype(np.float64)
    for _ in range(rounds):
        for factor in (strength, -1.04 * strength):
            vertices += factor * (near @ vertices * scale[:, None] - vertices)
    return Mesh(vertices=vertices.astype(np.float32), faces=mesh.faces)


def decimate(mesh: Mesh, faces: int, focus: Sequence[Focus] = ()) -> Mesh:
    """At most about `faces` faces by quadric edge collapses, fewer of them inside each focus; stays closed.

    Takes fewer faces away where even mending does not keep the mesh closed and in one piece.
    """
    if faces >= len(mesh.faces):
        return mesh
    large, best = magnify(mesh.vertices, focus), mesh
    goal = faces
    while goal < len(best.faces):
        # Gentle collapses keep shapes better and pinch less, but on rough surfaces they stop before the goal.
        for force in _FORCES:
            vertices, kept = fast_simplification.simplify(
                large, mesh.faces.astype(np.int32), target_count=goal, agg=force
            )[:2]
            vertices = unmagnify(np.asarray(vertices), focus)
            small = mend(Mesh(vertices=vertices.astype(np.float32), faces=np.asarray(kept, dtype=np.int64)))
            if is_closed(small) and len(small.faces) < len(best.faces):
                best = small
            if len(best.faces) <= 1.05 * goal:
                return best
        goal = int(goal * 1.35) + 1
    return best


def mend(mesh: Mesh, rounds: int = 3) -> Mesh:
    """Without faces that collapsed onto each other, pinched edges taken apart, and the holes that leaves closed.

    The largest piece of it. What one round closes can pinch again, so there are some.
    """
    for _ in range(rounds):
        mesh = _filled(_untangled(mesh))
        if is_closed(mesh):
            break
    return mesh


def _untangled(mesh: Mesh) -> Mesh:
    faces = mesh.faces
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    faces = faces[whole]
    _, name, count = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True, return_counts=True)
    # Two faces on the same three corners close on themselves: both go.
    faces = faces[count[name.reshape(-1)] == 1]
    return largest_component(_unpinched(Mesh(vertices=mesh.vertices, faces=faces)))


def _unpinched(mesh: Mesh) -> Mesh:
    """Each fan of faces around a vertex gets a vertex of its own, moved a little into its fan.

    Where four faces meet in an edge, two sheets touch; fans are what hangs together through edges of two faces.
    """
    vertices, faces = [*mesh.vertices], mesh.faces.copy()
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    pairs, count = np.unique(edges, axis=0, return_counts=True)
    bad = pairs[count > 2]
    pinched = {(int(a), int(b)) for a, b in bad}
    for vertex in np.unique(bad).tolist():
        around = np.flatnonzero((mesh.faces == vertex).any(1))
        for fan in _fans(mesh.faces[around], vertex, pinched)[1:]:
            rows = around[fan]
            others = mesh.vertices[np.unique(mesh.faces[rows])].mean(0)
            faces[rows] = np.where(mesh.faces[rows] == vertex, len(vertices), faces[rows])
            vertices.append(mesh.vertices[vertex] + _NUDGE * (others - mesh.vertices[vertex]))
    return Mesh(vertices=np.stack(vertices), faces=faces)


def _filled(mesh: Mesh) -> Mesh:
    """Small holes closed by fans of faces; rims that meet themselves stay open."""
    edges = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    there, back = (edges[:, way] @ [len(mesh.vertices), 1] for way in ([0, 1], [1, 0]))
    rim = dict(sorted(edges[~np.isin(there, back)].tolist()))
    fans = []
    while rim:
        first, after = next(iter(rim.items()))
        loop = [first]
        del rim[first]
        while after != first and after in rim:
            loop.append(after)
            after = rim.pop(after)
        if after == first and 2 < len(loop) <= _MOST_RIM:
            fans += [(first, loop[at + 1], loop[at]) for at in range(1, len(loop) - 1)]
    if not fans:
        return mesh
    return Mesh(vertices=mesh.vertices, faces=np.concatenate([mesh.faces, np.array(fans, dtype=mesh.faces.dtype)]))


def _fans(faces: Integer[np.ndarray, "k 3"], vertex: int, pinched: set[tuple[int, int]]) -> list[list[int]]:
    """Rows of `faces` (all around `vertex`) grouped by walking across edges that are not pinched."""
    owners: dict[int, list[int]] = {}
    for row, corners in enumerate(faces.tolist()):
        for other in corners:
            if other != vertex and (min(vertex, other), max(vertex, other)) not in pinched:
                owners.setdefault(other, []).append(row)
    group = list(range(len(faces)))

    def root(row: int) -> int:
        while group[row] != row:
            row = group[row]
        return row

    for rows in owners.values():
        for row in rows[1:]:
            group[root(row)] = root(rows[0])
    fans: dict[int, list[int]] = {}
    for row in range(len(faces)):
        fans.setdefault(root(row), []).append(row)
    return list(fans.values())


def snap(mesh: Mesh, sdf: Callable[[Tensor], Tensor], most: float, rounds: int = 3) -> Mesh:
    """Vertices moved along their normals onto the zero set of a distance function, none by more than `most` metres."""
    normals = vertex_normals(mesh)
    moved = np.zeros(len(normals))
    for _ in range(rounds):
        here = torch.from_numpy((mesh.vertices + moved[:, None] * normals).astype(np.float32))
        with torch.no_grad():
            moved = np.clip(moved - 0.8 * sdf(here).cpu().numpy(), -most, most)
    return Mesh(vertices=(mesh.vertices + moved[:, None] * normals).astype(np.float32), faces=mesh.faces)


def clean_surface(
    mesh: Mesh,
    faces: int,
    smoothing: int = 0,
    focus: Sequence[Focus] = (),
    sdf: Callable[[Tensor], Tensor] | None = None,
) -> Mesh:
    """The largest piece, smoothed, with at most about `faces` faces, put back onto the surface of `sdf`."""
    small = decimate(smooth(largest_component(mesh), smoothing), faces, focus)
    return small if sdf is None else snap(small, sdf, _MOST_SNAP)
