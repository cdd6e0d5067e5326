"""The losses of AvatarCLIP's motion search (Hong et al. 2022, arXiv:2205.08535), from its published numbers.

`motion.losses = original` searches with them: each candidate pulls the one frame that is nearest, by rank; two frames a
step are looked at, later ones weighing more; change between frames is rewarded without bound. There is no prior, no
smoothness, no floor.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.rotations import axis_angle_from_matrix, sixd_from_matrix
from avatargen.guidance.model import Guidance
from motiongen.candidates import Candidates
from motiongen.motion_features import Clip
from motiongen.puppet import Puppet, pictures

_RANKS = (1.0, 0.8, 0.6, 0.4, 0.2)
_LOOK = 0.001
_DELTA = 0.01
_STRIDE = 30
_AZIMUTH = 30.0
_BODY = slice(1, 22)


def original_terms(clip: Clip, candidates: Candidates) -> Float[Tensor, " s"]:
    """Pose and delta losses of each motion; candidates beyond the fifth weigh as much as the fifth."""
    made = sixd_from_matrix(clip.rotations[:, :, _BODY]).flatten(2)
    asked = sixd_from_matrix(candidates.poses).flatten(1)
    nearest = (made[:, :, None] - asked).square().mean(-1).amin(1)
    weights = torch.tensor([_RANKS[min(rank, len(_RANKS) - 1)] for rank in range(len(asked))])
    angles = axis_angle_from_matrix(clip.rotations[:, :, _BODY])
    delta = angles.diff(dim=1).square().mean((1, 2, 3))
    return (nearest * weights).sum(-1) - _DELTA * delta


def original_look(
    clip: Clip,
    text: Float[Tensor, "1 d"],
    guidance: Guidance,
    puppet: Puppet,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """Guidance loss of every thirtieth frame from a random first one, summed over motions."""
    count, frames = clip.rotations.shape[:2]
    times = torch.arange(int(torch.randint(min(_STRIDE, frames), (1,), generator=generator)), frames, _STRIDE)
    rotations = clip.rotations[:, times].flatten(0, 1)
    hands = torch.eye(3).expand(len(rotations), 2, 3, 3)
    images = pictures(puppet, torch.cat((rotations, hands), dim=1), (_AZIMUTH,), guidance.image_size)
    seen = guidance.encode_image(images).unflatten(0, (count, len(times)))
    apart = 1.0 - (seen * text).sum(-1)
    return _LOOK * (apart * (times / frames)).sum()
