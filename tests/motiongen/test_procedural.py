# ruff: noqa: E501  tables read best in long lines
"""Our own actions do what their words say, on the floor, within human limits, and differ from take to take."""

import numpy as np
import pytest
import torch

from avatargen.body.skeleton import JOINT_LIMITS, joint_angles
from avatargen.core.rng import numpy_stream
from motiongen.kinematics import JOINT, REFERENCE_JOINTS, joint_positions
from motiongen.physics import foot_skate_ratio, ground, lowest_point
from motiongen.procedural.actions import ACTIONS, perform, procedural_clips
from motiongen.procedural.rig import solve

BY_NAME = {action.name: action for action in ACTIONS}
HEAD, LEFT, RIGHT = JOINT["head"], JOINT["left_wrist"], JOINT["right_wrist"]


@pytest.fixture(scope="module")
def takes():
    return {name: perform(action, numpy_stream(1, name)) for name, action in BY_NAME.items()}


@pytest.fixture(scope="module")
def places(takes):
    return {name: joint_positions(m.rotations, m.root_position, REFERENCE_JOINTS) for name, m in takes.items()}


def speed(points, fps=30.0):
    return np.linalg.norm(np.diff(points, axis=0), axis=-1) * fps


def turns(values):
    """How often a curve changes direction, ignoring tremors under a tenth of its range."""
    values = values - values.mean()
    signs = np.sign(values[np.abs(values) > 0.2 * np.abs(values).max()])
    return int((np.diff(signs) != 0).sum())


def test_a_punch_extends_the_arm_fast_with_both_fists_and_a_turn_of_the_hips(takes, places):
    place = places["punch"]
    for side in ("left", "right"):
        reach = np.linalg.norm(place[:, JOINT[f"{side}_wrist"]] - place[:, JOINT[f"{side}_shoulder"]], axis=1)
        assert np.ptp(reach) > 0.25
        assert (np.diff(reach) * 30).max() > 1.5
        assert speed(place[:, JOINT[f"{side}_wrist"]]).max() > 2.5
    ahead = takes["punch"].rotations[:, 0] @ np.array([0, 0, 1.0])
    assert np.degrees(np.ptp(np.arctan2(ahead[:, 0], ahead[:, 2]))) > 20


