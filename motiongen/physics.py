"""Is it possible? Measures of feet and floor, and grounding; `lock_feet` mends what slides.

Everything works on a motion together with the rest joints [24, 3] of the body that performs it, standing in
T-pose with its soles at y = 0.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from avatargen.core.values import Motion
from motiongen.feet import detect_contacts, lowest_point, sole_points
from motiongen.foot_lock import lock_feet, root_from_feet
from motiongen.kinematics import REFERENCE_JOINTS, positions_from_world, world_rotations

__all__ = [
    "detect_contacts",
    "floating",
    "floor_penetration",
    "foot_skate_ratio",
    "ground",
    "lock_feet",
    "lowest_point",
    "mean_jerk",
    "physics_report",
    "root_from_feet",
    "scale_to_body",
    "sole_points",
]


def foot_skate_ratio(motion: Motion, joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS) -> float:
    """Share of frames in which a toe under 5 cm moves faster than 0.2 m/s along the floor (GMD, arXiv:2305.12577)."""
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
