"""Levels of detail: the finished avatar again with fewer triangles and a smaller texture, on the same skeleton.

A level has an atlas of its own; weights and colors are those of the closest place of the full avatar that faces the
same way. Pieces (the eyes of the template topology) are thinned out each by itself, so none is lost.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from avatargen.core.settings import MeshSettings
from avatargen.core.values import Mesh, RiggedMesh
from avatargen.mesh.clean import decimate, piece_of_faces, select_faces, vertex_normals
from avatargen.mesh.finish import focus_of
from avatargen.mesh.nearest import Nearest, Surface, nearest_facing
from avatargen.mesh.rig import strongest_four
from avatargen.mesh.texture import fill_texture, rasterize_uvs, unfold
from avatargen.render.fragments import sample_texture

_FEWEST = 48
"""Faces that a piece keeps at least."""
_SMALLEST = 64
_FACING = 0.02
"""Metres that a right angle between normals costs; less than for rigging, because the surfaces all but coincide."""
_CHUNK = 1 << 16


def levels_of_detail(avatar: RiggedMesh, settings: MeshSettings) -> tuple[RiggedMesh, ...]:
    """`settings.lods` coarser avatars: each has half as many triangles and texels along each side as the one before."""
    return tuple(_level(avatar, settings, level) for level in range(1, settings.lods + 1))


def _level(avatar: RiggedMesh, settings: MeshSettings, level: int) -> RiggedMesh:
    mesh = avatar.mesh
    focus = focus_of(mesh, avatar.skeleton.joints, settings.face_gain)
    size = max(_SMALLEST, settings.texture_size >> level)
    label = piece_of_faces(mesh)
    goal = len(mesh.faces) >> level
    parts = []
    for piece in range(int(label.max()) + 1):
        own = select_faces(mesh, label == piece)
        parts.append(decimate(own, max(_FEWEST, round(goal * len(own.faces) / len(mesh.faces))), focus))
    plain = _joined(parts)
    full = Surface(vertices=mesh.vertices, normals=vertex_normals(mesh), faces=mesh.faces)
    found = nearest_facing(plain.vertices, vertex_normals(plain), full, facing=_FACING)
    lent = np.einsum("nk,nkj->nj", found.bary, avatar.weights[mesh.faces[found.face]])
    if mesh.texture is not None and mesh.uvs is not None:
        done = _painted(unfold(plain, replace(settings, texture_size=size), focus[:1]), mesh, full, size)
    elif mesh.vertex_colors is not None:
        colors = np.einsum("nk,nkc->nc", found.bary, mesh.vertex_colors[mesh.faces[found.face]])
        done = replace(plain, vertex_colors=colors)
    else:
        done = plain
    return RiggedMesh(mesh=done, skeleton=avatar.skeleton, weights=strongest_four(lent))


def _joined(parts: list[Mesh]) -> Mesh:
    starts = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    faces = [part.faces + start for part, start in zip(parts, starts, strict=True)]
    return Mesh(vertices=np.concatenate([part.vertices for part in parts]), faces=np.concatenate(faces))


def _painted(level: Mesh, mesh: Mesh, full: Surface, size: int) -> Mesh:
    """`level` with the texture of `mesh`, read at the closest place of every texel."""
    texels = rasterize_uvs(level, size)
    corners = level.faces[texels.face]
    points = np.einsum("nk,nkc->nc", texels.bary, level.vertices[corners])
    normals = np.einsum("nk,nkc->nc", texels.bary, vertex_normals(level)[corners])
    rows = range(0, len(points), _CHUNK)
    colors = [
        _colors(
            mesh, nearest_facing(points[r : r + _CHUNK], normals[r : r + _CHUNK], full, facing=_FACING, candidates=4)
        )
        for r in rows
    ]
    return replace(level, texture=fill_texture(texels, np.concatenate(colors), size))


def _colors(mesh: Mesh, places: Nearest) -> Float[np.ndarray, "n 3"]:
    if mesh.texture is None or mesh.uvs is None or mesh.uv_faces is None:
        raise ValueError("the mesh has no texture")
    uv = np.einsum("nk,nkc->nc", places.bary, mesh.uvs[mesh.uv_faces[places.face]])
    return sample_texture(torch.from_numpy(mesh.texture).double() / 255, torch.from_numpy(uv)).numpy()
