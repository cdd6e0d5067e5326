"""Feet that stay where they stand: the root follows the standing foot, two-bone IK mends the rest.

The clean-up knows stances (a foot stands) and swings (it is on its way). In a stance the ball of the foot, or the
heel while the ball is up, is pinned; what would drag the foot far from where the motion wants it is let go at a
speed no one sees. In a swing the corrections fade, and a foot that was dragged over the floor is lifted.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from avatargen.core.values import Motion
from motiongen.feet import carrying_point, detect_contacts, sole_points, soles_from_world
from motiongen.kinematics import (
    JOINT,
    REFERENCE_JOINTS,
    local_rotations,
    positions_from_world,
    rotation_between,
    world_rotations,
)

_LEAK = 0.12  # m/s by which a pinned foot may creep back; the skate measure starts at 0.2
_CLEARANCE = 0.065
_SIDES = ("left", "right")


def root_from_feet(
    motion: Motion, joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS, height: float = 0.02, strength: float = 1.0
) -> Motion:
    """The motion with its root moved, level, so that the sole points on the floor stand still.

    `height` is how far over the lowest point a point still counts as carrying (m); `strength` 0..1 mixes with the
    travel the motion had. In flight the last and next speeds are joined. Turns a walk in place into one that travels.
    """
    soles = sole_points(motion, joints)
    frames = len(soles)
    if frames < 4:
        return motion
    velocity = np.gradient(soles, axis=0)[..., [0, 2]].reshape(frames, 6, 2)
    above = np.maximum(soles[..., 1].reshape(frames, 6), 0.0)
    weight = np.exp(-(above - above.min(1, keepdims=True)) / (height / 2)) * np.exp(-above / height)
    total = weight.sum(1)
    standing = total > 0.15
    if standing.sum() < 3:
        return motion
    mean = (weight[..., None] * velocity).sum(1) / np.maximum(total, 1e-9)[:, None]
    at = np.arange(frames)
    step = np.stack([-np.interp(at, at[standing], mean[standing, axis]) for axis in (0, 1)], axis=1)
    step = gaussian_filter1d(step, 0.04 * motion.fps, axis=0, mode="nearest") * strength
    root = motion.root_position.copy()
    root[:, [0, 2]] += np.cumsum(step, axis=0) - step[0]
    return replace(motion, root_position=root)


def _about(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotations about unit axes [t, 3] by angles [t]."""
    x, y, z = axis.T
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle)[:, None, None] * skew + (1 - np.cos(angle))[:, None, None] * skew @ skew


def two_bone(
    root: Float[np.ndarray, "t 3"],
    middle: Float[np.ndarray, "t 3"],
    tip: Float[np.ndarray, "t 3"],
    target: Float[np.ndarray, "t 3"],
    hinge: Float[np.ndarray, "t 3"],
    stretch: float = 0.999,
) -> tuple[Float[np.ndarray, "t 3 3"], Float[np.ndarray, "t 3 3"]]:
    """World turns (applied on the left) of upper and lower bone that bring `tip` to `target`, by the law of cosines.

    The limb bends in the plane it bends in now; a straight one about `hinge`, the axis about which bending turns the
    lower bone. Out of reach, the tip lies on the line to the target at `stretch` of the limb's length.
    """
    upper = np.linalg.norm(middle - root, axis=-1)
    lower = np.linalg.norm(tip - middle, axis=-1)
    wanted = target - root
    reach = np.clip(np.linalg.norm(wanted, axis=-1), np.abs(upper - lower) + 1e-4, (upper + lower) * stretch)
    axis = np.cross(middle - root, tip - middle)
    size = np.linalg.norm(axis, axis=-1, keepdims=True)
    straight = size[:, 0] < 0.02 * upper * lower
    # What is nearly straight is made quite straight first: its own slight bend need not lie in the hinge's plane.
    align = np.stack(
        [
            rotation_between(low, up) if s else np.eye(3)
            for low, up, s in zip(tip - middle, middle - root, straight, strict=True)
        ]
    )
    shin = np.einsum("tij,tj->ti", align, tip - middle)
    now = middle - root + shin
    length = np.linalg.norm(now, axis=-1)
    side = hinge - (hinge * now).sum(-1, keepdims=True) * now / np.maximum(length, 1e-9)[:, None] ** 2
    axis = np.where(
        straight[:, None],
        side / np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9),
        axis / np.maximum(size, 1e-12),
    )

    def at_root(c: np.ndarray) -> np.ndarray:
        return np.arccos(np.clip((upper**2 + c**2 - lower**2) / (2 * upper * np.maximum(c, 1e-9)), -1, 1))

    def interior(c: np.ndarray) -> np.ndarray:
        return np.arccos(np.clip((upper**2 + lower**2 - c**2) / (2 * upper * lower), -1, 1))

    # A larger interior angle straightens the limb: the upper bone turns about +axis, the lower one about -axis.
    first = _about(axis, at_root(length) - at_root(reach))
    second = first @ _about(axis, interior(length) - interior(reach))
    bent = np.einsum("tij,tj->ti", first, middle - root) + np.einsum("tij,tj->ti", second, shin)
    swing = np.stack(
        [rotation_between(b, w) if np.linalg.norm(w) > 1e-6 else np.eye(3) for b, w in zip(bent, wanted, strict=True)]
    )
    return swing @ first, swing @ second @ align


