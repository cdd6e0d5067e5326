"""What several writers need of a mesh: corners split at UV seams, normals, a color per vertex, PNG bytes."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from PIL import Image

from avatargen.core.values import Mesh
from avatargen.render.shading import vertex_normals
from avatargen.render.tangents import corner_tangents


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitMesh:
    """Vertices doubled wherever a UV seam passes, as glTF and GPUs want them."""

    source: Integer[np.ndarray, " n"]
    """Vertex of the original mesh that each split vertex stands for."""
    uvs: Float[np.ndarray, "n 2"] | None
    """v up, as in `Mesh`."""
    faces: Integer[np.ndarray, "f 3"]
    tangents: Float[np.ndarray, "n 4"] | None = None
    """For a normal map, as glTF has them: unit, and the sign of the bitangent."""


def split_at_seams(mesh: Mesh) -> SplitMesh:
    """Give every used (vertex, uv) pair its own vertex; unused vertices and faces of fewer than three vertices go.

    The order is by vertex, then by uv, so that a mesh without seams keeps its order and equal input gives equal bytes.
    """
    faces = mesh.faces.astype(np.int64)
    a, b, c = faces.T
    kept = (a != b) & (b != c) & (c != a)
    faces = faces[kept]
    if not len(faces):
        raise ValueError("the mesh has no faces; there is nothing to export")
    if mesh.uvs is None or mesh.uv_faces is None:
        source, corner = np.unique(faces, return_inverse=True)
        return SplitMesh(source=source, uvs=None, faces=corner.reshape(-1, 3))
    uv_faces = mesh.uv_faces.astype(np.int64)[kept]
    key, tangents = faces * len(mesh.uvs) + uv_faces, None
    if mesh.normal_map is not None:
        tangents = corner_tangents(mesh.vertices, smooth_normals(mesh), faces, mesh.uvs, uv_faces)
        # where a chart is folded over, a vertex has two tangents
        key = key * 2 + (tangents[..., 3] < 0)
    pairs, first, corner = np.unique(key, return_index=True, return_inverse=True)
    if tangents is not None:
        tangents, pairs = tangents.reshape(-1, 4)[first], pairs // 2
    source, uv = np.divmod(pairs, len(mesh.uvs))
    return SplitMesh(source=source, uvs=mesh.uvs[uv], faces=corner.reshape(-1, 3), tangents=tangents)


def smooth_normals(mesh: Mesh) -> Float[np.ndarray, "v 3"]:
    """Unit normals, +Y where there is none; taken before the split at UV seams, so that shading shows no seam."""
    points, faces = torch.from_numpy(mesh.vertices.astype(np.float64)), torch.from_numpy(mesh.faces.astype(np.int64))
    normals = vertex_normals(points, faces).numpy()
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0.5, normals / np.maximum(length, 0.5), np.array([0.0, 1.0, 0.0]))


def sample_texture(texture: UInt8[np.ndarray, "h w 3"], uvs: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Bilinear sRGB colors in 0..1 at `uvs` (v up, texel centers at half-integers), held at the border."""
    height, width = texture.shape[:2]
    x = np.clip(uvs[:, 0] * width - 0.5, 0, width - 1)
    y = np.clip((1 - uvs[:, 1]) * height - 0.5, 0, height - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    upper = texture[top, left] * (1 - fx) + texture[top, right] * fx
    lower = texture[bottom, left] * (1 - fx) + texture[bottom, right] * fx
    return (upper * (1 - fy) + lower * fy) / 255.0


def colors_of(mesh: Mesh) -> Float[np.ndarray, "v 3"] | None:
    """The sRGB color of each vertex: its own, else the mean of its texels over all its UVs; None for a plain mesh."""
    if mesh.vertex_colors is not None:
        return np.clip(mesh.vertex_colors.astype(np.float64), 0, 1)
    if mesh.texture is None or mesh.uvs is None or mesh.uv_faces is None:
        return None
    pairs = np.unique(np.stack((mesh.faces.ravel(), mesh.uv_faces.ravel()), axis=1).astype(np.int64), axis=0)
    sampled = sample_texture(mesh.texture, mesh.uvs[pairs[:, 1]].astype(np.float64))
    count = np.maximum(np.bincount(pairs[:, 0], minlength=len(mesh.vertices)), 1)
    sums = [np.bincount(pairs[:, 0], sampled[:, i], len(mesh.vertices)) for i in range(3)]
    return np.stack(sums, axis=1) / count[:, None]


def encode_png(picture: UInt8[np.ndarray, "h w 3"] | UInt8[np.ndarray, "h w"]) -> bytes:
    """PNG without any metadata, so that equal pictures give equal bytes."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, format="PNG", compress_level=4)
    return stream.getvalue()


def has_texture(mesh: Mesh) -> bool:
    """Whether the mesh carries a picture and the UVs to place it."""
    return mesh.texture is not None and mesh.uvs is not None
