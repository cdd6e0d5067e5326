"""A text to a `Motion`: the public entry of motiongen."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.core.errors import ConfigError
from avatargen.core.files import digest_bytes, load_tensors, save_tensors
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.progress import Reporter, Silent
from avatargen.core.rng import stream
from avatargen.core.rotations import matrix_from_quat, quat_from_matrix
from avatargen.core.settings import MotionSettings
from avatargen.core.values import Motion
from avatargen.guidance.model import Guidance
from motiongen.candidates import (
    action,
    codebook_candidates,
    phrase_scores,
    prompt_feature,
    rank_motions,
    standard,
    word_scores,
)
from motiongen.codebook import (
    MotionCodebook,
    PoseCodebook,
    key_frames,
    load_motion_codebook,
    load_pose_codebook,
    picture_features,
    pose_features,
)
from motiongen.extend import extend
from motiongen.motion_features import RATE
from motiongen.motion_vae import FRAMES, MotionVae, load_motion_vae
from motiongen.optimize import Goal, full_rotations, intensity, optimise, view_azimuths, window
from motiongen.physics import detect_contacts, ground, lock_feet
from motiongen.pose_prior import DATA, PosePrior, load_open_prior, load_vposer
from motiongen.puppet import Puppet, make_puppet

_PER_CLIP = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Models:
    """What was trained: priors and codebooks."""

    prior: PosePrior
    vae: MotionVae
    poses: PoseCodebook
    motions: MotionCodebook


def load_models(settings: MotionSettings, vposer_folder: Path = Path("smpl_models/vposer")) -> Models:
    """The shipped models, or those in the folder `settings.weights`.

    Raises:
        MissingAssetError: a file is not there.
        BrokenFileError: a file is damaged.
        ConfigError: `settings.prior` names no prior.
    """
    folder = Path(settings.weights) if settings.weights else DATA
    match settings.prior:
        case "open":
            prior = load_open_prior(folder / "pose_prior.safetensors")
        case "vposer":
            prior = load_vposer(vposer_folder)
        case _:
            raise ConfigError(f"motion.prior: no prior {settings.prior!r}; there are: open, vposer")
    return Models(
        prior=prior,
        vae=load_motion_vae(folder / "motion_vae.safetensors"),
        poses=load_pose_codebook(folder / "pose_codebook.safetensors"),
        motions=load_motion_codebook(folder / "motion_codebook.safetensors"),
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
    latent = _resumed(checkpoint, key)
    if latent is None:
        latent = find_latent(done, guidance, puppet, models, settings, seed, reporter)
        if checkpoint is not None:
            save_tensors(checkpoint, {"latent": latent}, {"key": key})
    return finish_motion(latent, models.vae, puppet, settings, done)


def find_latent(
    text: str,
    guidance: Guidance,
    puppet: Puppet,
    models: Models,
    settings: MotionSettings,
    seed: int,
    reporter: Reporter,
) -> Float[Tensor, " z"]:
    """The latent of the motion that fits best: candidates, starts, optimisation, choice."""
    feature = prompt_feature(guidance, text)
    book = models.poses.first(settings.codebook_entries)
    seen = pose_features(guidance, puppet, models.prior, book, view_azimuths(settings.codebook_views), reporter)
    found = codebook_candidates(
        feature, book, seen, models.prior, settings.candidates, settings.pre_top, settings.duplicate
    )
    rows, scores = choose_starts(text, feature, guidance, puppet, models, settings, reporter)
    noise = stream(seed, "motion/starts")
    starts = _jitter(models.motions.latents[rows], noise)
    drawn = _prior_draws(models.motions.latents, settings.prior_starts, noise)
    starts = torch.cat((starts, drawn))[: settings.starts]
    # A drawn start has no words: it counts as the last of the others.
    floor = scores.min().expand(len(drawn)) if len(scores) else torch.zeros(len(drawn))
    goal = Goal(
        text=feature,
        candidates=found,
        start_scores=torch.cat((scores, floor))[: settings.starts],
        intensity=_lively(models.vae, starts, settings),
    )
    result = optimise(models.vae, starts, goal, guidance, puppet, settings, stream(seed, "motion/optimise"), reporter)
    reporter.note(
        f"motion: {text!r}: picture score {float(result.before[result.best]):.3f} -> "
        f"{float(result.after[result.best]):.3f}, start {result.best + 1} of {len(starts)}"
    )
    return result.latents[result.best]


def choose_starts(
    text: str,
    feature: Float[Tensor, "1 d"],
    guidance: Guidance,
    puppet: Puppet,
    models: Models,
    settings: MotionSettings,
    reporter: Reporter,
) -> tuple[Int[Tensor, " s"], Float[Tensor, " s"]]:
    """Rows of the motion codebook to start from, best first, and their scores.

    Words first (the guidance's text-to-text cosine and plainly shared words), then the guidance looks at the key
    frames of a shortlist.
    """
    motions = models.motions
    told = settings.phrase_weight * standard(phrase_scores(guidance, feature, motions, reporter))
    shared = word_scores(text, motions)
    scores = (told + settings.word_weight * shared)[motions.clip]
    wanted = max(1, settings.starts - settings.prior_starts)
    short = rank_motions(scores, motions.clip, max(settings.shortlist, wanted), _PER_CLIP)
    poses = key_frames(models.vae, motions.latents[short], window(settings), 3)
    seen = picture_features(guidance, puppet, poses.flatten(0, 1), (30.0,), reporter, "starts")
    looks = (seen @ feature.T)[:, 0].unflatten(0, (-1, 3)).max(1).values
    total = scores[short] + settings.image_weight * standard(looks)
    order = total.argsort(descending=True)[:wanted]
    return short[order], total[order]


def _jitter(latents: Tensor, noise: torch.Generator) -> Tensor:
    """Seeds differ: each start is moved a little way in a random direction."""
    spread = latents.std(0, unbiased=False) if len(latents) > 1 else torch.ones(latents.shape[1])
    return latents + 0.15 * spread * torch.randn(latents.shape, generator=noise)


def _prior_draws(latents: Tensor, count: int, noise: torch.Generator) -> Tensor:
    """Motions between training motions: random pairs of the codebook, mixed."""
    pairs = torch.randint(len(latents), (count, 2), generator=noise)
    share = torch.rand(count, 1, generator=noise)
    return latents[pairs[:, 0]] * share + latents[pairs[:, 1]] * (1.0 - share)


@torch.no_grad()
def _lively(vae: MotionVae, starts: Tensor, settings: MotionSettings) -> Float[Tensor, " s"]:
    clip = vae.motion(starts, window(settings))
    return settings.intensity * intensity(clip, vae.offsets)


@torch.no_grad()
def finish_motion(
    latent: Float[Tensor, " z"], vae: MotionVae, puppet: Puppet, settings: MotionSettings, name: str
) -> Motion:
    """Decode, put on the body's legs, resample, then feet and floor."""
    frames = round(settings.seconds * RATE)
    clip = extend(vae.motion(latent[None], min(frames, FRAMES)), frames)
    rotations = full_rotations(clip.rotations[0])
    root = clip.root[0] * puppet.pelvis_height
    motion = Motion(
        rotations=rotations.double().numpy(),
        root_position=root.double().numpy(),
        rest_root_height=puppet.pelvis_height,
        joint_names=SMPL_JOINTS,
        fps=RATE,
        name=name,
        contacts=clip.contacts[0].double().numpy(),
    )
    joints = puppet.joints[: len(SMPL_JOINTS)].double().numpy()
    motion = resample(stand(motion, joints), settings.fps)
    return replace(
        motion,
        rotations=motion.rotations.astype(np.float32),
        root_position=motion.root_position.astype(np.float32),
    )


def stand(motion: Motion, joints: Float[np.ndarray, "24 3"]) -> Motion:
    """The motion on the floor, with feet that stay put while they stand.

    The decoder damps the smallest movements of feet last, so they slide a little while they stand; its own contacts
    know of that, detection from speed alone does not. The second pass takes what the first one's blending left.
    """
    motion = ground(motion, joints)
    told = (motion.contacts > 0.5).astype(float) if motion.contacts is not None else 0.0
    contacts = np.maximum(detect_contacts(motion, joints, height=0.06, speed=0.5), told)
    return lock_feet(lock_feet(motion, joints, contacts), joints)


def resample(motion: Motion, fps: float) -> Motion:
    """The motion at another frame rate, its duration kept; rotations along the shortest arc."""
    if abs(fps - motion.fps) < 1e-6:
        return motion
    frames = len(motion.rotations)
    count = max(2, round(frames * fps / motion.fps))
    place = np.arange(count) * motion.fps / fps
    low = np.minimum(place.astype(int), frames - 1)
    high = np.minimum(low + 1, frames - 1)
    share = np.clip(place - low, 0.0, 1.0)
    quats = quat_from_matrix(torch.from_numpy(motion.rotations)).numpy()
    a, b = quats[low], quats[high]
    b = np.where((a * b).sum(-1, keepdims=True) < 0, -b, b)
    mixed = a + share[:, None, None] * (b - a)
    mixed /= np.linalg.norm(mixed, axis=-1, keepdims=True)

    def between(values: np.ndarray) -> np.ndarray:
        return values[low] + share[:, None] * (values[high] - values[low])

    return replace(
        motion,
        rotations=matrix_from_quat(torch.from_numpy(mixed)).numpy(),
        root_position=between(motion.root_position),
        contacts=None if motion.contacts is None else between(motion.contacts),
        fps=float(fps),
    )


def _checked(settings: MotionSettings) -> MotionSettings:
    limits = {
        "seconds": (1.0, 10.0), "fps": (5.0, 240.0), "codebook_entries": (1, 100_000), "codebook_views": (1, 12),
        "candidates": (1, 1000), "starts": (1, 256), "steps": (0, 100_000), "shortlist": (1, 10_000),
        "score_frames": (1, 600), "score_views": (1, 12), "guidance_frames": (1, 256), "pre_top": (1, 100_000),
    }  # fmt: skip
    for key, (low, high) in limits.items():
        value = getattr(settings, key)
        if not low <= value <= high:
            raise ConfigError(f"motion.{key} = {value} is out of range; it goes from {low:g} to {high:g}")
    if not 0 <= settings.prior_starts <= settings.starts:
        raise ConfigError(f"motion.prior_starts = {settings.prior_starts} must lie between 0 and motion.starts")
    return settings


def _resumed(checkpoint: Path | None, key: str) -> Tensor | None:
    if checkpoint is None or not checkpoint.is_file():
        return None
    tensors, metadata = load_tensors(checkpoint)
    return tensors["latent"] if metadata.get("key") == key and "latent" in tensors else None
