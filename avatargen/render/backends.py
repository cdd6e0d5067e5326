"""Optional rasterisers of other projects behind our face: they say which face a pixel sees, nothing more.

Both need CUDA builds that PyPI does not offer for every machine, so they are extras, imported on demand.
"""

from importlib import import_module
from types import ModuleType

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.core.errors import MissingExtraError
from avatargen.render.cameras import Cameras, project


def _need(module: str, extra: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"the {extra} rasteriser is not installed ({error})\n"
            f'  Install it with pip install "avatargen[{extra}]" (it needs CUDA), or use backend "auto".'
        ) from error


def _per_view(vertices: Float[Tensor, "m v 3"], count: int) -> Float[Tensor, "b v 3"]:
    return vertices.expand(count, -1, -1) if len(vertices) == 1 else vertices


def pytorch3d_faces(
    vertices: Float[Tensor, "m v 3"], faces: Integer[Tensor, "f 3"], cameras: Cameras
) -> Integer[Tensor, "b h w"]:
    """Face ids from PyTorch3D's `rasterize_meshes`.

    Its normalised coordinates grow to the left and up, and the shorter side of the image spans -1..1.

    Raises:
        MissingExtraError: pytorch3d is not installed.
    """
    structures = _need("pytorch3d.structures", "pytorch3d")
    rasterizer = _need("pytorch3d.renderer.mesh.rasterize_meshes", "pytorch3d")
    flat = project(_per_view(vertices, len(cameras)), cameras)
    half = 0.5 * min(cameras.height, cameras.width)
    x = (0.5 * cameras.width - flat[..., 0]) / half
    y = (0.5 * cameras.height - flat[..., 1]) / half
    screen = torch.stack([x, y, flat[..., 2]], dim=-1)
    batch = structures.Meshes(verts=list(screen), faces=[faces.long()] * len(screen))
    seen = rasterizer.rasterize_meshes(
        batch,
        image_size=(cameras.height, cameras.width),
        blur_radius=0.0,
        faces_per_pixel=1,
        perspective_correct=False,
        z_clip_value=1e-4,
    )[0][..., 0]
    offsets = torch.arange(len(screen), device=seen.device)[:, None, None] * len(faces)
    return torch.where(seen >= 0, seen - offsets, seen).to(vertices.device)


def neural_renderer_faces(
    vertices: Float[Tensor, "m v 3"], faces: Integer[Tensor, "f 3"], cameras: Cameras
) -> Integer[Tensor, "b h w"]:
    """Face ids from the face index kernel of neural_renderer (PyTorch port of Kato et al. 2018).

    The kernel draws square images from normalised coordinates with y up, row 0 at the bottom, and drops
    faces seen from the back; so each face is given twice, and the image is cut out of the square around it.
    Faces with a corner behind the camera are not drawn.

    Raises:
        MissingExtraError: neural-renderer-pytorch is not installed.
    """
    kernels = _need("neural_renderer.cuda.rasterize", "neural-renderer")
    size = max(cameras.height, cameras.width)
    flat = project(_per_view(vertices, len(cameras)), cameras).to(torch.float32)
    x = (2.0 * flat[..., 0] - cameras.width) / size
    y = (cameras.height - 2.0 * flat[..., 1]) / size
    screen = torch.stack([x, y, flat[..., 2]], dim=-1)
    both = torch.cat([faces, faces.flip(1)]).long()
    corners = screen[:, both]
    ahead = (corners[..., 2:] > 1e-4).all(2, keepdim=True)
    corners = torch.where(ahead, corners, torch.full_like(corners, 1e6)).contiguous()
    views = len(corners)
    index = torch.full((views, size, size), -1, dtype=torch.int32, device=corners.device)
    weights, depth = corners.new_zeros(views, size, size, 3), corners.new_full((views, size, size), 1e5)
    nothing, inverse = corners.new_zeros(1), torch.zeros_like(corners)
    index = kernels.forward_face_index_map(
        corners, index, weights, depth, nothing, inverse, size, 1e-4, 1e5, False, False, False
    )[0].flip(1)
    top, left = (size - cameras.height) // 2, (size - cameras.width) // 2
    index = index[:, top : top + cameras.height, left : left + cameras.width].long()
    return torch.where(index >= 0, index % len(faces), index).to(vertices.device)
