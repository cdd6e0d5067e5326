"""Normals, lights and backgrounds.

Directions point from the surface to the light, in the world. Two kinds of light: `Light`, the plain
ambient-plus-diffuse factor of AvatarCLIP (Hong et al. 2022, section 3.2) for guidance, computed on sRGB
values as there; and `Studio`, a key, fill and rim light under a sky, computed in linear light for pictures.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn.functional import interpolate as resize
from torch.nn.functional import normalize

from avatargen.core.errors import ConfigError
from avatargen.render.cameras import Cameras

BACKGROUNDS = ("white", "black", "grey", "noise", "checker", "studio")
"""Names that `background` knows."""


def face_normals(
    vertices: Float[Tensor, "v 3"] | Float[Tensor, "b v 3"], faces: Integer[Tensor, "f 3"]
) -> Float[Tensor, "f 3"] | Float[Tensor, "b f 3"]:
    """Unit outward normals of counter-clockwise faces; zero for a face without area."""
    a, b, c = _corners(vertices, faces).unbind(-2)
    return normalize(torch.linalg.cross(b - a, c - a), dim=-1)


def vertex_normals(
    vertices: Float[Tensor, "v 3"] | Float[Tensor, "b v 3"], faces: Integer[Tensor, "f 3"]
) -> Float[Tensor, "v 3"] | Float[Tensor, "b v 3"]:
    """Unit normals of vertices: mean of the normals around, weighted by area; zero for a vertex without face."""
    a, b, c = _corners(vertices, faces).unbind(-2)
    area = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total = total.index_add(vertices.ndim - 2, faces[:, corner], area)
    return normalize(total, dim=-1, eps=1e-20)


def _corners(vertices: Tensor, faces: Tensor) -> Tensor:
    """`vertices[..., faces, :]`, whose gradient would add up in another order each time where threads are several."""
    return vertices.index_select(-2, faces.reshape(-1)).view(*vertices.shape[:-2], *faces.shape, vertices.shape[-1])


def linear_from_srgb(color: Tensor) -> Tensor:
    """Light that an sRGB value stands for (IEC 61966-2-1), 0..1."""
    safe = color.clamp(min=0.0)
    return torch.where(safe <= 0.04045, safe / 12.92, ((safe.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(light: Tensor) -> Tensor:
    """The sRGB value of linear light; inverse of `linear_from_srgb`."""
    safe = light.clamp(min=0.0)
    return torch.where(safe <= 0.0031308, safe * 12.92, 1.055 * safe.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)


@dataclass(frozen=True, eq=False)
class Light:
    """One directional light per view: color x (ambient + diffuse x max(0, normal . direction))."""

    direction: Float[Tensor, "b 3"]
    """Unit vectors towards the light."""
    ambient: Float[Tensor, " b"]
    diffuse: Float[Tensor, " b"]


@dataclass(frozen=True)
class Studio:
    """Light for pictures: soft key, weak fill, rim from behind, sky and floor around. Directions turn with the camera.

    Azimuths and elevations are in degrees as seen from the camera; strengths are in linear light.
    """

    key: tuple[float, float, float] = (-38.0, 42.0, 0.90)
    """Azimuth (negative: to the viewer's left), elevation, strength."""
    fill: tuple[float, float, float] = (52.0, 12.0, 0.17)
    rim: tuple[float, float, float] = (158.0, 38.0, 0.45)
    sky: float = 0.40
    floor: float = 0.17
    wrap: float = 0.18
    """How far the key reaches around, as a large lamp does; 0 is a point."""
    gloss: float = 0.05
    """Strength of the sheen towards the key."""


def headlight(cameras: Cameras, ambient: float = 0.3, diffuse: float = 0.7) -> Light:
    """Light from where each camera stands towards what it looks at."""
    direction = cameras.world_from_camera[:, :3, 2]
    full = torch.ones_like(direction[:, 0])
    return Light(direction, ambient * full, diffuse * full)


def _turned(cameras: Cameras, azimuth: Tensor, elevation: Tensor) -> Float[Tensor, "b 3"]:
    """Unit directions at angles (radians) around each camera's own direction, about its up and right axes."""
    local = torch.stack(
        [torch.cos(elevation) * torch.sin(azimuth), torch.sin(elevation), torch.cos(elevation) * torch.cos(azimuth)],
        dim=-1,
    )
    return torch.einsum("bij,bj->bi", cameras.world_from_camera[:, :3, :3], local)


def random_light(generator: torch.Generator, cameras: Cameras) -> Light:
    """AvatarCLIP's: ambient A ~ U(0, 0.2), diffuse 1 - A, the camera's direction turned by U(-45, 45) deg twice."""
    count = len(cameras)
    draw = torch.rand(3, count, generator=generator, device=generator.device).to(cameras.world_from_camera)
    ambient = 0.2 * draw[0]
    angles = (draw[1:] - 0.5) * (math.pi / 2)
    return Light(_turned(cameras, angles[0], angles[1]), ambient, 1.0 - ambient)


def shade(
    colors: Float[Tensor, "b h w 3"],
    normals: Float[Tensor, "b h w 3"],
    light: Light | Studio | None,
    cameras: Cameras,
) -> Float[Tensor, "b h w 3"]:
    """Lit sRGB colors; differentiable in colors and normals. `None` leaves them as they are."""
    view = torch.arange(len(colors), device=colors.device).repeat_interleave(colors[0, ..., 0].numel())
    return shade_points(colors.reshape(-1, 3), normals.reshape(-1, 3), light, cameras, view).reshape(colors.shape)


def shade_points(
    colors: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    light: Light | Studio | None,
    cameras: Cameras,
    view: Integer[Tensor, " n"],
) -> Float[Tensor, "n 3"]:
    """`shade` for single points, each seen by camera `view[i]`."""
    if light is None:
        return colors
    if isinstance(light, Studio):
        return _shade_studio(colors, normals, light, cameras.to(dtype=normals.dtype), view)
    facing = _facing(normals, light.direction, view)
    ambient, diffuse = light.ambient.to(normals.dtype)[view], light.diffuse.to(normals.dtype)[view]
    return colors * (ambient + diffuse * facing)[:, None]


def _facing(normals: Tensor, directions: Float[Tensor, "b 3"], view: Tensor, wrap: float = 0.0) -> Float[Tensor, " n"]:
    """Cosine to each view's direction, 0 where turned away; `wrap` lets it reach around the terminator."""
    directions = directions.to(normals.dtype)
    cosine = normals @ directions[0] if len(directions) == 1 else (normals * directions[view]).sum(-1)
    return ((cosine + wrap) / (1.0 + wrap)).clamp(min=0.0)


def _lamp(cameras: Cameras, azimuth_deg: float, elevation_deg: float) -> Float[Tensor, "b 3"]:
    """Direction to a lamp that goes round with the camera but keeps its height over the floor."""
    right = normalize(
        cameras.world_from_camera[:, :3, 0] * cameras.world_from_camera.new_tensor([1.0, 0.0, 1.0]), dim=-1
    )
    up = torch.zeros_like(right)
    up[:, 1] = 1.0
    azimuth, elevation = math.radians(azimuth_deg), math.radians(elevation_deg)
    flat = math.sin(azimuth) * right + math.cos(azimuth) * torch.linalg.cross(right, up)
    return math.cos(elevation) * flat + math.sin(elevation) * up


def _shade_studio(colors: Tensor, normals: Tensor, studio: Studio, cameras: Cameras, view: Tensor) -> Tensor:
    towards = cameras.world_from_camera[:, :3, 2]
    key, fill, rim = (_lamp(cameras, lamp[0], lamp[1]) for lamp in (studio.key, studio.fill, studio.rim))
    light = 0.5 * (studio.sky + studio.floor) + 0.5 * (studio.sky - studio.floor) * normals[:, 1]
    light = light + studio.key[2] * _facing(normals, key, view, studio.wrap)
    light = light + studio.fill[2] * _facing(normals, fill, view, 0.4)
    grazing = (1.0 - _facing(normals, towards, view).clamp(max=1.0)) ** 2
    light = light + studio.rim[2] * _facing(normals, rim, view) * grazing
    sheen = studio.gloss * _facing(normals, normalize(key + towards, dim=-1), view) ** 24
    return srgb_from_linear(_shoulder(linear_from_srgb(colors) * light[:, None] + sheen[:, None]))


def _shoulder(light: Tensor, knee: float = 0.7) -> Tensor:
    """Linear light below `knee`, then bent to stay under one, so that bright cloth keeps its folds."""
    over = (light - knee).clamp(min=0.0)
    room = 1.0 - knee
    return torch.where(light > knee, knee + room * (over / (over + room)), light)


def _checker(generator: torch.Generator, cameras: Cameras, like: Tensor) -> Tensor:
    """Blurred checkerboards with squares of 1/12 to 1/4 of the image and two random greys."""
    count, height, width = len(cameras), cameras.height, cameras.width
    draw = torch.rand(count, 5, generator=generator, device=generator.device).to(like)
    square = (1 / 12 + draw[:, 0] * (1 / 4 - 1 / 12)) * height
    rows = torch.arange(height, device=like.device)[None, :] / square[:, None] + 2 * draw[:, 1:2]
    columns = torch.arange(width, device=like.device)[None, :] / square[:, None] + 2 * draw[:, 2:3]
    board = (torch.floor(rows)[:, :, None] + torch.floor(columns)[:, None, :]).remainder(2)[:, None]
    low, high = draw[:, 3, None, None, None], draw[:, 4, None, None, None]
    # Shrinking and enlarging again is a cheap blur by about 1/64 of the image.
    small = resize(board, scale_factor=1 / max(1, height // 64), mode="area")
    board = resize(small, size=(height, width), mode="bilinear", align_corners=False)
    return (low + (high - low) * board).expand(count, 3, height, width)


def background(
    kind: str | Tensor, cameras: Cameras, generator: torch.Generator | None = None, like: Tensor | None = None
) -> Float[Tensor, "b 3 h w"]:
    """What stands behind a mesh, in 0..1.

    Args:
        kind: white | black | grey | noise (Gaussian, mean 0.5, deviation 0.2) | checker (blurred) |
            studio (a soft gradient), or a tensor [3], [3, h, w] or [b, 3, h, w].
        cameras: gives batch and image size.
        generator: needed by noise and checker.
        like: device and dtype of the result; default those of the cameras.

    Raises:
        ConfigError: no background of that name.
    """
    like = cameras.world_from_camera if like is None else like
    shape = (len(cameras), 3, cameras.height, cameras.width)
    if isinstance(kind, Tensor):
        color = kind[:, None, None] if kind.ndim == 1 else kind
        return color.to(like).expand(shape)
    levels = {"white": 1.0, "black": 0.0, "grey": 0.5}
    if kind in levels:
        return like.new_full((), levels[kind]).expand(shape)
    if kind == "studio":
        return _studio_backdrop(cameras, like).expand(shape)
    if kind not in BACKGROUNDS:
        raise ConfigError(f"no background {kind!r}; there are: {', '.join(BACKGROUNDS)}")
    if generator is None:
        raise ValueError(f"the {kind} background draws random numbers: pass a generator")
    if kind == "noise":
        drawn = torch.randn(shape, generator=generator, device=generator.device).to(like)
        return (0.5 + 0.2 * drawn).clamp(0.0, 1.0)
    return _checker(generator, cameras, like)


def _studio_backdrop(cameras: Cameras, like: Tensor) -> Tensor:
    """A warm light grey, brightest behind the middle, falling off softly to the corners."""
    y = torch.linspace(-1, 1, cameras.height, device=like.device, dtype=like.dtype)[:, None]
    x = torch.linspace(-1, 1, cameras.width, device=like.device, dtype=like.dtype)[None, :]
    radius = (x**2 * 0.6 + (y + 0.15) ** 2 * 0.8) / 1.4
    tone = like.new_tensor([0.905, 0.9, 0.89])[:, None, None]
    return tone - 0.16 * radius.clamp(0, 1.2) ** 1.2
