"""What `motiongen train` runs: read the set, train or make one thing, write weights, figures and the curve."""

import json
from pathlib import Path

from avatargen.body.open_body import load_open_body
from avatargen.core.errors import InputError
from avatargen.core.files import write_whole
from avatargen.core.progress import Reporter
from avatargen.core.settings import GuidanceSettings, MotionSettings
from avatargen.guidance.load import load_guidance
from motiongen.codebook import SHIPPED_FEATURES, load_pose_codebook, pose_features, save_pose_features
from motiongen.motion_vae import load_motion_vae
from motiongen.optimize import view_azimuths
from motiongen.pose_flow import POSE_FLOW
from motiongen.pose_prior import load_open_prior
from motiongen.puppet import make_puppet
from motiongen.train_codebooks import make_motion_codebook, make_pose_codebook
from motiongen.train_flow import KEYS as FLOW_KEYS
from motiongen.train_flow import train_pose_flow
from motiongen.train_motion import train_motion_vae
from motiongen.train_pose import train_pose_prior
from motiongen.training import Curve, plot_curve
from motiongen.windows import read_motion_set

POSE_STEPS = 6000
MOTION_STEPS = 0
"""Steps of the transformers. On half an hour of motion they learn it by heart: the closed-form part alone is better on
held-out clips. Hours of motion may want 3,000."""
FLOW_STEPS = 400
POSE_KEYS = ("held-out error [deg]",)
MOTION_KEYS = ("rotation [deg]", "joints [cm]", "drift [cm/s]", "wrist speed kept")


def run_stage(
    what: str, data: Path | None, out: Path, steps: int | None, seed: int, plot: Path | None, reporter: Reporter
) -> list[Path]:
    """Run the stage `pose`, `motion`, `codebook`, `flow` or `features`; returns the files written.

    Training resumes from `*.checkpoint` in `out` where there is one, and removes it when it is done.

    Raises:
        InputError: the motion set cannot be used.
        BrokenFileError: the set, a checkpoint or a prior is damaged.
        MissingAssetError: `codebook` needs both priors in `out`.
    """
    if what == "features":
        return [_shipped_features(out, reporter)]
    if what == "flow":
        return _flow(out, steps, seed, plot, reporter)
    if data is None:
        raise InputError(f"motiongen train {what} needs a motion set: --data set.npz")
    motions = read_motion_set(data)
    match what:
        case "pose":
            weights, checkpoint = out / "pose_prior.safetensors", out / "pose_prior.checkpoint"
            curve = train_pose_prior(
                motions, weights, steps=steps or POSE_STEPS, seed=seed, checkpoint=checkpoint, reporter=reporter
            )
            return _finished(weights, checkpoint, curve, POSE_KEYS, "pose prior", plot)
        case "motion":
            weights, checkpoint = out / "motion_vae.safetensors", out / "motion_vae.checkpoint"
            curve = train_motion_vae(
                motions, weights, steps=steps or MOTION_STEPS, seed=seed, checkpoint=checkpoint, reporter=reporter
            )
            return _finished(weights, checkpoint, curve, MOTION_KEYS, "motion VAE", plot)
        case _:
            prior = load_open_prior(out / "pose_prior.safetensors")
            vae = load_motion_vae(out / "motion_vae.safetensors")
            return [
                make_pose_codebook(prior, motions, out / "pose_codebook.safetensors", seed=seed),
                make_motion_codebook(vae, motions, out / "motion_codebook.safetensors"),
            ]


def _flow(out: Path, steps: int | None, seed: int, plot: Path | None, reporter: Reporter) -> list[Path]:
    """The conditional RealNVP, on the pose codebook in `out` as the embedded guidance sees it."""
    defaults = MotionSettings()
    book = load_pose_codebook(out / "pose_codebook.safetensors").first(defaults.codebook_entries)
    prior, puppet = load_open_prior(out / "pose_prior.safetensors"), make_puppet(load_open_body())
    guidance = load_guidance(GuidanceSettings(model="embedded"))
    features = pose_features(guidance, puppet, prior, book, view_azimuths(defaults.codebook_views), reporter)
    weights, checkpoint = out / POSE_FLOW.name, out / "pose_flow.checkpoint"
    curve = train_pose_flow(
        book, features, weights, steps=steps or FLOW_STEPS, seed=seed, checkpoint=checkpoint, reporter=reporter
    )
    return _finished(weights, checkpoint, curve, FLOW_KEYS[:1], "pose flow", plot)


def _shipped_features(out: Path, reporter: Reporter) -> Path:
    """What the embedded guidance sees in the first 1,024 poses, so that a first run need not look at them."""
    defaults = MotionSettings()
    book = load_pose_codebook(out / "pose_codebook.safetensors").first(defaults.codebook_entries)
    guidance = load_guidance(GuidanceSettings(model="embedded"))
    prior, puppet = load_open_prior(out / "pose_prior.safetensors"), make_puppet(load_open_body())
    views = view_azimuths(defaults.codebook_views)
    return save_pose_features(out / SHIPPED_FEATURES.name, guidance, puppet, prior, book, views, reporter)


def _finished(
    weights: Path, checkpoint: Path, curve: Curve, keys: tuple[str, ...], title: str, plot: Path | None
) -> list[Path]:
    checkpoint.unlink(missing_ok=True)
    written = [weights]
    if plot is not None:
        stem = weights.stem
        written.append(plot_curve(curve, keys, title, plot / f"{stem}.png"))
        written.append(write_whole(plot / f"{stem}.json", json.dumps(curve, indent=1).encode()))
    return written
