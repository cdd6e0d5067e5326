"""Optimise the field until its pictures look like the text (AvatarCLIP, arXiv:2205.08535, section 4.3).

Each step draws a few views, full and close, over random backgrounds and under gentle random light, asks the guidance
how well they fit the words for such views, and moves geometry and colors. What the text does not name is kept by a
direction loss against the plain body, a reconstruction head, a silhouette loss and a weak pull to the body's own look.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from avatargen.body.model import BodyModel
from avatargen.core.errors import ConfigError
from avatargen.core.files import cache_key, digest_bytes
from avatargen.core.parts import PARTS
from avatargen.core.progress import Reporter, Silent, Stopwatch, stage
from avatargen.core.rng import stream
from avatargen.core.settings import ImplicitSettings
from avatargen.core.steady import LossWatch
from avatargen.core.stopping import leave
from avatargen.guidance.losses import direction_loss, mean_features, unit
from avatargen.guidance.model import Guidance, encode_prompt
from avatargen.guidance.prompts import VIEWS, style_for, wordings
from avatargen.implicit.avatar import AvatarField, build_field
from avatargen.implicit.checkpoint import Memory, Progress, resume, save
from avatargen.implicit.distance import surface_samples
from avatargen.implicit.draw import Drawing, draw, draw_body, paint, shade_factor
from avatargen.implicit.sdf import part_kind
from avatargen.implicit.views import step_cameras, step_views
from avatargen.render.cameras import Cameras
from avatargen.render.picture import render_mesh
from avatargen.render.shading import Light, background, random_light
from avatargen.render.volume import eikonal_loss

_VERSION = 2
_BACKGROUNDS = ("white", "black", "noise", "checker")
# A network of a few million weights takes the squares of a checkerboard for limbs.
_CALM_BACKGROUNDS = ("white", "black", "grey", "noise")
_CLAY = 0.8
_MODES = {"on": "all", "grey": "grey", "off": "none"}
_FACE, _FACE_HOLD = frozenset({"face", "lips", "eye", "brow"}), 20.0
_GREY_PACE = 0.3
_GREY_VIEWS = ("body", "body")
_PLAIN_TEXT = "a person"
# Usual length of a change of features: shorter changes are damped instead of blown up (see direction_loss).
_CHANGE_FLOOR = 0.1
_REGULAR_POINTS = 4096
_KEEP_EVERY = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Words:
    """Features of what is said to each kind of view."""

    asked: dict[str, Float[Tensor, "1 d"]]
    grey: dict[str, Float[Tensor, "1 d"]]
    """The same for pictures without color."""
    plain: dict[str, Float[Tensor, "1 d"]]
    """Of a person about whom nothing is said."""

    def rows(self, which: dict[str, Tensor], kinds: Sequence[str]) -> Float[Tensor, "b d"]:
        """One row for each view."""
        return torch.cat([which[kind] for kind in kinds])


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """Image prompts: what the figure, and what its face, should look like."""

    figure: Float[Tensor, "1 3 h w"] | None = None
    """For every view that has no picture of its own."""
    face: Float[Tensor, "1 3 h w"] | None = None
    weight: float = 0.5
    """Share of a picture beside the words, 0..1; 1 where nothing was said."""

    def of(self, kind: str) -> Float[Tensor, "1 3 h w"] | None:
        """The picture for a kind of view."""
        return self.face if kind == "face" and self.face is not None else self.figure


@torch.no_grad()
def encode_words(description: str, guidance: Guidance, pictures: Pictures | None = None) -> Words:
    """Say the description, and the plain person, in the wording of each kind of view.

    Where a view has a picture, its features are mixed with those of the words.
    """
    style = style_for(guidance.name).replace("plain", "paint")

    def features(text: str, kind: str, textureless: bool = False) -> Tensor:
        return mean_features(guidance.encode_text(wordings(text, kind, style, textureless=textureless)))

    def asked(kind: str) -> Tensor:
        said, shown = features(description, kind), pictures.of(kind) if pictures is not None else None
        if pictures is None or shown is None:
            return said
        seen = encode_prompt(guidance, shown.to(said))
        return unit((1.0 - pictures.weight) * said + pictures.weight * unit(seen))

    return Words(
        asked={kind: asked(kind) for kind in VIEWS},
        grey={kind: features(description, kind, textureless=True) for kind in VIEWS},
        plain={kind: features(_PLAIN_TEXT, kind) for kind in VIEWS},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """What every step needs and no step changes."""

    field: AvatarField
    guidance: Guidance
    settings: ImplicitSettings
    words: Words
    hull: Float[Tensor, "v 3"]
    look: Float[Tensor, "v 3"]
    surface: Float[Tensor, "n 3"]
    """Points spread over the body."""
    hold: Float[Tensor, " n"]
    """How much more than elsewhere color is held to the body's own look at these points."""
    size: int
    mode: str
    """What moves the surface: "all" pictures, "grey" ones alone, or "none"."""

    @property
    def device(self) -> torch.device:
        """Where the field is."""
        return self.field.learned.growth.device


