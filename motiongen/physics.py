"""Feet and floor: contacts, measures, grounding, and feet that stay put.

Everything works on a motion together with the rest joints [24, 3] of the body that performs it, standing in
T-pose with its soles at y = 0. A sole is three points: heel (moves with the ankle), ball and tip (with the toes).
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from avatargen.core.values import Motion
from motiongen.kinematics import (
    JOINT,
    REFERENCE_JOINTS,
    local_rotations,
    positions_from_world,
    rotation_between,
    world_rotations,
)

_HEEL_BACK = 0.055  # from ankle to heel and from ball to toe tip, metres at 1.71 m
_TOE_AHEAD = 0.06
CONTACT_HEIGHT = 0.05
CONTACT_SPEED = 0.3

# How far the body's surface is below a joint when that joint's part lies on the floor, metres at 1.71 m.
_FLESH = {
    "pelvis": 0.10, "spine1": 0.10, "spine2": 0.11, "spine3": 0.11, "neck": 0.055, "head": 0.075,
    "hip": 0.09, "knee": 0.05, "ankle": 0.035, "collar": 0.05, "shoulder": 0.055, "elbow": 0.035, "wrist": 0.025,
    "hand": 0.015,
}  # fmt: skip
_FLESHY = [JOINT[n] for n in JOINT if not n.endswith("foot")]
_RADII = np.array([_FLESH[n.removeprefix("left_").removeprefix("right_")] for n in JOINT if not n.endswith("foot")])
_CROWN = 0.16  # from the head joint to the top of the head


def sole_points(motion: Motion, joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS) -> Float[np.ndarray, "t 2 3 3"]:
    """World positions of heel, ball and tip of the left and right sole."""
    world = world_rotations(motion.rotations)
    positions = positions_from_world(world, motion.root_position, joints)
    return _sole_points(world, positions, joints)


def _sole_points(world: np.ndarray, positions: np.ndarray, joints: np.ndarray) -> np.ndarray:
    size = float(joints[0, 1]) / float(REFERENCE_JOINTS[0, 1])
    out = np.empty((len(world), 2, 3, 3))
    for side, (ankle, foot) in enumerate(
        ((JOINT["left_ankle"], JOINT["left_foot"]), (JOINT["right_ankle"], JOINT["right_foot"]))
    ):
        heel = np.array([0.0, -joints[ankle, 1], -_HEEL_BACK * size])
        ball = np.array([0.0, -joints[foot, 1], 0.0])
        tip = ball + np.array([0.0, 0.0, _TOE_AHEAD * size])
        out[:, side, 0] = positions[:, ankle] + world[:, ankle] @ heel
        out[:, side, 1] = positions[:, foot] + world[:, foot] @ ball
        out[:, side, 2] = positions[:, foot] + world[:, foot] @ tip
    return out


def lowest_point(motion: Motion, joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS) -> Float[np.ndarray, " t"]:
    """Height of the lowest point of the body per frame, by its soles and by rough thicknesses elsewhere."""
    world = world_rotations(motion.rotations)
    positions = positions_from_world(world, motion.root_position, joints)
    size = float(joints[0, 1]) / float(REFERENCE_JOINTS[0, 1])
    soles = _sole_points(world, positions, joints)[..., 1].min((1, 2))
    flesh = (positions[:, _FLESHY, 1] - _RADII * size).min(1)
    crown = positions[:, JOINT["head"], 1] + (world[:, JOINT["head"]] @ np.array([0.0, _CROWN * size, 0.0]))[:, 1]
    return np.minimum(np.minimum(soles, flesh), crown)


def _speed(points: np.ndarray, fps: float) -> np.ndarray:
    """Horizontal speed by central differences; points [t, ..., 3]."""
    if len(points) < 2:
        return np.zeros(points.shape[:-1])
    return np.linalg.norm(np.gradient(points, axis=0)[..., [0, 2]], axis=-1) * fps


def _clean_runs(on: np.ndarray, gap: int, shortest: int) -> np.ndarray:
    """Close gaps of up to `gap` frames, then drop runs shorter than `shortest`. [t] bool"""
    for value, limit in ((False, gap), (True, shortest - 1)):
        edges = np.flatnonzero(np.diff(on.astype(int))) + 1
        for run in np.split(np.arange(len(on)), edges):
            at_border = run[0] == 0 or run[-1] == len(on) - 1
            if on[run[0]] == value and len(run) <= limit and not at_border:
                on[run] = not value
    return on


def detect_contacts(
    motion: Motion,
    joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS,
    height: float = CONTACT_HEIGHT,
    speed: float = CONTACT_SPEED,
) -> Float[np.ndarray, "t 2"]:
    """1 where the left or right foot stands: its lowest sole point is below `height` (m) and slower than `speed` (m/s)."""
    soles = sole_points(motion, joints)
    speeds = _speed(soles, motion.fps)
    still = ((soles[..., 1] < height) & (speeds < speed)).any(-1)
    gap = max(1, round(0.06 * motion.fps))
    return np.stack([_clean_runs(still[:, side].copy(), gap, gap + 1) for side in (0, 1)], axis=1).astype(float)


def foot_skate_ratio(motion: Motion, joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS) -> float:
    """Share of frames in which a toe under 5 cm moves horizontally faster than 0.2 m/s (after GMD, arXiv:2305.12577)."""
    toes = sole_points(motion, joints)[:, :, 1]
    if len(toes) < 2:
        return 0.0
    low = (toes[1:, :, 1] < 0.05) & (toes[:-1, :, 1] < 0.05)
    fast = np.linalg.norm(np.diff(toes, axis=0)[..., [0, 2]], axis=-1) * motion.fps > 0.2
    return float((low & fast).any(1).mean())


def floor_penetration(motion: Motion, joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS) -> float:
    """Mean depth in metres of the lowest point below the floor, zero in frames above it."""
    return float(np.maximum(0.0, -lowest_point(motion, joints)).mean())


def floating(motion: Motion, joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS) -> float:
    """Mean height in metres of the lowest point over the floor."""
    return float(np.maximum(0.0, lowest_point(motion, joints)).mean())


def mean_jerk(motion: Motion, joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS) -> float:
    """Mean length of the joints' third time derivative, m/s^3; 0 for fewer than four frames."""
    positions = positions_from_world(world_rotations(motion.rotations), motion.root_position, joints)
    if len(positions) < 4:
        return 0.0
    return float(np.linalg.norm(np.diff(positions, n=3, axis=0), axis=-1).mean() * motion.fps**3)


