"""The signed distance of the avatar: the coarse body's exact distance minus a bounded, learned growth.

`f(x) = d_body(x) - growth(x)`, with `growth = L tanh(raw / L)` outward and at most a quarter of that inward. `L` is a
limit in metres that each body part sets: large where clothes and hair grow, tiny at hands and face, so that no finger
is lost and nothing floats away. At the start `raw` is zero and the surface is the coarse body.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.core.parts import PARTS
from avatargen.implicit.closest import SurfaceIndex, closest_on_triangles
from avatargen.implicit.distance import Grid, distance_grid
from avatargen.render.shading import vertex_normals

PART_LIMITS: dict[str, float] = {
    "scalp": 0.060,
    "face": 0.003,
    "eye": 0.0005,
    "lips": 0.001,
    "brow": 0.003,
    "neck": 0.015,
    "upper_torso": 0.045,
    "lower_torso": 0.045,
    "pelvis": 0.060,
    "upper_arm": 0.035,
    "forearm": 0.025,
    "hand": 0.003,
    "thigh": 0.060,
    "shin": 0.035,
    "foot": 0.015,
}
"""How far, in metres, the surface may leave each part of the body (names without their side)."""
_UNKNOWN_LIMIT = 0.010
_INWARD = 0.25
_LIMIT_RATIO = 4
# A tetrahedron: the fewest taps that give a gradient.
_TAPS = ((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0), (-1.0, 1.0, -1.0), (1.0, 1.0, 1.0))


def part_kind(name: str) -> str:
    """A part's name without its side."""
    return name.removeprefix("left_").removeprefix("right_")


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """Values at the nodes of a regular grid, read trilinearly; outside it the border repeats."""

    grid: Grid
    values: Float[Tensor, "n 1"]

    def __call__(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Interpolated values; not differentiable."""
        _, ny, nz = self.grid.shape
        first, part, _ = self._place(points)
        values = self.values.view(-1)

        def line(start: int) -> Float[Tensor, " n"]:
            at = first + start
            return torch.lerp(values.index_select(0, at), values.index_select(0, at + 1), part[2])

        low = torch.lerp(line(0), line(nz), part[1])
        high = torch.lerp(line(ny * nz), line(ny * nz + nz), part[1])
        return torch.lerp(low, high, part[0])

    def gradient(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Exact derivative of the interpolated values in the points; not differentiable."""
        _, ny, nz = self.grid.shape
        first, part, within = self._place(points)
        values = self.values.view(-1)
        corner = torch.stack(
            [values.index_select(0, first + x * ny * nz + y * nz + z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
        ).view(2, 2, 2, -1)
        along_z = torch.lerp(corner[:, :, 0], corner[:, :, 1], part[2])
        along_y = torch.lerp(corner[:, 0], corner[:, 1], part[1])
        slopes = (
            torch.lerp(along_z[1, 0], along_z[1, 1], part[1]) - torch.lerp(along_z[0, 0], along_z[0, 1], part[1]),
            torch.lerp(along_z[0, 1] - along_z[0, 0], along_z[1, 1] - along_z[1, 0], part[0]),
            torch.lerp(along_y[0, 1] - along_y[0, 0], along_y[1, 1] - along_y[1, 0], part[0]),
        )
        return (torch.stack(slopes) * within).t() / self.grid.spacing

    def _place(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Row of each point's lowest corner, place in its cell and where it is not beyond the rim, [3, n] both."""
        nx, ny, nz = self.grid.shape
        top = points.new_tensor([[nx - 1], [ny - 1], [nz - 1]])
        # One row per axis: columns of three would cost most of the time.
        scaled = ((points - points.new_tensor(self.grid.origin)) / self.grid.spacing).t().contiguous()
        within = (scaled >= 0.0) & (scaled <= top)
        scaled = torch.minimum(scaled.clamp_min(0.0), top)
        cell = torch.minimum(scaled.floor(), top - 1)
        index = cell.int()
        return (index[0] * ny + index[1]) * nz + index[2], scaled - cell, within

    def to(self, device: torch.device | str) -> "Volume":
        """The same on `device`."""
        return Volume(grid=self.grid, values=self.values.to(device))


@dataclass(frozen=True, kw_only=True, eq=False)
class Distance:
    """Signed distance to the body: a grid over everything, and a finer one where details are small (the head)."""

    whole: Volume
    detail: Volume
    whole_face: Integer[Tensor, "x y z"]
    """(Nearly) closest face at each node."""
    detail_face: Integer[Tensor, "x2 y2 z2"]

    def _in_detail(self, points: Tensor) -> Integer[Tensor, " k"]:
        low, high = self.detail.grid.bounds.to(points)
        return torch.nonzero(((points >= low) & (points <= high)).all(-1)).squeeze(1)

    def __call__(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
        """Metres, negative inside."""
        found = self.whole(points)
        rows = self._in_detail(points)
        return found.index_copy(0, rows, self.detail(points[rows])) if len(rows) else found

    def gradient(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Exact derivative of the interpolated distance in the points."""
        found = self.whole.gradient(points)
        rows = self._in_detail(points)
        return found.index_copy(0, rows, self.detail.gradient(points[rows])) if len(rows) else found

    def faces_near(self, points: Float[Tensor, "n 3"], all_corners: bool) -> Integer[Tensor, "n k"]:
        """Faces that may be closest: of the nearest node, or of the eight around the point."""
        found = _node_faces(self.whole.grid, self.whole_face, points, all_corners)
        rows = self._in_detail(points)
        if len(rows):
            found[rows] = _node_faces(self.detail.grid, self.detail_face, points[rows], all_corners)
        return found

    def to(self, device: torch.device | str) -> "Distance":
        """The same on `device`."""
        return Distance(
            whole=self.whole.to(device),
            detail=self.detail.to(device),
            whole_face=self.whole_face.to(device),
            detail_face=self.detail_face.to(device),
        )


def _node_faces(grid: Grid, face: Tensor, points: Tensor, all_corners: bool) -> Tensor:
    scaled = (points - points.new_tensor(grid.origin)) / grid.spacing
    top = torch.tensor(grid.shape, device=points.device) - 1
    node = torch.minimum((scaled.floor() if all_corners else scaled.round()).long().clamp_min(0), top)
    if not all_corners:
        return face[node[:, 0], node[:, 1], node[:, 2]].long()[:, None]
    other = torch.minimum(node + 1, top)
    x, y, z = (torch.stack([node[:, axis], other[:, axis]], dim=1) for axis in range(3))
    return face[x[:, :, None, None], y[:, None, :, None], z[:, None, None, :]].long().reshape(len(points), 8)


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyField:
    """Everything about the posed coarse body that stays fixed while an avatar is optimised."""

    surface: SurfaceIndex
    distance: Distance
    limit: Volume
    """How far the surface may move, metres."""
    vertex_limits: Float[Tensor, " v"]

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """The box that holds every surface the field can have."""
        return self.distance.whole.grid.bounds

    def to(self, device: torch.device | str) -> "BodyField":
        """The same body with everything that rendering needs on `device`."""
        surface = SurfaceIndex(vertices=self.surface.vertices.to(device), faces=self.surface.faces.to(device))
        return BodyField(
            surface=surface,
            distance=self.distance.to(device),
            limit=self.limit.to(device),
            vertex_limits=self.vertex_limits.to(device),
        )

    def hull(self, margin: float) -> Float[Tensor, "v 3"]:
        """The body's vertices moved out along their normals as far as the surface may go, and `margin` more."""
        normals = vertex_normals(self.surface.vertices, self.surface.faces)
        return self.surface.vertices + normals * (self.vertex_limits + margin)[:, None]

    def near_faces(
        self, points: Float[Tensor, "n 3"], careful: bool = False
    ) -> tuple[Integer[Tensor, " n"], Float[Tensor, "n 3"]]:
        """A face that is closest, or nearly so, and the weights of its corners at its point closest to each point.

        Candidates are the closest faces of the nearest grid node, or, if `careful`, of the eight nodes around the
        point: then the answer is, near the surface, the exact one of `surface.query` but for rare ties.
        """
        candidates = self.distance.faces_near(points, careful)
        width = candidates.shape[1]
        spread = points.repeat_interleave(width, 0) if width > 1 else points
        bary, squared = closest_on_triangles(spread, self.surface.corners[candidates.reshape(-1)])
        if width == 1:
            return candidates[:, 0], bary
        best = squared.view(-1, width).argmin(1, keepdim=True)
        rows = torch.arange(len(points), device=points.device)
        return candidates.gather(1, best)[:, 0], bary.view(-1, width, 3)[rows, best[:, 0]]


def body_field(
    vertices: Float[Tensor, "v 3"],
    faces: Integer[Tensor, "f 3"],
    parts: Integer[Tensor, " f"] | None,
    detail_box: Float[Tensor, "2 3"],
    *,
    spacing: float,
    detail_spacing: float,
    growth: float = 1.0,
) -> BodyField:
    """Prepare the posed body: exact distances near its surface, closest faces, limits.

    Args:
        vertices: posed body, metres.
        faces: counter-clockwise seen from outside; closed pieces.
        parts: part of each face (avatargen.core.parts), or None where unknown.
        detail_box: where the finer grid lies.
        spacing: of the distance grid, metres.
        detail_spacing: of the finer grid.
        growth: factor on all limits.
    """
    vertices, faces = vertices.detach().float().cpu(), faces.cpu()
    limits = _vertex_limits(vertices, faces, parts, growth)
    pad = float(limits.max()) + 0.02
    whole = distance_grid(vertices, faces, spacing=spacing, pad=pad, band=3.0 * spacing)
    detail = distance_grid(vertices, faces, spacing=detail_spacing, box=detail_box, band=5.0 * detail_spacing)
    return BodyField(
        surface=SurfaceIndex(vertices=vertices, faces=faces),
        distance=Distance(
            whole=Volume(grid=whole.grid, values=whole.sdf.view(-1, 1)),
            detail=Volume(grid=detail.grid, values=detail.sdf.view(-1, 1)),
            whole_face=whole.face,
            detail_face=detail.face,
        ),
        limit=_limit_volume(whole.grid, whole.face, limits[faces].amin(1)),
        vertex_limits=limits,
    )


def _vertex_limits(
    vertices: Tensor, faces: Tensor, parts: Tensor | None, growth: float, smoothing: int = 6
) -> Float[Tensor, " v"]:
    if parts is None:
        return torch.full((len(vertices),), _UNKNOWN_LIMIT * growth)
    table = torch.tensor([PART_LIMITS[part_kind(name)] for name in PARTS]) * growth
    face_limit = table[parts.cpu()]
    limit = torch.full((len(vertices),), float("inf"))
    for corner in range(3):
        limit.scatter_reduce_(0, faces[:, corner], face_limit, reduce="amin")
    limit = torch.where(limit.isfinite(), limit, torch.zeros(()))
    tight = limit.clone()
    count = torch.zeros(len(vertices)).index_add_(0, faces.reshape(-1), torch.full((faces.numel(),), 2.0)).clamp_min(1)
    for _ in range(smoothing):
        total = torch.zeros(len(vertices))
        for corner in range(3):
            total.index_add_(0, faces[:, corner], limit[faces[:, (corner + 1) % 3]] + limit[faces[:, (corner + 2) % 3]])
        # Never above the part's own limit: smoothing only takes from the generous side of a border.
        limit = torch.minimum(tight, 0.5 * (limit + total / count))
    return limit


def _limit_volume(grid: Grid, face: Tensor, face_limits: Tensor) -> Volume:
    coarse = face[::_LIMIT_RATIO, ::_LIMIT_RATIO, ::_LIMIT_RATIO].long()
    values = face_limits[coarse]
    padded = torch.nn.functional.pad(values[None, None], (1,) * 6, mode="replicate")
    smooth = torch.minimum(torch.nn.functional.avg_pool3d(padded, 3, stride=1)[0, 0], 2.0 * values)
    nx, ny, nz = coarse.shape
    rough = Grid(origin=grid.origin, spacing=grid.spacing * _LIMIT_RATIO, shape=(nx, ny, nz))
    return Volume(grid=rough, values=smooth.reshape(-1, 1))


def bounded_growth(raw: Float[Tensor, " n"], limit: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Outward displacement in metres: equal to `raw` near zero, never beyond `limit` out or a quarter of it in."""
    room = torch.where(raw > 0, limit, _INWARD * limit) + 1e-6
    return room * torch.tanh(raw / room)


def growth_gradient(
    raw: Float[Tensor, " n"],
    raw_slope: Float[Tensor, "n 3"],
    limit: Float[Tensor, " n"],
    limit_slope: Float[Tensor, "n 3"],
) -> Float[Tensor, "n 3"]:
    """Derivative of `bounded_growth` in space, from values and derivatives of what it is made of."""
    inward = torch.where(raw > 0, 1.0, _INWARD)
    room = inward * limit + 1e-6
    bent = torch.tanh(raw / room)
    by_raw = 1.0 - bent.square()
    by_room = bent - raw / room * by_raw
    return by_raw[:, None] * raw_slope + (by_room * inward)[:, None] * limit_slope


def tap_points(points: Float[Tensor, "n 3"], step: float) -> Float[Tensor, "m 3"]:
    """Four points around each, `step` away along each axis, for `tap_gradient`."""
    return (points[:, None] + step * points.new_tensor(_TAPS)).reshape(-1, 3)


def tap_gradient(values: Float[Tensor, " m"], step: float) -> Float[Tensor, "n 3"]:
    """Gradients from the values at `tap_points`: finite differences, smooth over `step` by construction."""
    return values.view(-1, 4) @ values.new_tensor(_TAPS) / (4.0 * step)