def prepare(
    description: str,
    body: BodyModel,
    betas: Float[Tensor, " n"],
    guidance: Guidance,
    settings: ImplicitSettings,
    pictures: Pictures | None = None,
) -> Scene:
    """Build the field at step 0 and everything around it, on the device of the guidance's features.

    Raises:
        ConfigError: `settings.sculpt` is none of auto, on, grey, off.
    """
    if settings.sculpt not in ("auto", *_MODES):
        raise ConfigError(f"implicit.sculpt = {settings.sculpt!r} is not known\n  Write auto, on, grey or off.")
    embedded = guidance.name.startswith("embedded")
    mode = _MODES[settings.sculpt if settings.sculpt != "auto" else "grey" if embedded else "on"]
    words = encode_words(description, guidance, pictures)
    device = next(iter(words.asked.values())).device
    field = build_field(body, betas, settings, device, mode != "none")
    points, owners = surface_samples(field.body.surface.corners.cpu(), 0.012)
    return Scene(
        field=field,
        guidance=guidance,
        settings=settings,
        words=words,
        hull=field.body.hull(0.01),
        look=torch.sigmoid(field.look.logits),
        surface=points.to(device),
        hold=_hold(field, owners).to(device),
        size=settings.image_size or guidance.image_size,
        mode=mode,
    )


def _hold(field: AvatarField, faces: Tensor) -> Tensor:
    """Neighbours of a face (collar, hair) share cells of the color grid with it: what nobody names there stays skin."""
    if field.parts is None:
        return torch.ones(len(faces))
    table = torch.tensor([_FACE_HOLD if part_kind(name) in _FACE else 1.0 for name in PARTS])
    return table[field.parts.cpu()[faces]]


def fit_avatar(
    description: str,
    body: BodyModel,
    betas: Float[Tensor, " n"],
    guidance: Guidance,
    settings: ImplicitSettings,
    seed: int,
    reporter: Reporter | None = None,
    checkpoint: Path | None = None,
    pictures: Pictures | None = None,
) -> AvatarField:
    """Sculpt and paint a body after a description.

    Args:
        description: what the avatar should look like.
        body: any body model; it is put into the A-pose.
        betas: its shape.
        guidance: judges the pictures.
        settings: see `ImplicitSettings`.
        seed: same seed, same result.
        reporter: told loss and score (mean cosine to the text) of each step.
        checkpoint: a file to continue from if it is there and fits, and to write every so many steps.
        pictures: image prompts, along with the words or instead of them.

    Returns:
        The field, in the A-pose frame.
    """
    reporter = reporter or Silent()
    scene = prepare(description, body, betas, guidance, settings, pictures)
    learned = scene.field.learned
    progress = Progress(learned=learned, optimizer=_optimizer(scene), generator=stream(seed, "implicit.fit"))
    key = cache_key(
        version=_VERSION, description=description, body=body.version, guidance=guidance.version, seed=seed,
        settings=settings, betas=[round(float(b), 6) for b in betas], asked=_digest(scene.words) if pictures else "",
    )  # fmt: skip
    if checkpoint is not None and resume(checkpoint, progress, key):
        reporter.note(f"continuing at step {progress.step} of {settings.steps}")
    with stage(reporter, "sculpting", settings.steps):
        if progress.step:
            reporter.step(progress.step)
        _run(scene, progress, reporter, checkpoint, key)
    if checkpoint is not None:
        save(checkpoint, progress, key)
    return scene.field.with_relief(settings.relief)


def _digest(words: Words) -> str:
    """Of what is asked, to four digits: pictures are part of a checkpoint's identity, as words are."""
    rows = torch.cat([words.asked[kind] for kind in sorted(words.asked)]).cpu()
    return digest_bytes((rows * 1e4).round().to(torch.int32).numpy().tobytes())


def _run(scene: Scene, progress: Progress, reporter: Reporter, checkpoint: Path | None, key: str) -> None:
    settings, clock, memory, watch = scene.settings, Stopwatch(), Memory(progress), LossWatch()
    while progress.step < settings.steps and not leave(f"sculpting after {progress.step} of {settings.steps} steps"):
        share = progress.step / settings.steps
        if settings.minutes > 0:
            share = max(share, clock.seconds / (60.0 * settings.minutes))
            if share >= 1.0:
                reporter.note(f"time is up after {progress.step} of {settings.steps} steps")
                break
        _set_rates(scene, progress, share)
        if progress.step % _KEEP_EVERY == 0:
            memory.propose()
        loss, score = _step(scene, progress)
        if not watch.sound(loss):
            memory.restore(0.5 * progress.rate)
            if watch.hopeless:
                reporter.note("the optimisation keeps failing; its last good state is used")
                break
            reporter.note(f"the loss of step {progress.step + 1} is {loss:.3g}: back to a good state, on at half the rate")
            continue
        memory.confirm()
        progress.step += 1
        reporter.step(loss=loss, score=score)
        if checkpoint is not None and settings.checkpoint_every and progress.step % settings.checkpoint_every == 0:
            save(checkpoint, progress, key)