def physics_report(motion: Motion, joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS) -> dict[str, float]:
    """All measures by name: foot_skate (share), penetration and floating (m), jerk (m/s^3), contact (share)."""
    return {
        "foot_skate": foot_skate_ratio(motion, joints),
        "penetration": floor_penetration(motion, joints),
        "floating": floating(motion, joints),
        "jerk": mean_jerk(motion, joints),
        "contact": float(detect_contacts(motion, joints).max(1).mean()),
    }


def scale_to_body(motion: Motion, pelvis_height: float) -> Motion:
    """The motion for a body whose pelvis rests `pelvis_height` metres over its soles: travel scales with the legs."""
    scale = pelvis_height / motion.rest_root_height
    return replace(motion, root_position=motion.root_position * scale, rest_root_height=float(pelvis_height))


def ground(
    motion: Motion,
    joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS,
    reach: float = 0.15,
    flatten: bool = False,
) -> Motion:
    """The motion moved up or down so that it stands, sits or lies on y = 0.

    One shift for the whole clip brings its low frames (5th percentile) to the floor if they are within `reach`
    metres of it; clips that fly higher keep their height. What still dips under the floor is lifted by a
    smooth envelope. `flatten` follows the lowest point all along, for walks over terrain that is not there.
    """
    low = lowest_point(motion, joints)
    sigma = 0.1 * motion.fps
    shift = np.zeros(len(low))
    if flatten:
        ground_line = -maximum_filter1d(-low, size=max(3, round(0.3 * motion.fps) | 1), mode="nearest")
        shift -= gaussian_filter1d(ground_line, 0.2 * motion.fps, mode="nearest")
    elif abs(level := float(np.percentile(low, 5))) <= reach:
        shift -= level
    depth = np.maximum(0.0, -(low + shift) - 0.003)
    if depth.max() > 0:
        envelope = maximum_filter1d(depth, size=max(3, round(3 * sigma) | 1), mode="nearest")
        shift += np.maximum(gaussian_filter1d(envelope, sigma, mode="nearest"), depth)
    root = motion.root_position.copy()
    root[:, 1] += shift
    return replace(motion, root_position=root)


