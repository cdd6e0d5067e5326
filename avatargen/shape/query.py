"""The pictures by which bodies are compared with a text: fixed metric cameras, a height chart, a floor line.

The cameras never adapt to the body, so absolute height can be seen: at the plane of the body the picture shows
heights -0.10 m to 2.20 m, whoever stands there. Whoever trains a model to tell bodies apart trains on these.
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.body.posing import pose_body
from avatargen.body.skeleton import a_pose
from avatargen.core.parts import PARTS
from avatargen.render.cameras import Cameras, orbit
from avatargen.render.raster import Edges, antialias, interpolate, mesh_edges, rasterize
from avatargen.render.shading import vertex_normals

VERSION = "1"
"""Part of every cache key: raise it when these pictures change."""

AZIMUTHS_DEG: tuple[float, ...] = (0.0, 40.0, 90.0, 180.0)
"""Front, three-quarter, side, back."""

_LOWEST, _HIGHEST = -0.10, 2.20
_TARGET_HEIGHT = 0.5 * (_LOWEST + _HIGHEST)
_FOV_DEG = 30.0
_DISTANCE = 0.5 * (_HIGHEST - _LOWEST) / 0.2679491924311227  # tan(15 deg)

_WALL = (0.42, 0.47, 0.53)
_FLOOR = (0.27, 0.27, 0.28)
_LINE = (0.34, 0.38, 0.43)
_FLOOR_EDGE = 0.11
"""Height at the body's plane behind which the floor ends: a wall half a metre behind the body."""
_CHART = (1.0, 1.25, 1.5, 1.75, 2.0)
"""Heights of the lines on the wall, in metres at the body's plane."""
_SKIN = (0.84, 0.64, 0.53)
_PAINT = {
    "lips": (0.70, 0.38, 0.37),
    "left_brow": (0.27, 0.19, 0.15),
    "right_brow": (0.27, 0.19, 0.15),
    "left_eye": (0.30, 0.24, 0.22),
    "right_eye": (0.30, 0.24, 0.22),
}
_AMBIENT, _KEY, _FILL = 0.42, 0.50, 0.14
_KEY_DIRECTION = (-0.55, 0.65, 0.52)  # camera frame: from the upper left, in front
_FILL_DIRECTION = (0.80, 0.10, 0.59)


def query_vertices(body: BodyModel, betas: Float[Tensor, "b n"]) -> Float[Tensor, "b v 3"]:
    """Bodies in the relaxed A-pose with their soles on the floor y = 0, as `render_query` expects them."""
    rotations = a_pose(betas.device).to(betas.dtype).expand(len(betas), -1, -1, -1)
    return stand(pose_body(body, betas, rotations).vertices)


def stand(vertices: Float[Tensor, "b v 3"]) -> Float[Tensor, "b v 3"]:
    """The same vertices with the lowest one of each body at y = 0; differentiable."""
    lowest = vertices[..., 1].amin(1)
    zero = torch.zeros_like(lowest)
    return vertices - torch.stack([zero, lowest, zero], dim=-1)[:, None]


def query_cameras(size: int, views: int = len(AZIMUTHS_DEG), device: torch.device | str = "cpu") -> Cameras:
    """The first `views` of the four fixed cameras."""
    azimuths = list(AZIMUTHS_DEG[:views])
    return orbit(azimuths, 0.0, _DISTANCE, (0.0, _TARGET_HEIGHT, 0.0), _FOV_DEG, size, device=device)


def background(size: int, device: torch.device | str = "cpu") -> Float[Tensor, "h w 3"]:
    """Wall with height lines, and floor."""
    rows = (torch.arange(size * 4, device=device, dtype=torch.float32) + 0.5) / (size * 4)
    height = _HIGHEST - rows * (_HIGHEST - _LOWEST)
    color = torch.tensor(_WALL, device=device).expand(len(rows), 3)
    near = torch.stack([(height - line).abs() for line in _CHART]).amin(0) < 0.006
    color = torch.where(near[:, None], torch.tensor(_LINE, device=device), color)
    color = torch.where((height < _FLOOR_EDGE)[:, None], torch.tensor(_FLOOR, device=device), color)
    return color.reshape(size, 4, 3).mean(1)[:, None].expand(size, size, 3)


def mannequin(body: BodyModel) -> Float[Tensor, "v 3"]:
    """Plain skin, with eyes, brows and lips where the body knows its parts. Fixed: these pictures must not change."""
    like = body.template
    if body.parts is None:
        return like.new_tensor(_SKIN).repeat(len(like), 1)
    palette = like.new_tensor([_PAINT.get(part, _SKIN) for part in PARTS])
    corners = body.faces.reshape(-1)
    painted = palette[body.parts].repeat_interleave(3, 0)
    total = like.new_zeros(len(like), 3).index_add(0, corners, painted)
    count = like.new_zeros(len(like)).index_add(0, corners, torch.ones_like(painted[:, 0]))
    return total / count.clamp_min(1.0)[:, None]


def render_query(
    body: BodyModel,
    vertices: Float[Tensor, "b v 3"],
    size: int = 128,
    views: int = len(AZIMUTHS_DEG),
    colors: Float[Tensor, "v 3"] | None = None,
) -> Float[Tensor, "b views 3 h w"]:
    """Pictures (sRGB, 0..1) of bodies that stand on the floor, from the fixed cameras; differentiable in `vertices`.

    Args:
        body: gives faces and part labels.
        vertices: as from `query_vertices`; metres, standing on y = 0.
        size: pixels along each side.
        views: how many of front, three-quarter, side, back.
        colors: instead of the mannequin's.
    """
    cameras = query_cameras(2 * size, views, vertices.device)
    look = (mannequin(body) if colors is None else colors).to(vertices)
    scene = background(2 * size, vertices.device)
    edges = _edges(body)
    pictures = [_picture(body, one, cameras, look, scene, edges) for one in vertices]
    return torch.stack(pictures)


def _picture(
    body: BodyModel,
    vertices: Float[Tensor, "v 3"],
    cameras: Cameras,
    look: Float[Tensor, "v 3"],
    scene: Float[Tensor, "h w 3"],
    edges: Edges,
) -> Float[Tensor, "views 3 s s"]:
    shade = _shade(vertex_normals(vertices, body.faces), cameras)
    fragments = rasterize(vertices, body.faces, cameras)
    seen = interpolate(look * shade, body.faces, fragments)
    image = torch.where(fragments.mask.permute(0, 2, 3, 1) > 0, seen, scene)
    if vertices.requires_grad:  # only outlines need it, and only for gradients: halving the picture smooths as well
        image = antialias(image, vertices, body.faces, cameras, fragments, edges)
    return torch.nn.functional.avg_pool2d(image.permute(0, 3, 1, 2), 2).clamp(0, 1)


def _shade(normals: Float[Tensor, "v 3"], cameras: Cameras) -> Float[Tensor, "views v 1"]:
    """Brightness of each vertex under lights that travel with the camera."""
    turn = cameras.world_from_camera[:, :3, :3]
    total = torch.full((len(cameras), len(normals), 1), _AMBIENT, dtype=normals.dtype, device=normals.device)
    for strength, direction in ((_KEY, _KEY_DIRECTION), (_FILL, _FILL_DIRECTION)):
        light = torch.nn.functional.normalize(normals.new_tensor(direction), dim=0)
        total = total + strength * torch.einsum("vc,nc->nv", normals, turn @ light).clamp_min(0)[..., None]
    return total


@lru_cache(maxsize=4)
def _edges(body: BodyModel) -> Edges:
    return mesh_edges(body.faces)
