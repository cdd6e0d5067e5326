"""Borders between painted regions as if cut, not sprayed: the field's finest cells are too wide for a seam.

A texture of a few plain colors is read as regions: the body's own bare look, and every paint that covers enough of it.
A texel between two of them is a smear and goes to the one that its color is nearer to, among those that lie purely
around it, and a little rather to what its body part mostly wears; so borders are smooth lines that keep to parts.
Colors that no smear explains (patterns, make-up) stay as they are.

A color that the text names is one color: every paint that is near it becomes it, and loses its mottle. The field learns
it under changing light and in cells of its own, so its paints are too bright, and uneven from place to place.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from avatargen.core.parts import PARTS
from avatargen.implicit.sdf import part_kind
from avatargen.render.fragments import sample_texture

MOST_PAINTS = 6
_KEPT_PARTS = frozenset({"eye", "lips", "brow"})
"""Too small for the vertices to know their look: their texels stay."""
_DRAWN_PARTS = frozenset({"face", "scalp"}) | _KEPT_PARTS
"""What has features under its paint, which must not be lost."""
# Distances between sRGB colors, as norms of their differences.
_COVERED = 0.15
_SAME, _OTHER = 0.08, 0.18
_SMEARED = 0.10
_PURE = 0.06
_EXPLAINED = 0.15
_SPREAD = 0.25
_NAMED = 0.27
"""A paint is a named color's if it is no farther from it than this."""
_MOTTLE = 0.12
"""Up to here a color is its named paint's, wholly; up to twice that a bit."""
_LEAST_SHARE, _SAFE_SHARE = 0.01, 0.05
"""Share of the surface that a paint must cover; one that lies between two others needs the second."""
# Strengths of what decides about a vertex (log odds), and how sharply texels follow.
_AROUND, _PART, _ITSELF = 3.0, 0.4, 20.0
_PRESENT = 0.15
"""Share of what is around a vertex from which a class counts as wholly there."""
_SOFTNESS = 0.15
_ROUNDS, _SMOOTHING = 8, 5
_BINS = 24
_RIM = 0.04
# Four places on a face that stand for it.
_PLACES = ((1 / 3, 1 / 3, 1 / 3), (0.6, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.6))


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """A textured mesh, and the body's own look beneath it."""

    vertices: Float[Tensor, "v 3"]
    faces: Integer[Tensor, "f 3"]
    uvs: Float[Tensor, "t 2"]
    uv_faces: Integer[Tensor, "f 3"]
    texture: Float[Tensor, "h w 3"]
    """sRGB in 0..1."""
    look: Float[Tensor, "v 3"]
    """The body's own color beneath each vertex."""
    parts: Integer[Tensor, " v"] | None
    """Part of the body (avatargen.core.parts) beneath each vertex, where known."""
    free: Bool[Tensor, " v"] | None = None
    """Vertices of what hangs free of the body: its borders are sharp already."""
    hair: Bool[Tensor, " v"] | None = None
    """Those of them that are hair or a beard: its strands are no mottle."""

    def spread(
        self, values: Float[Tensor, "v c"], face: Integer[Tensor, " n"], bary: Float[Tensor, "n 3"]
    ) -> Float[Tensor, "n c"]:
        """Values of vertices at places on faces."""
        return (values[self.faces[face]] * bary[..., None]).sum(1)

    def texture_at(self, face: Integer[Tensor, " n"], bary: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Texture at places on faces."""
        return sample_texture(self.texture, (self.uvs[self.uv_faces[face]] * bary[..., None]).sum(1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """What a canvas is painted with, and which vertex belongs to what."""

    paints: Float[Tensor, "k 3"]
    """sRGB of each paint, most of it first."""
    scores: Float[Tensor, "v k+1"]
    """What is around speaks for the bare look (first column) and for each paint, at the vertices; log odds."""
    kept: Float[Tensor, "v 1"]
    """1 where texels stay as they are."""
    drawn: Float[Tensor, "v 1"]
    """1 where a named paint keeps what is left of the texture."""
    shown: Float[Tensor, "k 3"]
    """What each paint becomes: the color that the text names, or itself."""
    named: Bool[Tensor, " k"]
    """Which paints the text names."""


def _classes(look: Float[Tensor, "n 3"], paints: Float[Tensor, "k 3"]) -> Float[Tensor, "n k+1 3"]:
    """The plain color of each class at places with that bare look."""
    return torch.cat([look[:, None], paints.expand(len(look), -1, -1)], dim=1)


def find_regions(canvas: Canvas, named: Float[Tensor, "m 3"] | None = None) -> Regions:
    """Read a texture as regions; without paints where none covers enough.

    `named` are the colors (sRGB) that the text gives to what is worn.
    """
    count = len(canvas.faces)
    face = torch.arange(count, device=canvas.faces.device).repeat(len(_PLACES))
    bary = canvas.vertices.new_tensor(_PLACES).repeat_interleave(count, 0)
    a, b, c = canvas.vertices[canvas.faces].unbind(1)
    weight = torch.linalg.cross(b - a, c - a).norm(dim=-1).repeat(len(_PLACES)).clamp_min(1e-12)
    weight = weight / weight.sum()
    colors, look = canvas.texture_at(face, bary), canvas.spread(canvas.look, face, bary)
    paints = _paints(colors, look, weight)
    kept, drawn = _on_parts(canvas, _KEPT_PARTS), _on_parts(canvas, _DRAWN_PARTS)
    if canvas.free is not None:
        kept = torch.maximum(kept, canvas.free.float().cpu()[:, None])
    if canvas.hair is not None:
        drawn = torch.maximum(drawn, canvas.hair.float().cpu()[:, None])
    share = weight[:, None, None] * bary[..., None]  # [n, corner, 1]

    def gathered(values: Float[Tensor, "n c"]) -> Float[Tensor, "v c"]:
        total = values.new_zeros(len(canvas.vertices), values.shape[1])
        return total.index_add_(
            0, canvas.faces[face].reshape(-1), (share * values[:, None]).reshape(-1, values.shape[1])
        )

    pure = torch.exp(-_unlike(colors, _classes(look, paints)) / _PURE**2)
    here = smoothed(gathered(pure), canvas.faces, _ROUNDS) + 1e-12
    # Only what is absent is ruled out: between two that are there the texels' own colors draw the smoother line.
    present = (here / here.sum(1, keepdim=True) / _PRESENT).clamp(max=1.0)
    scores = _AROUND * (present + 0.01).log()
    if canvas.parts is not None:
        whole = here.new_zeros(len(PARTS), here.shape[1]).index_add_(0, canvas.parts, gathered(pure)) + 1e-12
        scores = scores + _PART * (whole / whole.sum(1, keepdim=True) + 0.01).log()[canvas.parts]
    shown, known = _by_name(paints, named)
    return Regions(
        paints=paints,
        scores=smoothed(scores, canvas.faces, _SMOOTHING),
        kept=kept.to(canvas.look),
        drawn=drawn.to(canvas.look),
        shown=shown,
        named=known,
    )


def _on_parts(canvas: Canvas, kinds: frozenset[str]) -> Float[Tensor, "v 1"]:
    """1 at vertices on parts of these kinds; on the CPU."""
    if canvas.parts is None:
        return torch.zeros(len(canvas.vertices), 1)
    return torch.tensor([float(part_kind(name) in kinds) for name in PARTS])[canvas.parts.cpu()][:, None]


def _by_name(
    paints: Float[Tensor, "k 3"], named: Float[Tensor, "m 3"] | None
) -> tuple[Float[Tensor, "k 3"], Bool[Tensor, " k"]]:
    """The named color nearest to each paint, where one is near; which paints have one."""
    if named is None or not len(named) or not len(paints):
        return paints, torch.zeros(len(paints), dtype=torch.bool, device=paints.device)
    off, which = torch.cdist(paints, named.to(paints)).min(1)
    known = off < _NAMED
    return torch.where(known[:, None], named.to(paints)[which], paints), known


def _unlike(colors: Float[Tensor, "n 3"], plain: Float[Tensor, "n k 3"]) -> Float[Tensor, "n k"]:
    """Half the squared distance of each color to the plain color of each class."""
    return 0.5 * (colors[:, None] - plain).square().sum(-1)


def smoothed(values: Float[Tensor, "v c"], faces: Integer[Tensor, "f 3"], rounds: int) -> Float[Tensor, "v c"]:
    """Values of vertices, `rounds` times averaged half and half with the mean of their neighbours."""
    for _ in range(rounds):
        values = 0.5 * (values + neighbor_mean(values, faces))
    return values


def neighbor_mean(values: Float[Tensor, "v c"], faces: Integer[Tensor, "f 3"]) -> Float[Tensor, "v c"]:
    """Mean over the neighbours of each vertex; differentiable."""
    total, count = torch.zeros_like(values), values.new_zeros(len(values), 1)
    two = values.new_full((len(faces), 1), 2.0)
    for corner in range(3):
        others = values.index_select(0, faces[:, corner - 1]) + values.index_select(0, faces[:, corner - 2])
        total = total.index_add(0, faces[:, corner], others)
        count = count.index_add(0, faces[:, corner], two)
    return total / count.clamp_min(1.0)


def _paints(
    colors: Float[Tensor, "n 3"], look: Float[Tensor, "n 3"], weight: Float[Tensor, " n"]
) -> Float[Tensor, "k 3"]:
    """The colors of which there is much, by their surface; but not those that are smears between two others."""
    covered = (colors - look).norm(dim=-1) > _COVERED
    if not bool(covered.any()):
        return colors.new_zeros(0, 3)
    points, mass = _histogram(colors[covered], weight[covered])
    near = torch.cdist(points, points) < _SAME
    left, found, shares = torch.ones(len(points), dtype=torch.bool, device=points.device), [], []
    while len(found) < 2 * MOST_PAINTS:
        around = (near.to(mass) @ (mass * left)) * left
        peak = int(around.argmax())
        if float(around[peak]) < _LEAST_SHARE:
            break
        close = near[peak] & left
        paint = (points[close] * mass[close, None]).sum(0) / mass[close].sum()
        found.append(paint)
        shares.append(float(around[peak]))
        left = left & ((points - paint).norm(dim=-1) > _OTHER)
    if not found:
        return colors.new_zeros(0, 3)
    paints = torch.stack(found)
    bare = (look * weight[:, None]).sum(0, keepdim=True)
    smears = _between(paints, torch.cat([bare, paints]))
    safe = torch.tensor([share >= _SAFE_SHARE for share in shares], device=paints.device)
    return paints[safe | ~smears][:MOST_PAINTS]


def _histogram(colors: Float[Tensor, "n 3"], weight: Float[Tensor, " n"]) -> tuple[Tensor, Tensor]:
    """Mean color and weight of each cell of the color cube that is not empty."""
    cells = (colors.clamp(0, 1) * (_BINS - 1)).round().long()
    _, row = torch.unique((cells[:, 0] * _BINS + cells[:, 1]) * _BINS + cells[:, 2], return_inverse=True)
    mass = weight.new_zeros(int(row.max()) + 1).index_add_(0, row, weight)
    total = weight.new_zeros(len(mass), 3).index_add_(0, row, weight[:, None] * colors)
    return total / mass[:, None], mass


def _between(points: Float[Tensor, "n 3"], ends: Float[Tensor, "k 3"]) -> Bool[Tensor, " n"]:
    """Whether a point lies well inside the segment between two of `ends`, near it."""
    found = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for start, end in _pairs(len(ends)):
        along = ends[end] - ends[start]
        place = ((points - ends[start]) @ along) / along.square().sum().clamp_min(1e-12)
        off = (points - ends[start] - place[:, None] * along).norm(dim=-1)
        found |= (off < _SMEARED) & (place > 0.1) & (place < 0.9)
    return found


def _pairs(count: int) -> list[tuple[int, int]]:
    return [(start, end) for start in range(count) for end in range(start + 1, count)]


def crisp_colors(
    canvas: Canvas,
    regions: Regions,
    face: Integer[Tensor, " n"],
    bary: Float[Tensor, "n 3"],
    strength: float,
    paints: Float[Tensor, "k 3"] | None = None,
) -> Float[Tensor, "n 3"]:
    """Colors at places on faces, smears cut; differentiable in `paints`, which take the place of the regions' own."""
    with torch.no_grad():
        color = canvas.texture_at(face, bary)
        if not len(regions.paints):
            return color
        known = torch.cat([canvas.look, regions.scores, regions.kept, regions.drawn], dim=1)
        look, scores, kept, drawn = canvas.spread(known, face, bary).split([3, regions.scores.shape[1], 1, 1], dim=1)
        plain = _classes(look, regions.paints)
        rest, half = color[:, None] - plain, _unlike(color, plain)
        unlike = (2.0 * half).sqrt()
        own = _ITSELF * torch.exp(-half / _PURE**2) - half / _SPREAD**2
        owner = ((scores + own) / _SOFTNESS).softmax(1)
        # What is left of the texture: all of it where it is faint, nothing that would look like the smear.
        rest = rest * (_PURE / unlike.clamp_min(_PURE))[..., None]
        named = torch.cat([regions.named.new_zeros(1), regions.named]).to(rest)
        rest = rest * (1.0 - named * (1.0 - drawn))[..., None]
        mottle = (named * owner * (2.0 - unlike / _MOTTLE).clamp(0.0, 1.0)).sum(1, keepdim=True)
        smear = _explained(color, plain) * (1.0 - kept)
        cut = strength * torch.maximum(smear, mottle * (1.0 - drawn))
        calm = (owner[..., None] * (_classes(look, regions.shown) + rest)).sum(1)
        shown = torch.lerp(color, calm, cut)
    if paints is None:
        return shown
    # A paint carries along what wears it, however much of the texture is left; a named color is what it is.
    moved = torch.where(regions.named[:, None], 0.0, paints - regions.paints)
    return shown + (owner[:, 1:, None] * moved).sum(1) * torch.exp(-_gap(unlike, owner))[:, None]


def _gap(unlike: Float[Tensor, "n k"], owner: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    return (unlike * owner).sum(1).square() / (2 * _SPREAD**2)


def _explained(color: Float[Tensor, "n 3"], plain: Float[Tensor, "n k 3"]) -> Float[Tensor, "n 1"]:
    """How well a mixture of two classes explains each color, 0..1; the field mixes in logits."""
    off = torch.full_like(color[:, 0], torch.inf)
    here, ends = color.clamp(_RIM, 1 - _RIM).logit(), plain.clamp(_RIM, 1 - _RIM).logit()
    for start, end in _pairs(plain.shape[1]):
        along = ends[:, end] - ends[:, start]
        place = ((here - ends[:, start]) * along).sum(-1) / along.square().sum(-1).clamp_min(1e-6)
        mixed = torch.sigmoid(ends[:, start] + place.clamp(0, 1)[:, None] * along)
        off = torch.minimum(off, (color - mixed).norm(dim=-1))
    return torch.exp(-((off / _EXPLAINED) ** 2))[:, None]
