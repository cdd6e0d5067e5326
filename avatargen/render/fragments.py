"""What a pixel sees: which face, where on it, how far; and attributes spread over pixels from there."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.render.cameras import Cameras


@dataclass(frozen=True, eq=False)
class Fragments:
    """The nearest surface point of each pixel's centre."""

    face: Integer[Tensor, "b h w"]
    """Row of `faces`; -1 where nothing is seen."""
    bary: Float[Tensor, "b h w 3"]
    """Perspective-correct weights of the face's corners, summing to one; zero where nothing is seen."""
    depth: Float[Tensor, "b h w"]
    """Distance along the viewing axis in metres; infinite where nothing is seen."""

    @property
    def mask(self) -> Float[Tensor, "b 1 h w"]:
        """1 where a surface is seen, else 0."""
        return (self.face >= 0).to(self.bary.dtype)[:, None]


def covered_pixels(face: Integer[Tensor, "b h w"]) -> Integer[Tensor, " n"]:
    """Flat indices of the pixels that see something, in order."""
    return torch.nonzero(face.reshape(-1) >= 0).squeeze(1)


def corner_points(
    vertices: Float[Tensor, "v 3"] | Float[Tensor, "b v 3"],
    faces: Integer[Tensor, "f 3"],
    face: Integer[Tensor, " n"],
    view: Integer[Tensor, " n"],
) -> Float[Tensor, "n 3 3"]:
    """Corner positions (second axis: corner) of face `face[i]` as view `view[i]` has it."""
    corners = faces[face]
    if vertices.ndim == 2 or len(vertices) == 1:
        return vertices.reshape(-1, 3)[corners]
    return vertices.reshape(-1, 3)[corners + view[:, None] * vertices.shape[1]]


def ray_barycentrics(
    corners: Float[Tensor, "n 3 3"], origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, " n"]]:
    """Weights of the corners where rays meet their triangles' planes, and the signed volume they span.

    The weight of a corner is proportional to d . (b x c), with b and c the other two corners seen from the
    origin (homogeneous rasterisation, Olano and Greer 1997), so no perspective division is needed and
    triangles that cross the camera plane need no clipping. The volume is negative for a face seen from outside.
    """
    a, b, c = (corners - origins[:, None]).unbind(1)
    weights = torch.stack(
        [
            (directions * torch.linalg.cross(b, c)).sum(-1),
            (directions * torch.linalg.cross(c, a)).sum(-1),
            (directions * torch.linalg.cross(a, b)).sum(-1),
        ],
        dim=-1,
    )
    total = weights.sum(-1)
    # A triangle seen exactly edge-on covers no pixel; the guard only keeps 0/0 out of the gradients.
    safe = torch.where(total.abs() < 1e-20, torch.full_like(total, 1e-20), total)
    return weights / safe[:, None], total


def pixel_rays(cameras: Cameras, pixel: Integer[Tensor, " n"]) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Origins and (not normalised, depth-one) directions through the centres of flat pixel indices."""
    area = cameras.height * cameras.width
    view = torch.div(pixel, area, rounding_mode="floor")
    inside = pixel - view * area
    row = torch.div(inside, cameras.width, rounding_mode="floor")
    column = inside - row * cameras.width
    focal = cameras.focal[view]
    x = (column.to(focal.dtype) + (0.5 - 0.5 * cameras.width)) / focal
    y = ((0.5 * cameras.height - 0.5) - row.to(focal.dtype)) / focal
    local = torch.stack([x, y, -torch.ones_like(x)], dim=-1)
    rotations = cameras.world_from_camera[:, :3, :3]
    if len(cameras) == 1:
        return cameras.positions.expand(len(pixel), 3), local @ rotations[0].T
    return cameras.positions[view], torch.einsum("nij,nj->ni", rotations[view], local)


@dataclass(frozen=True, eq=False)
class Hits:
    """The pixels of `Fragments` that see something, gathered: work on them costs nothing for empty pixels."""

    pixel: Integer[Tensor, " n"]
    """Flat index over views, rows and columns."""
    view: Integer[Tensor, " n"]
    face: Integer[Tensor, " n"]
    bary: Float[Tensor, "n 3"]


def gather_hits(fragments: Fragments) -> Hits:
    """The covered pixels of all views, in order."""
    pixel = covered_pixels(fragments.face)
    area = fragments.face.shape[1] * fragments.face.shape[2]
    view = torch.div(pixel, area, rounding_mode="floor")
    return Hits(pixel, view, fragments.face.reshape(-1)[pixel], fragments.bary.reshape(-1, 3)[pixel])


def interpolate_hits(
    attributes: Float[Tensor, "v c"] | Float[Tensor, "b v c"], faces: Integer[Tensor, "f 3"], hits: Hits
) -> Float[Tensor, "n c"]:
    """Attributes of vertices at the hits; see `interpolate`."""
    corners = faces[hits.face]
    if attributes.ndim == 3 and len(attributes) > 1:
        corners = corners + hits.view[:, None] * attributes.shape[1]
    flat = attributes.reshape(-1, attributes.shape[-1])
    # Not flat[corners]: the gradient of that adds up in another order each time where there are several threads.
    values = flat.index_select(0, corners.reshape(-1)).view(*corners.shape, flat.shape[-1])
    return (values * hits.bary.to(values.dtype)[..., None]).sum(1)


def interpolate(
    attributes: Float[Tensor, "v c"] | Float[Tensor, "b v c"], faces: Integer[Tensor, "f 3"], fragments: Fragments
) -> Float[Tensor, "views h w c"]:
    """Attributes of vertices spread over the pixels; zero where nothing is seen.

    Differentiable in `attributes` and, through `fragments.bary`, in the vertices the fragments were made from.
    `faces` may be another index of the same faces (`uv_faces`), and `attributes` then belongs to it.
    """
    hits = gather_hits(fragments)
    mixed = interpolate_hits(attributes, faces, hits)
    image = mixed.new_zeros(fragments.face.numel(), mixed.shape[1])
    return image.index_put((hits.pixel,), mixed).reshape(*fragments.face.shape, mixed.shape[1])


def sample_texture(texture: Float[Tensor, "th tw c"], uv: Float[Tensor, "*shape 2"]) -> Float[Tensor, "*shape c"]:
    """Texture colors at `uv` (origin lower left, v up), bilinear, repeating at the edges; differentiable in both."""
    height, width, channels = texture.shape
    x = uv[..., 0].reshape(-1) * width - 0.5
    y = (1.0 - uv[..., 1].reshape(-1)) * height - 0.5
    left, top = torch.floor(x), torch.floor(y)
    right_share, low_share = (x - left)[:, None], (y - top)[:, None]
    columns = (torch.remainder(left, width).long(), torch.remainder(left + 1, width).long())
    rows = (torch.remainder(top, height).long() * width, torch.remainder(top + 1, height).long() * width)
    flat = texture.reshape(-1, channels)
    upper = torch.lerp(flat[rows[0] + columns[0]], flat[rows[0] + columns[1]], right_share)
    lower = torch.lerp(flat[rows[1] + columns[0]], flat[rows[1] + columns[1]], right_share)
    return torch.lerp(upper, lower, low_share).reshape(*uv.shape[:-1], channels)
