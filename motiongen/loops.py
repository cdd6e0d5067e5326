"""Seamless loops, and motions that stay on the spot.

A loop's last frame is followed by its first: poses, height and their speeds go on; travel and heading go on too, unless
the motion is also in place.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from avatargen.core.rotations import matrix_from_6d, sixd_from_matrix
from avatargen.core.values import Motion
from motiongen.motion_features import Clip, heading, yaw_matrix

_LEVEL = (1.0, 0.0, 1.0)
_FADE = 8
_SHORTEST = 16
_WARP = 0.15
_WARP_COST = 0.05


def _part(clip: Clip, begin: int, end: int) -> Clip:
    part = slice(begin, end)
    return Clip(rotations=clip.rotations[:, part], root=clip.root[:, part], contacts=clip.contacts[:, part])


def _after(clip: Clip, at: int, place: Clip, frame: int) -> Clip:
    """`clip` turned and shifted, level, so that its frame `at` stands where frame `frame` of `place` does."""
    turn = yaw_matrix(heading(place.rotations[:, frame, 0]) - heading(clip.rotations[:, at, 0]))
    level = torch.tensor(_LEVEL, dtype=clip.root.dtype, device=clip.root.device)
    root = torch.einsum("bij,btj->bti", turn, clip.root - clip.root[:, at : at + 1] * level)
    root = root + place.root[:, frame : frame + 1] * level
    oriented = torch.einsum("bij,btjk->btik", turn, clip.rotations[:, :, 0])
    return replace(clip, root=root, rotations=torch.cat((oriented[:, :, None], clip.rotations[:, :, 1:]), dim=2))


def _mixed(a: Clip, b: Clip, share: Float[Tensor, " t"]) -> Clip:
    def mix(x: Tensor, y: Tensor) -> Tensor:
        return x + share.view(1, -1, *[1] * (x.dim() - 2)) * (y - x)

    rotations = matrix_from_6d(mix(sixd_from_matrix(a.rotations), sixd_from_matrix(b.rotations)))
    return Clip(rotations=rotations, root=mix(a.root, b.root), contacts=mix(a.contacts, b.contacts))


def find_cycle(clip: Clip, frames: int) -> tuple[int, int, int]:
    """First frame, length and number of repeats of the stretch that closes best and can fill `frames`.

    Compared are poses and their speeds `length` frames apart; the tempo may change by 15 percent at most.
    """
    rows = sixd_from_matrix(clip.rotations[0, :, 1:]).flatten(1)
    rows = torch.cat((rows, 2.0 * clip.root[0, :, 1:2]), dim=1)
    total = len(rows)
    moves = rows.diff(dim=0, append=2 * rows[-1:] - rows[-2:-1])
    best, found = float("inf"), (0, min(total - _FADE, frames), 1)
    for length in range(min(_SHORTEST, total - _FADE), total - _FADE + 1):
        repeats = max(1, round(frames / length))
        warp = abs(repeats * length / frames - 1.0)
        if warp > _WARP:
            continue
        reach = total - length
        apart = (rows[length:] - rows[:reach]).square().mean(1) + 4.0 * (moves[length:] - moves[:reach]).square().mean(
            1
        )
        cost = apart.unfold(0, _FADE, 1).mean(-1) + _WARP_COST * warp
        # Of equally good cycles the longer one says more.
        cost = cost * (1.0 + 0.2 * repeats)
        if float(cost.min()) < best:
            best, found = float(cost.min()), (int(cost.argmin()), length, repeats)
    return found


def cycle_of(clip: Clip, begin: int, length: int) -> Clip:
    """The stretch with its head faded in from what follows its end, so that its end leads to its head."""
    head, tail = _part(clip, begin, begin + _FADE), _part(clip, begin + length, begin + length + _FADE)
    share = (torch.arange(_FADE) + 0.5) / _FADE
    share = share * share * (3.0 - 2.0 * share)
    joined = _mixed(_after(tail, 0, head, 0), head, share)
    rest = _part(clip, begin + _FADE, begin + length)
    return Clip(
        rotations=torch.cat((joined.rotations, rest.rotations), dim=1),
        root=torch.cat((joined.root, rest.root), dim=1),
        contacts=torch.cat((joined.contacts, rest.contacts), dim=1),
    )


def looped(clip: Clip, frames: int) -> tuple[Clip, int]:
    """Three rounds of a loop of about `frames` frames, and how long one round is; cut out the middle one.

    A round may be shorter or longer than asked by 15 percent; play it at the tempo that makes it fit.
    """
    begin, length, repeats = find_cycle(clip, frames)
    cycle = cycle_of(clip, begin, length)
    # Where the next round starts: one step further than the last frame, as the raw motion went on there.
    lead = _after(_part(clip, begin + length - 1, begin + length + 1), 0, cycle, length - 1)
    rounds = [cycle]
    for _ in range(3 * repeats - 1):
        before = rounds[-1]
        rounds.append(_after(cycle, 0, _after(lead, 0, before, length - 1), 1))
    whole = Clip(
        rotations=torch.cat([r.rotations for r in rounds], dim=1),
        root=torch.cat([r.root for r in rounds], dim=1),
        contacts=torch.cat([r.contacts for r in rounds], dim=1),
    )
    return whole, repeats * length


def middle_round(motion: Motion, length: int) -> Motion:
    """The second of three rounds, over the origin, its small mismatch with the third spread over its frames."""
    part = slice(length, 2 * length)
    rotations, root = motion.rotations[part].astype(float), motion.root_position[part].astype(float)
    here, there = torch.from_numpy(rotations[0, 0]), torch.from_numpy(motion.rotations[2 * length, 0].astype(float))
    back = yaw_matrix(heading(here) - heading(there)).numpy()
    closing = motion.rotations[2 * length].astype(float).copy()
    closing[0] = back @ closing[0]
    step = np.linspace(0.0, 1.0, length, endpoint=False)
    sixd = sixd_from_matrix(torch.from_numpy(rotations))
    gap = sixd[0] - sixd_from_matrix(torch.from_numpy(closing))
    # The root's heading may run on over the round; what is corrected is turned along with it.
    turned = yaw_matrix(heading(torch.from_numpy(rotations[:, 0])) - heading(torch.from_numpy(rotations[0, 0])))
    gaps = gap.expand(length, *gap.shape).clone()
    columns = gap[0].view(2, 3)
    gaps[:, 0] = torch.einsum("tij,kj->tki", turned, columns).flatten(1)
    mended = matrix_from_6d(sixd + torch.from_numpy(step)[:, None, None] * gaps).numpy()
    root[:, 1] += step * (root[0, 1] - motion.root_position[2 * length, 1])
    root[:, [0, 2]] -= root[0, [0, 2]]
    contacts = None if motion.contacts is None else motion.contacts[part]
    return replace(motion, rotations=mended, root_position=root, contacts=contacts)


def in_place(motion: Motion, loop: bool = False) -> Motion:
    """The motion without its way over the floor; swaying about it stays. Standing feet then slide, as on a treadmill.

    Of a loop the way is a straight, steady one; else it is the path smoothed over about half a second.
    """
    root = motion.root_position.astype(float).copy()
    flat = root[:, [0, 2]]
    frames = len(flat)
    if frames < 3:
        return motion
    last = flat[-1] + (flat[-1] - flat[-2] if loop else 0.0)
    trend = flat[0] + np.linspace(0.0, 1.0, frames, endpoint=not loop)[:, None] * (last - flat[0])
    rest = flat - trend
    if not loop:
        rest = rest - gaussian_filter1d(rest, 0.4 * motion.fps, axis=0, mode="nearest")
    root[:, [0, 2]] = rest - rest.mean(0)
    return replace(motion, root_position=root)
