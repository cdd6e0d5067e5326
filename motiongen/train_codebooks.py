"""Making of the codebooks from trained priors and a motion set."""

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatargen.core.files import save_tensors
from avatargen.core.rng import stream
from motiongen.codebook import k_means, save_motion_codebook, spread_order
from motiongen.motion_features import standard_offsets, to_features
from motiongen.motion_vae import FRAMES, MotionVae
from motiongen.optimize import intensity
from motiongen.pose_prior import PosePrior
from motiongen.train_pose import pose_table
from motiongen.windows import MotionSet, cut_windows

_PER_CLIP = 6
_STRIDE = 6
_APART = 40
_POSES = 30_000


@torch.no_grad()
def make_pose_codebook(prior: PosePrior, motions: MotionSet, out: Path, *, entries: int = 2048, seed: int = 0) -> Path:
    """K-means centres over the latents of the training poses, in an order whose prefixes are spread out."""
    generator = stream(seed, "codebook/poses")
    poses, weights = pose_table(motions, train=True)
    count = min(_POSES, int((weights > 0).sum()))
    picked = poses[torch.multinomial(weights, count, replacement=False, generator=generator)]
    latents = prior.encode_vectors(picked)[0]
    centres = k_means(latents, entries, generator)
    return save_tensors(out, {"latents": centres[spread_order(centres)].half()}, {"seed": str(seed)})


def codebook_windows(motions: MotionSet, clips: list[int]) -> tuple[Int[Tensor, " w"], Float[Tensor, " w"]]:
    """Clip and first frame of each window: the liveliest ones of a clip, at least 40 frames apart.

    A loop of up to two seconds fills its window by going round; another short clip lies in the first half of its
    window and is held after its end.
    """
    rows, begins = [], []
    for clip in clips:
        length = int(motions.length[clip])
        if length <= FRAMES:
            places = [0.0 if motions.loop[clip] else -0.35 * (FRAMES - length)]
        else:
            places = _lively_places(motions, clip, length)
        rows += [clip] * len(places)
        begins += places
    return torch.tensor(rows), torch.tensor(begins)


def _lively_places(motions: MotionSet, clip: int, length: int) -> list[float]:
    begins = list(range(0, length - FRAMES + 1, _STRIDE))
    windows = cut_windows(
        motions, torch.full((len(begins),), clip), (torch.tensor(begins)[:, None] + torch.arange(FRAMES)).float()
    )
    speed = intensity(windows, standard_offsets())
    most = min(_PER_CLIP, 1 + (length - FRAMES) // 60)
    places: list[float] = []
    for index in speed.argsort(descending=True).tolist():
        if len(places) < most and all(abs(begins[index] - place) >= _APART for place in places):
            places.append(float(begins[index]))
    return places


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
    words, names = [motions.labels[c] for c in clips], [motions.names[c] for c in clips]
    return save_motion_codebook(out, torch.cat(latents), clip, words, names, begins)
