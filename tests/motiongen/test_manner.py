from dataclasses import replace

import numpy as np
import pytest
import torch

from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.core.values import Motion
from motiongen.kinematics import JOINT, REFERENCE_JOINTS, joint_positions, world_rotations
from motiongen.manner import AS_FOUND, Manner, delayed, draw_manner, milder, posed, repeats_after, stanced, timed
from motiongen.motion_features import JOINTS, Clip
from motiongen.physics import foot_skate_ratio

FRAMES = 60
EYE = torch.eye(3)
DOWN = matrix_from_axis_angle(torch.tensor([[0.0, 0.0, -1.3], [0.0, 0.0, 1.3]]))


def standing() -> Clip:
    """Stands with hanging arms, upright and still."""
    rotations = EYE.expand(1, FRAMES, JOINTS, 3, 3).clone()
    rotations[:, :, 16], rotations[:, :, 17] = DOWN
    root = torch.tensor([0.0, 1.0, 0.0]).expand(1, FRAMES, 3).clone()
    return Clip(rotations=rotations, root=root, contacts=torch.ones(1, FRAMES, 2))


def swinging(period: float, joint: int = 17, size: float = 0.8, start: float = 0.0) -> Clip:
    """The right arm goes to and fro in front of the body."""
    clip = standing()
    angle = size * torch.sin(2 * torch.pi * (torch.arange(FRAMES) + start) / period)
    turn = matrix_from_axis_angle(torch.stack((angle, 0 * angle, 0 * angle), dim=1))
    rotations = clip.rotations.clone()
    rotations[0, :, joint] = turn @ rotations[0, :, joint]
    return replace(clip, rotations=rotations)


def as_motion(clip: Clip) -> Motion:
    hands = np.broadcast_to(np.eye(3), (FRAMES, 2, 3, 3))
    return Motion(
        rotations=np.concatenate([clip.rotations[0].double().numpy(), hands], axis=1),
        root_position=clip.root[0].double().numpy() * float(REFERENCE_JOINTS[0, 1]),
        rest_root_height=float(REFERENCE_JOINTS[0, 1]), joint_names=SMPL_JOINTS, fps=30.0,
    )  # fmt: skip


def test_no_variety_no_manner_and_the_same_seed_the_same():
    assert draw_manner("waving", 0.0, 7) == AS_FOUND
    assert draw_manner("waving", 0.6, 7) == draw_manner("waving", 0.6, 7)
    assert draw_manner("waving", 0.6, 7) != draw_manner("waving", 0.6, 8)


@pytest.mark.parametrize("begin", [0, 30, -10])
def test_ten_seeds_in_a_row_fall_into_ten_tenths_and_half_of_them_are_mirrored(begin):
    manners = [draw_manner("waving", 0.6, seed) for seed in range(begin, begin + 10)]
    assert sorted(int(10 * manner.phase) for manner in manners) == list(range(10))
    assert sum(manner.mirrored for manner in manners) == 5
    assert len({manner.both for manner in manners}) >= 6


def test_a_side_is_left_to_the_seed_unless_the_text_names_one():
    assert {draw_manner("wave", 0.6, seed).mirrored for seed in range(10)} == {True, False}
    assert {draw_manner("wave with the left hand", 0.6, seed).mirrored for seed in range(10)} == {False}


def test_a_delay_moves_the_middle_and_leaves_the_ends():
    frames = 61
    root = torch.arange(frames, dtype=torch.float32)[None, :, None].expand(1, frames, 3)
    clip = Clip(rotations=EYE.expand(1, frames, 22, 3, 3), root=root, contacts=torch.zeros(1, frames, 2))
    for delay in (4.0, -3.0, 100.0):
        times = delayed(clip, delay).root[0, :, 0]
        most = 0.4 * frames / np.pi
        assert float(times[0]) == 0.0
        assert float(times[-1]) == pytest.approx(60.0, abs=1e-4)
        assert float(times[30]) == pytest.approx(30.0 - min(most, delay), abs=0.02)
        assert float(times.diff().min()) > 0.55
    torch.testing.assert_close(delayed(clip, 0.0).root, clip.root)


def test_what_repeats_is_told_from_what_does_not():
    assert repeats_after(swinging(20.0)) == 20
    assert repeats_after(swinging(33.0)) == 33
    assert repeats_after(swinging(240.0)) is None
    assert repeats_after(standing()) is None


