"""AMASS' archive of a motion: what the SMPL add-ons of Blender, Unity and Unreal read.

AMASS is Z up: the root's orientation takes the Y-up body into a Z-up world, and `trans` is what is added to the posed
body's vertices, so the pelvis stands at `trans + rest_root`. Both the combined `poses` and the split keys are written,
because readers ask for one or the other. `betas` belong to the body named in `body`; those of the open body mean
nothing to an SMPL file, while the poses do, as both have the same joints and rest frames.
"""

import numpy as np
from jaxtyping import Float

from avatargen.core.npz import encode_npz
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.values import Motion

_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # from Y up


def _rotvecs(matrices: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 3"]:
    """Rotation vectors with angles in [0, pi], well-behaved at both ends (through the largest quaternion entry)."""
    m = matrices.astype(np.float64)
    diagonal = np.stack([m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], axis=-1)
    trace = diagonal.sum(-1, keepdims=True)
    # Four times the outer product of the quaternion xyzw with itself; its largest column is the best scaled.
    outer = np.empty((*m.shape[:-2], 4, 4))
    for i in range(3):
        for j in range(3):
            outer[..., i, j] = m[..., i, j] + m[..., j, i]
        outer[..., i, i] = 1 + 2 * diagonal[..., i] - trace[..., 0]
        j, k = (i + 1) % 3, (i + 2) % 3
        outer[..., i, 3] = outer[..., 3, i] = m[..., k, j] - m[..., j, k]
    outer[..., 3, 3] = 1 + trace[..., 0]
    best = np.einsum("...ii->...i", outer).argmax(-1)
    quat = np.take_along_axis(outer, best[..., None, None], axis=-1)[..., 0]
    quat /= np.linalg.norm(quat, axis=-1, keepdims=True)
    quat = np.where(quat[..., 3:] < 0, -quat, quat)
    sine = np.linalg.norm(quat[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quat[..., 3:])
    return quat[..., :3] * np.where(sine < 1e-9, 2.0, angle / np.maximum(sine, 1e-12))


def encode_amass(
    motion: Motion,
    *,
    betas: Float[np.ndarray, " n"],
    gender: str,
    rest_root: Float[np.ndarray, " 3"],
    body: str,
) -> bytes:
    """The motion as an AMASS `.npz`; equal input gives equal bytes, and nothing in it needs pickle.

    Args:
        motion: on SMPL's 24 joints, scaled to the body.
        betas: shape of the body that moves.
        gender: neutral, male or female.
        rest_root: rest position of the root joint in the body's own frame, Y up (SMPL: row 0 of its joints).
        body: which body the betas belong to, e.g. "open-1a2b3c4d" or "smpl".

    Raises:
        ValueError: the motion lacks one of SMPL's joints.
    """
    missing = [name for name in SMPL_JOINTS if name not in motion.joint_names]
    if missing:
        raise ValueError(f"the motion lacks SMPL's joints {', '.join(missing)}")
    rotations = motion.rotations[:, [motion.joint_names.index(name) for name in SMPL_JOINTS]].astype(np.float64)
    rotations[:, 0] = _Z_UP @ rotations[:, 0]
    frames = len(rotations)
    note = "; they are not SMPL's betas" if body.startswith("open") else ""
    poses = _rotvecs(rotations).reshape(frames, 72)
    rest_root = np.asarray(rest_root, dtype=np.float64)
    return encode_npz(
        {
            "poses": poses,
            "trans": motion.root_position.astype(np.float64) @ _Z_UP.T - rest_root,
            "betas": np.asarray(betas, dtype=np.float64),
            "gender": np.array(gender),
            "mocap_framerate": np.array(float(motion.fps)),
            "mocap_frame_rate": np.array(float(motion.fps)),
            "mocap_time_length": np.array(frames / float(motion.fps)),
            "root_orient": poses[:, :3],
            "pose_body": poses[:, 3:66],
            # Fingers of SMPL-H and SMPL-X: 15 joints a hand, straight.
            "pose_hand": np.zeros((frames, 90)),
            "rest_root": rest_root,
            "rest_root_height": np.array(float(motion.rest_root_height)),
            "up_axis": np.array("z"),
            "body": np.array(f"betas are of the body '{body}'{note}"),
        }
    )