def _runs(on: np.ndarray) -> list[np.ndarray]:
    """Index ranges of equal values."""
    return np.split(np.arange(len(on)), np.flatnonzero(np.diff(on.astype(int))) + 1)


def _ease(u: np.ndarray) -> np.ndarray:
    return u * u * u * (u * (6 * u - 15) + 10)


def _stance(soles: np.ndarray, fps: float) -> np.ndarray:
    """Offsets of a foot over one stance: pinned, creeping back at most at `_LEAK`, nothing under the floor. [n, 3]."""
    offset = np.zeros((len(soles), 3))
    carrier = carrying_point(soles)
    for k in range(1, len(soles)):
        point = carrier[k]
        moved = offset[k - 1] - (soles[k, point] - soles[k - 1, point])
        size = float(np.linalg.norm(moved[[0, 2]]))
        if size > 0:
            moved *= max(0.0, 1 - _LEAK / fps / size) if size > 0.02 else 1.0
        offset[k] = moved
    offset[:, 1] = -soles[:, :, 1].min(1)
    return offset


def _corrections(soles: np.ndarray, on: np.ndarray, fps: float, blend: int) -> np.ndarray:
    """How far to move a foot per frame. soles [t, 3, 3] -> [t, 3]."""
    offset = np.zeros((len(soles), 3))
    runs = _runs(on)
    for run in runs:
        if on[run[0]]:
            offset[run] = _stance(soles[run], fps)
    for run in runs:
        if not on[run[0]]:
            offset[run] = _swing(soles, run, offset, blend)
    return offset


def _swing(soles: np.ndarray, run: np.ndarray, offset: np.ndarray, blend: int) -> np.ndarray:
    before = offset[run[0] - 1] if run[0] > 0 else None
    after = offset[run[-1] + 1] if run[-1] + 1 < len(soles) else None
    n = len(run)
    along = np.arange(1, n + 1)
    out = np.zeros((n, 3))
    if before is not None:
        out += before * _ease(np.clip(1 - along / min(blend, n + 1), 0, 1))[:, None]
    if after is not None:
        out += after * _ease(np.clip(1 - along[::-1] / min(blend, n + 1), 0, 1))[:, None]
    # A foot on its way must leave the floor: the lowest point follows a hump as high as the way is long.
    moved = soles[run] + out[:, None]
    way = float(np.linalg.norm((moved[:, 1] - moved[0, 1])[:, [0, 2]], axis=-1).max())
    hump = min(_CLEARANCE, 0.5 * way) * np.sin(np.pi * along / (n + 1)) ** 0.5
    out[:, 1] += np.maximum(0.0, hump - moved[:, :, 1].min(1))
    out[:, 1] += np.maximum(0.0, -(soles[run] + out[:, None])[:, :, 1].min(1))
    return out


