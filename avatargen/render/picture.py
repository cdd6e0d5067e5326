"""One call from a mesh to pictures."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from avatargen.core.values import Mesh
from avatargen.render.cameras import Cameras
from avatargen.render.fragments import Fragments, Hits, corner_points, gather_hits, interpolate_hits, sample_texture
from avatargen.render.raster import rasterize
from avatargen.render.shading import Light, Studio, background, headlight, shade_points, vertex_normals
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


def surface_of(mesh: Mesh) -> Surface:
    """The look a `Mesh` carries: its texture, else its vertex colors, else clay."""
    if mesh.texture is not None and mesh.uvs is not None and mesh.uv_faces is not None:
        texture = torch.tensor(mesh.texture).float() / 255
        uvs = torch.tensor(mesh.uvs, dtype=torch.float32)
        return Surface(texture=texture, uvs=uvs, uv_faces=torch.tensor(mesh.uv_faces, dtype=torch.int64))
    if mesh.vertex_colors is not None:
        return Surface(torch.tensor(mesh.vertex_colors, dtype=torch.float32))
    return Surface()


def texels_per_metre(surface: Surface, vertices: Float[Tensor, "v 3"], faces: Integer[Tensor, "f 3"]) -> float:
    """How fine a texture is on the surface, as a mean over its area; 0 without a texture."""
    if surface.texture is None or surface.uvs is None or surface.uv_faces is None:
        return 0.0
    a, b, c = vertices[faces].unbind(1)
    area = 0.5 * torch.linalg.cross(b - a, c - a).norm(dim=-1).sum()
    height, width = surface.texture.shape[:2]
    u, v = (surface.uvs[surface.uv_faces] * surface.uvs.new_tensor([width, height])).unbind(-1)
    flat = 0.5 * ((u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * (v[:, 1] - v[:, 0])).abs().sum()
    return float((flat / area.clamp(min=1e-12)).sqrt())


def coarser(surface: Surface, factor: int) -> Surface:
    """The same look with `factor` times fewer texels along each side, averaged, for pictures from afar."""
    if surface.texture is None or factor <= 1 or min(surface.texture.shape[:2]) < factor:
        return surface
    small = avg_pool2d(surface.texture.permute(2, 0, 1)[None], factor)[0].permute(1, 2, 0)
    return replace(surface, texture=small.contiguous())


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


def _smooth_normals(meshes: Tensor, faces: Tensor, cameras: Cameras, hits: Hits) -> Float[Tensor, "n 3"]:
    """Interpolated unit normals, turned towards the camera where a face is seen from its back (open cloth)."""
    smooth = normalize(interpolate_hits(vertex_normals(meshes, faces), faces, hits), dim=-1)
    with torch.no_grad():
        a, b, c = corner_points(meshes, faces, hits.face, hits.view).unbind(1)
        towards = cameras.positions.to(meshes.dtype)[hits.view] - a
        back = (torch.linalg.cross(b - a, c - a) * towards).sum(-1) < 0
    return torch.where(back[:, None], -smooth, smooth)


def _plain_colors(surface: Surface, faces: Tensor, hits: Hits, dtype: torch.dtype) -> Float[Tensor, "n 3"]:
    if surface.texture is not None and surface.uvs is not None and surface.uv_faces is not None:
        uv = interpolate_hits(surface.uvs.to(dtype), surface.uv_faces, hits)
        return sample_texture(surface.texture.to(dtype), uv)
    if surface.colors is not None:
        return interpolate_hits(surface.colors.to(dtype), faces, hits)
    return hits.bary.new_full((len(hits.pixel), 3), _CLAY)


@dataclass(frozen=True, eq=False)
class _Layers:
    """A finished picture and the finer samples it was made from."""

    fragments: Fragments
    hits: Hits
    normals: Float[Tensor, "n 3"]
    image: Float[Tensor, "b 4 h w"]
    """Colors and coverage."""


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
    many = max(1, supersample)
    layers = _paint(vertices, faces, cameras, surface, light, backdrop, smooth_edges, many, generator, backend, edges)
    fragments = layers.fragments
    depth = torch.where(fragments.face >= 0, fragments.depth, torch.zeros_like(fragments.depth))[:, None]
    normals = depth.new_zeros(depth.numel(), 3).index_put((layers.hits.pixel,), layers.normals)
    normals = normals.reshape(*fragments.face.shape, 3).permute(0, 3, 1, 2)
    image = layers.image
    if many > 1:
        depth = avg_pool2d(depth, many) / avg_pool2d(fragments.mask, many).clamp(min=1e-6)
        normals = normalize(avg_pool2d(normals, many), dim=1)
    return Picture(image[:, :3], image[:, 3:], normals, depth)


def _paint(
    vertices: Tensor,
    faces: Tensor,
    cameras: Cameras,
    surface: Surface | None,
    light: Light | Studio | str | None,
    backdrop: str | Tensor,
    smooth_edges: bool,
    many: int,
    generator: torch.Generator | None,
    backend: str,
    edges: Edges | None,
) -> _Layers:
    meshes = vertices if vertices.ndim == 3 else vertices[None]
    # The backdrop has the final size, so that supersampling does not average noise away.
    behind = background(backdrop, cameras, generator, like=meshes)
    cameras = cameras.resized(many) if many > 1 else cameras
    fragments = rasterize(meshes, faces, cameras, backend)
    hits = gather_hits(fragments)
    normals = _smooth_normals(meshes, faces, cameras, hits)
    colors = _plain_colors(surface or Surface(), faces, hits, meshes.dtype)
    colors = shade_points(colors, normals, _light(light, cameras), cameras, hits.view)
    colors = torch.cat([colors, torch.ones_like(colors[:, :1])], dim=-1)
    image = colors.new_zeros(fragments.face.numel(), 4).index_put((hits.pixel,), colors)
    image = image.reshape(*fragments.face.shape, 4)
    if smooth_edges:
        image = antialias(image, meshes, faces, cameras, fragments, edges)
    image = image.permute(0, 3, 1, 2)
    image = avg_pool2d(image, many) if many > 1 else image
    # Blending is linear, so the backdrop may come in last, weighted with what the mesh leaves free.
    image = torch.cat([image[:, :3] + behind * (1 - image[:, 3:]), image[:, 3:]], dim=1)
    return _Layers(fragments, hits, normals, image)


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
    many = max(1, supersample)
    surface = Surface(colors, texture, uvs, uv_faces)
    return _paint(
        vertices, faces, cameras, surface, light, background, antialias, many, generator, backend, edges
    ).image[:, :3]