def _two_bone(
    hip: np.ndarray, knee: np.ndarray, ankle: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """World rotations of thigh and shin that bring the ankle to `target`, bending in the plane the leg bends in now.

    The returned matrices are applied on the left of the joints' world rotations; the reach is never exceeded.
    """
    thigh, shin = np.linalg.norm(knee - hip), np.linalg.norm(ankle - knee)
    now, wanted = ankle - hip, target - hip
    reach = min(max(float(np.linalg.norm(wanted)), 1e-3), (thigh + shin) * 0.9995)
    axis = np.cross(knee - hip, ankle - knee)
    if np.linalg.norm(axis) < 1e-5:
        axis = np.cross(now, np.array([0.0, 0.0, -1.0]))
    axis = axis / max(float(np.linalg.norm(axis)), 1e-12)

    def interior(length: float) -> float:
        return float(np.arccos(np.clip((thigh**2 + shin**2 - length**2) / (2 * thigh * shin), -1, 1)))

    def at_hip(length: float) -> float:
        return float(np.arccos(np.clip((thigh**2 + length**2 - shin**2) / (2 * thigh * max(length, 1e-6)), -1, 1)))

    length = float(np.linalg.norm(now))
    open_hip = _about(axis, -(at_hip(reach) - at_hip(length)))
    open_knee = _about(axis, -(interior(reach) - interior(length)))
    bent = open_hip @ (knee - hip) + open_hip @ open_knee @ (ankle - knee)
    swing = rotation_between(bent, wanted) if np.linalg.norm(wanted) > 1e-6 else np.eye(3)
    return swing @ open_hip, swing @ open_hip @ open_knee


def _about(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew


def _corrections(ankle: np.ndarray, soles: np.ndarray, on: np.ndarray, blend: int) -> np.ndarray:
    """How far to move one ankle per frame so that its foot stays put while it stands. [t, 3]

    Within a contact the sole point that is lowest most of the time is pinned where it is on average, and
    what hangs below the floor is lifted. Before and after, the offset fades over `blend` frames.
    """
    frames = len(ankle)
    offset, weight = np.zeros((frames, 3)), np.zeros(frames)
    edges = np.flatnonzero(np.diff(on.astype(int))) + 1
    runs = [run for run in np.split(np.arange(frames), edges) if on[run[0]]]
    for run in runs:
        # Feet roll from heel to toe: each stretch is pinned by the point that carries it, without a jump between.
        carrier = soles[run][:, :, 1].argmin(1)
        pinned = np.empty((len(run), 3))
        shift = np.zeros(3)
        for k, frame in enumerate(run):
            if k > 0:
                point = carrier[k]
                shift = shift - (soles[frame, point] - soles[frame - 1, point])
            pinned[k] = shift
        pinned[:, 1] = 0.0
        pinned -= pinned.mean(0) * 1.0
        pinned[:, 1] = -soles[run][:, :, 1].min(1)
        offset[run] = pinned
        weight[run] = 1.0
    if not runs:
        return offset
    filled = np.zeros_like(offset)
    for frame in range(frames):
        if weight[frame]:
            filled[frame] = offset[frame]
            continue
        before = next((r[-1] for r in reversed(runs) if r[-1] < frame), None)
        after = next((r[0] for r in runs if r[0] > frame), None)
        for edge in (before, after):
            if edge is not None and abs(edge - frame) < blend:
                u = 1 - abs(edge - frame) / blend
                filled[frame] += offset[edge] * (u * u * (3 - 2 * u))
    return filled


def lock_feet(
    motion: Motion,
    joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS,
    contacts: Float[np.ndarray, "t 2"] | None = None,
    blend_seconds: float = 0.2,
    rounds: int = 2,
) -> Motion:
    """The motion with feet that neither slide nor sink while they stand, by two-bone IK of the legs.

    Args:
        motion: the motion; its root stays, but for a lowering where a leg is too short to reach.
        joints: rest joints of the body.
        contacts: where feet stand; found by `detect_contacts` with a lenient speed if None.
        blend_seconds: how long a correction fades in and out around a contact.
        rounds: repetitions; the second mends what the reach of the legs left over.
    """
    if contacts is None:
        contacts = motion.contacts if motion.contacts is not None else detect_contacts(motion, joints, speed=0.6)
    blend = max(2, round(blend_seconds * motion.fps))
    for _ in range(rounds):
        motion = _lock_once(motion, joints, contacts, blend)
    return replace(motion, contacts=contacts)


def _lock_once(motion: Motion, joints: np.ndarray, contacts: np.ndarray, blend: int) -> Motion:
    world = world_rotations(motion.rotations)
    positions = positions_from_world(world, motion.root_position, joints)
    soles = _sole_points(world, positions, joints)
    moved = world.copy()
    for side, name in enumerate(("left", "right")):
        hip, knee, ankle, foot = (JOINT[f"{name}_{part}"] for part in ("hip", "knee", "ankle", "foot"))
        shift = _corrections(positions[:, ankle], soles[:, side], contacts[:, side] > 0.5, blend)
        for frame in np.flatnonzero(np.abs(shift).max(1) > 1e-6):
            p = positions[frame]
            thigh, shin = _two_bone(p[hip], p[knee], p[ankle], p[ankle] + shift[frame])
            moved[frame, hip] = thigh @ world[frame, hip]
            moved[frame, knee] = shin @ world[frame, knee]
        # Ankle and toes keep their orientation in the world: the sole stays flat.
        moved[:, [ankle, foot]] = world[:, [ankle, foot]]
    return replace(motion, rotations=local_rotations(moved))
