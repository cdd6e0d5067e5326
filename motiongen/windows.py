"""Training windows cut from a motion set: loops go round and round, short clips are held at their ends.

A set is what `motiongen import` writes: `axis_angle` [T, 24, 3], `root_position` [T, 3] in metres, `contacts` [T, 2],
`clip_start` [K + 1], `fps`, `names`, `labels`, `alternatives` ('|'-joined), `loop`, `rest_root_height` and `split`
('train' or 'val') per clip.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatargen.core.errors import BrokenFileError, InputError
from avatargen.core.npz import read_npz
from avatargen.core.rotations import matrix_from_6d, matrix_from_axis_angle, sixd_from_matrix
from motiongen.motion_features import JOINTS, RATE, Clip, heading, yaw_matrix

MAX_CYCLES = 64
_KEYS = (
    *("axis_angle", "root_position", "contacts", "clip_start", "fps", "names", "labels"),
    *("alternatives", "loop", "rest_root_height", "split"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class MotionSet:
    """All clips of a set, end to end, at 30 frames a second; positions in units of the resting pelvis height."""

    rotations: Float[Tensor, "n 22 3 3"]
    root: Float[Tensor, "n 3"]
    contacts: Float[Tensor, "n 2"]
    start: Int[Tensor, " k"]
    length: Int[Tensor, " k"]
    loop: tuple[bool, ...]
    names: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    """Wordings of each clip, the label first."""
    train: tuple[bool, ...]
    cycle_yaw: Float[Tensor, " k"]
    """How far one round of a looping clip turns."""
    cycle_shift: Float[Tensor, "k c 3"]
    """Where the c-th round of a looping clip starts, as a shift after turning by c * cycle_yaw."""

    def clips(self, *, train: bool) -> list[int]:
        """Indices of the clips on one side of the split."""
        return [index for index, flag in enumerate(self.train) if flag == train]


def read_motion_set(path: Path) -> MotionSet:
    """Read a motion set.

    Raises:
        InputError: there is no such file, or its frame rate is not 30.
        BrokenFileError: it is damaged, or an array is missing or has the wrong shape; the message names it.
    """
    if not path.is_file():
        raise InputError(f"motion set not found: {path}\n  Make one: motiongen import FILES --out set.npz")
    data = read_npz(path, most_bytes=8 << 30)
    missing = [key for key in _KEYS if key not in data]
    if missing:
        raise BrokenFileError(f"{path} is not a motion set: it has no {missing[0]!r}")
    frames, clips = len(data["axis_angle"]), len(data["clip_start"]) - 1
    if data["axis_angle"].shape != (frames, 24, 3) or data["root_position"].shape != (frames, 3):
        raise BrokenFileError(f"{path}: axis_angle {data['axis_angle'].shape} or root_position has a wrong shape")
    if clips < 1 or int(data["clip_start"][-1]) != frames or any(len(data[key]) != clips for key in _KEYS[5:]):
        raise BrokenFileError(f"{path}: clip_start does not fit the {frames} frames or the {len(data['names'])} names")
    if abs(float(data["fps"]) - RATE) > 1e-3:
        raise InputError(f"{path} runs at {float(data['fps']):g} frames a second; motiongen import writes {RATE:g}")
    return build_motion_set(data)


def build_motion_set(data: dict[str, np.ndarray]) -> MotionSet:
    """The set of arrays as the file holds them, already checked."""
    start = torch.from_numpy(data["clip_start"].astype(np.int64))
    length = start[1:] - start[:-1]
    height = torch.from_numpy(data["rest_root_height"].astype(np.float32)).repeat_interleave(length)
    rotations = matrix_from_axis_angle(torch.from_numpy(data["axis_angle"].astype(np.float32))[:, :JOINTS])
    root = torch.from_numpy(data["root_position"].astype(np.float32)) / height[:, None]
    first, last = start[:-1], start[1:] - 1
    yaw = heading(rotations[last, 0]) - heading(rotations[first, 0])
    yaw = torch.atan2(yaw.sin(), yaw.cos())
    turn = yaw_matrix(yaw)
    step = root[last] - torch.einsum("kij,kj->ki", turn, root[first])
    step[:, 1] = 0.0
    shifts = [torch.zeros_like(step)]
    for _ in range(MAX_CYCLES - 1):
        shifts.append(torch.einsum("kij,kj->ki", turn, shifts[-1]) + step)
    words = [
        tuple(dict.fromkeys(w.strip() for w in (str(label), *str(more).split("|")) if w.strip()))
        for label, more in zip(data["labels"], data["alternatives"], strict=True)
    ]
    return MotionSet(
        rotations=rotations,
        root=root,
        contacts=torch.from_numpy(data["contacts"].astype(np.float32)),
        start=first,
        length=length,
        loop=tuple(bool(flag) for flag in data["loop"]),
        names=tuple(str(name) for name in data["names"]),
        labels=tuple(words),
        train=tuple(str(side) == "train" for side in data["split"]),
        cycle_yaw=yaw,
        cycle_shift=torch.stack(shifts, dim=1),
    )


def cut_windows(motions: MotionSet, clips: Int[Tensor, " b"], times: Float[Tensor, "b t"]) -> Clip:
    """Windows of clips at fractional frame numbers; numbers outside a clip loop round or hold its ends."""
    length = motions.length[clips][:, None]
    loops = torch.tensor([motions.loop[int(c)] for c in clips]) & (length[:, 0] > 2)
    period = torch.where(loops[:, None], length - 1, length).clamp_min(1)
    held = times.clamp_min(0.0).minimum((length - 1).float())
    cycle = torch.where(loops[:, None], (times / period).floor(), torch.zeros_like(times)).clamp(0, MAX_CYCLES - 1)
    local = torch.where(loops[:, None], (times - cycle * period).clamp_min(0.0), held)
    low = local.floor().long().minimum(length - 1)
    high = (low + 1).minimum(length - 1)
    share = (local - low)[..., None]
    first = motions.start[clips][:, None]

    def between(values: Tensor) -> Tensor:
        return values[first + low] + share * (values[first + high] - values[first + low])

    # Neighbouring frames are close: linear in 6-D and Gram-Schmidt is as good as slerp here.
    a, b = motions.rotations[first + low], motions.rotations[first + high]
    blend = a + share[..., None, None] * (b - a)
    rotations = matrix_from_6d(sixd_from_matrix(blend))
    turn = yaw_matrix(cycle * motions.cycle_yaw[clips][:, None])
    shift = motions.cycle_shift[clips[:, None], cycle.long()]
    root = torch.einsum("btij,btj->bti", turn, between(motions.root)) + shift
    oriented = torch.einsum("btij,btjk->btik", turn, rotations[:, :, 0])
    rotations = torch.cat((oriented[:, :, None], rotations[:, :, 1:]), dim=2)
    return Clip(rotations=rotations, root=root, contacts=between(motions.contacts))


def random_windows(
    motions: MotionSet, chances: Float[Tensor, " k"], count: int, frames: int, generator: torch.Generator
) -> Clip:
    """Windows at random places, at 0.85 to 1.2 times their speed; a short clip lies wholly inside its window."""
    clips = torch.multinomial(chances, count, replacement=True, generator=generator)
    speed = 0.85 + 0.35 * torch.rand(count, 1, generator=generator)
    room = motions.length[clips][:, None] - frames * speed
    loops = torch.tensor([motions.loop[int(c)] for c in clips])[:, None]
    where = torch.rand(count, 1, generator=generator)
    begin = torch.where(loops, where * motions.length[clips][:, None], room * where)
    return cut_windows(motions, clips, begin + speed * torch.arange(frames))


def sampling_chances(motions: MotionSet, *, train: bool) -> Float[Tensor, " k"]:
    """How often each clip is drawn: by the square root of its length, capped at ten seconds."""
    side = torch.tensor([flag == train for flag in motions.train])
    return motions.length.float().clamp(20.0, 300.0).sqrt() * side
