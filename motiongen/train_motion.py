"""Training of the motion VAE on windows of a motion set."""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from avatargen.core.progress import Reporter
from avatargen.core.rng import stream
from avatargen.core.rotations import angle_between
from motiongen.motion_features import (
    RATE,
    REST_HEIGHT,
    Clip,
    from_features,
    joint_positions,
    to_features,
)
from motiongen.motion_vae import FRAMES, LossWeights, MotionVae, motion_loss
from motiongen.training import Curve, Plan, save_weights, train
from motiongen.windows import MotionSet, cut_windows, random_windows, sampling_chances

_LINEAR = 6000
_SPAN = 16
WRISTS = (20, 21)


def held_out_windows(motions: MotionSet, frames: int = FRAMES, limit: int = 96, *, train: bool = False) -> Clip:
    """Windows of one side of the split at fixed places: one per clip, more from long ones."""
    clips, begins = [], []
    for clip in motions.clips(train=train):
        length = int(motions.length[clip])
        for begin in range(0, max(1, length - frames + 1), max(frames, length // 3)):
            clips.append(clip)
            begins.append(float(begin))
    picked = torch.linspace(0, len(clips) - 1, min(limit, len(clips))).long()
    start = torch.tensor(begins)[picked][:, None]
    return cut_windows(motions, torch.tensor(clips)[picked], start + torch.arange(frames))


@torch.no_grad()
def measure_reconstruction(vae: MotionVae, windows: Clip) -> dict[str, float]:
    """Rotation error, joint error, root drift, and how much of the wrists' top speed survives."""
    features = to_features(windows)
    told = from_features(features)
    made = from_features(vae.decode(vae.encode(features)[0], features.shape[1]))
    angle = angle_between(told.rotations, made.rotations).mean()
    told_joints = joint_positions(told.rotations, vae.offsets)
    made_joints = joint_positions(made.rotations, vae.offsets)
    apart = (told_joints - made_joints).norm(dim=-1).mean() * REST_HEIGHT
    seconds = features.shape[1] / RATE
    drift = (told.root[:, -1] - made.root[:, -1])[:, [0, 2]].norm(dim=-1).mean() * REST_HEIGHT / seconds
    told_speed = told_joints[:, :, WRISTS].diff(dim=1).norm(dim=-1).amax((1, 2))
    made_speed = made_joints[:, :, WRISTS].diff(dim=1).norm(dim=-1).amax((1, 2))
    fast = told_speed > 1.0 / (RATE * REST_HEIGHT)
    ratio = (made_speed[fast] / told_speed[fast]).mean() if fast.any() else torch.tensor(1.0)
    return {
        "rotation [deg]": math.degrees(float(angle)),
        "joints [cm]": 100 * float(apart),
        "drift [cm/s]": 100 * float(drift),
        "wrist speed kept": float(ratio),
    }


def train_motion_vae(
    motions: MotionSet,
    out: Path,
    *,
    steps: int = 6_000,
    batch: int = 64,
    seed: int = 0,
    checkpoint: Path | None = None,
    reporter: Reporter | None = None,
    weights: LossWeights | None = None,
    rate: float = 5e-4,
    stop_after: int | None = None,
    vae: MotionVae | None = None,
) -> Curve:
    """Fit the linear part, train the transformers for `steps` (none for 0), save all; returns the held-out curve."""
    weights = weights or LossWeights()
    vae = vae or MotionVae()
    chances = sampling_chances(motions, train=True)
    held = held_out_windows(motions)

    def prepare() -> None:
        drawing = stream(seed, "training/linear")
        clip = random_windows(motions, chances, _LINEAR, FRAMES, drawing)
        vae.fit_linear(to_features(clip), drawing)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        features = to_features(random_windows(motions, chances, batch, FRAMES, generator))
        begin = int(torch.randint(FRAMES - _SPAN, (1,), generator=generator))
        noise = torch.randn(batch, vae.latent, generator=generator)
        # Half precision in the matrices alone is twice as fast on CPUs that know bfloat16.
        with torch.autocast("cpu", torch.bfloat16):
            parts = motion_loss(vae, features, noise, weights, (begin, begin + _SPAN))
        # The divergence comes in slowly: from the start on, it would teach the decoder to do without the latent.
        return parts | {"divergence": parts["divergence"] * min(1.0, step / (0.4 * steps))}

    def check(_model: nn.Module) -> dict[str, float]:
        return measure_reconstruction(vae, held)

    plan = Plan(steps=steps, rate=rate, warm_up=200, decay=0.01, check_every=max(1, steps // 30), save_every=200)
    curve = train(
        vae,
        loss,
        check,
        plan,
        seed=seed,
        checkpoint=checkpoint,
        reporter=reporter,
        stop_after=stop_after,
        prepare=prepare,
    )
    save_weights(vae, out, {"kind": "motion VAE", "steps": str(steps), "seed": str(seed)})
    return curve
