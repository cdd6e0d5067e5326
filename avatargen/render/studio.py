"""A photographer's studio around a figure on the floor y = 0: backdrop, floor, soft contact shadow, framing.

All of it is decoration for pictures and videos; nothing here carries gradients.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.render.cameras import Cameras, orbit, rays

# Pure greys: where the hue of a soft gradient changes, a video's coarser chroma shows bands.
_WALL_TOP, _WALL, _FLOOR = 0.805, 0.905, 0.862
_CELL = 0.04
"""Metres; detail of the contact shadow."""
_REACH = 1.0
"""Metres; how far around the figure the shadow has faded."""


@dataclass(frozen=True, eq=False)
class Shadow:
    """How much of the sky the figure takes from each point of the floor."""

    shade: Float[Tensor, "rows columns"]
    """0 in the open, 1 where no light arrives; rows run along z, columns along x."""
    corner: Float[Tensor, " 2"]
    """World x and z of the first sample."""
    step: float
    """Metres between samples."""


def contact_shadow(
    vertices: Float[Tensor, "v 3"], faces: Integer[Tensor, "f 3"], strength: float = 1.1, samples: int = 88
) -> Shadow:
    """Soft shadow under a figure, crisp at the soles and wide under the trunk.

    A horizontal patch of area A at height h hides A h^2 / (pi (h^2 + d^2)^2) of a floor point at distance d
    (the form factor of parallel patches). Patches are the faces that look down, gathered in cells of 4 cm.
    """
    with torch.no_grad():
        a, b, c = vertices[faces].unbind(1)
        down = -0.5 * torch.linalg.cross(b - a, c - a)[:, 1]
        middle = (a + b + c) / 3
        keep = (down > 0) & (middle[:, 1] > -0.05)
        down, middle = down[keep], middle[keep]
        cells, group = torch.unique(torch.floor(middle / _CELL).long(), dim=0, return_inverse=True)
        area = down.new_zeros(len(cells)).index_add(0, group, down)
        place = middle.new_zeros(len(cells), 3).index_add(0, group, middle * down[:, None]) / area[:, None]
        height = place[:, 1].clamp(min=_CELL)
        low, high = vertices[:, [0, 2]].amin(0) - _REACH, vertices[:, [0, 2]].amax(0) + _REACH
        step = float((high - low).max()) / (samples - 1)
        axis = torch.arange(samples, dtype=vertices.dtype, device=vertices.device) * step
        x2 = (low[0] + axis[:, None] - place[None, :, 0]) ** 2
        z2 = (low[1] + axis[:, None] - place[None, :, 2]) ** 2
        weight = area * height**2 / math.pi
        hidden = torch.zeros(samples, samples, dtype=vertices.dtype, device=vertices.device)
        for row in range(samples):
            hidden[row] = (weight / (height**2 + x2 + z2[row]) ** 2).sum(1)
        return Shadow(1.0 - torch.exp(-strength * hidden), low, step)


def _sample(shadow: Shadow, x: Tensor, z: Tensor) -> Tensor:
    """The shadow at floor points; fades to nothing at its border."""
    rows, columns = shadow.shade.shape
    u = ((x - shadow.corner[0]) / shadow.step).clamp(0, columns - 1.001)
    v = ((z - shadow.corner[1]) / shadow.step).clamp(0, rows - 1.001)
    left, top = u.long(), v.long()
    fu, fv = u - left, v - top
    flat, at = shadow.shade.reshape(-1), top * columns + left
    upper = torch.lerp(flat[at], flat[at + 1], fu)
    lower = torch.lerp(flat[at + columns], flat[at + columns + 1], fu)
    near = torch.minimum(torch.minimum(u, columns - 1 - u), torch.minimum(v, rows - 1 - v))
    inward = (near * shadow.step / _REACH).clamp(0, 1)
    return torch.lerp(upper, lower, fv) * inward**2 * (3 - 2 * inward)


def studio_background(
    cameras: Cameras,
    shadow: Shadow | None = None,
    center: Float[Tensor, " 3"] | None = None,
    grid: float = 0.0,
) -> Float[Tensor, "b 3 h w"]:
    """Seamless paper: a wall that darkens upward, running into a slightly darker floor.

    Args:
        cameras: views; those below the floor see only wall.
        shadow: darkens the floor.
        center: where the figure is; the floor's grid fades around it.
        grid: strength of faint lines every half metre, which make travel visible; 0 for none.
    """
    with torch.no_grad():
        origins, directions = rays(cameras)
        slope = directions[..., 1]
        like = {"device": slope.device, "dtype": slope.dtype}
        wall, top, floor = (torch.full((3,), grey, **like) for grey in (_WALL, _WALL_TOP, _FLOOR))
        rise = (slope.clamp(min=0) / 0.5).clamp(max=1)[..., None]
        image = wall + (top - wall) * rise * (2 - rise)
        reach = origins[..., 1] / (-slope).clamp(min=1e-4)
        hit = torch.nonzero(((slope < -1e-3) & (reach > 0)).reshape(-1)).squeeze(1)
        distance = reach.reshape(-1)[hit]
        x, _, z = (origins.reshape(-1, 3)[hit] + distance[:, None] * directions.reshape(-1, 3)[hit]).unbind(-1)
        # The floor becomes wall gradually, so that no horizon shows.
        far = torch.exp(-0.09 * distance)[:, None]
        color = wall + (floor - wall) * far
        dark = torch.zeros_like(x)
        if grid > 0:
            middle = torch.zeros(3, **like) if center is None else center.to(**like)
            lines = _lines(x, z, distance, directions.reshape(-1, 3)[hit], cameras)
            dark = dark + grid * lines * _around(x - middle[0], z - middle[2])
        if shadow is not None:
            dark = 1 - (1 - dark) * (1 - 0.72 * _sample(shadow, x, z))
        flat = image.reshape(-1, 3).index_put((hit,), color * (1 - dark[:, None]))
        return flat.reshape(image.shape).permute(0, 3, 1, 2)


def _around(x: Tensor, z: Tensor, radius: float = 2.2) -> Tensor:
    return torch.exp(-(((x**2 + z**2) / radius**2) ** 2))


def _lines(x: Tensor, z: Tensor, distance: Tensor, directions: Tensor, cameras: Cameras) -> Tensor:
    """Coverage of thin floor lines, fading where they become thinner than a pixel."""
    spacing, width = 0.5, 0.008
    pixel = distance / cameras.focal.mean()
    # Seen at a low angle a pixel is long on the floor, away from the camera.
    level = directions[:, [0, 2]].norm(dim=-1).clamp(min=1e-6)
    stretch = 1.0 / directions[:, 1].abs().clamp(min=1e-3) - 1.0
    covered = torch.zeros_like(x)
    for value, along in ((x, directions[:, 0] / level), (z, directions[:, 2] / level)):
        soft = (1.5 * pixel * (1.0 + stretch * along.abs())).clamp(min=width)
        off = (value / spacing - torch.round(value / spacing)).abs() * spacing
        covered = torch.maximum(covered, (1 - off / soft).clamp(min=0) * (width / soft))
    return covered


def fitting_distance(
    points: Float[Tensor, "n 3"],
    target: Float[Tensor, " 3"] | Float[Tensor, "n 3"],
    azimuth_deg: float,
    elevation_deg: float,
    fov_deg: float,
    aspect: float = 1.0,
    margin: float = 0.08,
) -> float:
    """How far a camera that looks at `target` must be for all `points` to be in its image.

    Args:
        points: metres.
        target: one for all points or one for each, for a camera that moves along.
        azimuth_deg: as in `orbit`, as are the next two.
        elevation_deg: degrees.
        fov_deg: vertical.
        aspect: width over height.
        margin: share of the image left empty along each side.
    """
    axes = orbit(azimuth_deg, elevation_deg, size=1, dtype=points.dtype).world_from_camera[0, :3, :3]
    x, y, z = ((points - target) @ axes.to(points.device)).unbind(-1)
    tangent = math.tan(math.radians(fov_deg) / 2) * (1 - 2 * margin)
    return float(torch.maximum(z + x.abs() / (tangent * aspect), z + y.abs() / tangent).max())
