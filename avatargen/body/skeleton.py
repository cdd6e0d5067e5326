"""Joint tables: names in other programs, the relaxed A-pose, and how far human joints turn."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.rotations import (
    axis_angle_from_matrix,
    matrix_from_axis_angle,
    matrix_from_quat,
    quat_from_matrix,
)

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
    **_mirrored(
        hip=(0.0, 0.0, 4.0),
        ankle=(0.0, 0.0, -4.0),
        collar=(0.0, 0.0, -4.0),
        shoulder=(0.0, 0.0, -38.0),
        elbow=(0.0, -8.0, 0.0),
    )
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


def _limits() -> tuple[Float[np.ndarray, "24 3"], Float[np.ndarray, "24 3 2"]]:
    """Bone axes and ranges; see `JOINT_LIMITS`."""
    along_x, along_y = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    middle = {
        "pelvis": (along_y, (-180, 180), (-180, 180), (-180, 180)),
        "spine1": (along_y, (-30, 50), (-35, 35), (-30, 30)),
        "spine2": (along_y, (-30, 50), (-35, 35), (-30, 30)),
        "spine3": (along_y, (-30, 45), (-35, 35), (-30, 30)),
        "neck": (along_y, (-50, 50), (-60, 60), (-40, 40)),
        "head": (along_y, (-50, 50), (-60, 60), (-40, 40)),
    }
    left = {
        "hip": (along_y, (-140, 50), (-75, 75), (-50, 85)),
        "knee": (along_y, (-12, 165), (-45, 45), (-20, 20)),
        "ankle": (along_y, (-50, 65), (-45, 45), (-45, 45)),
        "foot": (along_y, (-85, 50), (-20, 20), (-20, 20)),
        "collar": (along_x, (-35, 35), (-40, 40), (-25, 50)),
        "shoulder": (along_x, (-120, 120), (-150, 75), (-115, 115)),
        "elbow": (along_x, (-110, 110), (-160, 12), (-25, 25)),
        "wrist": (along_x, (-60, 60), (-50, 50), (-95, 90)),
        "hand": (along_x, (-25, 25), (-30, 30), (-105, 45)),
    }
    axes = np.zeros((len(SMPL_JOINTS), 3))
    ranges = np.zeros((len(SMPL_JOINTS), 3, 2))
    for name, (axis, *bounds) in middle.items():
        axes[_INDEX[name]], ranges[_INDEX[name]] = axis, np.radians(bounds)
    for stem, (axis, x, y, z) in left.items():
        axes[_INDEX[f"left_{stem}"]] = axes[_INDEX[f"right_{stem}"]] = axis
        ranges[_INDEX[f"left_{stem}"]] = np.radians((x, y, z))
        ranges[_INDEX[f"right_{stem}"]] = np.radians((x, (-y[1], -y[0]), (-z[1], -z[0])))
    return axes, ranges


BONE_AXES, JOINT_LIMITS = _limits()
"""The axis each bone twists about in the T-pose, and a generous human range [24, 3, 2] (radians, low and high).

The three numbers are those of `joint_angles`. Among the directions: hips flex about -X and knees about +X, the left
elbow about -Y, the left arm goes forward about -Y and up about +Z; right joints mirror y and z.
"""


def joint_angles(rotations: Float[Tensor, "b 24 3 3"]) -> Float[Tensor, "b 24 3"]:
    """Swing and twist of each joint in one vector (radians).

    R = swing * twist: the component along the bone's axis is the twist, the two others are the swing's rotation vector.
    """
    quat = quat_from_matrix(rotations)
    axis = torch.tensor(BONE_AXES, dtype=quat.dtype, device=quat.device)
    along = (quat[..., :3] * axis).sum(-1, keepdim=True)
    length = torch.sqrt((along.square() + quat[..., 3:].square()).clamp(min=1e-12))
    twist = torch.cat((along * axis, quat[..., 3:]), dim=-1) / length
    # Half a turn of pure swing has no twist of its own; call it none.
    rest = torch.tensor((0.0, 0.0, 0.0, 1.0), dtype=quat.dtype, device=quat.device)
    twist = torch.where(length < 1e-5, rest, twist)
    swing = rotations @ matrix_from_quat(twist).transpose(-1, -2)
    return axis_angle_from_matrix(swing) * (1 - axis) + axis_angle_from_matrix(matrix_from_quat(twist)) * axis


def limit_excess(rotations: Float[Tensor, "b 24 3 3"]) -> Float[Tensor, "b 24"]:
    """How far each joint is beyond a human's range: radians, 0 inside."""
    limits = torch.tensor(JOINT_LIMITS, dtype=rotations.dtype, device=rotations.device)
    angles = joint_angles(rotations)
    beyond = torch.maximum(limits[..., 0] - angles, angles - limits[..., 1]).clamp(min=0)
    return beyond.square().sum(-1).clamp(min=1e-16).sqrt() - 1e-8
