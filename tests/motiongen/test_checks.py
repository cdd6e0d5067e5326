"""The checks on motions whose answer is known: clips of our own, and bodies moved by hand."""

from dataclasses import replace

import numpy as np
import pytest

from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.rng import numpy_stream
from avatargen.core.values import Motion
from motiongen.checks import CHECKS, Seen, passes, reversals
from motiongen.kinematics import REFERENCE_JOINTS, matrix_from_rotvec
from motiongen.procedural.actions import ACTIONS, perform

PLAYED = {
    "punch": "punches", "front_kick": "kicks", "kick_ball": "fast foot", "wave": "waves", "raise_arms": "arms up",
    "sit": "sits", "squat": "squats", "crouch": "crouches", "bend_over": "bends", "bow": "bows", "push_up": "pushes up",
    "throw": "throws", "pray": "prays", "argue": "argues", "eat": "hand to mouth", "cry": "cries",
    "cheer": "hand over head", "nod": "nods", "tired": "stoops", "shiver": "shivers", "dizzy": "sways",
    "block": "blocks", "sword": "fast wrist", "climb": "climbs", "stand": "stands still", "spin": "spins",
    "march": "alternates",
}  # fmt: skip


def still(frames: int = 60) -> Motion:
    return Motion(
        rotations=np.tile(np.eye(3), (frames, 24, 1, 1)), root_position=np.tile(REFERENCE_JOINTS[0], (frames, 1)),
        rest_root_height=float(REFERENCE_JOINTS[0, 1]), joint_names=SMPL_JOINTS, fps=30.0,
    )  # fmt: skip


def seen(motion: Motion) -> Seen:
    return Seen(motion=motion, joints=REFERENCE_JOINTS)


@pytest.mark.parametrize(("name", "check"), PLAYED.items())
def test_our_own_actions_pass_their_checks(name, check):
    action = next(a for a in ACTIONS if a.name == name)
    assert passes(check, seen(perform(action, numpy_stream(0, f"procedural/{name}/0"))))


@pytest.mark.parametrize("check", sorted(CHECKS.keys() - {"stands still"}))
def test_a_body_in_t_pose_that_does_nothing_passes_nothing(check):
    assert not passes(check, seen(still()))


def test_a_still_body_stands_still():
    assert passes("stands still", seen(still()))


@pytest.mark.parametrize(("turn_deg", "axis", "check"), [(300.0, 1, "spins"), (300.0, 0, "flips")])
def test_turns_are_counted_through_half_circles(turn_deg, axis, check):
    vectors = np.zeros((60, 3))
    vectors[:, axis] = np.radians(np.linspace(0, turn_deg, 60))
    rotations = still().rotations.copy()
    rotations[:, 0] = matrix_from_rotvec(vectors)
    motion = replace(still(), rotations=rotations)
    assert seen(motion).turned(axis)[-1] == pytest.approx(turn_deg, rel=3e-3)
    assert passes(check, seen(motion))
    assert not passes(check, seen(replace(motion, rotations=rotations[:50], root_position=motion.root_position[:50])))


def test_a_jump_needs_both_feet_in_the_air():
    motion = still()
    root = motion.root_position.copy()
    root[20:30, 1] += 0.05
    assert passes("jumps", seen(replace(motion, root_position=root)))


def test_reversals_of_a_sine_are_its_extremes():
    t = np.linspace(0, 4 * np.pi, 200)
    assert reversals(np.sin(t), 0.5) == 4
    assert reversals(0.1 * np.sin(t), 0.5) == 0
