"""Pose a finished avatar: linear blend skinning of a `RiggedMesh` value."""

import numpy as np
import torch
from jaxtyping import Float

from avatargen.body.posing import joint_transforms, skin
from avatargen.core.values import Motion, RiggedMesh


def pose_rigged(
    rigged: RiggedMesh,
    rotations: Float[np.ndarray, "t j 3 3"],
    root_position: Float[np.ndarray, "t 3"] | None = None,
) -> Float[np.ndarray, "t v 3"]:
    """Posed vertices, metres. `root_position` is where the root joint goes; it stays at rest if None."""
    rest = torch.from_numpy(np.ascontiguousarray(rigged.skeleton.joints, dtype=np.float32))
    turns = torch.from_numpy(np.ascontiguousarray(rotations, dtype=np.float32))
    translation = None
    if root_position is not None:
        translation = torch.from_numpy(np.ascontiguousarray(root_position, dtype=np.float32)) - rest[0]
    joints = rest[None].expand(len(turns), -1, -1)
    _, transforms = joint_transforms(joints, turns, rigged.skeleton.parents, translation)
    vertices = torch.from_numpy(np.ascontiguousarray(rigged.mesh.vertices, dtype=np.float32))
    weights = torch.from_numpy(np.ascontiguousarray(rigged.weights, dtype=np.float32))
    return skin(vertices, weights, transforms).numpy()


def perform(rigged: RiggedMesh, motion: Motion) -> Float[np.ndarray, "t v 3"]:
    """The avatar's vertices in each frame of a motion that is scaled to it.

    Raises:
        ValueError: the motion's joints are not the avatar's.
    """
    if motion.joint_names != rigged.skeleton.names:
        raise ValueError("the motion's joints are not the avatar's; retarget it first")
    return pose_rigged(rigged, motion.rotations, motion.root_position)
