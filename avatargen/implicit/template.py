"""Teaching the original's networks the coarse body before they are sculpted.

AvatarCLIP renders 108 views of it and needs 300,000 steps of volume rendering for each new body; it ships the result
for the mean body. `render` does that; `distance`, which stands for the shipped result, regresses the networks to the
body's known distance and color instead.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Integer
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, normalize

from avatargen.core.progress import Reporter, stage
from avatargen.core.settings import ImplicitSettings, OriginalSettings
from avatargen.core.steady import LossWatch, sound_step
from avatargen.core.stopping import leave
from avatargen.implicit.distance import surface_samples
from avatargen.implicit.network_field import NetworkField, start_sharpness
from avatargen.implicit.neus import render_rays, sample_depths
from avatargen.render.cameras import Cameras, orbit
from avatargen.render.fragments import pixel_rays
from avatargen.render.picture import Surface, draw_mesh
from avatargen.render.shading import Light, vertex_normals
from avatargen.render.volume import eikonal_loss

_STAGE = "learning the coarse body"
_EIKONAL = 0.1
_OUTLINE = 0.5
_VIEW_SIZE = 256
_SPREAD = (0.005, 0.05)
"""Deviations, in units, of points from the surface on which the distance is learned."""


def template_picture(
    vertices: Float[Tensor, "v 3"], faces: Integer[Tensor, "f 3"], cameras: Cameras
) -> tuple[Float[Tensor, "b h w 3"], Float[Tensor, "b h w"]]:
    """The coarse body in white under half ambient, half overhead light on black, and where it is (0 or 1)."""
    white = torch.ones_like(vertices)
    picture = draw_mesh(
        vertices, faces, cameras, Surface(white), light=_overhead(cameras), backdrop="black", smooth_edges=False
    )
    return picture.image.permute(0, 2, 3, 1), (picture.mask[:, 0] > 0.5).to(white)


def _overhead(cameras: Cameras) -> Light:
    half = torch.full((len(cameras),), 0.5, device=cameras.world_from_camera.device)
    return Light(cameras.world_from_camera.new_tensor([0.0, 1.0, 0.0]).expand(len(cameras), 3), half, half)


def fit_template(
    field: NetworkField, settings: ImplicitSettings, generator: torch.Generator, reporter: Reporter
) -> list[float]:
    """Teach `field` the coarse body, in place; the loss of each step."""
    losses: list[float] = []
    own, learned = settings.original, field.learned
    optimizer = torch.optim.Adam(learned.parameters(), lr=own.rate)
    teach = _render_loss if own.template == "render" else _distance_loss
    step_loss, watch, steps = teach(field, own, generator), LossWatch(), own.template_steps
    with stage(reporter, _STAGE, steps):
        while (step := len(losses)) < steps and not leave(f"the coarse body after {step} of {steps} steps"):
            for group in optimizer.param_groups:
                rate = rate_at(own, step + 1, own.template_warm_up, steps)
                group["lr"] = rate * 0.5**watch.failures
            loss = sound_step(optimizer, step_loss())
            if watch.sound(loss):
                losses.append(loss)
                reporter.step(loss=loss)
                continue
            reporter.note(f"the loss of step {step + 1} is {loss:.3g}: on at half the rate")
            if watch.hopeless:
                reporter.note("the optimisation keeps failing; what is learned so far is used")
                break
    if own.template == "distance":
        start_sharpness(field, settings.sharpness)
    return losses


def tell_again(losses: Sequence[float], settings: OriginalSettings, reporter: Reporter) -> None:
    """Tell what `fit_template` told in a run that was stopped or killed later."""
    with stage(reporter, _STAGE, settings.template_steps):
        for loss in losses:
            reporter.step(loss=loss)


def rate_at(settings: OriginalSettings, step: int, warm_up: int, schedule: int) -> float:
    """Learning rate of a step: up along a line, then down along a cosine to `rate_end` of it."""
    if step < warm_up:
        return settings.rate * step / warm_up
    share = min(1.0, (step - warm_up) / max(1, schedule - warm_up))
    falling = 0.5 * (1.0 + math.cos(math.pi * share))
    return settings.rate * (settings.rate_end + (1.0 - settings.rate_end) * falling)


def _distance_loss(field: NetworkField, own: OriginalSettings, generator: torch.Generator) -> Callable[[], Tensor]:
    """Points near the surface and all over its box: distance, gradient length, and on the surface the color."""
    surface, learned = field.body.surface, field.learned
    places, owners = surface_samples(surface.corners.cpu(), 0.012)
    normals = vertex_normals(surface.vertices, surface.faces).cpu()[surface.faces.cpu()[owners]].mean(1)
    shade = (0.5 + 0.5 * normalize(normals, dim=-1)[:, 1].clamp_min(0.0))[:, None]
    low, high = field.bounds.cpu()
    near, around = own.template_rays // 2, own.template_rays - own.template_rays // 2

    def loss() -> Tensor:
        pick = torch.randint(len(places), (near,), generator=generator)
        wide = (torch.rand(near, 1, generator=generator) < 0.5).float()
        spread = _SPREAD[0] + (_SPREAD[1] - _SPREAD[0]) * wide
        close = places[pick] + field.scale * spread * torch.randn(near, 3, generator=generator)
        everywhere = low + (high - low) * torch.rand(around, 3, generator=generator)
        points = torch.cat([close.clamp(low, high), everywhere]).to(field.device)
        truth = field.body.distance(points) / field.scale
        distance, _, gradient = learned.sdf.with_gradient(field.to_unit(points))
        # Close to the surface a millimetre counts; in the open a per cent does.
        off = ((distance - truth).abs() / (0.02 + truth.abs())).mean()
        _, _, _, base = learned.look(field.to_unit(places[pick].to(field.device)))
        return off + _EIKONAL * eikonal_loss(gradient) + (base - shade[pick].to(base)).abs().mean()

    return loss


def _render_loss(field: NetworkField, own: OriginalSettings, generator: torch.Generator) -> Callable[[], Tensor]:
    """The original's: random pixels of one of 18 x 6 views, their color, their opacity, gradients of length one."""
    vertices, faces = field.to_unit(field.body.surface.vertices), field.body.surface.faces

    def loss() -> Tensor:
        turn, tilt = (int(torch.randint(n, (1,), generator=generator)) for n in (18, 6))
        cameras = orbit(20.0 * turn, 20.0 * tilt - 60.0, 2.2, fov_deg=60.0, size=_VIEW_SIZE, device=field.device)
        color, mask = template_picture(vertices, faces, cameras)
        pixel = torch.randint(_VIEW_SIZE**2, (own.template_rays,), generator=generator).to(field.device)
        color, mask = color.reshape(-1, 3)[pixel], mask.reshape(-1)[pixel]
        origins, directions = pixel_rays(cameras, pixel)
        directions = normalize(directions, dim=-1)
        sections = sample_depths(
            field.learned.sdf.distance, origins, directions, uniform=own.uniform, importance=own.importance,
            rounds=own.rounds, generator=generator if own.perturb else None,
        )  # fmt: skip
        seen = render_rays(field.learned.look, origins, directions, sections, field.learned.sharpness)
        base = ((seen.base - color).abs().sum(-1) * mask).sum() / (mask.sum() + 1e-5)
        outline = binary_cross_entropy(seen.opacity.clamp(1e-3, 1.0 - 1e-3), mask)
        return base + _OUTLINE * outline + _EIKONAL * seen.eikonal

    return loss
