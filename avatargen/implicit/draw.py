"""Pictures of the field: rays only where the body can be, samples only where its surface is.

A hull around everything the surface may become is rasterised; a march through the distance field then finds where each
of its rays comes near the surface, and the samples that carry gradients are placed by the weights found there.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.implicit.avatar import AvatarField
from avatargen.implicit.color import Colors
from avatargen.render.cameras import Cameras
from avatargen.render.fragments import covered_pixels, gather_hits, pixel_rays
from avatargen.render.raster import rasterize
from avatargen.render.rays import box_span, march
from avatargen.render.shading import Light, vertex_normals
from avatargen.render.volume import sample_edges, significant, weights_from_sdf

_LEAST_OPACITY = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawing:
    """What the rays that come near the surface saw; all other pixels are background."""

    pixel: Integer[Tensor, " n"]
    """Flat pixel index (view, row, column) of each ray."""
    view: Integer[Tensor, " n"]
    opacity: Float[Tensor, " n"]
    style: Float[Tensor, "n 3"]
    """Premultiplied by opacity, as `base` is."""
    base: Float[Tensor, "n 3"]
    point: Float[Tensor, "n 3"]
    """Mean place where each ray ends; not differentiable."""
    gradient: Float[Tensor, "n 3"]
    """Of the distance there; its direction is the normal."""
    colors: Colors
    """Of the single samples, for losses."""
    shape: tuple[int, int, int]
    """Views, height, width."""

    @property
    def normal(self) -> Float[Tensor, "n 3"]:
        """Unit normals."""
        return torch.nn.functional.normalize(self.gradient, dim=-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rays:
    """Rays of a batch of views that may meet the surface."""

    pixel: Integer[Tensor, " n"]
    origins: Float[Tensor, "n 3"]
    directions: Float[Tensor, "n 3"]
    """Unit length."""
    near: Float[Tensor, " n"]
    far: Float[Tensor, " n"]


def hull_rays(field: AvatarField, hull: Float[Tensor, "v 3"], cameras: Cameras) -> Rays:
    """Rays through the pixels that see the hull, starting on it."""
    fragments = rasterize(hull, field.body.surface.faces.to(hull.device), cameras)
    pixel = covered_pixels(fragments.face)
    origins, directions = pixel_rays(cameras, pixel)
    length = directions.norm(dim=-1)
    near = fragments.depth.reshape(-1)[pixel] * length
    directions = directions / length[:, None]
    far = box_span(origins, directions, field.bounds.to(origins))[1]
    return Rays(pixel=pixel, origins=origins, directions=directions, near=near, far=torch.maximum(far, near))


def box_rays(field: AvatarField, cameras: Cameras) -> Rays:
    """Rays through every pixel whose ray meets the field's box: the plain way, for comparison."""
    pixel = torch.arange(len(cameras) * cameras.height * cameras.width)
    origins, directions = pixel_rays(cameras, pixel)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    near, far = box_span(origins, directions, field.bounds.to(origins))
    hit = near < far
    return Rays(pixel=pixel[hit], origins=origins[hit], directions=directions[hit], near=near[hit], far=far[hit])


@torch.no_grad()
def band_edges(
    field: AvatarField, rays: Rays, samples: int, steps: int, generator: torch.Generator | None
) -> tuple[Integer[Tensor, " k"], Float[Tensor, "k edges"]]:
    """Which rays come near the surface, and the edges of `samples` intervals along each of them."""
    sharpness = field.learned.sharpness.detach()
    least = 1.0 / float(sharpness.detach())
    trace = march(field.distance, rays.origins, rays.directions, rays.near, rays.far, steps, least)
    weights = weights_from_sdf(trace.sdf, sharpness)
    keep = torch.nonzero(weights.sum(1) > _LEAST_OPACITY).squeeze(1)
    offset = None
    if generator is not None:
        offset = torch.rand(len(keep), generator=generator, device=generator.device).to(weights) - 0.5
    return keep, sample_edges(trace.depth[keep], weights[keep], samples + 1, offset)


def draw(
    field: AvatarField,
    cameras: Cameras,
    *,
    hull: Float[Tensor, "v 3"] | None,
    samples: int = 16,
    color_samples: int = 0,
    steps: int = 24,
    generator: torch.Generator | None = None,
) -> Drawing:
    """Render a batch of views; differentiable in everything the field learns.

    Args:
        field: what to draw.
        cameras: b views of one size.
        hull: vertices from `BodyField.hull`; None samples the whole box evenly (the slow oracle).
        samples: intervals per ray.
        color_samples: places per ray at which color is looked up, a divisor of `samples`; 0: at all samples.
        steps: of the march that finds the band.
        generator: shifts the samples of each ray at random.
    """
    if hull is None:
        rays = box_rays(field, cameras)
        keep = torch.arange(len(rays.pixel))
        place = torch.linspace(0, 1, samples + 1)
        edges = rays.near[:, None] + place * (rays.far - rays.near)[:, None]
    else:
        rays = hull_rays(field, hull, cameras)
        keep, edges = band_edges(field, rays, samples, steps, generator)
    return _integrate(field, rays, keep, edges, cameras, color_samples)