def lock_feet(
    motion: Motion,
    joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS,
    contacts: Float[np.ndarray, "t 2"] | None = None,
    blend_seconds: float = 0.3,
    follow: float = 0.0,
) -> Motion:
    """The motion with feet that neither slide nor sink while they stand, by two-bone IK of the legs.

    Args:
        motion: the motion.
        joints: rest joints of the body.
        contacts: where feet stand; found anew if None. The result carries what was used.
        blend_seconds: how long a correction fades in and out around a stance.
        follow: 0..1, how much the root first follows the standing feet (`root_from_feet`); 0 keeps its travel.
    """
    if follow > 0:
        motion = root_from_feet(motion, joints, strength=follow)
    if contacts is None:
        contacts = detect_contacts(motion, joints)
    blend = max(2, round(blend_seconds * motion.fps))
    world = world_rotations(motion.rotations)
    positions = positions_from_world(world, motion.root_position, joints)
    soles = soles_from_world(world, positions, joints)
    offsets = [_corrections(soles[:, side], contacts[:, side] > 0.5, motion.fps, blend) for side in (0, 1)]
    motion = replace(motion, contacts=contacts)
    return move_feet(motion, joints, offsets) if np.any(np.abs(offsets) > 1e-6) else motion


def move_feet(motion: Motion, joints: Float[np.ndarray, "24 3"], offsets: Sequence[Float[np.ndarray, "t 3"]]) -> Motion:
    """The motion with its left and right ankle moved by `offsets` (m), by two-bone IK; the root comes after them.

    Ankle and toes keep their orientation in the world.
    """
    world = world_rotations(motion.rotations)
    positions = positions_from_world(world, motion.root_position, joints)
    targets = [positions[:, JOINT[f"{name}_ankle"]] + offset for name, offset in zip(_SIDES, offsets, strict=True)]
    shift = _reach_shift(positions, targets, joints, motion.fps)
    positions = positions + shift[:, None]
    moved = world.copy()
    for name, target in zip(_SIDES, targets, strict=True):
        hip, knee, ankle, foot = (JOINT[f"{name}_{part}"] for part in ("hip", "knee", "ankle", "foot"))
        thigh, shin = two_bone(positions[:, hip], positions[:, knee], positions[:, ankle], target, world[:, hip, :, 0])
        moved[:, hip] = thigh @ world[:, hip]
        moved[:, knee] = shin @ world[:, knee]
        # So a flat sole stays flat.
        moved[:, [ankle, foot]] = world[:, [ankle, foot]]
    return replace(motion, rotations=local_rotations(moved), root_position=motion.root_position + shift)


def _reach_shift(positions: np.ndarray, targets: Sequence[np.ndarray], joints: np.ndarray, fps: float) -> np.ndarray:
    """Where the root goes so that both feet can reach their targets, smoothly. [t, 3]."""
    shift = np.zeros((len(positions), 3))
    for _ in range(3):
        for name, target in zip(_SIDES, targets, strict=True):
            hip, knee, ankle = (JOINT[f"{name}_{part}"] for part in ("hip", "knee", "ankle"))
            leg = float(np.linalg.norm(joints[knee] - joints[hip]) + np.linalg.norm(joints[ankle] - joints[knee]))
            way = target - (positions[:, hip] + shift)
            length = np.linalg.norm(way, axis=-1, keepdims=True)
            shift = shift + way / np.maximum(length, 1e-9) * np.maximum(0.0, length - 0.998 * leg)
    smooth = gaussian_filter1d(shift, 0.07 * fps, axis=0, mode="nearest")
    # Going down is never wrong: where smoothing would leave a leg too short, keep the lower of both.
    smooth[:, 1] = np.minimum(smooth[:, 1], shift[:, 1])
    return smooth
