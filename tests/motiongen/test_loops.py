from dataclasses import replace

import numpy as np
import pytest
import torch

from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.core.settings import MotionSettings
from avatargen.core.values import Motion
from motiongen.finish import finish_clip, resample
from motiongen.kinematics import rotvec_from_matrix
from motiongen.loops import cycle_of, find_cycle, in_place, looped
from motiongen.motion_features import JOINTS, Clip


def swinging(frames: int = 60, period: float = 24.0, speed: float = 0.04, turn: float = 0.0) -> Clip:
    """Arms and legs swing with a period, the root travels and turns steadily."""
    t = torch.arange(frames, dtype=torch.float32)
    angle = torch.zeros(frames, JOINTS, 3)
    wave = torch.sin(2 * torch.pi * t / period)
    for joint, size in ((1, 0.3), (2, -0.3), (16, 0.5), (17, 0.5), (15, 0.2)):
        angle[:, joint, 0] = size * wave
    angle[:, 0, 1] = turn * t
    way = turn * t
    # High above the floor, so that no foot is locked.
    path = (torch.cumsum(speed * torch.sin(way), 0), 1.5 + 0.01 * wave, torch.cumsum(speed * torch.cos(way), 0))
    root = torch.stack(path, 1)
    return Clip(rotations=matrix_from_axis_angle(angle)[None], root=root[None], contacts=torch.zeros(1, frames, 2))


def seam(motion: Motion) -> tuple[float, float]:
    """Largest joint step over the seam, and anywhere else (radians)."""
    body = motion.rotations[:, 1:].astype(float)
    whole = np.concatenate([body, body[:1]])
    step = np.linalg.norm(rotvec_from_matrix(np.swapaxes(whole[:-1], -1, -2) @ whole[1:]), axis=-1).max(1)
    return float(step[-1]), float(step[:-1].max())


def test_the_period_of_a_swing_is_found():
    _, length, repeats = find_cycle(swinging(), 48)
    assert length * repeats == pytest.approx(48, abs=1)
    assert length in (24, 48)
    _, length, repeats = find_cycle(swinging(period=20.0), 60)
    assert (length * repeats) % 20 == 0


def test_the_end_of_a_cycle_leads_to_its_beginning():
    clip = swinging(period=23.3)
    cycle = cycle_of(clip, 3, 30)
    # What follows the last frame is where the head begins: frame 33 of the clip, after frame 32.
    first = cycle.rotations[0, 0, 16]
    torch.testing.assert_close(first, clip.rotations[0, 33, 16], atol=0.06, rtol=0)


@pytest.mark.parametrize("turn", [0.0, 0.02])
@pytest.mark.parametrize("fps", [30.0, 24.0])
def test_a_loop_has_no_seam_and_goes_on_travelling(puppet, turn, fps):
    settings = MotionSettings(seconds=2.0, fps=fps, loop=True)
    motion = finish_clip(swinging(turn=turn), puppet, settings, "x")
    assert len(motion.rotations) == round(2 * fps)
    at_seam, elsewhere = seam(motion)
    assert at_seam <= 1.3 * elsewhere + 0.01
    speed = np.linalg.norm(np.diff(motion.root_position[:, [0, 2]], axis=0), axis=1)
    assert speed.min() > 0.5 * np.median(speed)
    assert abs(float(motion.root_position[0, 1] - motion.root_position[-1, 1])) < 0.03


def test_three_rounds_are_one_motion(puppet):
    whole, length = looped(swinging(turn=0.02), 48)
    step = whole.root[0, :, [0, 2]].diff(dim=0).norm(dim=1)
    assert whole.root.shape[1] == 3 * length
    assert float(step.max()) < 1.5 * float(step.median())


def test_in_place_takes_the_way_out_and_leaves_the_swaying(puppet):
    clip = swinging(speed=0.04)
    sway = 0.05 * np.sin(np.arange(60))
    motion = finish_clip(clip, puppet, MotionSettings(), "x")
    motion = replace(motion, root_position=motion.root_position + np.stack((sway, 0 * sway, 0 * sway), 1))
    still = in_place(motion)
    assert np.linalg.norm(motion.root_position[-1] - motion.root_position[0]) > 1.0
    assert float(np.abs(still.root_position[:, 2]).max()) < 0.1
    assert float(np.ptp(still.root_position[:, 0])) > 0.05
    np.testing.assert_array_equal(still.root_position[:, 1], motion.root_position[:, 1])
    settings = MotionSettings(loop=True, in_place=True)
    treadmill = finish_clip(clip, puppet, settings, "x")
    root = np.concatenate([treadmill.root_position, treadmill.root_position[:1]])
    assert float(np.linalg.norm(np.diff(root, axis=0), axis=1).max()) < 0.05


def test_a_loop_resampled_uses_its_first_frame_after_its_last():
    angle = np.arange(20) * 2 * np.pi / 20
    turn = np.tile(np.eye(3), (20, 24, 1, 1))
    c, s = np.cos(0.5 * np.sin(angle)), np.sin(0.5 * np.sin(angle))
    turn[:, 16, 0, 0], turn[:, 16, 0, 1], turn[:, 16, 1, 0], turn[:, 16, 1, 1] = c, -s, s, c
    motion = Motion(
        rotations=turn, root_position=np.tile([0.0, 1.0, 0.0], (20, 1)), rest_root_height=1.0,
        joint_names=SMPL_JOINTS, fps=30.0,
    )  # fmt: skip
    made = resample(motion, 60.0, loop=True, count=40)
    found = np.arctan2(made.rotations[:, 16, 1, 0], made.rotations[:, 16, 0, 0])
    np.testing.assert_allclose(found, 0.5 * np.sin(np.arange(40) * 2 * np.pi / 40), atol=0.01)
