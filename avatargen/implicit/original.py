"""AvatarCLIP's own optimisation (arXiv:2205.08535, section 4.3), step for step, to compare ours with.

One picture per step: a camera around the body or, every fourth time, before its face; rays where the coarse body's
silhouette, widened by ten pixels, is; half of their samples even, half near the surface. The picture goes to the
guidance twice, with its colors under a random light and without them. What holds the body: an L1 loss of a second color
against renders of the coarse body, a cross-entropy of the silhouette, and the eikonal loss. Honest, not fast.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, interpolate, max_pool2d

from avatargen.body.model import BodyModel
from avatargen.core.errors import ConfigError
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.progress import Reporter, Silent
from avatargen.core.rng import stream
from avatargen.core.settings import ImplicitSettings, OriginalSettings
from avatargen.core.steady import sound_step
from avatargen.guidance.augment import random_maps, warp
from avatargen.guidance.losses import negative_loss
from avatargen.guidance.model import Guidance
from avatargen.implicit.checkpoint import Progress, resume
from avatargen.implicit.network_field import NetworkField, build_network_field
from avatargen.implicit.neus import Rendered, render_rays, sample_depths
from avatargen.implicit.shown import backdrops, check_pictures
from avatargen.implicit.stepping import fit_key, run_steps
from avatargen.implicit.template import fit_template, rate_at, tell_again, template_picture
from avatargen.implicit.words import Pictures, Words, encode_words
from avatargen.render.cameras import Cameras, look_at
from avatargen.render.fragments import pixel_rays
from avatargen.render.raster import rasterize
from avatargen.render.shading import random_light

_VERSION = 2
_FOV = math.radians(60.0)
_MASK_SIZE, _WIDENED = 256, 10
_UNMASKED_SIZE = 113
_FACE_DISTANCE, _FACE_DEPTH = 0.4, 0.3
_SURE = 1e-3
_MOST_TRIES = 50
_LEAST = {
    "width": 4, "layers": 1, "octaves": 0, "color_width": 1, "color_layers": 1, "uniform": 2, "importance": 0,
    "max_rays": 64, "template_steps": 0, "template_rays": 2, "schedule": 1,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class OriginalScene:
    """What every step needs and no step changes."""

    field: NetworkField
    guidance: Guidance
    settings: ImplicitSettings
    words: Words
    template: Float[Tensor, "v 3"]
    """The coarse body in the unit frame."""
    head_height: float

    @property
    def faces(self) -> Integer[Tensor, "f 3"]:
        """Of the coarse body."""
        return self.field.body.surface.faces


def check_original(settings: OriginalSettings) -> None:
    """Refuse what no network could be made of.

    Raises:
        ConfigError: with the key and what may stand there.
    """
    for name, least in _LEAST.items():
        if getattr(settings, name) < least:
            raise ConfigError(f"implicit.original.{name} = {getattr(settings, name):g}: at least {least}")
    if settings.template not in ("distance", "render"):
        raise ConfigError(f"implicit.original.template = {settings.template!r}: there are distance and render")
    if settings.gradient not in ("twice", "sweep"):
        raise ConfigError(f"implicit.original.gradient = {settings.gradient!r}: there are twice and sweep")
    if settings.importance and (settings.rounds < 1 or settings.importance % settings.rounds):
        raise ConfigError(
            f"implicit.original.importance = {settings.importance} cannot be spread over {settings.rounds} rounds"
        )
    if settings.skip and (min(settings.skip) < 1 or max(settings.skip) > settings.layers):
        raise ConfigError(
            f"implicit.original.skip = {list(settings.skip)}: layers 1 to {settings.layers} can be joined"
        )
    if settings.skip and settings.width <= 3 + 6 * settings.octaves:
        raise ConfigError(
            f"implicit.original.width = {settings.width}: with a skip it must exceed {3 + 6 * settings.octaves}"
        )


def prepare_original(
    description: str,
    body: BodyModel,
    betas: Float[Tensor, " n"],
    guidance: Guidance,
    settings: ImplicitSettings,
    seed: int,
    pictures: Pictures | None = None,
) -> OriginalScene:
    """The new field and everything around it, on the device of the guidance's features.

    Raises:
        ConfigError: settings that cannot be used.
    """
    check_original(settings.original)
    check_pictures(settings.pictures)
    words = encode_words(description, guidance, pictures, settings.pictures)
    device = next(iter(words.asked.values())).device
    field = build_network_field(body, betas, settings, stream(seed, "implicit.networks"), device)
    head = field.to_unit(field.joints.to(device))[SMPL_JOINTS.index("head")]
    template = field.to_unit(field.body.surface.vertices)
    # The joint sits at the ears; faces are looked at half way up to the crown.
    middle = float(0.5 * (head[1] + template[:, 1].max()))
    return OriginalScene(
        field=field,
        guidance=guidance,
        settings=settings,
        words=words,
        template=template,
        head_height=settings.original.head_height or middle,
    )


def fit_original(
    description: str,
    body: BodyModel,
    betas: Float[Tensor, " n"],
    guidance: Guidance,
    settings: ImplicitSettings,
    seed: int,
    reporter: Reporter | None = None,
    checkpoint: Path | None = None,
    pictures: Pictures | None = None,
    watch: Callable[[NetworkField], None] | None = None,
) -> NetworkField:
    """As `avatargen.implicit.fit.fit_avatar`, by the original's recipe: the coarse body is learned first."""
    reporter = reporter or Silent()
    scene = prepare_original(description, body, betas, guidance, settings, seed, pictures)
    learned, own = scene.field.learned, settings.original
    progress = Progress(
        learned=learned,
        optimizer=torch.optim.Adam(learned.parameters(), lr=own.rate),
        generator=stream(seed, "implicit.original"),
    )
    if watch is not None:
        watch(scene.field)
    asked = scene.words.digest() if pictures else ""
    key = fit_key(_VERSION, description, body, betas, guidance, settings, seed, asked)
    if checkpoint is not None and resume(checkpoint, progress, key):
        tell_again(progress.taught, own, reporter)
        reporter.note(f"continuing at step {progress.step} of {settings.steps}")
    else:
        progress.taught = fit_template(scene.field, settings, stream(seed, "implicit.template"), reporter)
    run_steps(
        settings,
        progress,
        lambda _share: _set_rates(own, progress),
        lambda: _step(scene, progress),
        reporter,
        checkpoint,
        key,
    )
    return scene.field


