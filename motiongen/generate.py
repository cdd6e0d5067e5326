"""A text to a `Motion`: the public entry of motiongen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.core.errors import ConfigError
from avatargen.core.files import digest_bytes, load_tensors, save_tensors
from avatargen.core.progress import Reporter, Silent
from avatargen.core.rng import stream
from avatargen.core.settings import MotionSettings
from avatargen.core.values import Motion
from avatargen.guidance.model import Guidance
from motiongen.candidates import Candidates, action, prompt_feature
from motiongen.codebook import MotionCodebook, PoseCodebook, load_motion_codebook, load_pose_codebook, recoded
from motiongen.finish import finish_clip, finish_motion
from motiongen.manner import AS_FOUND, Manner, draw_manner, milder
from motiongen.motion_features import Clip
from motiongen.motion_vae import MotionVae, load_motion_vae
from motiongen.optimize import Goal, intensity, optimise, poses_score, steady_frames, window
from motiongen.pose_flow import POSE_FLOW
from motiongen.pose_prior import DATA, PosePrior, load_open_prior, load_vposer
from motiongen.pose_search import GENERATORS, find_candidates
from motiongen.puppet import Puppet, make_puppet
from motiongen.replay import lost_details
from motiongen.starts import choose_starts

_WORDLESS = 1.5
_MANNER_MAY_COST = 0.06
_JUDGED_VIEWS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Models:
    """What was trained: priors and codebooks."""

    prior: PosePrior
    vae: MotionVae
    poses: PoseCodebook
    motions: MotionCodebook
    flow_file: Path = POSE_FLOW
    """Weights of the conditional RealNVP, read only where `motion.candidates` asks for it."""


def load_models(settings: MotionSettings) -> Models:
    """The shipped models, or those in the folder `settings.weights`.

    Raises:
        MissingAssetError: a file is not there.
        BrokenFileError: a file is damaged.
        ConfigError: `settings.prior` names no prior.
    """
    folder = Path(settings.weights) if settings.weights else DATA
    prior = load_open_prior(folder / "pose_prior.safetensors")
    poses = load_pose_codebook(folder / "pose_codebook.safetensors")
    match settings.prior:
        case "open":
            pass
        case "vposer":
            theirs = load_vposer(Path(settings.vposer))
            prior, poses = theirs, recoded(poses, prior, theirs)
        case _:
            raise ConfigError(f"motion.prior: no prior {settings.prior!r}; there are: open, vposer")
    return Models(
        prior=prior,
        vae=load_motion_vae(folder / "motion_vae.safetensors"),
        poses=poses,
        motions=load_motion_codebook(folder / "motion_codebook.safetensors"),
        flow_file=folder / POSE_FLOW.name,
    )


def generate_motion(
    text: str,
    body: BodyModel,
    guidance: Guidance,
    settings: MotionSettings | None = None,
    seed: int = 0,
    reporter: Reporter | None = None,
    checkpoint: Path | None = None,
    models: Models | None = None,
) -> Motion:
    """A motion that does what `text` says, standing on the floor of `body` in its neutral shape.

    Args:
        text: an action: "punching", "a person is waving".
        body: whose proportions feet and floor are made for, and whom the guidance looks at.
        guidance: scores pictures and words.
        settings: see `MotionSettings`.
        seed: the same seed gives the same motion.
        reporter: told of stages and steps.
        checkpoint: a file that keeps the optimised latent, so that a cut run need not search again.
        models: priors and codebooks, if already loaded.

    Raises:
        InputError: the text cannot be used.
        ConfigError: a setting is out of range.
        MissingAssetError: a model file is not there.
        BrokenFileError: a model file is damaged.
    """
    settings, reporter = _checked(settings or MotionSettings()), reporter or Silent()
    done = action(text)
    models = models or load_models(settings)
    puppet = make_puppet(body)
    key = digest_bytes(
        repr((done, settings, seed, guidance.name, guidance.version, puppet.version, models.motions.version)).encode()
    )
    if settings.sequence == "interpolation":
        feature = prompt_feature(guidance, done)
        found = _candidates(feature, guidance, puppet, models, settings, seed, reporter)
        return finish_clip(interpolated(found, models.prior, window(settings)), puppet, settings, done)
    found = _resumed(checkpoint, key)
    if found is None:
        found = find_motion(done, guidance, puppet, models, settings, seed, reporter)
        if checkpoint is not None:
            tensors = {"latent": found.latent} | ({} if found.details is None else {"details": found.details})
            save_tensors(checkpoint, tensors, {"key": key, "mildness": str(found.mildness)})
    manner = draw_manner(done, settings.variety, seed) if settings.losses == "ours" else AS_FOUND
    manner = milder(manner)[found.mildness]
    return finish_motion(found.latent, models.vae, puppet, settings, done, found.details, manner)


def _candidates(
    feature: Tensor,
    guidance: Guidance,
    puppet: Puppet,
    models: Models,
    settings: MotionSettings,
    seed: int,
    reporter: Reporter,
) -> Candidates:
    return find_candidates(
        feature, guidance, puppet, models.prior, models.poses, models.flow_file, settings, seed, reporter
    )


@torch.no_grad()
def interpolated(candidates: Candidates, prior: PosePrior, frames: int) -> Clip:
    """The baseline: from candidate to candidate, evenly in time and straight in the pose prior's latents."""
    latents = prior.closest(candidates.poses)
    place = torch.linspace(0.0, len(latents) - 1.0, frames)
    low = place.floor().long().clamp_max(max(0, len(latents) - 2))
    high = (low + 1).clamp_max(len(latents) - 1)
    bodies = prior.decode(latents[low] + (place - low)[:, None] * (latents[high] - latents[low]))
    upright = torch.eye(3).expand(frames, 1, 3, 3)
    root = torch.tensor([0.0, 1.0, 0.0]).expand(frames, 3)
    return Clip(
        rotations=torch.cat((upright, bodies), dim=1)[None], root=root[None], contacts=torch.zeros(1, frames, 2)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What the search ends with."""

    latent: Float[Tensor, " z"]
    details: Float[Tensor, "60 137"] | None = None
    """Added to the decoded rows."""
    mildness: int = 0
    """Which of `milder` does not make the guidance lose sight of the text."""


def find_motion(
    text: str,
    guidance: Guidance,
    puppet: Puppet,
    models: Models,
    settings: MotionSettings,
    seed: int,
    reporter: Reporter,
) -> Found:
    """The motion that fits best: candidates, starts, optimisation, choice."""
    feature = prompt_feature(guidance, text)
    found = _candidates(feature, guidance, puppet, models, settings, seed, reporter)
    noise = stream(seed, "motion/starts")
    details = None
    if settings.losses == "original":
        starts = torch.randn(settings.starts, models.vae.latent, generator=noise)
        scores = torch.zeros(settings.starts)
    else:
        rows, scores = choose_starts(
            text, feature, guidance, puppet, models.motions, models.vae, settings, seed, reporter
        )
        starts = models.motions.latents[rows]
        drawn = _prior_draws(models.motions.latents, settings.prior_starts, noise)
        starts = torch.cat((starts, drawn))[: settings.starts]
        details = lost_details(models.vae, models.motions, rows)
        details = torch.cat((details, torch.zeros(len(drawn), *details.shape[1:])))[: settings.starts]
        # A drawn start has no words: it has to look a good deal better than the last of those that have.
        floor = (scores.min() - _WORDLESS).expand(len(drawn)) if len(scores) else torch.zeros(len(drawn))
        scores = torch.cat((scores, floor))[: settings.starts]
    goal = Goal(
        text=feature,
        candidates=found,
        start_scores=scores,
        intensity=_lively(models.vae, starts, details, settings),
        details=details,
    )
    result = optimise(models.vae, starts, goal, guidance, puppet, settings, stream(seed, "motion/optimise"), reporter)
    best = result.best
    reporter.note(f"motion: {text!r}: picture score {float(result.looks[best]):.3f}, start {best + 1} of {len(starts)}")
    if settings.losses == "original":
        return Found(latent=result.latents[best])
    found = Found(latent=result.latents[best], details=None if details is None else details[best])
    manners = milder(draw_manner(text, settings.variety, seed))
    return replace(found, mildness=_mildest(found, manners, text, feature, guidance, puppet, models, settings))


def _mildest(
    found: Found,
    manners: Sequence[Manner],
    name: str,
    text: Float[Tensor, "1 d"],
    guidance: Guidance,
    puppet: Puppet,
    models: Models,
    settings: MotionSettings,
) -> int:
    """The first of the manners that lets the guidance know the text nearly as well as the last one does."""

    def score(manner: Manner) -> float:
        motion = finish_motion(found.latent, models.vae, puppet, settings, name, found.details, manner)
        rows = steady_frames(len(motion.rotations), settings.score_frames)
        poses = torch.from_numpy(motion.rotations[rows]).float()
        return float(poses_score(poses, text, guidance, puppet, _JUDGED_VIEWS))

    least = score(manners[-1]) - _MANNER_MAY_COST
    return next((index for index, manner in enumerate(manners[:-1]) if score(manner) > least), len(manners) - 1)


def _prior_draws(latents: Tensor, count: int, noise: torch.Generator) -> Tensor:
    """Motions between training motions: random pairs of the codebook, mixed."""
    pairs = torch.randint(len(latents), (count, 2), generator=noise)
    share = torch.rand(count, 1, generator=noise)
    return latents[pairs[:, 0]] * share + latents[pairs[:, 1]] * (1.0 - share)


@torch.no_grad()
def _lively(vae: MotionVae, starts: Tensor, details: Tensor | None, settings: MotionSettings) -> Float[Tensor, " s"]:
    clip = vae.motion(starts, window(settings), details)
    return intensity(clip, vae.offsets)


def _checked(settings: MotionSettings) -> MotionSettings:
    limits = {
        "seconds": (1.0, 10.0), "fps": (5.0, 240.0), "codebook_entries": (1, 100_000), "codebook_views": (1, 12),
        "top_k": (1, 1000), "candidate_steps": (1, 100_000), "flow_samples": (1, 10_000),
        "candidate_rate": (1e-6, 10.0), "intensity": (0.1, 4.0), "starts": (1, 256), "steps": (0, 100_000),
        "shortlist": (1, 10_000),
        "score_frames": (1, 600), "score_views": (1, 12), "guidance_frames": (1, 256), "pre_top": (1, 100_000),
    }  # fmt: skip
    for key, (low, high) in limits.items():
        value = getattr(settings, key)
        if not low <= value <= high:
            raise ConfigError(f"motion.{key} = {value} is out of range; it goes from {low:g} to {high:g}")
    words_of = {"sequence": ("search", "interpolation"), "losses": ("ours", "original"), "candidates": GENERATORS}
    for key, words in words_of.items():
        if (value := getattr(settings, key)) not in words:
            raise ConfigError(f"motion.{key} = {value!r} is unknown; it is one of: {', '.join(words)}")
    if not 0 <= settings.prior_starts <= settings.starts:
        raise ConfigError(f"motion.prior_starts = {settings.prior_starts} must lie between 0 and motion.starts")
    return settings


def _resumed(checkpoint: Path | None, key: str) -> Found | None:
    if checkpoint is None or not checkpoint.is_file():
        return None
    tensors, metadata = load_tensors(checkpoint)
    if metadata.get("key") != key or "latent" not in tensors:
        return None
    return Found(latent=tensors["latent"], details=tensors.get("details"), mildness=int(metadata.get("mildness", "0")))
