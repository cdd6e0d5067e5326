"""Joint tables, the A-pose and the joint ranges."""

import numpy as np
import pytest
import torch

from avatargen.body import skeleton
from avatargen.body.open_body import load_open_body
from avatargen.body.posing import pose_body, shape_body
from avatargen.core.parts import PART_ID, SMPL_JOINTS
from avatargen.core.rotations import matrix_from_axis_angle

J = {name: index for index, name in enumerate(SMPL_JOINTS)}


@pytest.fixture(scope="module")
def body():
    return load_open_body()


def turned(**degrees):
    pose = torch.zeros(1, 24, 3)
    for name, angle in degrees.items():
        pose[0, J[name]] = torch.tensor(angle).deg2rad()
    return matrix_from_axis_angle(pose)


def test_every_body_joint_has_one_bone_in_each_program():
    assert set(skeleton.BVH_FROM_SMPL) == set(SMPL_JOINTS) - {"left_hand", "right_hand"}
    assert len(set(skeleton.BVH_FROM_SMPL.values())) == 22
    assert set(skeleton.MIXAMO_FROM_SMPL) == set(SMPL_JOINTS)
    assert all(skeleton.SMPL_FROM_BVH[bvh] == smpl for smpl, bvh in skeleton.BVH_FROM_SMPL.items())
    assert skeleton.MIXAMO_FROM_SMPL["left_elbow"] == "mixamorig:LeftForeArm"


def test_the_a_pose_is_symmetric_and_its_arms_hang_forty_degrees(body):
    posed = pose_body(body, torch.zeros(1, 16), skeleton.a_pose()[None])
    joints = posed.joints[0]
    for name, index in J.items():
        other = J[name.replace("left", "R").replace("right", "left").replace("R", "right")]
        torch.testing.assert_close(joints[index] * torch.tensor([-1.0, 1, 1]), joints[other], atol=1e-5, rtol=0)
    arm = joints[J["left_elbow"]] - joints[J["left_shoulder"]]
    assert 40 <= torch.atan2(-arm[1], arm[0]).rad2deg() <= 45


def test_hands_clear_the_thighs_in_the_a_pose_on_any_shape(body):
    betas = torch.zeros(9, 16)
    betas[1, 0], betas[2, 0], betas[3, 1], betas[4, 1], betas[5, 2], betas[6, 2] = 3, -3, 3, -3, 3, -3
    betas[7, 1], betas[7, 0], betas[8, 3] = 4, -2, 3
    posed = pose_body(body, betas, skeleton.a_pose().expand(9, -1, -1, -1))

    def part(name):
        return posed.vertices[:, body.faces[body.parts == PART_ID[name]].unique()]

    for low in ("left_thigh", "pelvis"):
        gap = torch.cdist(part("left_hand"), part(low)).amin((1, 2))
        assert (gap > 0.08).all(), gap


def test_soles_stay_level_in_the_a_pose(body):
    posed = pose_body(body, torch.zeros(1, 16), skeleton.a_pose()[None])
    feet = body.faces[(body.parts == PART_ID["left_foot"])].unique()
    rest = shape_body(body, torch.zeros(1, 16))[0][0]

    def sole(v):
        low = v[feet][v[feet][:, 1] < v[feet][:, 1].min() + 0.01]
        return low[:, 2].min(), low[:, 2].max()

    assert (torch.stack(sole(posed.vertices[0])) - torch.stack(sole(rest))).abs().max() < 0.02


def test_angles_of_a_pure_twist_and_a_pure_swing_are_what_was_put_in():
    angles = skeleton.joint_angles(turned(left_shoulder=(50.0, 0.0, 0.0), right_knee=(90.0, 0.0, 0.0)))[0].rad2deg()
    torch.testing.assert_close(angles[J["left_shoulder"]], torch.tensor([50.0, 0.0, 0.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(angles[J["right_knee"]], torch.tensor([90.0, 0.0, 0.0]), atol=1e-3, rtol=0)
    swing = matrix_from_axis_angle(torch.tensor([0.0, 0.4, 0.9]))
    twist = matrix_from_axis_angle(torch.tensor([0.7, 0.0, 0.0]))
    both = torch.eye(3).repeat(1, 24, 1, 1)
    both[0, J["left_shoulder"]] = swing @ twist
    found = skeleton.joint_angles(both)[0, J["left_shoulder"]]
    torch.testing.assert_close(found, torch.tensor([0.7, 0.4, 0.9]), atol=1e-4, rtol=0)


def test_humans_stay_inside_the_ranges_and_puppets_do_not():
    fine = turned(
        left_elbow=(0.0, -140.0, 0.0),
        right_elbow=(0.0, 140.0, 0.0),
        left_knee=(140.0, 0.0, 0.0),
        left_hip=(-110.0, 0.0, 0.0),
        right_shoulder=(0.0, 100.0, 0.0),
        head=(0.0, 50.0, 0.0),
    )
    assert skeleton.limit_excess(fine).max() == 0
    assert skeleton.limit_excess(skeleton.a_pose()[None]).max() == 0
    for broken in (
        {"left_elbow": (0.0, 60.0, 0.0)},
        {"left_knee": (-60.0, 0.0, 0.0)},
        {"head": (0.0, 100.0, 0.0)},
        {"left_hip": (100.0, 0.0, 0.0)},
    ):
        excess = skeleton.limit_excess(turned(**broken))[0]
        assert excess[J[next(iter(broken))]] > np.radians(30)
        assert (excess > 0).sum() == 1


def test_ranges_are_mirror_images():
    for name, index in J.items():
        if name.startswith("left"):
            left, right = skeleton.JOINT_LIMITS[index], skeleton.JOINT_LIMITS[J[name.replace("left", "right")]]
            np.testing.assert_allclose(left[0], right[0])
            np.testing.assert_allclose(left[1:], -right[1:, ::-1])


def test_the_excess_pulls_back_by_its_gradient():
    pose = torch.zeros(1, 24, 3)
    pose[0, J["left_knee"], 0] = -1.0
    pose.requires_grad_()
    skeleton.limit_excess(matrix_from_axis_angle(pose)).sum().backward()
    assert torch.isfinite(pose.grad).all()
    assert pose.grad[0, J["left_knee"], 0] < -0.9