def _optimizer(scene: Scene) -> torch.optim.Adam:
    learned, settings = scene.field.learned, scene.settings
    groups = [
        {"params": [learned.growth], "lr": settings.shape_rate},
        {"params": [learned.features, learned.part_codes], "lr": settings.color_rate},
        {"params": [learned.heads], "lr": 0.1 * settings.color_rate},
        {"params": [learned.log_sharpness], "lr": 0.01},
    ]
    # A short memory of squares: a voxel that only some views see must not jump when it is seen again.
    return torch.optim.Adam(groups, betas=(0.8, 0.95), eps=1e-12)


def _set_rates(scene: Scene, progress: Progress, share: float) -> None:
    """Up over the first 5 %, then down along a cosine to 5 %."""
    curve = min(1.0, (share + 0.01) / 0.05) * (0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * share)))
    settings = scene.settings
    # Build is a matter of a centimetre or two; hair and cloth, which all pictures show, of more.
    shape_rate = settings.shape_rate * (_GREY_PACE if scene.mode == "grey" else 1.0)
    rates = (shape_rate, settings.color_rate, 0.1 * settings.color_rate, 0.01)
    for group, rate in zip(progress.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * curve * progress.rate


def _step(scene: Scene, progress: Progress) -> tuple[float, float]:
    progress.optimizer.zero_grad(set_to_none=True)
    loss, score = step_loss(scene, progress.step, progress.generator)
    value = float(loss.detach())
    if not math.isfinite(value):
        return value, score
    loss.backward()
    grads = [p.grad for p in scene.field.learned.parameters() if p.grad is not None]
    if not all(bool(torch.isfinite(grad).all()) for grad in grads):
        return math.nan, score
    progress.optimizer.step()
    with torch.no_grad():
        learned = scene.field.learned
        learned.growth[0], learned.features[0] = 0.0, 0.0
        start = math.log(scene.settings.sharpness)
        learned.log_sharpness.clamp_(start - 0.5, start + 1.5)
    return value, score


def step_loss(scene: Scene, step: int, generator: torch.Generator) -> tuple[Float[Tensor, ""], float]:
    """The whole loss of one step, and the mean cosine of its pictures to the text."""
    settings = scene.settings
    body = scene.field.body.surface
    kinds, cameras = step_cameras(step_views(step, settings.views), scene.field.joints, scene.size, generator)
    cameras = cameras.to(scene.device)
    light, behind = _gentle_light(generator, cameras), _backdrops(scene, cameras, generator)
    drawing, large, fine = _drawn(scene, cameras, behind, generator)
    lit = shade_factor(drawing, light)
    images = [avg_pool2d(paint(drawing, drawing.style * lit, fine), large)]
    with torch.no_grad():
        if scene.mode == "all":
            plain = render_mesh(body.vertices, body.faces, cameras, scene.look, background=behind, light=light)
        else:
            plain = avg_pool2d(paint(drawing, drawing.colors.look * lit, fine), large)
        plain_features = scene.guidance.encode_image(plain)
    textureless = settings.textureless_every > 0 and step % settings.textureless_every == 0
    grey = textureless and scene.mode == "all"
    if grey:
        shaded = _CLAY * drawing.opacity[:, None] * shade_factor(drawing, random_light(generator, cameras))
        images.append(paint(drawing, shaded, behind))
    features = scene.guidance.encode_image(torch.cat(images))
    loss, score = _guidance_loss(scene, kinds, features, plain_features, grey)
    loss = loss + settings.base_weight * (drawing.colors.base - drawing.colors.look).abs().mean()
    if scene.mode == "all":
        loss = loss + _keeping_loss(scene, drawing)
    elif textureless and scene.mode == "grey":
        loss = loss + _clay_loss(scene, generator)
    return loss + _surface_loss(scene, generator), score


def _clay_loss(scene: Scene, generator: torch.Generator) -> Float[Tensor, ""]:
    """What grey pictures of the whole figure say of its shape, in views of their own.

    The embedded guidance reads colors off regions whatever their outline, so its textured pictures would only blow
    regions up; off a grey figure it reads build, which is what the surface may follow.
    """
    settings = scene.settings
    kinds, cameras = step_cameras(_GREY_VIEWS, scene.field.joints, scene.size, generator)
    cameras = cameras.to(scene.device)
    drawing = _field_drawing(scene, cameras, 1, generator)
    shaded = _CLAY * drawing.opacity[:, None] * shade_factor(drawing, _gentle_light(generator, cameras))
    features = scene.guidance.encode_image(paint(drawing, shaded, _backdrops(scene, cameras, generator)))
    asked = scene.words.rows(scene.words.grey, kinds)
    loss = settings.textureless_weight * (1.0 - (features * asked).sum(-1)).mean()
    return loss + _keeping_loss(scene, drawing)


def _drawn(
    scene: Scene, cameras: Cameras, behind: Tensor, generator: torch.Generator
) -> tuple[Drawing, int, Float[Tensor, "b 3 h w"]]:
    """What the field looks like; how many times larger than asked it was drawn, and the backdrop at that size."""
    settings = scene.settings
    if scene.mode == "all":
        return _field_drawing(scene, cameras, settings.color_samples, generator), 1, behind
    # The body's edge is sharp: drawn larger and averaged, a pixel of cloth is not half backdrop by chance.
    large = max(1, settings.supersample)
    fine = behind.repeat_interleave(large, 2).repeat_interleave(large, 3)
    return draw_body(scene.field, cameras.resized(large)), large, fine


def _field_drawing(scene: Scene, cameras: Cameras, color_samples: int, generator: torch.Generator) -> Drawing:
    return draw(
        scene.field,
        cameras,
        hull=scene.hull,
        samples=scene.settings.samples,
        color_samples=color_samples,
        steps=scene.settings.march_steps,
        generator=generator,
    )


def _guidance_loss(
    scene: Scene, kinds: tuple[str, ...], features: Tensor, plain: Tensor, grey: bool
) -> tuple[Tensor, float]:
    settings, words, count = scene.settings, scene.words, len(kinds)
    asked = words.rows(words.asked, kinds)
    cosine = (features[:count] * asked).sum(-1)
    loss = settings.textured_weight * (1.0 - cosine).mean()
    if settings.direction_weight > 0:
        loss = loss + settings.direction_weight * direction_loss(
            features[:count], plain, asked, words.rows(words.plain, kinds), floor=_CHANGE_FLOOR
        )
    if grey:
        loss = (
            loss
            + settings.textureless_weight * (1.0 - (features[count:] * words.rows(words.grey, kinds)).sum(-1)).mean()
        )
    return loss, float(cosine.detach().mean())


def _keeping_loss(scene: Scene, drawing: Drawing) -> Tensor:
    """Silhouette and gradient length."""
    # Inside the body's own silhouette nothing may become transparent; growing beyond it is free.
    inside = scene.field.body.distance(drawing.point) < 0.0
    loss = scene.settings.mask_weight * ((1.0 - drawing.opacity) * inside).mean()
    return loss + scene.settings.eikonal_weight * eikonal_loss(drawing.gradient)


def _surface_loss(scene: Scene, generator: torch.Generator) -> Tensor:
    """Colors and growth of neighbouring points on the whole body, seen or not."""
    settings, field = scene.settings, scene.field
    pick = torch.randint(len(scene.surface), (_REGULAR_POINTS,), generator=generator).to(scene.device)
    offset = torch.randn(_REGULAR_POINTS, 3, generator=generator).to(scene.device)
    offset = torch.nn.functional.normalize(offset, dim=-1)
    points = scene.surface[pick]
    colors = field.colors(torch.cat([points, points + 0.008 * offset]))
    here, there = colors.change.split(_REGULAR_POINTS)
    held = (here.abs().mean(-1) * scene.hold[pick]).mean()
    loss = settings.smooth_weight * (here - there).abs().mean() + settings.plain_weight * held
    if not field.sculpted:
        return loss
    reach = 0.020 * offset
    raw = field.shape_pyramid(field.learned.growth, torch.cat([points - reach, points, points + reach]))[:, 0]
    before, middle, after = raw.split(_REGULAR_POINTS)
    return loss + settings.bend_weight * ((before + after - 2.0 * middle) / 0.020).square().mean()


def _gentle_light(generator: torch.Generator, cameras: Cameras) -> Light:
    """Random directions, but mostly ambient, so that colors read true."""
    light = random_light(generator, cameras)
    ambient = 0.55 + 0.4 * torch.rand(len(cameras), generator=generator).to(light.ambient)
    return Light(light.direction, ambient, 1.0 - ambient)


def _backdrops(scene: Scene, cameras: Cameras, generator: torch.Generator) -> Float[Tensor, "b 3 h w"]:
    names = _CALM_BACKGROUNDS if scene.guidance.name.startswith("embedded") else _BACKGROUNDS
    drawn = torch.randint(len(names), (len(cameras),), generator=generator).tolist()
    return torch.cat([background(names[kind], cameras[number], generator) for number, kind in enumerate(drawn)])
