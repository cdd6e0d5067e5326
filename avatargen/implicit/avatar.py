"""The avatar as one field: signed distance and colors, with everything it learns in one module."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from avatargen.body.look import base_colors
from avatargen.body.model import BodyModel
from avatargen.body.posing import pose_body
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import ConfigError
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.settings import ImplicitSettings
from avatargen.implicit.armour import plated
from avatargen.implicit.color import Colors, Look, colors_at, features_at, make_look
from avatargen.implicit.encoding import Pyramid, band_pyramid, hash_pyramid, plane_pyramid
from avatargen.implicit.hems import Hem, find_hems, hem_heights
from avatargen.implicit.jaw import parts_to_paint
from avatargen.implicit.relief import Near, paint_relief, raised
from avatargen.implicit.sdf import (
    BodyField,
    Volume,
    body_field,
    bounded_growth,
    growth_gradient,
    tap_gradient,
    tap_points,
)
from avatargen.implicit.tailor import Outfit
from avatargen.implicit.worn import Color
from avatargen.render.shading import vertex_normals

GRADIENTS = ("differences", "exact")
_CHUNK = 1 << 18
_SEAM = 0.008
"""Over this far, in metres, what hangs free passes into what lies on the body."""


def _opponent_heads(features: int) -> Float[Tensor, "features 6"]:
    """First heads: three features each for style and reconstruction, as brightness and two differences of color.

    An optimiser with a step per parameter (Adam) then weighs brightness by itself: in a red-green-blue basis a weak but
    steady pull towards black is lost in the restless pulls on hue. A change of style leaves the reconstruction alone.
    """
    basis = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-0.5, 1.0, -0.5]])
    basis = torch.nn.functional.normalize(basis, dim=1)
    heads = torch.zeros(features, 6)
    heads[:3, :3], heads[3:6, 3:] = basis, basis
    return heads


class Learned(nn.Module):
    """What the optimisation changes; zero tables give the coarse body with its own look."""

    def __init__(self, rows: int, color_rows: int, codes: int, features: int, sharpness: float) -> None:
        super().__init__()
        self.growth = nn.Parameter(torch.zeros(rows, 1))
        """Raw growth in metres."""
        self.features = nn.Parameter(torch.zeros(color_rows, features))
        self.part_codes = nn.Parameter(torch.zeros(codes, features))
        self.heads = nn.Parameter(_opponent_heads(features))
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(sharpness)))

    @property
    def sharpness(self) -> Float[Tensor, ""]:
        """NeuS' s, in 1/m."""
        return self.log_sharpness.exp()


