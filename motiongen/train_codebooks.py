"""Making of the codebooks from trained priors and a motion set."""

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatargen.core.files import save_tensors
from avatargen.core.rng import stream
from motiongen.codebook import k_means, save_motion_codebook, spread_order
from motiongen.motion_features import to_features
from motiongen.motion_vae import MotionVae
from motiongen.pose_prior import PosePrior
from motiongen.train_pose import pose_table
from motiongen.windows import MotionSet, cut_windows

FRAMES = 60
_PER_CLIP = 8
_POSES = 30_000


@torch.no_grad()
def make_pose_codebook(prior: PosePrior, motions: MotionSet, out: Path, *, entries: int = 2048, seed: int = 0) -> Path:
    """K-means centres over the latents of the training poses, in an order whose prefixes are spread out."""
    generator = stream(seed, "codebook/poses")
    poses, weights = pose_table(motions, train=True)
    count = min(_POSES, int((weights > 0).sum()))
    picked = poses[torch.multinomial(weights, count, replacement=False, generator=generator)]
    latents = prior.encoder_net(picked)[0]
    centres = k_means(latents, entries, generator)
    return save_tensors(out, {"latents": centres[spread_order(centres)].half()}, {"seed": str(seed)})


def codebook_windows(motions: MotionSet, clips: list[int]) -> tuple[Int[Tensor, " w"], Float[Tensor, " w"]]:
    """Clip and first frame of each window: short clips and loops once or twice, long ones at even distances.

    A short clip that does not loop lies in the first two thirds of its window and is held after its end.
    """
    rows, begins = [], []
    for clip in clips:
        length = int(motions.length[clip])
        if motions.loop[clip]:
            places = [0.0] if length < 2 * FRAMES else [k * (length - 1) / 4 for k in range(4)]
        elif length <= FRAMES:
            places = [-0.35 * (FRAMES - length)]
        else:
            count = min(_PER_CLIP, 1 + round((length - FRAMES) / (0.6 * FRAMES)))
            places = torch.linspace(0, length - FRAMES, count).tolist()
        rows += [clip] * len(places)
        begins += places
    return torch.tensor(rows), torch.tensor(begins)


@torch.no_grad()
def make_motion_codebook(vae: MotionVae, motions: MotionSet, out: Path) -> Path:
    """Latents of windows of all training clips, with the clips' words."""
    clips = motions.clips(train=True)
    rows, begins = codebook_windows(motions, clips)
    latents = []
    for part in torch.arange(len(rows)).split(64):
        windows = cut_windows(motions, rows[part], begins[part, None] + torch.arange(FRAMES))
        latents.append(vae.encode(to_features(windows))[0])
    row_of = {clip: row for row, clip in enumerate(clips)}
    clip = torch.tensor([row_of[int(row)] for row in rows])
    return save_motion_codebook(out, torch.cat(latents), clip, [motions.labels[c] for c in clips])
