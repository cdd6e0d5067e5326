"""Joint tables: names in other programs, the relaxed A-pose, and how far human joints turn."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.rotations import matrix_from_axis_angle

_INDEX = {name: index for index, name in enumerate(SMPL_JOINTS)}


def _pose(**axis_angle_deg: tuple[float, float, float]) -> Float[np.ndarray, "24 3"]:
    pose = np.zeros((len(SMPL_JOINTS), 3))
    for name, degrees in axis_angle_deg.items():
        pose[_INDEX[name]] = np.radians(degrees)
    return pose


def _mirrored(**left: tuple[float, float, float]) -> dict[str, tuple[float, float, float]]:
    """Left joints given by stem, and their mirror images: a reflection in x keeps x and flips y and z."""
    out: dict[str, tuple[float, float, float]] = {}
    for stem, (x, y, z) in left.items():
        out[f"left_{stem}"] = (x, y, z)
        out[f"right_{stem}"] = (x, -y, -z)
    return out


A_POSE: Float[np.ndarray, "24 3"] = _pose(
    **_mirrored(hip=(0, 0, 4), ankle=(0, 0, -4), collar=(0, 0, -4), shoulder=(0, 0, -38), elbow=(0, -8, 0))
)
"""The pose in which avatars are sculpted: arms 42 degrees below the horizontal, feet a little apart, soles level.

Axis-angle in radians, child in parent, on the T-pose whose arms lie along X.
"""


def a_pose(device: torch.device | str = "cpu") -> Float[Tensor, "24 3 3"]:
    """`A_POSE` as rotation matrices, float32."""
    return matrix_from_axis_angle(torch.tensor(A_POSE, dtype=torch.float32, device=device))


BVH_FROM_SMPL: dict[str, str] = {
    "pelvis": "Hips",
    "left_hip": "LeftUpLeg",
    "right_hip": "RightUpLeg",
    "spine1": "Spine",
    "left_knee": "LeftLeg",
    "right_knee": "RightLeg",
    "spine2": "Spine1",
    "left_ankle": "LeftFoot",
    "right_ankle": "RightFoot",
    "spine3": "Spine2",
    "left_foot": "LeftToeBase",
    "right_foot": "RightToeBase",
    "neck": "Neck",
    "left_collar": "LeftShoulder",
    "right_collar": "RightShoulder",
    "head": "Head",
    "left_shoulder": "LeftArm",
    "right_shoulder": "RightArm",
    "left_elbow": "LeftForeArm",
    "right_elbow": "RightForeArm",
    "left_wrist": "LeftHand",
    "right_wrist": "RightHand",
}
"""SMPL joint to the common BVH layout of 22 joints; SMPL's hand joints (the knuckles) have no partner there."""

SMPL_FROM_BVH: dict[str, str] = {bvh: smpl for smpl, bvh in BVH_FROM_SMPL.items()}

MIXAMO_FROM_SMPL: dict[str, str] = {
    **{smpl: f"mixamorig:{bvh}" for smpl, bvh in BVH_FROM_SMPL.items()},
    "left_hand": "mixamorig:LeftHandMiddle1",
    "right_hand": "mixamorig:RightHandMiddle1",
}
"""SMPL joint to Mixamo's bone."""

SMPL_FROM_MIXAMO: dict[str, str] = {mixamo: smpl for smpl, mixamo in MIXAMO_FROM_SMPL.items()}
