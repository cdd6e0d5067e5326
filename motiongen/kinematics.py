"""Forward kinematics and small rotation algebra in NumPy, on SMPL's 24 joints or any other tree.

Matrices act on column vectors; parents come before children.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS

JOINT = {name: index for index, name in enumerate(SMPL_JOINTS)}
"""Index of each SMPL joint."""

# The open body with all betas zero (1.71 m), in its exact T-pose on y = 0. Motions are stored for these proportions.
_HALF = {
    "pelvis": (0.0, 0.952, 0.0),
    "left_hip": (0.094, 0.899, 0.012),
    "spine1": (0.0, 1.04, -0.008),
    "left_knee": (0.095, 0.507, 0.012),
    "spine2": (0.0, 1.142, -0.005),
    "left_ankle": (0.095, 0.076, 0.012),
    "spine3": (0.0, 1.219, -0.013),
    "left_foot": (0.094, 0.026, 0.152),
    "neck": (0.0, 1.455, 0.018),
    "left_collar": (0.052, 1.387, 0.035),
    "head": (0.0, 1.543, 0.044),
    "left_shoulder": (0.178, 1.371, 0.029),
    "left_elbow": (0.438, 1.371, 0.029),
    "left_wrist": (0.673, 1.371, 0.029),
    "left_hand": (0.775, 1.371, 0.029),
}


def _reference() -> Float[np.ndarray, "24 3"]:
    rows = []
    for name in SMPL_JOINTS:
        x, y, z = _HALF[name.replace("right_", "left_")]
        rows.append((-x if name.startswith("right_") else x, y, z))
    return np.array(rows)


REFERENCE_JOINTS: Float[np.ndarray, "24 3"] = _reference()
"""Rest joint positions of the body that stored motions are made for; the soles are at y = 0."""


def world_rotations(
    rotations: Float[np.ndarray, "t j 3 3"], parents: Sequence[int] = SMPL_PARENTS
) -> Float[np.ndarray, "t j 3 3"]:
    """Orientation of each joint in the world from its orientation in its parent."""
    world = rotations.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            world[:, joint] = world[:, parent] @ rotations[:, joint]
    return world


def local_rotations(
    world: Float[np.ndarray, "t j 3 3"], parents: Sequence[int] = SMPL_PARENTS
) -> Float[np.ndarray, "t j 3 3"]:
    """Inverse of `world_rotations`."""
    local = world.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            local[:, joint] = np.swapaxes(world[:, parent], -1, -2) @ world[:, joint]
    return local


def joint_positions(
    rotations: Float[np.ndarray, "t j 3 3"],
    root_position: Float[np.ndarray, "t 3"],
    joints: Float[np.ndarray, "j 3"],
    parents: Sequence[int] = SMPL_PARENTS,
) -> Float[np.ndarray, "t j 3"]:
    """World positions of all joints of a body whose rest joints are `joints`."""
    world = world_rotations(rotations, parents)
    return positions_from_world(world, root_position, joints, parents)


def positions_from_world(
    world: Float[np.ndarray, "t j 3 3"],
    root_position: Float[np.ndarray, "t 3"],
    joints: Float[np.ndarray, "j 3"],
    parents: Sequence[int] = SMPL_PARENTS,
) -> Float[np.ndarray, "t j 3"]:
    """As `joint_positions`, from orientations in the world."""
    positions = np.empty(world.shape[:-1])
    for joint, parent in enumerate(parents):
        if parent < 0:
            positions[:, joint] = root_position
        else:
            positions[:, joint] = positions[:, parent] + world[:, parent] @ (joints[joint] - joints[parent])
    return positions


def rotation_between(a: Float[np.ndarray, " 3"], b: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "3 3"]:
    """The smallest rotation that turns direction `a` into `b`; half a turn goes about x where it can."""
    a = a / np.linalg.norm(a)
    b = b / np.linalg.norm(b)
    cross, cosine = np.cross(a, b), float(a @ b)
    if cosine < -1 + 1e-9:
        axis = np.cross(a, (1.0, 0.0, 0.0))
        axis = np.array((1.0, 0.0, 0.0)) if np.linalg.norm(axis) > 1e-6 else np.array((0.0, 1.0, 0.0))
        axis = axis - (axis @ a) * a
        axis /= np.linalg.norm(axis)
        return 2 * np.outer(axis, axis) - np.eye(3)
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)


def matrix_from_rotvec(rotvec: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3 3"]:
    """Rodrigues' formula."""
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(rotvec, -1, 0)
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*rotvec.shape[:-1], 3, 3)
    small = angle < 1e-6
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1.0 - angle**2 / 6, np.sin(safe) / safe)
    second = np.where(small, 0.5 - angle**2 / 24, (1 - np.cos(safe)) / safe**2)
    return np.eye(3) + first * skew + second * (skew @ skew)


def quat_from_matrix(matrix: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 4"]:
    """Unit quaternions `xyzw` with w >= 0 (Shepperd's method: the largest of four squares leads)."""
    m = matrix
    t = np.stack([m[..., 0, 0], m[..., 1, 1], m[..., 2, 2], m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]], axis=-1)
    quat = np.empty((*m.shape[:-2], 4))
    best = t.argmax(-1)
    for lead in range(4):
        at = best == lead
        if not at.any():
            continue
        r = m[at]
        if lead == 3:
            q = [r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1], 1 + t[at][:, 3]]
        else:
            i, j, k = lead, (lead + 1) % 3, (lead + 2) % 3
            q = [np.zeros(len(r))] * 4
            q[i] = 1 + r[:, i, i] - r[:, j, j] - r[:, k, k]
            q[j] = r[:, j, i] + r[:, i, j]
            q[k] = r[:, k, i] + r[:, i, k]
            q[3] = r[:, k, j] - r[:, j, k]
        quat[at] = np.stack(q, axis=-1)
    quat /= np.linalg.norm(quat, axis=-1, keepdims=True)
    return np.where(quat[..., 3:] < 0, -quat, quat)


def matrix_from_quat(quat: Float[np.ndarray, "*b 4"]) -> Float[np.ndarray, "*b 3 3"]:
    """Rotation matrices of unit quaternions `xyzw`."""
    x, y, z, w = np.moveaxis(quat, -1, 0)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return np.stack(rows, axis=-1).reshape(*quat.shape[:-1], 3, 3)


def rotvec_from_matrix(matrix: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 3"]:
    """Rotation vectors with angles in [0, pi]."""
    quat = quat_from_matrix(matrix)
    sine = np.linalg.norm(quat[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quat[..., 3:])
    return quat[..., :3] * np.where(sine < 1e-9, 2.0, angle / np.maximum(sine, 1e-12))


def slerp(
    a: Float[np.ndarray, "*b 3 3"], b: Float[np.ndarray, "*b 3 3"], weight: Float[np.ndarray, "*b"] | float
) -> Float[np.ndarray, "*b 3 3"]:
    """The rotation `weight` of the way from `a` to `b` along the shortest arc."""
    step = rotvec_from_matrix(np.swapaxes(a, -1, -2) @ b)
    return a @ matrix_from_rotvec(step * np.asarray(weight)[..., None])
