"""Windows longer than the motion VAE's two seconds: the motion goes on from where it is, cross-faded into itself."""

import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.rotations import matrix_from_6d, sixd_from_matrix
from motiongen.motion_features import Clip, heading, yaw_matrix

BLEND = 12
_LEVEL = (1.0, 0.0, 1.0)


def extend(clip: Clip, frames: int) -> Clip:
    """The first `frames` frames of one window played again and again.

    Each round starts at the place and heading that the last one had `BLEND` frames before its end, and fades in over
    these frames; so walks walk on, and gestures are made again.
    """
    whole = clip
    while whole.rotations.shape[1] < frames:
        whole = _joined(whole, _moved(clip, whole))
    return Clip(rotations=whole.rotations[:, :frames], root=whole.root[:, :frames], contacts=whole.contacts[:, :frames])


def continued(clip: Clip, period: int) -> Clip:
    """A clip that repeats after `period` frames, one round longer: its own last round, faded into its end."""
    begin = clip.root.shape[1] - BLEND - period
    last = Clip(rotations=clip.rotations[:, begin:], root=clip.root[:, begin:], contacts=clip.contacts[:, begin:])
    return _joined(clip, _moved(last, clip))


def _moved(clip: Clip, before: Clip) -> Clip:
    """The window turned and shifted so that its first frame lies on the frame of `before` where the fade begins."""
    at = before.rotations.shape[1] - BLEND
    turn = yaw_matrix(heading(before.rotations[:, at, 0]) - heading(clip.rotations[:, 0, 0]))
    level = torch.tensor(_LEVEL, dtype=clip.root.dtype, device=clip.root.device)
    root = (
        torch.einsum("bij,btj->bti", turn, clip.root - clip.root[:, :1] * level) + before.root[:, at : at + 1] * level
    )
    oriented = torch.einsum("bij,btjk->btik", turn, clip.rotations[:, :, 0])
    rotations = torch.cat((oriented[:, :, None], clip.rotations[:, :, 1:]), dim=2)
    return Clip(rotations=rotations, root=root, contacts=clip.contacts)


def _joined(first: Clip, second: Clip) -> Clip:
    share = torch.linspace(0.0, 1.0, BLEND, device=first.root.device)
    share = share * share * (3.0 - 2.0 * share)

    def fade(a: Float[Tensor, "b t *c"], b: Float[Tensor, "b s *c"]) -> Float[Tensor, "b joined *c"]:
        weight = share.view(1, BLEND, *[1] * (a.dim() - 2))
        middle = a[:, -BLEND:] + weight * (b[:, :BLEND] - a[:, -BLEND:])
        return torch.cat((a[:, :-BLEND], middle, b[:, BLEND:]), dim=1)

    rotations = matrix_from_6d(fade(sixd_from_matrix(first.rotations), sixd_from_matrix(second.rotations)))
    return Clip(rotations=rotations, root=fade(first.root, second.root), contacts=fade(first.contacts, second.contacts))
