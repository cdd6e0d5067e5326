"""The same action as different people do it: other timing, other hand, arms that have nothing to do, lean and stance.

A `Manner` is drawn by the seed and put on a motion that is already found, so that it costs no search. It leaves alone
what the action needs: only arms that hang idle take another place, only an upright trunk leans and turns (with the arms
that reach for the head), and feet are moved as a whole, so that what stood still stands still.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.rng import stream
from avatargen.core.rotations import matrix_from_6d, matrix_from_axis_angle, sixd_from_matrix
from avatargen.core.values import Motion
from motiongen.clips import swap_sides
from motiongen.extend import BLEND, continued
from motiongen.foot_lock import move_feet
from motiongen.liveliness import retimed
from motiongen.motion_features import Clip, canonical, heading, joint_positions, standard_offsets
from motiongen.procedural.rig import solve

_BLOCK = 10
_DELAY = 8.0
_SHORTEST, _LONGEST = 14, 40
_REPEATS = 0.15
_TEMPO = (0.88, 1.14)
_ARMS = ((13, 16, 18, 20), (14, 17, 19, 21))
_SPINE = (3, 6, 9)
_HANGING = 0.38
_IDLE = 0.11

_POSTURES: Mapping[str, Mapping[str, Sequence[float]]] = {
    "hips": {"hand": (0, -0.37, 0.05), "elbow": (1, 0, -0.25), "fingers": (-0.4, -0.5, 0.7), "palm": (-0.9, -0.3, 0)},
    "behind": {"hand": (-0.13, -0.41, -0.14), "elbow": (0.7, -0.2, -0.7), "fingers": (-0.8, -0.5, -0.1)},
    "clasped": {"hand": (-0.13, -0.43, 0.17), "elbow": (0.8, -0.5, -0.3), "fingers": (-0.6, -0.75, 0.2)},
    "belly": {"hand": (-0.15, -0.29, 0.175), "elbow": (0.9, -0.6, 0), "fingers": (-0.9, 0.1, 0.2), "palm": (0, 0, -1)},
    "ready": {"hand": (0.04, -0.27, 0.22), "elbow": (0.7, -0.6, -0.5), "palm": (-0.9, -0.3, 0)},
    "off": {"hand": (0.17, -0.44, 0.08), "elbow": (0.7, -0.4, -0.6)},
    "crossed": {
        "hand_l": (-0.25, -0.21, 0.17), "fingers_l": (-1, -0.2, -0.3),
        "hand_r": (-0.27, -0.17, 0.2), "fingers_r": (-1, 0.3, -0.2), "elbow": (1, -0.7, 0), "palm": (0, 0, -1),
    },
}  # fmt: skip
"""Where an arm can rest on a standing body, as controls of `motiongen.procedural.rig`."""
_FOR_ONE = ("", "hips", "behind", "belly", "off", "ready")
_FOR_BOTH = ("", "hips", "behind", "clasped", "off", "ready", "crossed")


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How somebody does what they do; by default as it was found."""

    delay: float = 0.0
    """Frames by which the middle of a gesture comes later."""
    phase: float = 0.0
    """0..1: where in its round a motion that repeats begins."""
    tempo: float = 1.0
    """Of a motion that repeats."""
    mirrored: bool = False
    """Whether left and right change places."""
    trunk: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Forward, to the left, and bent to the right, degrees."""
    one: str = ""
    """Where an arm rests if only one is idle; nothing: where it is."""
    both: str = ""
    """Where both do if both are."""
    share: float = 0.0
    """How far they go there."""
    stance: tuple[float, float] = (0.0, 0.0)
    """How far each foot stands further out, and the left one ahead of the right, metres."""


AS_FOUND = Manner()


def draw_manner(text: str, variety: float, seed: int) -> Manner:
    """A manner by the seed; none at a variety of 0. A text that names a side keeps it."""
    if variety <= 0:
        return AS_FOUND
    much = min(variety / 0.6, 1.5)

    def between(what: str, low: float, high: float) -> float:
        return low + (high - low) * drawn(seed, what)

    def one_of(what: str, names: Sequence[str]) -> str:
        return names[int(len(names) * drawn(seed, what))]

    return Manner(
        delay=much * between("delay", -_DELAY, _DELAY),
        phase=between("phase", 0.0, 1.0),
        tempo=1.0 + min(1.0, much) * (between("tempo", *_TEMPO) - 1.0),
        trunk=(
            much * between("lean", -8.0, 14.0), much * between("turn", -20.0, 20.0), much * between("bend", -7.0, 7.0)
        ),
        one=one_of("arm", _FOR_ONE),
        both=one_of("arms", _FOR_BOTH),
        share=min(1.0, much * between("share", 0.75, 1.0)),
        stance=(much * between("wide", -0.02, 0.15), much * between("ahead", -0.32, 0.32)),
        # The guidance looks from one side and mostly likes the same hand; a text that names no side has none.
        mirrored=swap_sides(text) == text and drawn(seed, "side") < 0.5,
    )  # fmt: skip


def milder(manner: Manner) -> tuple[Manner, ...]:
    """The manner, and milder ones: stance, or trunk and idle arms, or both by half; all of these as they were."""
    return tuple(_by(manner, pose, feet) for pose, feet in ((1.0, 1.0), (1.0, 0.5), (0.5, 1.0), (0.5, 0.5), (0.0, 0.0)))


def _by(manner: Manner, pose: float, feet: float) -> Manner:
    """The manner with trunk and idle arms, and stance, that far from how they were."""
    lean, turn, bend = manner.trunk
    wide, ahead = manner.stance
    trunk, stance = (pose * lean, pose * turn, pose * bend), (feet * wide, feet * ahead)
    return replace(manner, trunk=trunk, share=pose * manner.share, stance=stance)


def drawn(seed: int, what: str) -> float:
    """A number from 0 to 1. Ten seeds in a row fall into ten tenths, so neighbours are not alike by chance.

    For each kind on its own: a Latin hypercube.
    """
    block, row = divmod(seed, _BLOCK)
    tenth = torch.randperm(_BLOCK, generator=stream(block, f"motion/{what}"))[row]
    inside = torch.rand(1, generator=stream(seed, f"motion/{what}/inside"))
    return min(float((tenth + inside) / _BLOCK), 1.0 - 1e-6)


def timed(clip: Clip, manner: Manner) -> Clip:
    """The clip at another time: one that repeats begins elsewhere in its round, another is early or late."""
    frames = clip.root.shape[1]
    period = repeats_after(clip) if manner.phase or manner.tempo != 1.0 else None
    if period is None:
        return delayed(clip, manner.delay)
    begin = manner.phase * period
    longer = clip
    while longer.root.shape[1] < begin + manner.tempo * frames + 1:
        longer = continued(longer, period)
    return canonical(retimed(longer, begin + manner.tempo * torch.arange(frames, dtype=torch.float32)))


def delayed(clip: Clip, delay: float) -> Clip:
    """The clip with its middle `delay` frames later (earlier if negative), its ends where they were."""
    frames = clip.root.shape[1]
    times = torch.arange(frames, dtype=torch.float32)
    most = 0.4 * frames / torch.pi  # time never runs faster or slower than by two fifths
    times = times - max(-most, min(most, delay)) * torch.sin(torch.pi * times / (frames - 1))
    return retimed(clip, times)


def repeats_after(clip: Clip) -> int | None:
    """Frames after which the poses come again, None if they do not: what is left is a small part of how they vary."""
    rows = sixd_from_matrix(clip.rotations[0, :, 1:]).flatten(1)
    vary = 2.0 * float((rows - rows.mean(0)).square().mean())
    if vary < 1e-6:
        return None
    found = None
    for lag in range(_SHORTEST, min(_LONGEST, len(rows) - BLEND) + 1):
        left = float((rows[lag:] - rows[:-lag]).square().mean())
        # The whole way must have been travelled by then: slow drifts are close to themselves, too.
        if left < (_REPEATS * vary if found is None else 0.9 * found[0]):
            found = (left, lag)
    return None if found is None else found[1]


def posed(clip: Clip, manner: Manner) -> Clip:
    """The clip with the trunk's lean and with idle arms where the manner has them."""
    if (up := _upright(clip)) < 0.55:
        return clip
    rotations = clip.rotations.clone()
    idle = [side for side in (0, 1) if up > 0.75 and _idle(clip, side)]
    name = {0: "", 1: manner.one, 2: manner.both}[len(idle)]
    if name:
        resting = sixd_from_matrix(_resting(name))
        for side in idle:
            joints = list(_ARMS[side])
            now = sixd_from_matrix(rotations[:, :, joints])
            rotations[:, :, joints] = matrix_from_6d(now + manner.share * (resting[joints] - now))
    turn = torch.deg2rad(torch.tensor(manner.trunk))
    lean = matrix_from_axis_angle(turn[None] / len(_SPINE))[0]
    for joint in _SPINE:
        rotations[:, :, joint] = lean @ rotations[:, :, joint]
    return Clip(rotations=rotations, root=clip.root, contacts=clip.contacts)