def _set_rates(settings: OriginalSettings, progress: Progress) -> None:
    rate = rate_at(settings, progress.step + 1, settings.warm_up, settings.schedule) * progress.rate
    for group in progress.optimizer.param_groups:
        group["lr"] = rate


def _step(scene: OriginalScene, progress: Progress) -> tuple[float, float]:
    loss, score = original_loss(scene, progress.step, progress.generator)
    return sound_step(progress.optimizer, loss), score


def step_camera(
    step: int, settings: OriginalSettings, head_height: float, size: int, generator: torch.Generator
) -> tuple[str, Cameras]:
    """What the camera of a step shows (body, back or face), and the camera, in the unit frame."""
    draw, place = torch.rand(2, generator=generator), torch.randn(4, generator=generator)
    if settings.face_every and step % settings.face_every == settings.face_every - 1:
        turn = math.radians(max(-90.0, min(90.0, 15.0 * float(place[0]))))
        distance, at, name = _FACE_DISTANCE, torch.tensor([0.0, head_height, _FACE_DEPTH]), "face"
        roll = 0.0
    else:
        turn, roll = math.radians(60.0 * float(place[0])), 2.0 * math.pi * float(draw[0])
        distance, at = 1.0 + float(draw[1]), (0.1 * place[1:]).clamp(-0.3, 0.3)
        name = "back" if abs(turn) > 0.5 * math.pi else "body"
    across = math.sin(turn)
    eye = at + distance * torch.tensor([across * math.cos(roll), across * math.sin(roll), math.cos(turn)])
    return name, Cameras(look_at(eye[None], at[None]), torch.tensor([_FOV]), size, size)


def silhouette_rays(scene: OriginalScene, cameras: Cameras) -> tuple[Cameras, Integer[Tensor, " n"]]:
    """The camera at the size that the ray budget allows, and the pixels whose rays are followed."""
    own, asked = scene.settings.original, scene.settings.image_size
    if not own.silhouettes:
        cameras = _sized(cameras, asked or _UNMASKED_SIZE)
        return cameras, torch.arange(cameras.height * cameras.width, device=scene.template.device)
    seen = rasterize(scene.template, scene.faces, cameras).mask
    wide = max_pool2d(seen, 2 * _WIDENED + 1, stride=1, padding=_WIDENED)
    share = float(wide.mean())
    side = asked or min(_MASK_SIZE, int(math.sqrt(own.max_rays / max(share, 1e-9))))
    inside = interpolate(wide, size=(side, side), mode="nearest")
    return _sized(cameras, side), torch.nonzero(inside.reshape(-1) > 0.5).squeeze(1)


