"""Optimise the field until its pictures look like the text (AvatarCLIP, arXiv:2205.08535, section 4.3).

Each step draws a few views, full and close, over random backgrounds and under gentle random light, asks the guidance
how well they fit the words for such views, and moves geometry and colors. What the text does not name is kept by a
direction loss against the plain body, a reconstruction head, a silhouette loss and a weak pull to the body's own look.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from avatargen.body.model import BodyModel
from avatargen.core.errors import ConfigError
from avatargen.core.parts import PARTS
from avatargen.core.progress import Reporter, Silent
from avatargen.core.rng import stream
from avatargen.core.settings import ImplicitSettings
from avatargen.core.steady import sound_step
from avatargen.guidance.augment import random_maps, warp
from avatargen.guidance.losses import direction_loss, negative_loss
from avatargen.guidance.model import Guidance
from avatargen.implicit.armour import wears_armour
from avatargen.implicit.avatar import GRADIENTS, AvatarField, build_field
from avatargen.implicit.checkpoint import Progress, resume
from avatargen.implicit.distance import surface_samples
from avatargen.implicit.draw import Drawing, draw, draw_body, paint, shade_factor
from avatargen.implicit.hems import worn_colors
from avatargen.implicit.sdf import part_kind
from avatargen.implicit.shown import backdrops, check_pictures, color_light, gentle_light
from avatargen.implicit.stepping import eased, fit_key, run_steps
from avatargen.implicit.tailor import dress
from avatargen.implicit.views import ORDER, step_cameras, step_views
from avatargen.implicit.words import Pictures, Words, encode_words
from avatargen.implicit.worn import tight_text
from avatargen.render.cameras import Cameras
from avatargen.render.picture import render_mesh
from avatargen.render.shading import random_light

_VERSION = 4
CLAY = 0.8
"""Brightness of the figure in pictures without color."""
_MODES = {"on": "all", "grey": "grey", "off": "none"}
_FACE, _FACE_HOLD = frozenset({"face", "lips", "eye", "brow"}), 20.0
_GREY_PACE, _GREY_STEPS = 0.3, 100
"""Grey pictures' share of the shape's rate, and in how many steps they have said what they know."""
_GREY_VIEWS = ("body", "body")
"""No more of them than there are other pictures."""
# Usual length of a change of features: shorter changes are damped instead of blown up (see direction_loss).
_CHANGE_FLOOR = 0.1
_REGULAR_POINTS = 4096
_BAND = 0.008
"""Within this of the surface gradients are held to length one, metres: clothes of 5 mm are laid over it, and it is
seen a few millimetres deep."""


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
        ConfigError: `settings.sculpt` or `settings.gradient` is not known, or `settings.pictures` cannot be used.
    """
    if settings.sculpt not in ("auto", *_MODES):
        raise ConfigError(f"implicit.sculpt = {settings.sculpt!r} is not known\n  Write auto, on, grey or off.")
    if settings.gradient not in GRADIENTS:
        raise ConfigError(f"implicit.gradient = {settings.gradient!r} is not known\n  Write {' or '.join(GRADIENTS)}.")
    check_pictures(settings.pictures)
    embedded = guidance.name.startswith("embedded")
    mode = _MODES[settings.sculpt if settings.sculpt != "auto" else "grey" if embedded else "on"]
    words = encode_words(description, guidance, pictures, settings.pictures)
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
    watch: Callable[[AvatarField], None] | None = None,
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
        watch: given the field before the first step; may look at it, in the reporter's steps, as it changes.

    Returns:
        The field, in the A-pose frame.
    """
    reporter = reporter or Silent()
    # What hangs free is not in the pictures yet, so they are not asked to show it.
    painted = tight_text(description) if settings.outfit else description
    scene = prepare(painted, body, betas, guidance, settings, pictures)
    learned = scene.field.learned
    progress = Progress(learned=learned, optimizer=_optimizer(scene), generator=stream(seed, "implicit.fit"))
    if watch is not None:
        watch(scene.field)
    asked = scene.words.digest() if pictures else ""
    key = fit_key(_VERSION, description, body, betas, guidance, settings, seed, asked)
    if checkpoint is not None and resume(checkpoint, progress, key):
        reporter.note(f"continuing at step {progress.step} of {settings.steps}")
    run_steps(
        settings,
        progress,
        lambda share: _set_rates(scene, progress, share),
        lambda: _step(scene, progress),
        reporter,
        checkpoint,
        key,
        patience=settings.patience,
    )
    plates = settings.outfit and wears_armour(description)
    hems = worn_colors(description) if settings.outfit else {}
    field, surface = scene.field.with_relief(settings.relief, plates, hems), scene.field.body.surface
    if settings.outfit:
        points, faces, hair = field.covered() if plates else surface.vertices, surface.faces, pictures is None
        outfit = dress(description, points, faces, field.parts, field.joints, usual_hair=hair)
        field = replace(field, outfit=None if outfit is None else outfit.to(field.device))
    return field


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
    settings = scene.settings
    shape_rate = settings.shape_rate * (_grey_pace(settings) if scene.mode == "grey" else 1.0)
    rates = (shape_rate, settings.color_rate, 0.1 * settings.color_rate, 0.01)
    for group, rate in zip(progress.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * eased(share) * progress.rate


def _grey_pace(settings: ImplicitSettings) -> float:
    """Build is a matter of a centimetre or two; hair and cloth, which all pictures show, of more.

    Adam's steps are as long when little is left to say, so many of them would pile up into lumps: more steps are
    smaller, reach as far in all, and the noise of single views averages out. With a budget of minutes nobody knows how
    many there will be.
    """
    return _GREY_PACE * (1.0 if settings.minutes > 0 else min(1.0, _GREY_STEPS / max(1, settings.steps)))


def _step(scene: Scene, progress: Progress) -> tuple[float, float]:
    seen = coarser(scene) if progress.share < scene.settings.coarse_share else scene
    loss, score = step_loss(seen, progress.step, progress.generator, progress.share)
    value = sound_step(progress.optimizer, loss)
    if not math.isfinite(value):
        return value, score
    with torch.no_grad():
        learned = scene.field.learned
        learned.growth[0], learned.features[0] = 0.0, 0.0
        start = math.log(scene.settings.sharpness)
        learned.log_sharpness.clamp_(start - 0.5, start + 1.5)
    return value, score


def coarser(scene: Scene) -> Scene:
    """The same scene looked at in half the size; of the fields the coarser half of the levels, which alone learns.

    Finer levels start at nothing, so leaving them out changes no value before they have learned.
    """
    field = replace(
        scene.field,
        shape_pyramid=scene.field.shape_pyramid.coarser(),
        color_pyramid=scene.field.color_pyramid.coarser(),
    )
    return replace(scene, field=field, size=max(16, scene.size // 2))


def _annealed(weight: float, left: float, share: float) -> float:
    return weight * left**share


def step_loss(
    scene: Scene, step: int, generator: torch.Generator, share: float = 0.0
) -> tuple[Float[Tensor, ""], float]:
    """The whole loss of one step, and the mean cosine of its pictures to the text; `share` of the way lies behind."""
    settings, shown = scene.settings, scene.settings.pictures
    body = scene.field.body.surface
    views = step_views(step, settings.views, shown.kinds or ORDER)
    kinds, cameras = step_cameras(views, scene.field.joints, scene.size, generator)
    cameras = cameras.to(scene.device)
    light, behind = color_light(shown, generator, cameras), backdrops(shown, scene.guidance.name, cameras, generator)
    drawing, large, fine = _drawn(scene, cameras, behind, generator)
    lit = shade_factor(drawing, light)
    images = [avg_pool2d(paint(drawing, drawing.style * lit, fine), large)]
    with torch.no_grad():
        if scene.mode == "all":
            plain = render_mesh(body.vertices, body.faces, cameras, scene.look, background=behind, light=light)
        else:
            plain = avg_pool2d(paint(drawing, drawing.colors.look * lit, fine), large)
        maps = random_maps(len(kinds), shown.crop, shown.perspective, generator)
        plain_features = scene.guidance.encode_image(warp(plain, maps))
    textureless = settings.textureless_every > 0 and step % settings.textureless_every == 0
    grey = textureless and scene.mode == "all"
    if grey:
        shaded = CLAY * drawing.opacity[:, None] * shade_factor(drawing, random_light(generator, cameras))
        images.append(paint(drawing, shaded, behind))
    features = scene.guidance.encode_image(torch.cat([warp(image, maps) for image in images]))
    loss, score = guidance_loss(settings, scene.words, kinds, features, plain_features, grey)
    loss = loss + settings.base_weight * (drawing.colors.base - drawing.colors.look).abs().mean()
    if scene.mode == "all":
        loss = loss + _keeping_loss(scene, drawing)
    elif textureless and scene.mode == "grey":
        loss = loss + _clay_loss(scene, generator)
    return loss + _surface_loss(scene, generator, share), score


def _clay_loss(scene: Scene, generator: torch.Generator) -> Float[Tensor, ""]:
    """What grey pictures of the whole figure say of its shape, in views of their own.

    The embedded guidance reads colors off regions whatever their outline, so its textured pictures would only blow
    regions up; off a grey figure it reads build, which is what the surface may follow.
    """
    settings, shown = scene.settings, scene.settings.pictures
    kinds, cameras = step_cameras(_GREY_VIEWS[: settings.views], scene.field.joints, scene.size, generator)
    cameras = cameras.to(scene.device)
    drawing = _field_drawing(scene, cameras, 1, generator)
    shaded = CLAY * drawing.opacity[:, None] * shade_factor(drawing, gentle_light(generator, cameras))
    image = paint(drawing, shaded, backdrops(shown, scene.guidance.name, cameras, generator))
    maps = random_maps(len(kinds), shown.crop, shown.perspective, generator)
    features = scene.guidance.encode_image(warp(image, maps))
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


def guidance_loss(
    settings: ImplicitSettings,
    words: Words,
    kinds: tuple[str, ...],
    features: Float[Tensor, "n d"],
    plain: Float[Tensor, "b d"],
    grey: bool,
) -> tuple[Float[Tensor, ""], float]:
    """What the guidance says of pictures, and their mean cosine to the text.

    Args:
        settings: weights.
        words: what is said to each kind of view.
        kinds: of the pictures.
        features: of the textured pictures, then, if `grey`, of as many grey ones.
        plain: of the same pictures of the plain body.
        grey: whether there are grey ones.
    """
    count = len(kinds)
    asked = words.rows(words.asked, kinds)
    cosine = (features[:count] * asked).sum(-1)
    loss = settings.textured_weight * (1.0 - cosine).mean()
    if settings.direction_weight > 0:
        loss = loss + settings.direction_weight * direction_loss(
            features[:count], plain, asked, words.rows(words.plain, kinds), floor=_CHANGE_FLOOR
        )
    if settings.pictures.negative:
        unwanted = torch.stack([words.negative[kind] for kind in kinds])
        loss = loss + settings.pictures.negative_weight * negative_loss(features[:count], unwanted)
    if grey:
        loss = (
            loss
            + settings.textureless_weight * (1.0 - (features[count:] * words.rows(words.grey, kinds)).sum(-1)).mean()
        )
    return loss, float(cosine.detach().mean())


def _keeping_loss(scene: Scene, drawing: Drawing) -> Tensor:
    """Inside the body's own silhouette nothing may become transparent; growing beyond it is free."""
    inside = scene.field.body.distance(drawing.point) < 0.0
    return scene.settings.mask_weight * ((1.0 - drawing.opacity) * inside).mean()


