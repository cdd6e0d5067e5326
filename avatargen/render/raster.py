"""Meshes to pixels, differentiable: visibility from a backend, then everything else in torch.

`rasterize` finds what each pixel sees, `interpolate` and `sample_texture` give it color, `antialias` blends
outlines. Positions on the faces are recomputed from the vertices, so gradients do not depend on the backend.
"""

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.core.errors import ConfigError
from avatargen.render.backends import neural_renderer_faces, pytorch3d_faces
from avatargen.render.cameras import Cameras
from avatargen.render.fragments import (
    Fragments,
    corner_points,
    covered_pixels,
    interpolate,
    pixel_rays,
    ray_barycentrics,
    sample_texture,
)
from avatargen.render.silhouettes import Edges, antialias, mesh_edges
from avatargen.render.visibility import cast_rays, z_buffer

__all__ = [
    "BACKENDS",
    "Edges",
    "Fragments",
    "antialias",
    "interpolate",
    "mesh_edges",
    "rasterize",
    "sample_texture",
]

BACKENDS = ("auto", "embree", "torch", "pytorch3d", "neural-renderer")
"""What `rasterize` knows; the last two need packages of their own."""


def visible_faces(
    vertices: Float[Tensor, "m v 3"], faces: Integer[Tensor, "f 3"], cameras: Cameras, backend: str = "auto"
) -> Integer[Tensor, "b h w"]:
    """Row of `faces` that each pixel's centre sees, -1 for none; not differentiable.

    Raises:
        ConfigError: no such backend.
        MissingExtraError: the backend's package is not installed.
    """
    if backend == "auto":
        backend = "embree" if vertices.device.type == "cpu" else "torch"
    fixed = vertices.detach()
    match backend:
        case "embree":
            return cast_rays(fixed, faces, cameras)
        case "torch":
            return z_buffer(fixed, faces, cameras)
        case "pytorch3d":
            return pytorch3d_faces(fixed, faces, cameras)
        case "neural-renderer":
            return neural_renderer_faces(fixed, faces, cameras)
        case _:
            raise ConfigError(f"no rasteriser backend {backend!r}; there are: {', '.join(BACKENDS)}")


def rasterize(
    vertices: Float[Tensor, "v 3"] | Float[Tensor, "m v 3"],
    faces: Integer[Tensor, "f 3"],
    cameras: Cameras,
    backend: str = "auto",
) -> Fragments:
    """The nearest surface point of each pixel, one mesh for all views or one mesh per view.

    Barycentrics and depth are differentiable in `vertices` (and in the cameras); which face is seen is not:
    `antialias` gives outlines their gradients. Faces are seen from both sides.

    Args:
        vertices: world positions in metres; [m, v, 3] has m = 1 or one mesh per camera.
        faces: corner indices.
        cameras: b views.
        backend: auto | embree | torch | pytorch3d | neural-renderer.
    """
    meshes = vertices if vertices.ndim == 3 else vertices[None]
    if len(meshes) not in (1, len(cameras)):
        raise ValueError(f"{len(meshes)} meshes do not fit {len(cameras)} cameras; give one mesh or one per camera")
    face = visible_faces(meshes, faces, cameras, backend)
    cameras = cameras.to(dtype=meshes.dtype)
    pixel = covered_pixels(face)
    origins, directions = pixel_rays(cameras, pixel)
    view = torch.div(pixel, cameras.height * cameras.width, rounding_mode="floor")
    corners = corner_points(meshes, faces, face.reshape(-1)[pixel], view)
    weights, _ = ray_barycentrics(corners, origins, directions)
    # Directions have depth one, so the plane is met at the weighted corners' depth along them.
    forward = -cameras.world_from_camera[:, :3, 2][view]
    distance = ((weights[..., None] * corners).sum(1) - origins).mul(forward).sum(-1)
    bary = meshes.new_zeros(face.numel(), 3).index_put((pixel,), weights)
    depth = meshes.new_full((face.numel(),), torch.inf).index_put((pixel,), distance)
    return Fragments(face, bary.reshape(*face.shape, 3), depth.reshape(face.shape))