@dataclass(frozen=True, kw_only=True, eq=False)
class AvatarField:
    """A sculpted, painted body in the A-pose frame: callables that extraction and baking can use."""

    body: BodyField
    look: Look
    shape_pyramid: Pyramid
    color_pyramid: Pyramid
    learned: Learned
    normal_step: float
    """Reach of the finite differences for normals, metres."""
    joints: Float[Tensor, "j 3"]
    """Joints of the posed body."""
    parts: Integer[Tensor, " f"] | None
    """Part of each face of the body, where known."""
    exact: bool = False
    """Whether gradients are exact instead of finite differences."""
    sculpted: bool = True
    """Whether growth is learned; else the surface is the body's, plus relief."""
    relief: Volume | None = None
    """Height of painted clothes and hair."""
    outfit: Outfit | None = None
    """What hangs free of the body."""

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """The box that holds every surface the field can have."""
        own = self.body.bounds
        if self.outfit is None:
            return own
        worn = self.outfit.bounds
        return torch.stack([torch.minimum(own[0], worn[0]), torch.maximum(own[1], worn[1])])

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.learned.growth.device

    def distance(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Signed distance, metres, negative inside; differentiable in what was learned."""
        found = self._undressed(points)
        return found if self.outfit is None else torch.minimum(found, self.outfit.distance(points.detach())[0])

    def _undressed(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        points = points.detach()
        found = self.body.distance(points)
        if self.sculpted:
            found = found - self.growth(points)
        return found if self.relief is None else found - self.relief(points)

    @torch.no_grad()
    def worn(self, points: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, " n"], Integer[Tensor, " n"]]:
        """How much points of the surface belong to what hangs free, 0..1, and to which piece; needs an outfit."""
        if self.outfit is None:
            raise ValueError("this avatar wears nothing that hangs free")
        distance, which = self.outfit.distance(points)
        return ((self._undressed(points) - distance) / _SEAM).clamp(0.0, 1.0), which

    def growth(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """How far the learned surface has left the body, metres; differentiable in what was learned."""
        raw = self.shape_pyramid(self.learned.growth, points)[:, 0]
        return bounded_growth(raw, self.body.limit(points.detach()))

    def with_relief(
        self, factor: float, plates: bool = False, hems: Mapping[str, Color] | None = None
    ) -> "AvatarField":
        """The same avatar, whose painted clothes and hair stand off the body by their usual height times `factor`.

        `plates`: so do plates of armour, where the body's parts are known. `hems`: boots and gloves of these colors end
        in a hem (`avatargen.implicit.hems.worn_colors`).
        """
        if factor <= 0:
            return replace(self, relief=None)
        vertices = self.body.surface.vertices
        style = self.color(vertices)
        relief = paint_relief(self.body, self.look, self.parts, style, factor)
        if plates and self.parts is not None:
            relief = plated(self.body, self.parts, self.joints, relief)
        elif hems and self.parts is not None:
            relief = self._hemmed(relief, find_hems(hems, self.look, style, vertices, self.parts, self.joints))
        return replace(self, relief=relief)

    def _hemmed(self, relief: Volume, hems: tuple[Hem, ...]) -> Volume:
        if not hems or self.parts is None:
            return relief

        def heights(near: Near) -> Tensor:
            return near.painted + hem_heights(near.points, near.parts, self.joints, hems)

        return raised(self.body, self.parts, relief, heights)

    def covered(self) -> Float[Tensor, "v 3"]:
        """The body's vertices as far out as what it wears close to the skin, over which all else has to hang."""
        surface = self.body.surface
        if self.relief is None:
            return surface.vertices
        normals = vertex_normals(surface.vertices, surface.faces)
        return surface.vertices + normals * self.relief(surface.vertices)[:, None]

    def gradient(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Gradient of the distance; differentiable in what was learned.

        By finite differences; exactly (of the interpolated values) if `exact` and nothing hangs free.
        """
        if self.exact and self.outfit is None:
            return self.slope(points.detach())
        return tap_gradient(self.distance(tap_points(points, self.normal_step)), self.normal_step)

    def slope(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Exact gradient, of what does not hang free; differentiable in what was learned."""
        found = self.body.distance.gradient(points)
        if self.sculpted:
            found = found - self.growth_slope(points)
        return found if self.relief is None else found - self.relief.gradient(points)

    def growth_slope(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Exact gradient of `growth`; differentiable in what was learned."""
        raw = self.shape_pyramid(self.learned.growth, points)[:, 0]
        raw_slope = self.shape_pyramid.gradient(self.learned.growth, points)
        limit = self.body.limit
        return growth_gradient(raw, raw_slope, limit(points), limit.gradient(points))

    def colors(self, points: Float[Tensor, "n 3"]) -> Colors:
        """Both colors from a nearly closest body point; differentiable in what was learned."""
        face, bary = self.body.near_faces(points)
        return self._colors(points, self.look.faces[face], bary)

    def colors_on(
        self, points: Float[Tensor, "n 3"], face: Integer[Tensor, " n"], bary: Float[Tensor, "n 3"]
    ) -> Colors:
        """Both colors of points whose closest points on the body are known; differentiable in what was learned."""
        return self._colors(points, self.look.faces[face], bary)

    def _colors(self, points: Tensor, corners: Integer[Tensor, "n 3"], bary: Tensor) -> Colors:
        net = self.learned
        features = features_at(self.look, self.color_pyramid, net.features, net.part_codes, points, corners, bary)
        return colors_at(features, net.heads, self.look, corners, bary)

    @torch.no_grad()
    def sdf(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Signed distance of any number of points, in chunks; not differentiable."""
        parts = [self.distance(part) for part in points.to(self.learned.growth.device).split(_CHUNK)]
        return torch.cat(parts) if parts else points.new_zeros(0)

    @torch.no_grad()
    def color(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Style colors, sRGB in 0..1, with the look of the exactly closest body point; for baking."""
        colors = []
        for part in points.to(self.learned.growth.device).split(_CHUNK):
            face, bary = self.body.near_faces(part, careful=True)
            style = self._colors(part, self.look.faces[face], bary).style
            colors.append(style if self.outfit is None else self._dyed(part, style, face, bary))
        return torch.cat(colors) if colors else points.new_zeros(0, 3)

    def _dyed(self, points: Tensor, style: Tensor, face: Tensor, bary: Tensor) -> Tensor:
        """`style`, but on what hangs free its own color, or that of the body's nearest point where it has none."""
        if self.outfit is None:
            return style
        share, which = self.worn(points)
        rows = torch.nonzero(share > 0).squeeze(1)
        face, bary, share = face[rows], bary[rows], share[rows, None]
        beneath = (self.body.surface.corners[face] * bary[..., None]).sum(1)
        lent = self._colors(beneath, self.look.faces[face], bary).style
        own = self.outfit.colors(points[rows], which[rows])
        cloth = torch.where(own.isnan(), lent, own)
        return style.index_copy(0, rows, torch.lerp(style[rows], cloth, (4.0 * share).clamp(max=1.0)))

    def state(self) -> dict[str, Tensor]:
        """Everything learned, by name."""
        return {name: value.detach().clone() for name, value in self.learned.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        self.learned.load_state_dict(dict(state))


def build_field(
    body: BodyModel,
    betas: Float[Tensor, " n"],
    settings: ImplicitSettings,
    device: torch.device | str = "cpu",
    sculpted: bool = True,
) -> AvatarField:
    """The field at step 0: the coarse body in its A-pose, wearing nothing but its own look."""
    body = body.to("cpu")
    fixed, joints = posed_field(body, betas, settings)
    parts = parts_to_paint(body)
    look = make_look(base_colors(body).float().cpu(), body.faces, parts)
    shape_pyramid, color_pyramid = _pyramids(fixed, settings)
    learned = Learned(shape_pyramid.rows, color_pyramid.rows, look.codes, settings.features, settings.sharpness)
    learned.growth.requires_grad_(sculpted)
    learned.log_sharpness.requires_grad_(sculpted)
    return AvatarField(
        body=fixed.to(device),
        look=look.to(device),
        shape_pyramid=shape_pyramid.to(device),
        color_pyramid=color_pyramid.to(device),
        learned=learned.to(device),
        normal_step=settings.normal_mm / 1000,
        joints=joints,
        parts=None if parts is None else parts.to(device),
        exact=settings.gradient == "exact",
        sculpted=sculpted,
    )


def posed_field(
    body: BodyModel, betas: Float[Tensor, " n"], settings: ImplicitSettings
) -> tuple[BodyField, Float[Tensor, "j 3"]]:
    """Everything fixed about the coarse body in its A-pose, and its joints; on the CPU."""
    posed = pose_body(body, betas.detach().cpu()[None].to(body.template.dtype), a_pose()[None].to(body.template.dtype))
    fixed = body_field(
        posed.vertices[0],
        body.faces,
        parts_to_paint(body),
        _head_box(posed.vertices[0], posed.joints[0]),
        spacing=settings.distance_mm / 1000,
        detail_spacing=settings.detail_mm / 1000,
        growth=settings.growth,
    )
    return fixed, posed.joints[0]


def _head_box(vertices: Float[Tensor, "v 3"], joints: Float[Tensor, "j 3"]) -> Float[Tensor, "2 3"]:
    """From below the chin to above the crown; what lies outside is air or covered by the coarser grid."""
    head, neck = joints[SMPL_JOINTS.index("head")], joints[SMPL_JOINTS.index("neck")]
    near = vertices[
        (vertices[:, 1] > head[1]) & ((vertices - head)[:, [0, 2]].norm(dim=-1) < 1.5 * (head - neck).norm())
    ]
    low, high = near.amin(0) - 0.01, near.amax(0) + 0.01
    low[1] = 0.5 * (head[1] + neck[1])
    return torch.stack([low, high])


def _pyramids(body: BodyField, settings: ImplicitSettings) -> tuple[Pyramid, Pyramid]:
    shape = tuple(size / 1000 for size in settings.shape_levels_mm)
    color = tuple(size / 1000 for size in settings.color_levels_mm)
    gains = tuple(settings.fine_gain**level for level in range(len(color)))
    if settings.encoding == "hash":
        size = 1 << settings.hash_log2
        return (
            hash_pyramid(body.bounds, shape, size, mirror=settings.mirror),
            hash_pyramid(body.bounds, color, size, mirror=settings.mirror, gains=gains),
        )
    if settings.encoding == "planes":
        return (
            plane_pyramid(body.bounds, shape, mirror=settings.mirror),
            plane_pyramid(body.bounds, color, mirror=settings.mirror, gains=gains),
        )
    if settings.encoding != "band":
        raise ConfigError(f"implicit.encoding = {settings.encoding!r} is not known\n  Write band, hash or planes.")

    def reachable(points: Tensor, spacing: float) -> Tensor:
        # Wherever growth can carry the surface, and the samples around it.
        room = body.limit(points) + 0.010 + spacing
        return body.distance.whole(points).abs() < room

    def close(points: Tensor, spacing: float) -> Tensor:
        # Fine color cells only near the body: what grows far out is painted by the coarse levels.
        return (
            body.distance(points).abs()
            < torch.minimum(body.limit(points) + 0.005, points.new_tensor(3 * spacing)) + spacing
        )

    return (
        band_pyramid(body.bounds, shape, reachable, mirror=settings.mirror),
        band_pyramid(body.bounds, color, close, mirror=settings.mirror, gains=gains),
    )