def _integrate(
    field: AvatarField, rays: Rays, keep: Tensor, edges: Tensor, cameras: Cameras, color_samples: int
) -> Drawing:
    origins, directions = rays.origins[keep], rays.directions[keep]
    count, number = edges.shape
    points = origins[:, None] + edges[..., None] * directions[:, None]
    sdf = field.distance(points.view(-1, 3)).view(count, number)
    weights = weights_from_sdf(sdf, field.learned.sharpness)
    opacity = weights.sum(1)
    middle = 0.5 * (edges[:, 1:] + edges[:, :-1])
    shares, places = _grouped(weights, middle, color_samples)
    row, column = torch.nonzero(significant(shares), as_tuple=True)
    colors = field.colors(origins[row] + places[row, column, None] * directions[row])
    share = shares[row, column, None]
    style = torch.zeros_like(origins).index_add(0, row, share * colors.style)
    base = torch.zeros_like(origins).index_add(0, row, share * colors.base)
    with torch.no_grad():
        depth = (weights * middle).sum(1) / opacity.clamp_min(1e-6)
        end = origins + depth[:, None] * directions
    pixel = rays.pixel[keep]
    return Drawing(
        pixel=pixel,
        view=torch.div(pixel, cameras.height * cameras.width, rounding_mode="floor"),
        opacity=opacity,
        style=style,
        base=base,
        point=end,
        gradient=field.gradient(end),
        colors=colors,
        shape=(len(cameras), cameras.height, cameras.width),
    )


def draw_body(field: AvatarField, cameras: Cameras) -> Drawing:
    """Render the coarse body itself in the field's colors: where nothing is sculpted, its surface is known exactly.

    One sample per pixel, on the rasterised surface; differentiable in the colors only, and many times cheaper.
    """
    surface = field.body.surface
    hits = gather_hits(rasterize(surface.vertices, surface.faces, cameras))
    corners = surface.faces[hits.face]
    bary = hits.bary.to(surface.vertices.dtype)
    points = (surface.vertices[corners] * bary[..., None]).sum(1)
    colors = field.colors_on(points, hits.face, bary)
    return Drawing(
        pixel=hits.pixel,
        view=hits.view,
        opacity=torch.ones_like(points[:, 0]),
        style=colors.style,
        base=colors.base,
        point=points,
        gradient=(vertex_normals(surface.vertices, surface.faces)[corners] * bary[..., None]).sum(1),
        colors=colors,
        shape=(len(cameras), cameras.height, cameras.width),
    )


def _grouped(
    weights: Float[Tensor, "n s"], middle: Float[Tensor, "n s"], groups: int
) -> tuple[Float[Tensor, "n g"], Float[Tensor, "n g"]]:
    """Neighbouring samples taken together: their weights, and the mean place of each group.

    Samples lie within millimetres of the surface, where color hardly changes along a ray; density does.
    """
    count, samples = weights.shape
    if groups <= 0 or groups >= samples or samples % groups:
        return weights, middle
    split = weights.view(count, groups, -1)
    total = split.sum(2)
    mean = (split * middle.view(count, groups, -1)).sum(2) / total.clamp_min(1e-9)
    return total, mean.detach()


def shade_factor(drawing: Drawing, light: Light) -> Float[Tensor, "n 3"]:
    """Ambient plus diffuse light on each ray's surface point, alike for all colors; differentiable in the normals."""
    facing = (drawing.normal * light.direction[drawing.view]).sum(-1).clamp_min(0.0)
    return (light.ambient[drawing.view] + light.diffuse[drawing.view] * facing)[:, None].expand(-1, 3)


def paint(
    drawing: Drawing, premultiplied: Float[Tensor, "n 3"], background: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, "b 3 h w"]:
    """Images: what the rays gathered, over an exact background."""
    views, height, width = drawing.shape
    behind = background.permute(0, 2, 3, 1).reshape(-1, 3)
    through = (1.0 - drawing.opacity)[:, None] * behind[drawing.pixel]
    image = behind.index_put((drawing.pixel,), premultiplied + through)
    return image.view(views, height, width, 3).permute(0, 3, 1, 2)
