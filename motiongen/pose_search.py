"""Four ways to poses that fit a text: a codebook, optimised latents, optimised joint angles, a conditional RealNVP."""

from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.body.skeleton import limit_excess
from avatargen.core.errors import ConfigError
from avatargen.core.progress import Reporter, stage
from avatargen.core.rng import stream
from avatargen.core.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from avatargen.core.settings import MotionSettings
from avatargen.core.steady import SafeSteps
from avatargen.guidance.losses import similarity_loss
from avatargen.guidance.model import Guidance
from motiongen.candidates import Candidates, codebook_candidates, distinct
from motiongen.codebook import PoseCodebook, picture_features, pose_features
from motiongen.optimize import view_azimuths
from motiongen.pose_flow import condition_of, load_pose_flow
from motiongen.pose_prior import BODY_JOINTS, PosePrior, full_pose
from motiongen.puppet import FRONT_VIEWS, Puppet, pictures

GENERATORS = ("codebook", "latent", "theta", "realnvp")
_LATENT_PULL = 0.01
_LIMIT_PULL = 2.0
_THETA_START = 0.2  # radians; the original's 1.0 starts from poses no body can take


def find_candidates(
    text: Float[Tensor, "1 d"],
    guidance: Guidance,
    puppet: Puppet,
    prior: PosePrior,
    book: PoseCodebook,
    flow_file: Path,
    settings: MotionSettings,
    seed: int,
    reporter: Reporter,
) -> Candidates:
    """`settings.top_k` poses that fit the text, best first, by the generator that `settings.candidates` names.

    Args:
        text: the text's guidance feature.
        guidance: scores pictures of poses.
        puppet: whom it looks at.
        prior: turns latents into poses.
        book: the pose codebook.
        flow_file: weights of the RealNVP, read if it is asked for.
        settings: see `MotionSettings`.
        seed: of what is drawn; the codebook draws nothing.
        reporter: told of stages and steps.

    Raises:
        ConfigError: there is no such generator.
        MissingAssetError: the RealNVP's weights are not there.
        BrokenFileError: they are damaged.
    """
    few = book.first(settings.codebook_entries)
    views = view_azimuths(settings.codebook_views)
    match settings.candidates:
        case "codebook":
            seen = pose_features(guidance, puppet, prior, few, views, reporter)
            return codebook_candidates(text, few, seen, prior, settings.top_k, settings.pre_top, settings.duplicate)
        case "latent":
            poses = _optimised_latents(text, guidance, puppet, prior, settings, seed, reporter)
        case "theta":
            poses = _optimised_angles(text, guidance, puppet, settings, seed, reporter)
        case "realnvp":
            flow = load_pose_flow(flow_file, book.version)
            seen = pose_features(guidance, puppet, prior, few, views, reporter)
            condition = condition_of(text @ seen.T, few.latents).expand(settings.flow_samples, -1)
            draw = stream(seed, "motion/flow")
            normal = 0.8 * torch.randn(settings.flow_samples, flow.latent, generator=draw)
            with torch.no_grad():
                poses = prior.decode(flow.sample(normal, condition))
        case _:
            raise ConfigError(
                f"motion.candidates: no generator {settings.candidates!r}; there are: {', '.join(GENERATORS)}"
            )
    seen = picture_features(guidance, puppet, full_pose(poses), views, reporter, "candidates")
    scores, order = (seen @ text.T)[:, 0].sort(descending=True)
    return distinct(poses[order], scores, settings.top_k, settings.duplicate)


def _optimised_latents(
    text: Tensor,
    guidance: Guidance,
    puppet: Puppet,
    prior: PosePrior,
    settings: MotionSettings,
    seed: int,
    reporter: Reporter,
) -> Float[Tensor, "k 21 3 3"]:
    """Latents from N(0, I), turned toward the text and held near the prior."""
    start = torch.randn(settings.top_k, prior.latent, generator=stream(seed, "motion/latent"))

    def pull(latents: Tensor) -> Tensor:
        return _LATENT_PULL * latents.square().mean(-1).sum()

    return _turned(start, prior.decode, pull, text, guidance, puppet, settings, seed, reporter)


def _optimised_angles(
    text: Tensor, guidance: Guidance, puppet: Puppet, settings: MotionSettings, seed: int, reporter: Reporter
) -> Float[Tensor, "k 21 3 3"]:
    """63 joint angles from near the T-pose, turned toward the text within what joints can do."""
    start = _THETA_START * torch.randn(settings.top_k, BODY_JOINTS, 3, generator=stream(seed, "motion/theta"))

    def pull(angles: Tensor) -> Tensor:
        return _LIMIT_PULL * limit_excess(full_pose(matrix_from_axis_angle(angles))).square().sum()

    return _turned(start, matrix_from_axis_angle, pull, text, guidance, puppet, settings, seed, reporter)


def _turned(
    start: Tensor,
    decode: Callable[[Tensor], Tensor],
    pull: Callable[[Tensor], Tensor],
    text: Tensor,
    guidance: Guidance,
    puppet: Puppet,
    settings: MotionSettings,
    seed: int,
    reporter: Reporter,
) -> Float[Tensor, "k 21 3 3"]:
    """Adam on all starts in one batch, one view a step in turn, as seen by the guidance."""
    found = start.clone().requires_grad_()
    steps, taken = SafeSteps(torch.optim.Adam([found], lr=settings.candidate_rate)), 0
    draw = stream(seed, "motion/views")
    with stage(reporter, "candidates", settings.candidate_steps):
        while taken < settings.candidate_steps and not steps.hopeless:
            azimuth = FRONT_VIEWS[int(torch.randint(len(FRONT_VIEWS), (1,), generator=draw))]
            poses = full_pose(decode(found))
            image = guidance.encode_image(pictures(puppet, poses, (azimuth,), guidance.image_size))
            loss = similarity_loss(image, text)
            if steps.take(loss * len(start) + pull(found)):
                taken += 1
                reporter.step(1, loss=float(loss.detach()))
            else:
                reporter.note(
                    f"the loss of step {taken + 1} is {float(loss.detach()):.3g}: back to the last good poses"
                )
    steps.finish()
    with torch.no_grad():
        poses = decode(found.detach())
        # Brought back through rotation vectors, so that what is returned is exactly a rotation.
        return matrix_from_axis_angle(axis_angle_from_matrix(poses))
