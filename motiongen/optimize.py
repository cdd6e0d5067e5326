"""Turn starting latents of the motion VAE toward a text.

Against the original (AvatarCLIP, section on motion): several starts in one batch; each candidate pose has to be reached
by some frame, softly; the amount of movement has a target instead of being rewarded without bound; the latent stays
near its start; frames are smooth, standing feet stand and nothing sinks into the floor; the guidance looks at several
frames from several sides.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.progress import Reporter, stage
from avatargen.core.rotations import sixd_from_matrix
from avatargen.core.settings import MotionSettings
from avatargen.core.steady import SafeSteps
from avatargen.core.stopping import leave
from avatargen.guidance.losses import similarity_loss
from avatargen.guidance.model import Guidance
from motiongen.candidates import Candidates
from motiongen.motion_features import ANKLES, FEET, RATE, Clip, joint_positions
from motiongen.motion_vae import FRAMES, MotionVae
from motiongen.original import original_look, original_terms
from motiongen.puppet import Puppet, pictures

BODY = slice(1, 22)
_SOFTNESS = 0.02
_STANDS = 1.0
"""Speed (pelvis heights a second) at which half of a foot's sliding counts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Goal:
    """What the text asks for, as seen by the guidance."""

    text: Float[Tensor, "1 d"]
    candidates: Candidates
    start_scores: Float[Tensor, " s"]
    """How well each start's words and pictures fit before any optimisation; larger is better."""
    intensity: Float[Tensor, " s"]
    """Mean joint speed (pelvis heights a second) that each motion should have."""
    details: Float[Tensor, "s 60 137"] | None = None
    """Added to each start's decoded rows: what the VAE cannot say of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Optimised:
    """The motions of all starts after optimisation, and which to keep."""

    latents: Float[Tensor, "s z"]
    scores: Float[Tensor, " s"]
    looks: Float[Tensor, " s"]
    """Picture scores."""

    @property
    def best(self) -> int:
        """Index of the start to keep."""
        return int(self.scores.argmax())


def pose_terms(clip: Clip, candidates: Candidates) -> Float[Tensor, " s"]:
    """Rank-weighted distance of each candidate to the frame that comes closest, by a soft minimum over frames."""
    made = sixd_from_matrix(clip.rotations[:, :, BODY]).flatten(2)
    asked = sixd_from_matrix(candidates.poses).flatten(1)
    apart = (made[:, :, None] - asked).square().mean(-1)
    nearest = -_SOFTNESS * torch.logsumexp(-apart / _SOFTNESS, dim=1) + _SOFTNESS * torch.log(
        torch.tensor(float(apart.shape[1]))
    )
    weights = torch.linspace(1.0, 0.2, apart.shape[2]) if apart.shape[2] > 1 else torch.ones(1)
    return (nearest * weights).sum(-1) / weights.sum()


def intensity(clip: Clip, offsets: Float[Tensor, "22 3"]) -> Float[Tensor, " s"]:
    """Mean speed of the joints relative to the pelvis, in pelvis heights a second."""
    joints = joint_positions(clip.rotations, offsets)
    return (joints.diff(dim=1).square().sum(-1) + 1e-8).sqrt().mean((1, 2)) * RATE


def physical_terms(clip: Clip, offsets: Float[Tensor, "22 3"]) -> dict[str, Float[Tensor, " s"]]:
    """Smoothness (acceleration), sliding of feet that stand, and depth below the floor, per motion."""
    joints = joint_positions(clip.rotations, offsets) + clip.root[:, :, None]
    feet = joints[:, :, FEET + ANKLES]
    standing = clip.contacts.detach()
    standing = (standing[:, 1:] * standing[:, :-1]).repeat(1, 1, 2)
    fast = (feet.diff(dim=1) * RATE).square().sum(-1)
    # A foot that is fast does not stand, whatever contacts say that are blurred in time: else nobody would take off.
    slide = (fast / (1.0 + fast / _STANDS**2) * standing).mean((1, 2))
    shake = (joints.diff(n=3, dim=1) * RATE).square().sum(-1).mean((1, 2))
    sunk = torch.relu(-joints[..., 1]).square().mean((1, 2))
    return {"slide": slide, "shake": shake, "sunk": sunk}


def optimise(
    vae: MotionVae,
    starts: Float[Tensor, "s z"],
    goal: Goal,
    guidance: Guidance,
    puppet: Puppet,
    settings: MotionSettings,
    generator: torch.Generator,
    reporter: Reporter,
) -> Optimised:
    """Adam on the latents of all starts at once; see `MotionSettings` for the weights."""
    frames = window(settings)
    latents = starts.clone().requires_grad_()
    optimizer = torch.optim.Adam([latents], lr=settings.latent_rate)
    steps, step = SafeSteps(optimizer), 0
    with stage(reporter, "motion", settings.steps):
        while step < settings.steps and not leave(f"motion after {step} of {settings.steps} steps"):
            clip = vae.motion(latents, frames, goal.details)
            if settings.losses == "original":
                total = original_terms(clip, goal.candidates).sum()
                total = total + original_look(clip, goal.text, guidance, puppet, generator)
            else:
                total = _losses(clip, latents, starts, goal, vae, settings).sum()
            if settings.losses == "ours" and settings.guidance_every and step % settings.guidance_every == 0:
                total = total + settings.guidance_weight * settings.guidance_every * _seen(
                    clip, goal, guidance, puppet, settings, generator
                )
            loss = float(total.detach()) / len(starts)
            if steps.take(total):
                step += 1
                reporter.step(1, loss=loss)
                continue
            if steps.hopeless:
                reporter.note("the optimisation keeps failing; its last good state is used")
                break
            reporter.note(f"the loss of step {step + 1} is {loss:.3g}: back to a good state, on at half the rate")
    steps.finish()
    final = latents.detach()
    with torch.no_grad():
        clip = vae.motion(final, frames, goal.details)
    rows = steady_frames(frames, settings.score_frames)
    looks = picture_scores(clip, goal.text, guidance, puppet, rows, settings.score_views)
    spread = looks.std(unbiased=False).clamp_min(1e-3)
    scores = goal.start_scores + settings.image_weight * (looks - looks.mean()) / spread
    return Optimised(latents=final, scores=scores, looks=looks)


def _losses(
    clip: Clip, latents: Tensor, starts: Tensor, goal: Goal, vae: MotionVae, settings: MotionSettings
) -> Float[Tensor, " s"]:
    physical = physical_terms(clip, vae.offsets)
    speed = intensity(clip, vae.offsets)
    return (
        settings.pose_weight * pose_terms(clip, goal.candidates)
        + settings.intensity_weight * (speed - goal.intensity).square()
        + settings.prior_weight * (latents - starts).square().mean(-1)
        + settings.slide_weight * physical["slide"]
        + settings.smooth_weight * physical["shake"]
        + settings.floor_weight * physical["sunk"]
    )


def _seen(
    clip: Clip, goal: Goal, guidance: Guidance, puppet: Puppet, settings: MotionSettings, generator: torch.Generator
) -> Float[Tensor, ""]:
    """Guidance loss on random frames, later ones weighing more as in the original, from one random side each."""
    count, frames = clip.rotations.shape[:2]
    rows = torch.randint(count, (settings.guidance_frames,), generator=generator)
    times = torch.randint(frames // 4, frames, (settings.guidance_frames,), generator=generator)
    azimuth = 90.0 * torch.rand(1, generator=generator).item() - 45.0
    poses = full_rotations(clip.rotations[rows, times])
    image = guidance.encode_image(pictures(puppet, poses, (azimuth,), guidance.image_size))
    return similarity_loss(image, goal.text, times / frames) * count


def full_rotations(rotations: Float[Tensor, "*b 22 3 3"]) -> Float[Tensor, "*b 24 3 3"]:
    """With straight hands."""
    eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    return torch.cat((rotations, eye.expand(*rotations.shape[:-3], 2, 3, 3)), dim=-3)


def window(settings: MotionSettings) -> int:
    """Frames that are optimised: the length asked for, at most one window of the VAE."""
    return min(FRAMES, round(settings.seconds * RATE))


def steady_frames(frames: int, count: int) -> list[int]:
    """Frames spread evenly over a motion, without its very ends."""
    return [int((index + 0.5) * frames / count) for index in range(count)]


@torch.no_grad()
def picture_scores(
    clip: Clip,
    text: Float[Tensor, "1 d"],
    guidance: Guidance,
    puppet: Puppet,
    rows: list[int],
    views: int,
) -> Float[Tensor, " s"]:
    """Mean of the better half of the frames' cosines with the text, frames averaged over views."""
    poses = (full_rotations(motion[rows]) for motion in clip.rotations)
    return torch.stack([poses_score(some, text, guidance, puppet, views) for some in poses])


@torch.no_grad()
def poses_score(
    poses: Float[Tensor, "n 24 3 3"], text: Float[Tensor, "1 d"], guidance: Guidance, puppet: Puppet, views: int
) -> Float[Tensor, ""]:
    """Mean of the better half of the poses' cosines with the text, poses averaged over views."""
    seen = guidance.encode_image(pictures(puppet, poses, view_azimuths(views), guidance.image_size))
    seen = torch.nn.functional.normalize(seen.unflatten(0, (len(poses), views)).mean(1), dim=-1)
    return (seen @ text.T)[:, 0].topk(max(1, len(poses) // 2)).values.mean()


def view_azimuths(count: int) -> tuple[float, ...]:
    """View angles about the front: one slightly from the side, or spread over +-60 degrees."""
    return (30.0,) if count == 1 else tuple(-60.0 + 120.0 * index / (count - 1) for index in range(count))
