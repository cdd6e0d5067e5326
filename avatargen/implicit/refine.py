"""The second stage, on the finished mesh: texture and vertices under the same guidance, at 512 pixels and more.

What it draws is what will be delivered, so a border can be as fine as a texel. Borders between regions are cut first
(`crisp`); then each paint's color is tuned, and, where the guidance sees detail (`refine.detail`), single texels and
vertices move: texels through a pyramid of cells in space, which is coarse-to-fine and knows no seams between charts,
vertices along their normals within limits of their parts.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn

from avatargen.body.look import base_colors
from avatargen.body.model import BodyModel
from avatargen.body.posing import Posed
from avatargen.core.errors import ConfigError
from avatargen.core.files import digest_bytes
from avatargen.core.parts import PARTS
from avatargen.core.progress import Reporter, Silent
from avatargen.core.rng import stream
from avatargen.core.settings import ImplicitSettings, RefineSettings
from avatargen.core.steady import sound_step
from avatargen.core.values import Mesh
from avatargen.guidance.augment import random_maps, warp
from avatargen.guidance.model import Guidance
from avatargen.guidance.views import named_view
from avatargen.implicit.checkpoint import Progress, resume
from avatargen.implicit.closest import SurfaceIndex
from avatargen.implicit.color import Colors
from avatargen.implicit.crisp import Canvas, Regions, crisp_colors, find_regions, neighbor_mean, smoothed
from avatargen.implicit.draw import Drawing, paint, shade_factor
from avatargen.implicit.encoding import Pyramid, hash_pyramid
from avatargen.implicit.fit import CLAY, Pictures, guidance_loss
from avatargen.implicit.jaw import parts_to_paint
from avatargen.implicit.sdf import PART_LIMITS, bounded_growth, part_kind
from avatargen.implicit.shown import backdrops, color_light
from avatargen.implicit.stepping import eased, fit_key, run_steps
from avatargen.implicit.views import step_cameras, step_views
from avatargen.implicit.words import Words, encode_words
from avatargen.implicit.worn import named_colors
from avatargen.render.cameras import Cameras, orbit, stack_cameras
from avatargen.render.fragments import gather_hits, interpolate_hits
from avatargen.render.raster import rasterize
from avatargen.render.shading import Light, face_normals, random_light, vertex_normals

_VERSION = 2
_ORDER = ("upper", "face", "lower", "body", "back", "feet", "upper", "hands")
"""More of it close up than in sculpting: that is where pixels show what the field could not."""
_JUDGED = ("body", "back", "upper", "lower", "face", "feet")
_HASH_LOG2 = 19
_COARSEST_PART = 0.045
"""Parts whose surface the field may move as far as this, or farther, may use all of `refine.offset_mm`."""
_STILL = frozenset({"face", "eye", "lips", "brow"})
"""Lids touch eyes: what could move there without harm would not be seen."""
_SHARE_OF_ROOM = 0.25
_MOST_TURN = 0.5
"""Cosine below which a face has turned too far."""
_RIM = 0.02
_WORSE = 0.01
_CHUNK = 1 << 18


class Learned(nn.Module):
    """What the stage changes; zeros leave the mesh as it is, but for its borders."""

    def __init__(self, paints: int, rows: int, vertices: int) -> None:
        super().__init__()
        self.shades = nn.Parameter(torch.zeros(paints, 3))
        """Change of each paint, logits."""
        self.detail = nn.Parameter(torch.zeros(rows, 3))
        """Change of single places, logits."""
        self.offsets = nn.Parameter(torch.zeros(vertices))
        """Along the normals, metres, before the limits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """What every step needs and no step changes."""

    canvas: Canvas
    regions: Regions
    pyramid: Pyramid
    directions: Float[Tensor, "v 3"]
    limit: Float[Tensor, " v"]
    """How far vertices may move, metres; zeros where they must not."""
    joints: Float[Tensor, "j 3"]
    guidance: Guidance
    words: Words
    implicit: ImplicitSettings
    settings: RefineSettings
    detailed: bool
    """Whether single texels and vertices move."""

    def colors(self, learned: Learned, face: Integer[Tensor, " n"], bary: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Colors (sRGB) at places on faces; differentiable in what is learned."""
        paints = _shifted(self.regions.paints, learned.shades)
        color = crisp_colors(self.canvas, self.regions, face, bary, self.settings.crisp, paints)
        if not self.detailed:
            return color
        return _shifted(color, self.pyramid(learned.detail, self.canvas.spread(self.canvas.vertices, face, bary)))

    def offsets(self, learned: Learned) -> Float[Tensor, " v"]:
        """How far each vertex moves, metres; differentiable."""
        return bounded_growth(learned.offsets, self.limit) * (self.limit > 0)

    def points(self, learned: Learned) -> Float[Tensor, "v 3"]:
        """Vertices, moved."""
        return self.canvas.vertices + self.offsets(learned)[:, None] * self.directions


def _shifted(color: Float[Tensor, "n 3"], logits: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Colors moved by `logits`; exactly as they were where these are zero."""
    start = color.clamp(_RIM, 1 - _RIM).logit()
    return color + (torch.sigmoid(start + logits) - torch.sigmoid(start))


@dataclass(frozen=True, kw_only=True, eq=False)
class Refined:
    """What the stage found: ask it for the color of each texel and the way of each vertex."""

    colors: Callable[[Integer[Tensor, " n"], Float[Tensor, "n 3"]], Float[Tensor, "n 3"]]
    """Faces and places on them to sRGB."""
    offsets: Float[Tensor, " v"]
    """Along the normals, metres."""
    before: float
    """Mean cosine to the text at the start."""
    after: float


def check_refine(settings: RefineSettings) -> None:
    """Refuse what no step could use.

    Raises:
        ConfigError: with the key and what may stand there.
    """
    if settings.detail not in ("auto", "on", "off"):
        raise ConfigError(f"refine.detail = {settings.detail!r} is not known\n  Write auto, on or off.")
    if settings.steps < 0 or settings.views < 1 or settings.image_size < 16:
        raise ConfigError("refine.steps is 0 or more, refine.views 1 or more, refine.image_size 16 or more")
    if not 0.0 <= settings.crisp <= 1.0:
        raise ConfigError(f"refine.crisp = {settings.crisp:g} is not in 0..1")
    if not 0.0 <= settings.offset_mm <= 20.0:
        raise ConfigError(f"refine.offset_mm = {settings.offset_mm:g} is not in 0..20")


def canvas_of(
    mesh: Mesh,
    body: BodyModel,
    posed: Posed,
    device: torch.device | str,
) -> Canvas:
    """A textured mesh together with the look of the body beneath it, both in one pose."""
    if mesh.texture is None or mesh.uvs is None or mesh.uv_faces is None:
        raise ValueError("the mesh has no texture to refine")
    body = body.to("cpu")
    points = torch.tensor(mesh.vertices, dtype=torch.float32)
    found = SurfaceIndex(vertices=posed.vertices[0].detach().cpu().float(), faces=body.faces).query(points)
    look = (base_colors(body).float()[body.faces[found.face]] * found.bary[..., None]).sum(1)
    parts = parts_to_paint(body)
    return Canvas(
        vertices=points.to(device),
        faces=torch.tensor(mesh.faces, dtype=torch.int64, device=device),
        uvs=torch.tensor(mesh.uvs, dtype=torch.float32, device=device),
        uv_faces=torch.tensor(mesh.uv_faces, dtype=torch.int64, device=device),
        texture=(torch.tensor(mesh.texture).float() / 255).to(device),
        look=look.clamp(0, 1).to(device),
        parts=None if parts is None else parts[found.face].long().to(device),
    )


def offset_limits(canvas: Canvas, room: Float[Tensor, " v"], most: float) -> Float[Tensor, " v"]:
    """How far each vertex may move, metres: hands hardly, the face not, and nothing so far that faces could cross.

    That is a quarter of its free way, and of its shortest edge: in creases neighbours move towards each other.
    """
    limit = torch.full_like(room, most)
    if canvas.parts is not None:
        kinds = [part_kind(name) for name in PARTS]
        shares = [0.0 if kind in _STILL else min(1.0, PART_LIMITS[kind] / _COARSEST_PART) for kind in kinds]
        own = most * room.new_tensor(shares)[canvas.parts]
        limit = torch.minimum(own, smoothed(own[:, None], canvas.faces, 4)[:, 0])
    return torch.minimum(limit, _SHARE_OF_ROOM * torch.minimum(room, _shortest_edges(canvas)))


def _shortest_edges(canvas: Canvas) -> Float[Tensor, " v"]:
    shortest = torch.full((len(canvas.vertices),), torch.inf, device=canvas.vertices.device)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        one, other = canvas.faces[:, start], canvas.faces[:, end]
        length = (canvas.vertices[one] - canvas.vertices[other]).norm(dim=-1)
        shortest = shortest.scatter_reduce(0, torch.cat([one, other]), length.repeat(2), reduce="amin")
    return shortest


def refine_avatar(
    description: str,
    canvas: Canvas,
    directions: Float[Tensor, "v 3"],
    room: Float[Tensor, " v"],
    body: BodyModel,
    betas: Float[Tensor, " n"],
    joints: Float[Tensor, "j 3"],
    guidance: Guidance,
    implicit: ImplicitSettings,
    settings: RefineSettings,
    seed: int,
    reporter: Reporter | None = None,
    checkpoint: Path | None = None,
    pictures: Pictures | None = None,
) -> Refined:
    """Refine a finished mesh after a description.

    Args:
        description: what the avatar should look like.
        canvas: the mesh in the A-pose.
        directions: of each vertex's offset there, about unit length.
        room: free way of each vertex before it meets the mesh itself, metres.
        body: its name is part of the checkpoint's identity, as `betas` are.
        betas: its shape.
        joints: in the A-pose, SMPL's order; they say where views look.
        guidance: judges the pictures.
        implicit: weights and pictures of the sculpting, which are those of this stage too.
        settings: see `RefineSettings`.
        seed: same seed, same result.
        reporter: told loss and score of each step.
        checkpoint: a file to continue from if it is there and fits, and to write every so many steps.
        pictures: image prompts, along with the words or instead of them.

    Raises:
        ConfigError: the settings cannot be used.
    """
    check_refine(settings)
    reporter = reporter or Silent()
    words = encode_words(description, guidance, pictures, implicit.pictures)
    detailed = settings.detail == "on" or (settings.detail == "auto" and not guidance.name.startswith("embedded"))
    scene = _scene(description, canvas, directions, room, joints, guidance, words, implicit, settings, detailed)
    learned = Learned(len(scene.regions.paints), scene.pyramid.rows if detailed else 1, len(canvas.vertices))
    learned = learned.to(canvas.vertices.device)
    progress = Progress(learned=learned, optimizer=_optimizer(learned), generator=stream(seed, "implicit.refine"))
    mesh = digest_bytes(canvas.texture.cpu().numpy().tobytes() + canvas.vertices.cpu().numpy().tobytes())
    asked = repr((settings, mesh, words.digest() if pictures else ""))
    key = fit_key(_VERSION, description, body, betas, guidance, implicit, seed, asked)
    if checkpoint is not None and resume(checkpoint, progress, key):
        reporter.note(f"refining: continuing at step {progress.step} of {settings.steps}")
    run_steps(
        settings,
        progress,
        lambda share: _set_rates(scene, progress, share),
        lambda: _step(scene, progress),
        reporter,
        checkpoint,
        key,
        name="refining",
    )
    return _best(scene, learned, progress.step)


@torch.no_grad()
def _best(scene: Scene, learned: Learned, steps: int) -> Refined:
    """What was learned in `steps`, if the judge likes it as well as merely cut borders; these, if it likes them.

    Named colors are not judged: they are what the text says, and the judge likes brighter ones by a hundredth or two.
    """
    regions = scene.regions
    judged = replace(scene, regions=replace(regions, shown=regions.paints, named=torch.zeros_like(regions.named)))
    nothing = copy.deepcopy(learned)
    for value in nothing.parameters():
        value.zero_()
    uncut = replace(scene, settings=replace(scene.settings, crisp=0.0))
    before, cut = _score(uncut, nothing), _score(judged, nothing)
    after = _score(judged, learned) if steps else cut
    if after >= max(cut, before) - _WORSE:
        return _result(scene, learned, before, after)
    if cut >= before - _WORSE:
        return _result(scene, nothing, before, cut)
    return _result(uncut, nothing, before, before)


def _scene(
    description: str,
    canvas: Canvas,
    directions: Tensor,
    room: Tensor,
    joints: Tensor,
    guidance: Guidance,
    words: Words,
    implicit: ImplicitSettings,
    settings: RefineSettings,
    detailed: bool,
) -> Scene:
    low, high = canvas.vertices.amin(0), canvas.vertices.amax(0)
    cells = tuple(size / 1000 for size in settings.cells_mm)
    gains = tuple(implicit.fine_gain**level for level in range(len(cells)))
    size = 1 << _HASH_LOG2
    pyramid = hash_pyramid(torch.stack([low, high]), cells, size, mirror=implicit.mirror, gains=gains)
    limit = offset_limits(canvas, room, settings.offset_mm / 1000) if detailed else torch.zeros_like(room)
    return Scene(
        canvas=canvas,
        regions=find_regions(canvas, None if detailed else named_colors(description).to(canvas.vertices)),
        pyramid=pyramid,
        directions=directions,
        limit=limit,
        joints=joints,
        guidance=guidance,
        words=words,
        implicit=implicit,
        settings=settings,
        detailed=detailed,
    )


def _optimizer(learned: Learned) -> torch.optim.Adam:
    return torch.optim.Adam([{"params": [value]} for value in learned.parameters()], betas=(0.8, 0.95), eps=1e-12)


def _set_rates(scene: Scene, progress: Progress, share: float) -> None:
    settings = scene.settings
    rates = (settings.color_rate, settings.color_rate, settings.shape_rate)
    for group, rate in zip(progress.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * eased(share) * progress.rate


def _step(scene: Scene, progress: Progress) -> tuple[float, float]:
    learned = progress.learned
    if not isinstance(learned, Learned):
        raise TypeError(f"not what this stage learns: {type(learned).__name__}")
    loss, score = step_loss(scene, learned, progress.step, progress.generator)
    return sound_step(progress.optimizer, loss), score


def step_loss(scene: Scene, learned: Learned, step: int, generator: torch.Generator) -> tuple[Float[Tensor, ""], float]:
    """The whole loss of one step, and the mean cosine of its pictures to the text."""
    implicit, shown = scene.implicit, scene.implicit.pictures
    views = step_views(step, scene.settings.views, shown.kinds or _ORDER)
    small = max(1, scene.settings.image_size // 4)
    kinds, cameras = step_cameras(views, scene.joints, small, generator)
    cameras = cameras.to(scene.canvas.vertices.device)
    light, behind = color_light(shown, generator, cameras), backdrops(shown, scene.guidance.name, cameras, generator)
    drawing = draw_refined(scene, learned, cameras.resized(scene.settings.image_size / small))
    height, width = drawing.shape[1:]
    behind = torch.nn.functional.interpolate(behind, size=(height, width), mode="nearest")
    lit = shade_factor(drawing, light)
    images = [paint(drawing, drawing.style * lit, behind)]
    with torch.no_grad():
        maps = random_maps(len(kinds), shown.crop, shown.perspective, generator)
        plain = scene.guidance.encode_image(warp(paint(drawing, drawing.base * lit, behind), maps))
    grey = scene.detailed and implicit.textureless_every > 0 and step % implicit.textureless_every == 0
    if grey:
        images.append(paint(drawing, CLAY * shade_factor(drawing, random_light(generator, cameras)), behind))
    features = scene.guidance.encode_image(torch.cat([warp(image, maps) for image in images]))
    loss, score = guidance_loss(implicit, scene.words, kinds, features, plain, grey)
    return loss + _keeping_loss(scene, learned), score


def _keeping_loss(scene: Scene, learned: Learned) -> Tensor:
    """Paints and texels stay near the field's colors, and neighbouring vertices move alike."""
    settings = scene.settings
    loss = settings.keep_weight * learned.shades.square().sum()
    if not scene.detailed:
        return loss
    loss = loss + settings.keep_weight * learned.detail.square().sum() / len(scene.canvas.faces)
    offsets = scene.offsets(learned)[:, None]
    rough = (offsets - neighbor_mean(offsets, scene.canvas.faces)) / max(settings.offset_mm / 1000, 1e-6)
    return loss + settings.smooth_weight * rough.square().mean()


def draw_refined(scene: Scene, learned: Learned, cameras: Cameras) -> Drawing:
    """The mesh as it stands; differentiable in what is learned."""
    faces, points = scene.canvas.faces, scene.points(learned)
    hits = gather_hits(rasterize(points.detach(), faces, cameras))
    style = scene.colors(learned, hits.face, hits.bary)
    look = scene.canvas.spread(scene.canvas.look, hits.face, hits.bary)
    return Drawing(
        pixel=hits.pixel,
        view=hits.view,
        opacity=torch.ones_like(style[:, 0]),
        style=style,
        base=look,
        point=scene.canvas.spread(points, hits.face, hits.bary).detach(),
        gradient=interpolate_hits(vertex_normals(points, faces), faces, hits),
        colors=Colors(style=style, base=look, look=look, change=style - look),
        shape=(len(cameras), cameras.height, cameras.width),
    )


@torch.no_grad()
def _score(scene: Scene, learned: Learned) -> float:
    """Mean cosine to the text over fixed views, evenly lit, before white."""
    views = [named_view(name, scene.joints) for name in _JUDGED]
    size = 2 * scene.guidance.image_size
    cameras = stack_cameras(
        [orbit(v.azimuth_deg, v.elevation_deg, v.distance, v.target, v.fov_deg, size) for v in views]
    ).to(scene.canvas.vertices.device)
    drawing = draw_refined(scene, learned, cameras)
    front = cameras.world_from_camera[:, :3, 2]
    even = Light(front, torch.full_like(front[:, 0], 0.7), torch.full_like(front[:, 0], 0.3))
    white = torch.ones(len(views), 3, size, size, device=front.device)
    features = scene.guidance.encode_image(paint(drawing, drawing.style * shade_factor(drawing, even), white))
    return float((features * scene.words.rows(scene.words.asked, _JUDGED)).sum(-1).mean())


@torch.no_grad()
def _result(scene: Scene, learned: Learned, before: float, after: float) -> Refined:
    def colors(face: Tensor, bary: Tensor) -> Tensor:
        device = scene.canvas.vertices.device
        parts = zip(face.to(device).split(_CHUNK), bary.to(device).split(_CHUNK), strict=True)
        with torch.no_grad():
            found = [scene.colors(learned, *part) for part in parts]
        return torch.cat(found).clamp(0, 1) if found else bary.new_zeros(0, 3)

    return Refined(colors=colors, offsets=_unturned(scene, scene.offsets(learned)), before=before, after=after)


def _unturned(scene: Scene, offsets: Float[Tensor, " v"]) -> Float[Tensor, " v"]:
    """Offsets, halved and at last given up around faces that they would turn over."""
    faces, start = scene.canvas.faces, face_normals(scene.canvas.vertices, scene.canvas.faces)
    for last in (False, False, False, True):
        moved = face_normals(scene.canvas.vertices + offsets[:, None] * scene.directions, faces)
        turned = faces[(start * moved).sum(-1) < _MOST_TURN].unique()
        if not len(turned):
            break
        offsets = offsets.index_fill(0, turned, 0.0) if last else offsets.index_copy(0, turned, 0.5 * offsets[turned])
    return offsets