def _surface_loss(scene: Scene, generator: torch.Generator, share: float) -> Tensor:
    """Colors and growth of neighbouring points on the whole body, seen or not."""
    settings, field = scene.settings, scene.field
    pick = torch.randint(len(scene.surface), (_REGULAR_POINTS,), generator=generator).to(scene.device)
    offset = torch.randn(_REGULAR_POINTS, 3, generator=generator).to(scene.device)
    offset = torch.nn.functional.normalize(offset, dim=-1)
    points = scene.surface[pick]
    colors = field.colors(torch.cat([points, points + 0.008 * offset]))
    here, there = colors.change.split(_REGULAR_POINTS)
    held = (here.abs().mean(-1) * scene.hold[pick]).mean()
    smooth = _annealed(settings.smooth_weight, settings.smooth_left, share)
    loss = smooth * (here - there).abs().mean() + settings.plain_weight * held
    if not field.sculpted:
        return loss
    reach = 0.020 * offset
    raw = field.shape_pyramid(field.learned.growth, torch.cat([points - reach, points, points + reach]))[:, 0]
    before, middle, after = raw.split(_REGULAR_POINTS)
    bend = _annealed(settings.bend_weight, settings.bend_left, share)
    loss = loss + bend * ((before + after - 2.0 * middle) / 0.020).square().mean()
    return loss + settings.eikonal_weight * _eikonal_loss(field, points, offset)


def _eikonal_loss(field: AvatarField, points: Tensor, offset: Float[Tensor, "n 3"]) -> Float[Tensor, ""]:
    """Mean squared deviation of the gradient's length from one (IGR, arXiv:2002.10099), around the present surface.

    The body's part has length one by nature. Its interpolation has not quite, but that is not for growth to mend; nor
    is rounding: where nothing has grown the loss is exactly zero, for Adam makes whole steps of the smallest gradient.

    Args:
        field: sculpted.
        points: of the body; the places looked at are above them.
        offset: random directions.
    """

    def outward(places: Tensor) -> Tensor:
        return torch.nn.functional.normalize(field.body.distance.gradient(places), dim=-1)

    with torch.no_grad():
        places = points + field.growth(points)[:, None] * outward(points) + _BAND * offset
    slope = field.growth_slope(places)
    excess = slope.square().sum(-1) - 2.0 * (slope * outward(places)).sum(-1)  # of the squared length over one
    return ((1.0 + excess).clamp_min(1e-6).sqrt() - 1.0).square().mean()