def test_what_repeats_begins_elsewhere_in_its_round_and_goes_on():
    made = timed(swinging(20.0), Manner(phase=0.25, delay=5.0)).rotations
    torch.testing.assert_close(made, swinging(20.0, start=5.0).rotations, atol=0.02, rtol=0)


def test_only_idle_arms_take_another_place():
    clip = swinging(20.0)
    made = posed(clip, Manner(one="hips", both="behind", share=1.0)).rotations
    other = [joint for joint in range(JOINTS) if joint not in (13, 16, 18, 20)]
    torch.testing.assert_close(made[:, :, other], clip.rotations[:, :, other])
    joints = joint_positions(
        as_motion(replace(clip, rotations=made)).rotations, np.zeros((FRAMES, 3)), REFERENCE_JOINTS
    )
    wrist, elbow = joints[:, JOINT["left_wrist"]], joints[:, JOINT["left_elbow"]]
    assert np.abs(wrist - [0.178, 0.05, 0.08]).max() < 0.09  # at the hip: out, over the pelvis, before it
    assert bool((elbow[:, 0] > wrist[:, 0] + 0.08).all())


def test_who_lies_is_left_alone_and_who_stands_leans():
    manner = Manner(trunk=(10.0, 0.0, 0.0), both="hips", share=1.0)
    clip = standing()
    flat = clip.rotations.clone()
    flat[:, :, 0] = matrix_from_axis_angle(torch.tensor([[1.57, 0.0, 0.0]]))[0]
    lying = replace(clip, rotations=flat, root=0.12 * clip.root)
    assert torch.equal(posed(lying, manner).rotations, flat)
    chest = world_rotations(as_motion(posed(clip, manner)).rotations)[:, JOINT["spine3"]]
    np.testing.assert_allclose(np.degrees(np.arcsin(chest[:, 1, 2])), -10.0, atol=0.1)


def test_feet_stand_where_the_stance_has_them_flat_and_still():
    motion = as_motion(standing())
    made = stanced(motion, REFERENCE_JOINTS, Manner(stance=(0.1, 0.2)))
    before, after = (joint_positions(m.rotations, m.root_position, REFERENCE_JOINTS) for m in (motion, made))
    for side, step in (("left", (0.1, 0.0, 0.1)), ("right", (-0.1, 0.0, -0.1))):
        ankle = JOINT[f"{side}_ankle"]
        np.testing.assert_allclose((after - before)[:, ankle], np.tile(step, (FRAMES, 1)), atol=0.003)
        np.testing.assert_allclose(
            world_rotations(made.rotations)[:, ankle], np.tile(np.eye(3), (FRAMES, 1, 1)), atol=1e-6
        )
    assert foot_skate_ratio(made, REFERENCE_JOINTS) == 0.0
    assert -0.04 < float((made.root_position - motion.root_position)[:, 1].mean()) < 0.0


def test_who_turns_keeps_the_stance():
    clip = standing()
    yaw = torch.linspace(0.0, 2.0, FRAMES)
    turning = clip.rotations.clone()
    turning[0, :, 0] = matrix_from_axis_angle(torch.stack((0 * yaw, yaw, 0 * yaw), dim=1))
    motion = as_motion(replace(clip, rotations=turning))
    assert stanced(motion, REFERENCE_JOINTS, Manner(stance=(0.1, 0.2))) is motion


def test_the_mildest_manner_moves_no_joint_but_keeps_time_and_side():
    manner = draw_manner("nodding", 0.6, 4)
    motion = as_motion(standing())
    first, feet, pose, half, last = milder(manner)
    assert first == manner
    assert torch.equal(posed(standing(), last).rotations, standing().rotations)
    assert stanced(motion, REFERENCE_JOINTS, last) is motion
    timing = ("delay", "phase", "tempo", "mirrored")
    assert all(getattr(last, name) == getattr(manner, name) for name in timing)
    assert feet == replace(manner, stance=(0.5 * manner.stance[0], 0.5 * manner.stance[1]))
    lean, turn, bend = manner.trunk
    assert pose == replace(manner, trunk=(0.5 * lean, 0.5 * turn, 0.5 * bend), share=0.5 * manner.share)
    assert half == replace(pose, stance=feet.stance)
