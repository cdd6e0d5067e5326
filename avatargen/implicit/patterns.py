"""Stripes, squares, plaid, dots and camouflage: functions of the place on a garment, laid over its plain color.

Bands lie around a garment by height, around an arm by the way along it; upright ones by the angle about trunk or limb,
in metres of its mean girth. Dots are scattered evenly over the surface itself, so they are round and of one size, and
blotches are noise in space. All of it is exact at every texel; a garment ends where its plain color does.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Integer
from scipy.spatial import KDTree
from torch import Tensor

from avatargen.core.parts import PARTS, SMPL_JOINTS
from avatargen.core.rng import stream
from avatargen.implicit.crisp import Canvas, smoothed
from avatargen.implicit.pattern_words import BLOTCHES, DOTS, PLAID, SIDES, SQUARES, STRIPES, UPRIGHT, Pattern
from avatargen.implicit.sdf import part_kind
from avatargen.implicit.worn import pieces_of

_PARTS: dict[str, frozenset[str]] = {
    "chest": frozenset({"upper_torso"}), "shirt_front": frozenset({"upper_torso", "lower_torso"}),
    "belly": frozenset({"lower_torso"}), "back": frozenset({"upper_torso", "lower_torso"}),
    "belt": frozenset({"lower_torso", "pelvis"}), "pelvis": frozenset({"pelvis"}), "neck": frozenset({"neck"}),
    "upper_arms": frozenset({"upper_arm"}), "forearms": frozenset({"forearm"}), "hands": frozenset({"hand"}),
    "thighs": frozenset({"thigh"}), "shins": frozenset({"shin"}), "ankles": frozenset({"shin"}),
    "feet": frozenset({"foot"}), "hair": frozenset({"scalp"}),
}  # fmt: skip
"""Parts of the body on which a slot lies."""
_LIMBS: dict[str, tuple[tuple[str, str, str], frozenset[str]]] = {
    "arm": (("shoulder", "elbow", "wrist"), frozenset({"upper_arm", "forearm", "hand"})),
    "leg": (("hip", "knee", "ankle"), frozenset({"thigh", "shin", "foot"})),
}
_ZONES = ("trunk", "left_arm", "right_arm", "left_leg", "right_leg")
_NEAR, _FAR = 0.13, 0.21
"""Distance (norm of the sRGB difference) from its plain color up to which a texel is wholly, and not at all, of it."""
_LOOSE = 0.30
"""So far may a garment's own color be from the one it was asked to have."""
_LEAST = 0.003
"""Share of the surface below which a garment is not there."""
_SOFT = 0.0012
"""Width of a band's edge, metres: about a texel."""
_SEAM_ROUNDS = 3
_MARGIN_ROUNDS, _MARGIN = 2, 0.1
"""A garment is painted a little over the parts that it covers: rounds of smoothing, and the least share of them."""
_PLACES, _DENSE, _MOST_DOTS = 40_000, 0.85, 3000
_WAVES = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Laid:
    """One pattern cut to one mesh."""

    pattern: Pattern
    base: Float[Tensor, " 3"]
    """What the garment is painted with in truth."""
    member: Float[Tensor, "v 1"]
    """1 at vertices that the garment may cover."""
    zones: Float[Tensor, "v z"]
    """How much of trunk, arms and legs each vertex is."""
    joints: Float[Tensor, "24 3"]
    girths: tuple[float, ...]
    """Mean way around each zone, a whole number of periods, metres."""
    oval: tuple[float, float, float, float]
    """Of the trunk: middle x and z, half width and half depth."""
    seeds: Float[Tensor, "s 3"]
    """Middles of dots."""

    def over(
        self, canvas: Canvas, color: Float[Tensor, "n 3"], face: Integer[Tensor, " n"], bary: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n 3"]:
        """Colors (sRGB) with the pattern, of places on faces whose colors without it are `color`."""
        mine = _share(color, self.base) * (canvas.spread(self.member, face, bary)[:, 0] > 0.5)
        rows = torch.nonzero(mine > 0).squeeze(1)
        points = canvas.spread(canvas.vertices, face[rows], bary[rows])
        zone = canvas.spread(self.zones, face[rows], bary[rows]).argmax(1)
        cloth = self.base.expand(len(rows), 3)
        for cover, other in zip(self._covers(points, zone), self.pattern.over, strict=True):
            cloth = torch.lerp(cloth, torch.tensor(other).to(cloth), cover[:, None])
        # At a border a texel is the garment's only in part; the rest of its color stays.
        found = color[rows] + mine[rows, None] * (cloth - self.base)
        return color.index_copy(0, rows, found.clamp(0.0, 1.0))

    def _covers(self, points: Float[Tensor, "n 3"], zone: Integer[Tensor, " n"]) -> list[Float[Tensor, " n"]]:
        """How much each of the pattern's colors covers points, 0..1."""
        asked, count = self.pattern, len(self.pattern.over)
        if asked.kind == DOTS:
            near = KDTree(self.seeds.cpu().numpy()).query(points.cpu().numpy())[0]
            return [_edge(0.5 * asked.width - torch.from_numpy(near).to(points))] * count
        if asked.kind == BLOTCHES:
            return [_edge(0.2 * asked.width * _noise(points / asked.period, number)) for number in range(count)]
        around, along = self._place(points, zone)
        if asked.kind == SIDES:
            return [_edge(0.5 * asked.width - (around.abs() - self._quarter(zone)).abs())] * count
        if asked.kind == SQUARES:
            one, other = (_band(way, asked.width, asked.period) for way in (around, along))
            return [one + other - 2.0 * one * other] * count
        if asked.kind == PLAID:
            one, other = (_band(way, asked.width, asked.period) for way in (around, along))
            return [0.5 * (one + other)] * count
        way = along if asked.kind == STRIPES else around
        period = asked.period + (count - 1) * asked.width
        return [_band(way - number * asked.width, asked.width, period) for number in range(count)]

    def _quarter(self, zone: Integer[Tensor, " n"]) -> Float[Tensor, " n"]:
        """From the middle of the front of each zone to its side, metres."""
        return 0.25 * self.member.new_tensor(self.girths)[zone]

    def _place(self, points: Tensor, zone: Tensor) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Way around (from the middle of the front) and along trunk or limb, metres."""
        x, z, wide, deep = self.oval
        across, ahead = (points[:, 0] - x) / wide, (points[:, 2] - z) / deep
        angle = torch.atan2(across, ahead)
        if self.pattern.kind == UPRIGHT:  # falls straight down in front and behind, where the angle alone would fan out
            straight = torch.atan2(across, torch.sign(ahead) * (1.0 - across.square()).clamp_min(0.0).sqrt())
            angle = torch.lerp(straight, angle, ((across.abs() - 0.4) / 0.5).clamp(0.0, 1.0))
        along = points[:, 1] - self.joints[SMPL_JOINTS.index("neck"), 1]
        for number, name in enumerate(_ZONES[1:], start=1):
            side, _, limb = name.partition("_")
            turned, down = _about(points, *_axis(self.joints, side, limb))
            # Legs go on with the bands of the hips; the front of an arm is where that of the chest is.
            angle = torch.where(zone == number, turned, angle)
            along = torch.where(zone == number, down, along) if limb == "arm" else along
        return angle / (2.0 * math.pi) * self.member.new_tensor(self.girths)[zone], along


def lay(
    pattern: Pattern, canvas: Canvas, joints: Float[Tensor, "24 3"], hung: Mapping[str, Bool[Tensor, " v"]]
) -> Laid | None:
    """Cut a pattern to a mesh in the A-pose; None where the mesh wears no such color there.

    Args:
        pattern: see `avatargen.implicit.pattern_words`.
        canvas: the mesh, with the parts of the body beneath its vertices.
        joints: of the body in the same pose, in SMPL's order.
        hung: which vertices belong to what hangs free, by kind of piece (`avatargen.implicit.worn.Piece`).
    """
    if canvas.parts is None:
        return None
    member = _of_parts(canvas, frozenset().union(*(_PARTS.get(slot, frozenset()) for slot in pattern.slots)))
    own = {piece.kind for piece in pieces_of(pattern.garment, usual_hair=False)}
    for kind, there in hung.items():
        member = torch.where(there, member.new_tensor(float(kind in own)), member)
    base = _plain_color(pattern, canvas, member)
    if base is None:
        return None
    zones = torch.stack([_of_parts(canvas, _zone_parts(name), name) for name in _ZONES], dim=1)
    skirt = hung.get("skirt", hung.get("cape"))
    if skirt is not None:
        zones = torch.where(skirt[:, None], zones.new_tensor([1.0, 0.0, 0.0, 0.0, 0.0]), zones)
    girths, oval = _measured(canvas, member, zones, joints, pattern.period)
    return Laid(
        pattern=pattern,
        base=base,
        member=(smoothed(member[:, None], canvas.faces, _MARGIN_ROUNDS) > _MARGIN).to(member),
        zones=smoothed(zones, canvas.faces, _SEAM_ROUNDS),
        joints=joints,
        girths=girths,
        oval=oval,
        seeds=_scattered(canvas, member, pattern) if pattern.kind == DOTS else joints[:0],
    )


def patterned(
    canvas: Canvas, cut: Sequence[Laid], chunk: int = 1 << 18
) -> Callable[[Integer[Tensor, " n"], Float[Tensor, "n 3"]], Float[Tensor, "n 3"]]:
    """Faces and places on them to the canvas's colors (sRGB) with all the patterns on them."""

    def part(face: Tensor, bary: Tensor) -> Tensor:
        color = canvas.texture_at(face, bary)
        for one in cut:
            color = one.over(canvas, color, face, bary)
        return color

    def colors(face: Tensor, bary: Tensor) -> Tensor:
        device = canvas.vertices.device
        parts = zip(face.to(device).split(chunk), bary.to(device).split(chunk), strict=True)
        return torch.cat([part(*both) for both in parts])

    return colors


def _of_parts(canvas: Canvas, kinds: frozenset[str], zone: str = "") -> Float[Tensor, " v"]:
    """1 at vertices on parts of these kinds; of the zone's own side, if it has one."""
    side = zone.partition("_")[0] if zone not in ("", "trunk") else ""
    table = [float(part_kind(name) in kinds and name.startswith(side)) for name in PARTS]
    return canvas.look.new_tensor(table)[canvas.parts if canvas.parts is not None else []]


def _zone_parts(zone: str) -> frozenset[str]:
    limbs = {name: parts for name, (_, parts) in _LIMBS.items()}
    if zone in ("trunk", ""):
        return frozenset(part_kind(name) for name in PARTS) - frozenset().union(*limbs.values())
    return limbs[zone.partition("_")[2]]


def _share(color: Float[Tensor, "n 3"], base: Float[Tensor, " 3"]) -> Float[Tensor, " n"]:
    """How much of each color is `base`, 0..1."""
    return ((_FAR - (color - base).norm(dim=-1)) / (_FAR - _NEAR)).clamp(0.0, 1.0)


def _middles(canvas: Canvas) -> tuple[Integer[Tensor, " f"], Float[Tensor, "f 3"], Float[Tensor, " f"]]:
    """All faces, their middles' weights, and their areas."""
    face = torch.arange(len(canvas.faces), device=canvas.faces.device)
    a, b, c = canvas.vertices[canvas.faces].unbind(1)
    return face, a.new_full((len(face), 3), 1 / 3), 0.5 * torch.linalg.cross(b - a, c - a).norm(dim=-1)


def _plain_color(pattern: Pattern, canvas: Canvas, member: Float[Tensor, " v"]) -> Float[Tensor, " 3"] | None:
    """The color that the garment has, near the one it was asked to have; None where there is too little of it."""
    face, bary, area = _middles(canvas)
    color, base = canvas.texture_at(face, bary), canvas.look.new_tensor(pattern.base)
    weight = area * (canvas.spread(member[:, None], face, bary)[:, 0] > 0.5)
    for reach in (_LOOSE, _NEAR):
        near = weight * ((color - base).norm(dim=-1) < reach)
        if float(near.sum()) < _LEAST * float(area.sum()):
            return None
        base = (near[:, None] * color).sum(0) / near.sum()
    return base


def _axis(joints: Tensor, side: str, limb: str) -> tuple[Tensor, Tensor, Tensor]:
    first, bend, end = (joints[SMPL_JOINTS.index(f"{side}_{name}")] for name in _LIMBS[limb][0])
    return first, bend, end


def _about(points: Tensor, first: Tensor, bend: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Angle about a limb, from its front to its outer side, and the way along it, metres."""
    upper, lower = bend - first, end - bend
    below = (points - bend) @ (lower / lower.norm())
    down = torch.where(below > 0, upper.norm() + below, (points - first) @ (upper / upper.norm()))
    axis = torch.where((below > 0)[:, None], lower / lower.norm(), upper / upper.norm())
    off = points - torch.where((below > 0)[:, None], bend, first)
    out = torch.zeros_like(axis)
    out[:, 0] = torch.sign(first[0])
    out = out - (out * axis).sum(-1, keepdim=True) * axis
    return torch.atan2((off * torch.nn.functional.normalize(out, dim=-1)).sum(-1), off[:, 2]), down


def _radius(points: Tensor, first: Tensor, bend: Tensor, end: Tensor) -> Float[Tensor, ""]:
    """Mean distance of points from a limb's axis."""
    found = [(end_ - start) / (end_ - start).norm() for start, end_ in ((first, bend), (bend, end))]
    off = [
        torch.linalg.cross(points - start, way.expand_as(points)).norm(dim=-1)
        for start, way in zip((first, bend), found, strict=True)
    ]
    return torch.minimum(*off).mean()


def _measured(
    canvas: Canvas, member: Tensor, zones: Tensor, joints: Tensor, period: float
) -> tuple[tuple[float, ...], tuple[float, float, float, float]]:
    """Ways around the zones, rounded to whole periods, and the trunk's oval."""
    trunk = canvas.vertices[(zones[:, 0] > 0.5) & (member > 0.5)]
    trunk = trunk if len(trunk) else canvas.vertices
    low, high = trunk.quantile(0.03, dim=0), trunk.quantile(0.97, dim=0)
    x, z = (0.5 * (low + high))[[0, 2]].tolist()
    wide, deep = (0.5 * (high - low)).clamp_min(0.01)[[0, 2]].tolist()
    ways = [2.0 * math.pi * math.sqrt(0.5 * (wide**2 + deep**2))]
    for number, name in enumerate(_ZONES[1:], start=1):
        side, _, limb = name.partition("_")
        there = zones[:, number] > 0.5
        mine = there & (member > 0.5) if bool((there & (member > 0.5)).any()) else there
        points = canvas.vertices[mine]
        ways.append(2.0 * math.pi * float(_radius(points, *_axis(joints, side, limb))) if len(points) else 2.0 * period)
    return tuple(max(2, round(way / period)) * period for way in ways), (x, z, wide, deep)


def _scattered(canvas: Canvas, member: Float[Tensor, " v"], pattern: Pattern) -> Float[Tensor, "s 3"]:
    """Places on what may be covered, each about a period from the next; the same every time."""
    face, bary, area = _middles(canvas)
    weight = area * (canvas.spread(member[:, None], face, bary)[:, 0] > 0.5)
    draws = stream(0, "patterns")
    drawn = torch.multinomial(weight.cpu(), _PLACES, replacement=True, generator=draws)
    corners = torch.rand(_PLACES, 3, generator=draws).clamp_min(1e-6).log()
    places = canvas.spread(canvas.vertices, drawn.to(face), (corners / corners.sum(1, keepdim=True)).to(bary))
    far, kept = places.new_full((_PLACES,), torch.inf), []
    while len(kept) < _MOST_DOTS:
        most = int(far.argmax())
        if float(far[most]) < _DENSE * pattern.period:
            break
        kept.append(most)
        far = torch.minimum(far, (places - places[most]).norm(dim=-1))
    return places[kept]


def _edge(inside: Tensor) -> Tensor:
    """1 where a signed distance says inside, 0 outside, soft over a texel."""
    return (inside / _SOFT + 0.5).clamp(0.0, 1.0)


def _band(way: Tensor, width: float, period: float) -> Tensor:
    """1 within `width` around each whole period."""
    off = (way + 0.5 * period) % period - 0.5 * period
    return _edge(0.5 * width - off.abs())


def _noise(points: Float[Tensor, "n 3"], number: int) -> Float[Tensor, " n"]:
    """Smooth noise in space, above zero on a third of it; of another draw for each number."""
    draws = stream(number, "blotches")
    ways = torch.nn.functional.normalize(torch.randn(_WAVES, 3, generator=draws), dim=-1)
    ways = 2.0 * math.pi * ways * (0.6 + torch.rand(_WAVES, 1, generator=draws))
    phase = 2.0 * math.pi * torch.rand(_WAVES, generator=draws)
    return (points @ ways.to(points).t() + phase.to(points)).sin().mean(-1) * math.sqrt(2.0 * _WAVES) - 0.43
