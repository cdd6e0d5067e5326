"""An avatar held still: T-pose, relaxed A-pose, or one frame of its motion, as a plain mesh."""

import re
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import InputError
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.values import Mesh, Motion, RiggedMesh


def still(rigged: RiggedMesh, pose: str, motion: Motion | None = None) -> Mesh:
    """The mesh in `pose`: "t", "a" (its lowest point on y = 0), or the number of a frame of `motion`, from 0.

    Args:
        rigged: on SMPL's joints, under SMPL's names.
        pose: t | a | FRAME.
        motion: needed for a frame, which stays where the motion is in the world.

    Raises:
        InputError: another word, a frame that the motion does not have, or no motion.
    """
    pose = pose.strip().lower()
    if pose == "t":
        return rigged.mesh
    if pose == "a":
        turns = np.tile(np.eye(3, dtype=np.float32), (1, len(rigged.skeleton.names), 1, 1))
        for joint, turn in zip(SMPL_JOINTS, a_pose().numpy(), strict=True):
            if joint in rigged.skeleton.names:
                turns[0, rigged.skeleton.names.index(joint)] = turn
        points = pose_rigged(rigged, turns)[0]
        return replace(rigged.mesh, vertices=points - np.array([0.0, points[:, 1].min(), 0.0], dtype=points.dtype))
    if not re.fullmatch(r"\d+", pose):
        raise InputError(f"unknown pose {pose!r}; use t, a, or the number of a frame (0 is the first)")
    if motion is None:
        raise InputError(f"pose {pose}: this avatar has no motion, so it has no frames; use t or a")
    frame, count = int(pose), len(motion.rotations)
    if frame >= count:
        raise InputError(f"pose {pose}: the motion has {count} frames, 0 to {count - 1}")
    turns, places = fitted(rigged, motion)
    return replace(rigged.mesh, vertices=pose_rigged(rigged, turns[frame : frame + 1], places[frame : frame + 1])[0])


def fitted(rigged: RiggedMesh, motion: Motion) -> tuple[Float[np.ndarray, "t j 3 3"], Float[np.ndarray, "t 3"]]:
    """The motion on the avatar's joints, in their order, and the root's place scaled to it, as all writers do.

    Joints that the motion does not name stay at rest.

    Raises:
        InputError: the motion names a joint that the avatar lacks.
    """
    names = rigged.skeleton.names
    if unknown := sorted(set(motion.joint_names) - set(names)):
        raise InputError(
            f"motion {motion.name!r} moves joints that the skeleton does not have: {', '.join(unknown[:5])}"
        )
    turns = np.tile(np.eye(3), (len(motion.rotations), len(names), 1, 1))
    turns[:, [names.index(name) for name in motion.joint_names]] = motion.rotations
    return turns, motion.root_position * (float(rigged.skeleton.joints[0, 1]) / motion.rest_root_height)
