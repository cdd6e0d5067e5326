"""Which face each pixel's centre sees: by casting rays (embreex, CPU) or by a z-buffer in plain torch (any device).

Neither is differentiable; positions on the faces are recomputed from the face ids where gradients matter.
"""

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.render.cameras import Cameras, project, to_camera
from avatargen.render.fragments import corner_points, pixel_rays, ray_barycentrics

_CANDIDATES = 1 << 20
"""Pixel-triangle pairs tried at once by the z-buffer: about 200 MB of working memory."""

_NEAR = 1e-4
"""Metres; nearer surface is not seen."""


_BLOCK = 8
"""Pixels along each side of the blocks that are cast or left out together."""


def _worth_casting(points: Float[Tensor, "v 3"], faces: Integer[Tensor, "f 3"], camera: Cameras) -> Tensor:
    """Flat indices of pixels in blocks that the bounding box of some triangle touches: all that can see something.

    A figure's rays are about an eighth of its image's.
    """
    height, width = camera.height, camera.width
    flat = project(points, camera)[0]
    if bool((flat[:, 2] <= _NEAR).any()):
        return torch.arange(height * width)
    rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
    limit = torch.tensor([columns, rows], dtype=torch.float32)
    cells = flat[:, :2] / _BLOCK
    corners = cells[faces]
    # One pixel of slack: a ray and a projection may round differently.
    low = torch.floor(corners.amin(1) - 1 / _BLOCK).clamp(min=0).minimum(limit).long()
    high = (torch.floor(corners.amax(1) + 1 / _BLOCK) + 1).clamp(min=0).minimum(limit).long()
    # Boxes are summed by their four signed corners and two running sums.
    marks = torch.zeros((rows + 1) * (columns + 1), dtype=torch.int32)
    for y, x, sign in ((low, low, 1), (low, high, -1), (high, low, -1), (high, high, 1)):
        index = y[:, 1] * (columns + 1) + x[:, 0]
        marks.index_add_(0, index, torch.full_like(index, sign, dtype=torch.int32))
    covered = marks.reshape(rows + 1, columns + 1).cumsum(0).cumsum(1)[:rows, :columns] > 0
    pixels = covered.repeat_interleave(_BLOCK, 0).repeat_interleave(_BLOCK, 1)[:height, :width]
    return torch.nonzero(pixels.reshape(-1)).squeeze(1)


def cast_rays(
    vertices: Float[Tensor, "m v 3"], faces: Integer[Tensor, "f 3"], cameras: Cameras
) -> Integer[Tensor, "b h w"]:
    """Face ids by ray casting on the CPU; `m` is 1 (one mesh, one search tree for all views) or the number of views."""
    points = vertices.detach().cpu().to(torch.float32)
    corners = faces.cpu()
    triangles = np.ascontiguousarray(corners.numpy().astype(np.int32))
    views = cameras.to("cpu", torch.float32)
    seen = torch.full((len(cameras), cameras.height * cameras.width), -1, dtype=torch.int64)
    scene = None
    for i in range(len(views)):
        mesh = points[i if len(points) > 1 else 0]
        if scene is None or len(points) > 1:
            scene = EmbreeScene()
            TriangleMesh(scene, np.ascontiguousarray(mesh.numpy()), triangles)
        pixel = _worth_casting(mesh, corners, views[i])
        if len(pixel) == 0:
            continue
        origins, directions = pixel_rays(views[i], pixel)
        hits = scene.run(np.ascontiguousarray(origins.numpy()), np.ascontiguousarray(directions.numpy()))
        seen[i, pixel] = torch.from_numpy(np.asarray(hits, dtype=np.int64))
    return seen.reshape(len(cameras), cameras.height, cameras.width).to(vertices.device)


def _boxes(
    corners: Float[Tensor, "b f 3 3"], flat: Float[Tensor, "b f 3 3"], cameras: Cameras
) -> tuple[Integer[Tensor, "b f 4"], Tensor]:
    """Left, top, width and height of each triangle's pixels, and which triangles can be seen at all."""
    depth = -corners[..., 2]
    limit = flat.new_tensor([cameras.width, cameras.height])
    low = torch.ceil(flat[..., :2].amin(2) - 0.5).clamp(min=0)
    high = torch.floor(flat[..., :2].amax(2) - 0.5)
    # A triangle that reaches behind the camera may project anywhere: try every pixel.
    crossing = (depth <= _NEAR).any(-1, keepdim=True)
    low = torch.where(crossing, torch.zeros_like(low), low).minimum(limit)
    high = torch.where(crossing, limit - 1, high).minimum(limit - 1)
    size = (high - low + 1).clamp(min=0)
    alive = (size.prod(-1) > 0) & (depth > _NEAR).any(-1)
    return torch.cat([low, size], dim=-1).long(), alive


def z_buffer(
    vertices: Float[Tensor, "m v 3"], faces: Integer[Tensor, "f 3"], cameras: Cameras
) -> Integer[Tensor, "b h w"]:
    """Face ids by testing, for all views at once, each triangle against the pixels of its bounding box.

    Where two faces are equally near the one with the smaller id is seen, so the result does not depend on order.
    """
    with torch.no_grad():
        views = cameras.to(vertices.device, vertices.dtype)
        count, area = len(faces), cameras.height * cameras.width
        local = to_camera(vertices, views)[:, faces]
        flat = project(vertices, views)[:, faces]
        box, alive = _boxes(local, flat, views)
        triangle = torch.nonzero(alive.reshape(-1)).squeeze(1)
        box = box.reshape(-1, 4)[triangle]
        pairs = box[:, 2] * box[:, 3]
        ends = torch.cumsum(pairs, 0)
        best = torch.full((len(cameras) * area,), torch.iinfo(torch.int64).max, device=vertices.device)
        total = int(ends[-1]) if len(ends) else 0
        for start in range(0, total, _CANDIDATES):
            pair = torch.arange(start, min(start + _CANDIDATES, total), device=vertices.device)
            row = torch.searchsorted(ends, pair, right=True)
            left, top, width, _ = box[row].unbind(1)
            offset = pair - (ends[row] - pairs[row])
            line = torch.div(offset, width, rounding_mode="floor")
            view = torch.div(triangle[row], count, rounding_mode="floor")
            face = triangle[row] - view * count
            pixel = view * area + (top + line) * cameras.width + left + offset - line * width
            origins, directions = pixel_rays(views, pixel)
            corners = corner_points(vertices, faces, face, view)
            bary, _ = ray_barycentrics(corners, origins, directions)
            depth = (bary * -local.reshape(-1, 3, 3)[triangle[row]][..., 2]).sum(-1)
            hit = (bary >= 0).all(-1) & (depth > _NEAR)
            # Positive floats sort like their bits, so one integer minimum finds depth and face together.
            key = depth[hit].to(torch.float32).view(torch.int32).long() * (1 << 32) + face[hit]
            best.scatter_reduce_(0, pixel[hit], key, "amin")
        seen = torch.where(best == torch.iinfo(torch.int64).max, torch.full_like(best, -1), best % (1 << 32))
        return seen.reshape(len(cameras), cameras.height, cameras.width)