def _sized(cameras: Cameras, size: int) -> Cameras:
    return Cameras(cameras.world_from_camera, cameras.fov_y, size, size)


def seen_by(scene: OriginalScene, cameras: Cameras, pixel: Tensor, generator: torch.Generator) -> Rendered:
    """What the rays of a camera through some pixels see."""
    own, learned = scene.settings.original, scene.field.learned
    origins, directions = pixel_rays(cameras, pixel)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    sections = sample_depths(
        learned.sdf.distance,
        origins,
        directions,
        uniform=own.uniform,
        importance=own.importance,
        rounds=own.rounds,
        generator=generator if own.perturb else None,
    )
    return render_rays(learned.look, origins, directions, sections, learned.sharpness)


def _seeing_camera(
    scene: OriginalScene, step: int, generator: torch.Generator
) -> tuple[str, Cameras, Integer[Tensor, " n"]]:
    """A step's camera and its rays; the original fails where a camera misses the body, here another one is drawn."""
    own = scene.settings.original
    for _ in range(_MOST_TRIES):
        kind, cameras = step_camera(step, own, scene.head_height, _MASK_SIZE, generator)
        cameras, pixel = silhouette_rays(scene, cameras.to(scene.template.device))
        if len(pixel):
            return kind, cameras, pixel
    raise ConfigError(
        f"implicit.original.head_height = {own.head_height:g}: no camera sees the body; 0 looks at its head"
    )


def original_loss(scene: OriginalScene, step: int, generator: torch.Generator) -> tuple[Float[Tensor, ""], float]:
    """The whole loss of one step, and the cosine of its textured picture to the text."""
    settings, shown = scene.settings, scene.settings.pictures
    kind, cameras, pixel = _seeing_camera(scene, step, generator)
    behind = backdrops(shown, scene.guidance.name, cameras, generator)
    light = random_light(generator, cameras)
    seen = seen_by(scene, cameras, pixel, generator)
    behind_rays = behind[0].reshape(3, -1).T[pixel]
    painted = seen.style + (1.0 - seen.opacity)[:, None] * behind_rays
    shade = light.ambient + light.diffuse * (seen.normal * light.direction).sum(-1).clamp_min(0.0)
    solid = (seen.opacity.detach() >= 0.5)[:, None]
    lit = painted if shown.light == "none" else torch.where(solid, painted * shade[:, None], painted)
    grey = torch.where(solid, shade[:, None].expand(-1, 3), painted)
    rays = [lit, grey] if settings.textureless_weight > 0 else [lit]
    maps = random_maps(1, shown.crop, shown.perspective, generator)
    images = [warp(_filled(behind, pixel, colors), maps) for colors in rays]
    features = scene.guidance.encode_image(torch.cat(images))
    cosine = (features[0] * scene.words.asked[kind][0]).sum()
    loss = settings.textured_weight * (1.0 - cosine)
    if settings.textureless_weight > 0:
        loss = loss + settings.textureless_weight * (1.0 - (features[1] * scene.words.grey[kind][0]).sum())
    if shown.negative:
        loss = loss + shown.negative_weight * negative_loss(features[:1], scene.words.negative[kind][None])
    return loss + _body_loss(scene, cameras, pixel, seen), float(cosine.detach())


def _filled(behind: Tensor, pixel: Tensor, colors: Tensor) -> Float[Tensor, "1 3 h w"]:
    """A picture whose `pixel`s have `colors`, and all others the background's."""
    flat = behind[0].reshape(3, -1).T.index_put((pixel,), colors)
    return flat.T.reshape(behind.shape)


def _body_loss(scene: OriginalScene, cameras: Cameras, pixel: Tensor, seen: Rendered) -> Float[Tensor, ""]:
    """What keeps the body: its color where it is, its silhouette, gradients of length one."""
    settings = scene.settings
    color, mask = template_picture(scene.template, scene.faces, cameras)
    color, mask = color.reshape(-1, 3)[pixel], mask.reshape(-1)[pixel]
    base = ((seen.base - color).abs().sum(-1) * mask).sum() / (mask.sum() + 1e-5)
    outline = binary_cross_entropy(seen.opacity.clamp(_SURE, 1.0 - _SURE), mask)
    return settings.base_weight * base + settings.mask_weight * outline + settings.eikonal_weight * seen.eikonal
