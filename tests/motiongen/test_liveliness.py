import math

import pytest
import torch

from avatargen.core.rotations import angle_between, matrix_from_axis_angle
from motiongen.liveliness import livelier, unsnapped
from motiongen.motion_features import JOINTS, Clip, standard_offsets
from motiongen.optimize import intensity


def swinging(frames: int = 60) -> Clip:
    angle = torch.zeros(1, frames, JOINTS, 3)
    angle[0, :, 16, 1] = 0.2 * torch.sin(torch.arange(frames) * 0.4)
    root = torch.arange(frames)[None, :, None] * torch.tensor([0.0, 0.0, 0.02]) + torch.tensor([0.0, 1.0, 0.0])
    return Clip(rotations=matrix_from_axis_angle(angle), root=root, contacts=torch.zeros(1, frames, 2))


@pytest.mark.parametrize("factor", [0.4, 0.7, 1.3, 2.0])
def test_joints_and_the_pelvis_move_as_many_times_as_fast(factor):
    clip, offsets = swinging(), standard_offsets()
    made = livelier(clip, factor)
    ratio = float(intensity(made, offsets)) / float(intensity(clip, offsets))
    assert ratio == pytest.approx(factor, rel=0.08)
    pace = made.root.diff(dim=1).norm(dim=-1).mean() / clip.root.diff(dim=1).norm(dim=-1).mean()
    assert float(pace) == pytest.approx(factor, rel=0.03)
    assert float(made.root[..., 1].std()) < 1e-6


def test_as_it_is_is_as_it_was_and_swings_stay_bounded():
    clip = swinging()
    assert livelier(clip, 1.0) is clip
    wild = livelier(clip, 4.0)
    turned = torch.acos(((wild.rotations[0, :, 16].diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1))
    assert float(turned.max()) < 0.2 * 1.26 + 0.01


def test_a_joint_that_snaps_takes_some_frames_for_it_and_all_else_is_left_alone():
    clip = swinging()
    angle = torch.zeros(60, 3)
    angle[30:, 0] = 1.9
    snapping = clip.rotations.clone()
    snapping[0, :, 20] = matrix_from_axis_angle(angle)
    made = unsnapped(Clip(rotations=snapping, root=clip.root, contacts=clip.contacts)).rotations
    assert math.degrees(float(angle_between(made[0, 1:, 20], made[0, :-1, 20]).max())) <= 60.0
    torch.testing.assert_close(made[0, [10, 50], 20], snapping[0, [10, 50], 20])
    others = [joint for joint in range(JOINTS) if joint != 20]
    torch.testing.assert_close(made[:, :, others], clip.rotations[:, :, others])
    assert torch.equal(unsnapped(clip).rotations, clip.rotations)
