"""AMASS and SMPL-X archives (`poses`, `trans`, a frame rate), Z up, to a `Motion`, Y up. Nothing is unpickled.

Both hold rotation vectors on SMPL's joints, whose rest frames are identities: the orientations carry over as they are.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avatargen.core.errors import BrokenFileError
from avatargen.core.npz import read_npz
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.values import Motion
from motiongen.kinematics import JOINT, REFERENCE_JOINTS, matrix_from_rotvec

_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")
_MAX_FRAMES = 500_000
_Y_FROM_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
# SMPL's neutral template: pelvis over its own origin's sole, and hips under the pelvis.
_SMPL_PELVIS_HEIGHT = 0.92
_SMPL_PELVIS_FROM_ORIGIN = np.array([-0.0018, -0.2233, 0.0282])


def _numbers(path: Path, key: str, array: np.ndarray, size: int | None = None) -> np.ndarray:
    """The array of `key` in double precision; `size` numbers in one axis if given.

    Raises:
        BrokenFileError: it holds something else, or values that no motion has.
    """
    if array.dtype.kind not in "fiu" or (size is not None and array.size != size):
        raise BrokenFileError(f"{path}: {key!r} has shape {array.shape} and type {array.dtype}")
    array = array.astype(float)
    if not np.isfinite(array).all() or np.abs(array).max(initial=0.0) > 1e5:
        raise BrokenFileError(f"{path}: {key!r} holds NaN, infinite or absurdly large values")
    return array if size is None else array.reshape(size)


def _poses(path: Path, data: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rotation vectors of the root and 21 body joints. [t, 22, 3]."""
    keys = ("root_orient", "pose_body") if {"root_orient", "pose_body"} <= set(data) else ("poses",)
    if keys[-1] not in data:
        raise BrokenFileError(
            f"{path}: has neither 'poses' nor 'root_orient' and 'pose_body' (it has {', '.join(data) or 'nothing'})"
        )
    parts = {key: data[key] for key in keys}
    frames = max(len(part) if part.ndim else 0 for part in parts.values())
    if any(part.ndim < 2 or len(part) != frames for part in parts.values()) or not 1 <= frames <= _MAX_FRAMES:
        shapes = " and ".join(f"{key!r} has shape {part.shape}" for key, part in parts.items())
        raise BrokenFileError(f"{path}: {shapes}; wanted are rows of numbers for 1 to {_MAX_FRAMES} frames")
    width = sum(part[0].size for part in parts.values())
    # Only what is used becomes doubles: hands and face may be wide.
    rows = {key: part.reshape(frames, -1)[:, :66] for key, part in parts.items()}
    poses = np.concatenate([_numbers(path, key, part) for key, part in rows.items()], axis=1)[:, :66]
    if width < 66 or width % 3:
        raise BrokenFileError(f"{path}: 'poses' has {width} numbers a frame; 66 (22 joints) or more are needed")
    if np.abs(poses).max() > 1e3:
        raise BrokenFileError(f"{path}: 'poses' holds absurdly large angles")
    return poses.reshape(-1, 22, 3)


def read_amass(
    path: Path,
    joints: Float[np.ndarray, "24 3"] = REFERENCE_JOINTS,
    name: str | None = None,
    pelvis_offset: Float[np.ndarray, " 3"] = _SMPL_PELVIS_FROM_ORIGIN,
    pelvis_height: float = _SMPL_PELVIS_HEIGHT,
    up: str = "auto",
) -> Motion:
    """The motion in an AMASS or SMPL-X `.npz`, scaled to a body with rest `joints` by pelvis height.

    Args:
        path: the file. Keys: `poses` [t, >= 66], or `root_orient` and `pose_body`; `trans` [t, 3]; one of
            `mocap_framerate`, `mocap_frame_rate`, `fps`.
        joints: rest joints of the body that is to move.
        name: name of the motion; the file's without it.
        pelvis_offset: where the pelvis joint is in the rest pose of the body that `trans` was made for; the entry
            `rest_root` [3] of files that we write takes its place.
        pelvis_height: height of that joint over the soles; the entry `rest_root_height` takes its place.
        up: "z" (AMASS), "y", or "auto": the entry `up_axis` if there is one, else Z.

    Raises:
        BrokenFileError: keys are missing, there are no frames, something is not finite, or the frame rate is absurd.
    """
    data = read_npz(path)
    poses = _poses(path, data)
    if "trans" not in data:
        raise BrokenFileError(f"{path}: has no 'trans'")
    if data["trans"].shape != (len(poses), 3):
        raise BrokenFileError(f"{path}: 'trans' has shape {data['trans'].shape}, 'poses' {len(poses)} frames")
    trans = _numbers(path, "trans", data["trans"])
    rate = next((key for key in _RATES if key in data), None)
    if rate is None:
        raise BrokenFileError(f"{path}: has no frame rate ({', '.join(_RATES)})")
    fps = float(_numbers(path, rate, data[rate], 1)[0])
    if not 1 <= fps <= 1000:
        raise BrokenFileError(f"{path}: the frame rate is {fps:g}; usable are 1 to 1000")
    if "rest_root" in data:
        pelvis_offset = _numbers(path, "rest_root", data["rest_root"], 3)
    if "rest_root_height" in data:
        pelvis_height = float(_numbers(path, "rest_root_height", data["rest_root_height"], 1)[0])
    if not 0.01 <= pelvis_height <= 100:
        raise BrokenFileError(f"{path}: 'rest_root_height' is {pelvis_height:g} m; usable are 0.01 to 100")
    if up == "auto":
        up = str(data["up_axis"]).lower() if "up_axis" in data else "z"
    world = _Y_FROM_Z_UP if up == "z" else np.eye(3)
    rotations = np.tile(np.eye(3), (len(poses), 24, 1, 1))
    rotations[:, :22] = matrix_from_rotvec(poses)
    rotations[:, JOINT["pelvis"]] = world @ rotations[:, JOINT["pelvis"]]
    scale = float(joints[0, 1]) / pelvis_height
    return Motion(
        rotations=rotations,
        root_position=(trans + pelvis_offset) @ world.T * scale,
        rest_root_height=float(joints[0, 1]),
        joint_names=SMPL_JOINTS,
        fps=fps,
        name=name or path.stem,
    )
