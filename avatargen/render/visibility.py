"""Which face each pixel's centre sees: by casting rays (embreex, CPU) or by a z-buffer in plain torch (any device).

Neither is differentiable; positions on the faces are recomputed from the face ids where gradients matter.
"""

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.render.cameras import Cameras, project, rays, to_camera
from avatargen.render.fragments import corner_points, pixel_rays, ray_barycentrics

_CANDIDATES = 1 << 20
"""Pixel-triangle pairs tried at once by the z-buffer: about 200 MB of working memory."""

_NEAR = 1e-4
"""Metres; nearer surface is not seen."""


def _window(points: Float[Tensor, "v 3"], cameras: Cameras) -> tuple[slice, slice]:
    """Rows and columns of one camera's image outside which none of `points`' triangles can be seen."""
    flat = project(points, cameras)[0]
    if bool((flat[:, 2] <= _NEAR).any()):
        return slice(0, cameras.height), slice(0, cameras.width)
    low, high = flat[:, :2].amin(0), flat[:, :2].amax(0)
    left, top = (max(0, int(v)) for v in torch.floor(low - 1).clamp(-1, 1e6))
    right, bottom = (max(0, int(v)) for v in torch.ceil(high + 1).clamp(-1, 1e6))
    return slice(min(top, cameras.height), min(bottom, cameras.height)), slice(
        min(left, cameras.width), min(right, cameras.width)
    )


def cast_rays(
    vertices: Float[Tensor, "m v 3"], faces: Integer[Tensor, "f 3"], cameras: Cameras
) -> Integer[Tensor, "b h w"]:
    """Face ids by ray casting on the CPU; `m` is 1 (one mesh, one search tree for all views) or the number of views."""
    points = vertices.detach().cpu().to(torch.float32)
    triangles = np.ascontiguousarray(faces.cpu().numpy().astype(np.int32))
    views = cameras.to("cpu", torch.float32)
    seen = torch.full((len(cameras), cameras.height, cameras.width), -1, dtype=torch.int64)
    scene = None
    for i in range(len(views)):
        if scene is None or len(points) > 1:
            scene = EmbreeScene()
            mesh = points[i if len(points) > 1 else 0]
            TriangleMesh(scene, np.ascontiguousarray(mesh.numpy()), triangles)
        rows, columns = _window(points[i if len(points) > 1 else 0], views[i])
        origins, directions = (r[0, rows, columns].reshape(-1, 3).numpy() for r in rays(views[i]))
        if len(origins) == 0:
            continue
        hits = scene.run(np.ascontiguousarray(origins), np.ascontiguousarray(directions))
        size = (rows.stop - rows.start, columns.stop - columns.start)
        seen[i, rows, columns] = torch.from_numpy(np.asarray(hits, dtype=np.int64)).reshape(size)
    return seen.to(vertices.device)


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
