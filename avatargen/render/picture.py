"""One call from a mesh to pictures."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from avatargen.render.cameras import Cameras
from avatargen.render.fragments import Fragments, interpolate, sample_texture
from avatargen.render.raster import rasterize
from avatargen.render.shading import Light, Studio, background, headlight, shade, vertex_normals
from avatargen.render.silhouettes import Edges, antialias


@dataclass(frozen=True, eq=False)
class Surface:
    """What a mesh looks like up close: one color per vertex, or a texture, or neither (grey clay)."""

    colors: Float[Tensor, "v 3"] | Float[Tensor, "m v 3"] | None = None
    """sRGB in 0..1."""
    texture: Float[Tensor, "th tw 3"] | None = None
    uvs: Float[Tensor, "t 2"] | None = None
    uv_faces: Integer[Tensor, "f 3"] | None = None

    def __post_init__(self) -> None:
        if self.texture is not None and (self.uvs is None or self.uv_faces is None):
            raise ValueError("a texture needs uvs and uv_faces")
        if self.texture is not None and self.colors is not None:
            raise ValueError("give colors or a texture, not both")


@dataclass(frozen=True, eq=False)
class Picture:
    """Images and what lies behind them."""

    image: Float[Tensor, "b 3 h w"]
    """sRGB in 0..1."""
    mask: Float[Tensor, "b 1 h w"]
    """Coverage, 0..1."""
    normals: Float[Tensor, "b 3 h w"]
    """Unit world normals where something is seen, zero elsewhere."""
    depth: Float[Tensor, "b 1 h w"]
    """Metres along the viewing axis; zero where nothing is seen."""


_CLAY = 0.82
"""Grey of a mesh without colors."""


def _smooth_normals(meshes: Tensor, faces: Tensor, cameras: Cameras, fragments: Fragments) -> Tensor:
    """Interpolated unit normals, turned towards the camera where a face is seen from its back (open cloth)."""
    smooth = normalize(interpolate(vertex_normals(meshes, faces), faces, fragments), dim=-1)
    with torch.no_grad():
        corners = meshes[:, faces]
        plane = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        towards = cameras.positions.to(meshes.dtype)[:, None] - corners[:, :, 0]
        back = (plane * towards).sum(-1) < 0  # [views, f]
        count = len(cameras)
        face = fragments.face.clamp(min=0).reshape(count, -1)
        turned = back.expand(count, -1).gather(1, face).reshape(fragments.face.shape)
    return torch.where(turned[..., None], -smooth, smooth)


def _plain_colors(surface: Surface, faces: Tensor, fragments: Fragments, meshes: Tensor) -> Tensor:
    if surface.texture is not None and surface.uvs is not None and surface.uv_faces is not None:
        uv = interpolate(surface.uvs.to(meshes.dtype), surface.uv_faces, fragments)
        return sample_texture(surface.texture.to(meshes.dtype), uv)
    if surface.colors is not None:
        return interpolate(surface.colors.to(meshes.dtype), faces, fragments)
    return meshes.new_full((*fragments.face.shape, 3), _CLAY)


def draw_mesh(
    vertices: Float[Tensor, "v 3"] | Float[Tensor, "m v 3"],
    faces: Integer[Tensor, "f 3"],
    cameras: Cameras,
    surface: Surface | None = None,
    *,
    light: Light | Studio | str | None = "headlight",
    backdrop: str | Tensor = "white",
    smooth_edges: bool = True,
    supersample: int = 1,
    generator: torch.Generator | None = None,
    backend: str = "auto",
    edges: Edges | None = None,
) -> Picture:
    """Pictures of a mesh from each camera, with coverage, normals and depth.

    Differentiable in vertices, colors and texture; outlines too if `smooth_edges`.

    Args:
        vertices: metres; one mesh for all cameras or one per camera.
        faces: counter-clockwise seen from outside.
        cameras: b views.
        surface: colors or texture; None is grey clay.
        light: a `Light`, a `Studio`, "headlight", "studio", or None for flat colors.
        backdrop: see `avatargen.render.shading.background`.
        smooth_edges: blend outlines.
        supersample: render this many times larger along each side and average.
        generator: for random backdrops.
        backend: see `rasterize`.
        edges: `mesh_edges(faces)`, to save its search.
    """
    surface = surface or Surface()
    meshes = vertices if vertices.ndim == 3 else vertices[None]
    fine = cameras.resized(supersample) if supersample > 1 else cameras
    fragments = rasterize(meshes, faces, fine, backend)
    normals = _smooth_normals(meshes, faces, fine, fragments)
    colors = shade(_plain_colors(surface, faces, fragments, meshes), normals, _light(light, fine), fine)
    behind = background(backdrop, cameras, generator, like=meshes).permute(0, 2, 3, 1)
    if supersample > 1:
        behind = behind.repeat_interleave(supersample, 1).repeat_interleave(supersample, 2)
    mask = fragments.mask.permute(0, 2, 3, 1)
    image = torch.cat([torch.where(mask > 0, colors, behind), mask], dim=-1)
    if smooth_edges:
        image = antialias(image, meshes, faces, fine, fragments, edges)
    image = image.permute(0, 3, 1, 2)
    depth = torch.where(fragments.face >= 0, fragments.depth, torch.zeros_like(fragments.depth))[:, None]
    normals = normals.permute(0, 3, 1, 2)
    if supersample > 1:
        image = avg_pool2d(image, supersample)
        share = avg_pool2d(fragments.mask, supersample).clamp(min=1e-6)
        depth = avg_pool2d(depth, supersample) / share
        normals = normalize(avg_pool2d(normals, supersample), dim=1)
    return Picture(image[:, :3], image[:, 3:], normals, depth)


def _light(light: Light | Studio | str | None, cameras: Cameras) -> Light | Studio | None:
    if not isinstance(light, str):
        return light
    if light == "headlight":
        return headlight(cameras)
    if light == "studio":
        return Studio()
    raise ValueError(f"no light {light!r}; there are: headlight, studio")


def render_mesh(
    vertices: Float[Tensor, "v 3"] | Float[Tensor, "m v 3"],
    faces: Integer[Tensor, "f 3"],
    cameras: Cameras,
    colors: Float[Tensor, "v 3"] | Float[Tensor, "m v 3"] | None = None,
    *,
    texture: Float[Tensor, "th tw 3"] | None = None,
    uvs: Float[Tensor, "t 2"] | None = None,
    uv_faces: Integer[Tensor, "f 3"] | None = None,
    background: str | Tensor = "white",
    light: Light | Studio | str | None = "headlight",
    antialias: bool = True,
    supersample: int = 1,
    generator: torch.Generator | None = None,
    backend: str = "auto",
    edges: Edges | None = None,
) -> Float[Tensor, "b 3 h w"]:
    """Images of a mesh, sRGB in 0..1, row 0 at the top; see `draw_mesh` for the arguments and for masks and depth."""
    return draw_mesh(
        vertices,
        faces,
        cameras,
        Surface(colors, texture, uvs, uv_faces),
        light=light,
        backdrop=background,
        smooth_edges=antialias,
        supersample=supersample,
        generator=generator,
        backend=backend,
        edges=edges,
    ).image
