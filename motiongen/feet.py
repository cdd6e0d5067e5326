"""Where the soles are, and when they stand.

A sole is three points: heel (moves with the ankle), ball and tip (with the toes). Everything works on a motion together
with the rest joints [24, 3] of the body that performs it, standing in T-pose with its soles at y = 0.
"""

import numpy as np
from jaxtyping import Float, Integer

from avatargen.core.values import Motion
from motiongen.kinematics import JOINT, REFERENCE_JOINTS, positions_from_world, world_rotations

_HEEL_BACK = 0.055  # from ankle to heel and from ball to toe tip, metres at 1.71 m
_TOE_AHEAD = 0.06
CONTACT_HEIGHT = 0.05
CONTACT_SPEED = 0.3
BALL_LOW = 0.035

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
    return soles_from_world(world, positions, joints)


def soles_from_world(
    world: Float[np.ndarray, "t 24 3 3"], positions: Float[np.ndarray, "t 24 3"], joints: Float[np.ndarray, "24 3"]
) -> Float[np.ndarray, "t 2 3 3"]:
    """As `sole_points`, from orientations and positions in the world."""
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
    soles = soles_from_world(world, positions, joints)[..., 1].min((1, 2))
    flesh = (positions[:, _FLESHY, 1] - _RADII * size).min(1)
    crown = positions[:, JOINT["head"], 1] + (world[:, JOINT["head"]] @ np.array([0.0, _CROWN * size, 0.0]))[:, 1]
    return np.minimum(np.minimum(soles, flesh), crown)


def _speed(points: np.ndarray, fps: float) -> np.ndarray:
    """Horizontal speed by central differences; points [t, ..., 3]."""
    if len(points) < 2:
        return np.zeros(points.shape[:-1])
    return np.linalg.norm(np.gradient(points, axis=0)[..., [0, 2]], axis=-1) * fps


def carrying_point(soles: Float[np.ndarray, "*b 3 3"]) -> Integer[np.ndarray, "*b"]:
    """Which sole point a foot stands on: the ball (1) while it is nearly down, as feet pivot on it, else the lowest."""
    heights = soles[..., 1]
    lowest = heights.argmin(-1)
    down = heights[..., 1] < np.maximum(heights.min(-1), 0.0) + BALL_LOW
    return np.where(down, 1, lowest)


def clean_runs(on: np.ndarray, gap: int, shortest: int) -> np.ndarray:
    """Close gaps of up to `gap` frames, then drop runs shorter than `shortest`."""
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
    """1 where a foot stands: the point that carries it is below `height` (m) and slower than `speed` (m/s)."""
    soles = sole_points(motion, joints)
    carrier = carrying_point(soles)[..., None]
    speeds = np.take_along_axis(_speed(soles, motion.fps), carrier, 2)[..., 0]
    heights = np.take_along_axis(soles[..., 1], carrier, 2)[..., 0]
    still = (heights < height) & (speeds < speed)
    gap = max(1, round(0.06 * motion.fps))
    return np.stack([clean_runs(still[:, side].copy(), gap, gap + 1) for side in (0, 1)], axis=1).astype(float)