CHECKS = {
    "wave": lambda p: p[20:60, RIGHT, 1].min() > p[20:60, JOINT["right_shoulder"], 1].max() and turns(p[20:70, RIGHT, 0]) >= 3,
    "clap": lambda p: np.linalg.norm(p[:, LEFT] - p[:, RIGHT], axis=1).min() < 0.07 and turns((p[:, LEFT] - p[:, RIGHT])[20:70, 0]) >= 6,
    "pray": lambda p: np.linalg.norm(p[-1, LEFT] - p[-1, RIGHT]) < 0.1 and p[-1, LEFT, 2] > p[-1, JOINT["spine3"], 2] + 0.15,
    "drink": lambda p: np.linalg.norm(p[:, RIGHT] - p[:, HEAD], axis=1).min() < 0.3,
    "eat": lambda p: np.linalg.norm(p[:, RIGHT] - p[:, HEAD], axis=1).min() < 0.3 and turns(p[:, RIGHT, 1]) >= 3,
    "cry": lambda p: np.linalg.norm(p[-1, [LEFT, RIGHT]] - p[-1, HEAD], axis=1).max() < 0.3,
    "raise_arms": lambda p: (p[:, [LEFT, RIGHT], 1].min(1) - p[:, HEAD, 1]).max() > 0.15,
    "cheer": lambda p: (p[:, [LEFT, RIGHT], 1].max(1) > p[:, HEAD, 1]).mean() > 0.5,
    "basketball": lambda p: (p[:, [LEFT, RIGHT], 1].min(1) - p[:, HEAD, 1]).max() > 0.1 and p[:, [10, 11], 1].min(1).max() > 0.08,
    "front_kick": lambda p: p[:, 11, 1].max() > 0.6 and speed(p[:, 11]).max() > 2.0,
    "kick_ball": lambda p: speed(p[:, 11]).max() > 3.0,
    "throw": lambda p: speed(p[:, RIGHT]).max() > 4.0 and p[:, RIGHT, 1].max() > 1.45,
    "sit": lambda p: p[:, 0, 1].max() < 0.65 * REFERENCE_JOINTS[0, 1],
    "sit_down": lambda p: p[0, 0, 1] > 0.93 * REFERENCE_JOINTS[0, 1] and p[-1, 0, 1] < 0.65 * REFERENCE_JOINTS[0, 1],
    "squat": lambda p: p[:, 0, 1].min() < 0.65 * REFERENCE_JOINTS[0, 1] and p[:, [10, 11], 1].max() < 0.05,
    "bow": lambda p: np.degrees(np.arccos(((p[:, 12] - p[:, 0]) / np.linalg.norm(p[:, 12] - p[:, 0], axis=1, keepdims=True))[:, 1])).max() > 35,
    "shrug": lambda p: np.ptp(p[:, JOINT["left_shoulder"], 1]) > 0.03,
    "argue": lambda p: speed(p[:, RIGHT]).mean() > 0.25 and speed(p[:, [10, 11]]).max() < 0.1,
    "hug": lambda p: np.linalg.norm(p[:, LEFT] - p[:, RIGHT], axis=1).max() > 0.5 and np.linalg.norm(p[60, LEFT] - p[60, RIGHT]) < 0.2,
    "block": lambda p: (p[:, [LEFT, RIGHT], 1].min(1) - p[:, JOINT["neck"], 1]).max() > 0.0,
    "march": lambda p: turns(p[:, 10, 1] - p[:, 11, 1]) >= 4 and p[:, 10, 1].max() > 0.15,
    "jumping_jack": lambda p: p[:, [10, 11], 1].min(1).max() > 0.04 and np.ptp(p[:, LEFT, 1]) > 0.7,
    "climb": lambda p: (p[:, [LEFT, RIGHT], 1].max(1) > p[:, JOINT["left_shoulder"], 1]).all(),
    "stand": lambda p: 1e-4 < speed(p).mean() < 0.03,
    "nod": lambda p: turns((p[:, HEAD] - p[:, JOINT["neck"]])[:, 2]) >= 3,
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_an_action_does_what_its_words_say(name, places):
    assert CHECKS[name](places[name])


def test_a_spin_turns_all_the_way_round(takes):
    ahead = takes["spin"].rotations[:, 0] @ np.array([0, 0, 1.0])
    yaw = np.unwrap(np.arctan2(ahead[:, 0], ahead[:, 2]))
    assert np.degrees(yaw[-1] - yaw[0]) > 330


@pytest.mark.parametrize("name", BY_NAME)
def test_every_action_lasts_two_to_five_seconds_stands_on_the_floor_and_moves_like_a_human(name, takes):
    motion = takes[name]
    assert 60 <= len(motion.rotations) <= 150
    low = lowest_point(motion)
    assert low.min() > -0.03
    if name not in ("basketball", "jumping_jack", "climb", "run_in_place"):
        assert np.median(low) < 0.02
    assert foot_skate_ratio(ground(motion)) < 0.5
    step = np.swapaxes(motion.rotations[:-1], -1, -2) @ motion.rotations[1:]
    angle = np.degrees(np.arccos(np.clip((np.trace(step, axis1=-2, axis2=-1) - 1) / 2, -1, 1)))
    assert angle.max() < 100  # no joint flips between two frames
    angles = joint_angles(torch.tensor(motion.rotations)).numpy()
    over = np.degrees(np.maximum(angles - JOINT_LIMITS[..., 1], JOINT_LIMITS[..., 0] - angles))[:, 1:]
    assert over.max() < 30
    assert (over.max((1, 2)) > 12).mean() < 0.2


def test_takes_differ_and_the_same_seed_gives_the_same_bytes():
    action = BY_NAME["wave"]
    one, same, other = (perform(action, numpy_stream(0, n)) for n in ("a", "a", "b"))
    np.testing.assert_array_equal(one.rotations, same.rotations)
    length = min(len(one.rotations), len(other.rotations))
    assert np.abs(one.rotations[:length] - other.rotations[:length]).max() > 0.05


def test_names_and_words_are_unique_and_complete():
    clips = procedural_clips(0, 1)
    assert len({c.motion.name for c in clips}) == len(ACTIONS) == len({a.label for a in ACTIONS})
    assert all(c.label == c.label.strip().lower() and len(c.alternatives) >= 2 for c in clips)
    assert all(c.licence == "Apache-2.0" and c.source == "procedural" for c in clips)


def test_hands_reach_where_they_are_told_and_feet_stay_where_they_stand():
    hand = np.array([[0.1, -0.2, 0.3], [0.05, 0.1, 0.35]])
    motion = solve({"hand_r": hand, "hand_l": hand, "foot_l": np.array([[0.05, 0, 0.1]] * 2)}, 30.0, "reach")
    place = joint_positions(motion.rotations, motion.root_position, REFERENCE_JOINTS)
    chest = place[:, JOINT["spine3"]]
    # The neutral spine leans by one degree; in the chest's frame the target is met exactly.
    turn = motion.rotations[:, 0] @ motion.rotations[:, 3] @ motion.rotations[:, 6] @ motion.rotations[:, 9]
    for side, sign in (("left", 1), ("right", -1)):
        wrist = np.einsum("tji,tj->ti", turn, place[:, JOINT[f"{side}_wrist"]] - chest)
        wanted = REFERENCE_JOINTS[JOINT[f"{side}_shoulder"]] - REFERENCE_JOINTS[JOINT["spine3"]] + hand * [sign, 1, 1]
        np.testing.assert_allclose(wrist, wanted, atol=1e-9)
    ball = place[:, JOINT["left_foot"]]
    np.testing.assert_allclose(ball[0], ball[1], atol=1e-12)
    assert ball[0, 1] == pytest.approx(REFERENCE_JOINTS[JOINT["left_foot"], 1], abs=1e-4)


def test_a_pelvis_too_high_for_its_legs_comes_down_to_them():
    motion = solve({"pelvis": np.array([[0.0, 0.5, 0.0]])}, 30.0, "high")
    place = joint_positions(motion.rotations, motion.root_position, REFERENCE_JOINTS)
    assert place[0, JOINT["left_foot"], 1] == pytest.approx(REFERENCE_JOINTS[JOINT["left_foot"], 1], abs=1e-4)
    assert place[0, 0, 1] < REFERENCE_JOINTS[0, 1] + 0.01