def _upright(clip: Clip) -> float:
    """Cosine of how far the chest is ever from upright; 0 for who sits, kneels or lies."""
    chest = clip.rotations[0, :, 0]
    for joint in _SPINE:
        chest = chest @ clip.rotations[0, :, joint]
    return float(chest[:, 1, 1].min()) * (float(clip.root[0, :, 1].min()) > 0.45)


def _idle(clip: Clip, side: int) -> bool:
    """Whether an arm hangs down and stays there; lengths in resting pelvis heights."""
    _, shoulder, _, wrist = _ARMS[side]
    places = joint_positions(clip.rotations[0], standard_offsets())
    way = places[:, wrist] - places[:, shoulder]
    middle = way.mean(0)
    hangs = float(middle[1]) < -_HANGING and float((way - middle).norm(dim=-1).max()) < _IDLE
    return hangs and float(clip.root[0, :, 1].min()) > 0.85


@lru_cache(maxsize=8)
def _resting(name: str) -> Float[Tensor, "22 3 3"]:
    """The body standing with its arms as the posture says."""
    told = {}
    for control, value in _POSTURES[name].items():
        for key in (control,) if control[-2:] in ("_l", "_r") else (f"{control}_l", f"{control}_r"):
            told[key] = np.array([value], dtype=float)
    return torch.from_numpy(solve(told, 30.0, name).rotations[0, :22]).float()


def stanced(motion: Motion, joints: Float[np.ndarray, "24 3"], manner: Manner) -> Motion:
    """The motion with its feet further apart, one ahead of the other, wherever they go; not if it turns or lies."""
    if not any(manner.stance):
        return motion
    size = float(joints[0, 1])
    turned = torch.from_numpy(np.unwrap(heading(torch.from_numpy(motion.rotations[:, 0])).numpy()))
    if float(turned.max() - turned.min()) > 0.6 or float(motion.root_position[:, 1].mean()) < 0.7 * size:
        return motion
    walks = float(np.ptp(motion.root_position[:, [0, 2]], axis=0).max()) > 0.3 * size
    out, ahead = (0.4 * manner.stance[0], 0.0) if walks else manner.stance
    yaw = float(turned.mean())
    left, front = np.array([np.cos(yaw), 0.0, -np.sin(yaw)]), np.array([np.sin(yaw), 0.0, np.cos(yaw)])
    step = np.tile(out * left + 0.5 * ahead * front, (len(motion.rotations), 1))
    return move_feet(motion, joints, [step, -step])
