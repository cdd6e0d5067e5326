"""Clips of our own, played again by code: they give back the details that the motion VAE smooths away.

A nod of the head or a trembling hand is too small for 256 numbers that have to say everything about two seconds. But
the clips of `motiongen.procedural` need not be remembered: their code ships. What the clip is beyond the decoded row of
the codebook is added to whatever is decoded near that row. So a small change of the code needs no new codebook.
"""

import re
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatargen.core.rng import numpy_stream
from motiongen.clips import Clip as Take
from motiongen.codebook import MotionCodebook
from motiongen.dataset import finished_clips, set_arrays
from motiongen.motion_features import FEATURES, RATE, to_features
from motiongen.motion_vae import FRAMES, MotionVae
from motiongen.procedural.actions import ACTIONS, take_of
from motiongen.windows import MotionSet, build_motion_set, cut_windows

_NAME = re.compile(r"procedural/(?P<action>\w+?)_(?P<take>\d+)(?:_travelling)?(?:_mirrored)?")
_SAME = 0.5
"""Root mean square difference of latents up to which a clip counts as the one the codebook was made from."""


@torch.no_grad()
def lost_details(vae: MotionVae, book: MotionCodebook, rows: Int[Tensor, " s"]) -> Float[Tensor, "s 60 137"]:
    """What the VAE loses of the windows behind the codebook's rows; zero where a clip is not one of our own.

    Zero, too, where the code performs another clip than the codebook was made from.
    """
    details = torch.zeros(len(rows), FRAMES, FEATURES)
    if book.begin is None or not book.names:
        return details
    for place, row in enumerate(rows.tolist()):
        played = _played(book.names[int(book.clip[row])])
        if played is None:
            continue
        times = book.begin[row] + torch.arange(FRAMES)
        features = to_features(cut_windows(played, torch.zeros(1, dtype=torch.long), times[None]))
        latent = vae.encode(features)[0][0]
        if float((latent - book.latents[row]).square().mean().sqrt()) < _SAME:
            details[place] = (features - vae.decode(book.latents[row][None]))[0]
    return details


def own_action(name: str) -> str | None:
    """Which action of ours the clip of that name is a take of; None if it is none of ours."""
    told = _NAME.fullmatch(name)
    return None if told is None else told["action"]


@lru_cache(maxsize=64)
def _played(name: str) -> MotionSet | None:
    """The clip of that name as it stands in a training set, or None if it is none of ours."""
    told = _NAME.fullmatch(name)
    action = None if told is None else next((a for a in ACTIONS if a.name == told["action"]), None)
    if told is None or action is None:
        return None
    take: Take = take_of(action, int(told["take"]), numpy_stream(0, f"procedural/{action.name}/{told['take']}"))
    clips = finished_clips([take], RATE, mirror=name.endswith("_mirrored"))
    found = next((clip for clip in clips if clip.motion.name == name), None)
    return None if found is None else build_motion_set(set_arrays([found], RATE))
