"""Training of the open pose prior on the poses of a motion set."""

import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatargen.core.progress import Reporter
from avatargen.core.rotations import angle_between, axis_angle_from_matrix, matrix_from_axis_angle
from motiongen.motion_features import LIMBS
from motiongen.pose_prior import PosePrior, pose_loss
from motiongen.training import Curve, Plan, save_weights, train
from motiongen.windows import MotionSet, sampling_chances

_HALVES = (0, 0, 1, 1, 1, 1)
KL_WEIGHT = 2e-4


def layered(poses: Float[Tensor, "b 21 3"], generator: torch.Generator) -> Float[Tensor, "b 21 3"]:
    """Poses put together from others: a third keep all, a third mix trunk and legs, a third mix every limb."""
    count = len(poses)
    kind = torch.randint(3, (count,), generator=generator)
    halves = torch.randint(count, (count, 2), generator=generator)
    limbs = torch.randint(count, (count, len(LIMBS)), generator=generator)
    own = torch.arange(count)
    mixed = poses.clone()
    for limb, joints in enumerate(LIMBS):
        source = torch.where(kind == 0, own, torch.where(kind == 1, halves[:, _HALVES[limb]], limbs[:, limb]))
        rows = [joint - 1 for joint in joints]
        mixed[:, rows] = poses[source][:, rows]
    return mixed


def pose_table(motions: MotionSet, *, train: bool) -> tuple[Float[Tensor, "n 21 3"], Float[Tensor, " n"]]:
    """Every pose of one side of the split as rotation vectors, and how often to draw it."""
    chances = sampling_chances(motions, train=train)
    rows, weights = [], []
    for clip in motions.clips(train=train):
        start, length = int(motions.start[clip]), int(motions.length[clip])
        rows.append(motions.rotations[start : start + length, 1:])
        weights.append(chances[clip].expand(length) / length)
    return axis_angle_from_matrix(torch.cat(rows)), torch.cat(weights)


def train_pose_prior(
    motions: MotionSet,
    out: Path,
    *,
    steps: int = 12_000,
    batch: int = 512,
    hidden: int = 512,
    seed: int = 0,
    checkpoint: Path | None = None,
    reporter: Reporter | None = None,
) -> Curve:
    """Train, whiten and save the prior; returns the held-out curve (degrees).

    The set is small, so two thirds of the poses are put together from several (see `layered`).
    """
    poses, weights = pose_table(motions, train=True)
    held, held_weights = pose_table(motions, train=False)
    prior = PosePrior(hidden)
    steady = torch.linspace(0, len(held) - 1, min(len(held), 2048)).long()
    held, held_weights = held[steady], held_weights[steady] / held_weights[steady].sum()

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        picked = poses[torch.multinomial(weights, batch, replacement=True, generator=generator)].clone()
        picked = layered(picked, generator)
        picked = picked + 0.02 * torch.randn(picked.shape, generator=generator)
        noise = torch.randn(batch, prior.latent, generator=generator)
        # Half precision in the matrices alone is faster on CPUs that know bfloat16.
        with torch.autocast("cpu", torch.bfloat16):
            parts = pose_loss(prior, picked, noise, KL_WEIGHT * min(1.0, step / 1000))
        return {"loss": parts.total}

    def check(_model: nn.Module) -> dict[str, float]:
        return {"held-out error [deg]": reconstruction_error(prior, held, held_weights)}

    plan = Plan(steps=steps, rate=1e-3, warm_up=200, decay=1e-4, check_every=max(1, steps // 40), save_every=1000)
    curve = train(prior, loss, check, plan, seed=seed, checkpoint=checkpoint, reporter=reporter)
    whiten(prior, poses[torch.multinomial(weights, 8192, replacement=True, generator=_fixed(seed))])
    if reporter is not None:
        by = [reconstruction_error(prior, held, held_weights, closest=flag) for flag in (False, True)]
        reporter.note(
            f"pose prior: held-out error {by[0]:.2f} degrees by the encoder, {by[1]:.2f} by the closest latents"
        )
    save_weights(prior, out, {"kind": "pose prior", "steps": str(steps), "seed": str(seed)})
    return curve


def _fixed(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def reconstruction_error(
    prior: PosePrior, poses: Float[Tensor, "n 21 3"], weights: Float[Tensor, " n"], *, closest: bool = False
) -> float:
    """Mean joint error of poses coded and decoded, in degrees; the weights sum to one.

    Coded by the encoder, or as the latents that come closest.
    """
    told = matrix_from_axis_angle(poses)
    latents = prior.closest(told) if closest else prior.encode_vectors(poses)[0]
    angle = angle_between(prior.decode(latents), told).mean(-1)
    return math.degrees(float((angle * weights).sum()))


@torch.no_grad()
def whiten(prior: PosePrior, poses: Float[Tensor, "n 21 3"]) -> None:
    """Shift and mix the latents so that over `poses` they have mean zero and unit covariance, in place.

    The decoder undoes it, so reconstructions stay the same; but samples of N(0, I) now fall where poses are.
    """
    prior.eval()
    mean, deviation = prior.encode_vectors(poses)
    centre = mean.mean(0)
    spread = (mean - centre).T @ (mean - centre) / len(mean) + torch.diag(deviation.square().mean(0))
    values, vectors = torch.linalg.eigh(spread.double())
    root = (vectors * values.clamp_min(1e-6).sqrt()) @ vectors.T
    inverse = (vectors / values.clamp_min(1e-6).sqrt()) @ vectors.T
    root, inverse = root.float(), inverse.float()
    head, first = prior.head.mu, prior.first
    head.weight.copy_(inverse @ head.weight)
    head.bias.copy_(inverse @ (head.bias - centre))
    first.bias.copy_(first.bias + first.weight @ centre)
    first.weight.copy_(first.weight @ root)
    # The deviations no longer lie along the axes; dividing by the mean scale keeps their size right.
    scale = prior.head.logvar
    scale.bias.sub_(0.5 * torch.log(values.float().clamp_min(1e-6)).mean())
