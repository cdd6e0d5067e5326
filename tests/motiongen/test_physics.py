"""Feet and floor on motions whose truth is known: a statue, a slider, a walker in place, a flyer."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.values import Motion
from motiongen.foot_lock import two_bone
from motiongen.kinematics import JOINT, REFERENCE_JOINTS, joint_positions, matrix_from_rotvec
from motiongen.physics import (
    detect_contacts,
    floor_penetration,
    foot_skate_ratio,
    ground,
    lock_feet,
    lowest_point,
    mean_jerk,
    physics_report,
    root_from_feet,
    scale_to_body,
    sole_points,
)
from motiongen.procedural.rig import solve

HEIGHT = float(REFERENCE_JOINTS[0, 1])


def standing(frames=60, fps=30.0):
    return Motion(
        rotations=np.tile(np.eye(3), (frames, 24, 1, 1)),
        root_position=np.tile(REFERENCE_JOINTS[0], (frames, 1)),
        rest_root_height=HEIGHT,
        joint_names=SMPL_JOINTS,
        fps=fps,
    )


def moved(motion, offset):
    return replace(motion, root_position=motion.root_position + offset)


def shuffle(speed=0.8):
    """Knees soft, the right foot dragged back and forth over the floor, the left one standing."""
    time = np.arange(90) / 30
    slide = 0.15 * np.sin(2 * np.pi * 0.8 * speed / 0.8 * time)
    foot = np.stack([np.full(90, 0.02), np.zeros(90), slide], axis=1)
    return solve({"pelvis": np.tile([0.0, -0.06, 0.0], (90, 1)), "foot_r": foot}, 30.0, "shuffle")


def test_a_statue_stands_on_its_soles_and_does_nothing_wrong():
    statue = standing()
    np.testing.assert_allclose(sole_points(statue)[..., 1], 0.0, atol=1e-12)
    np.testing.assert_allclose(lowest_point(statue), 0.0, atol=1e-12)
    assert detect_contacts(statue).all()
    report = physics_report(statue)
    assert report == pytest.approx(
        {"foot_skate": 0.0, "penetration": 0.0, "floating": 0.0, "jerk": 0.0, "contact": 1.0}
    )


@pytest.mark.parametrize(("speed", "ratio"), [(0.19, 0.0), (0.21, 1.0)])
def test_the_skate_ratio_starts_at_two_tenths_of_a_metre_a_second(speed, ratio):
    time = np.arange(60) / 30
    slider = moved(standing(), np.stack([0 * time, 0 * time, speed * time], axis=1))
    assert foot_skate_ratio(slider) == ratio
    assert foot_skate_ratio(moved(slider, [0, 0.06, 0])) == 0.0  # over 5 cm nothing skates
    assert detect_contacts(slider).all()
    assert not detect_contacts(moved(standing(), np.stack([0 * time, 0 * time, 0.4 * time], axis=1))).any()


def test_penetration_and_jerk_are_what_calculus_says():
    time = np.arange(61) / 30
    assert floor_penetration(moved(standing(), [0, -0.03, 0])) == pytest.approx(0.03)
    assert floor_penetration(moved(standing(), [0, 0.03, 0])) == 0.0
    thrown = moved(standing(61), np.stack([0 * time, 2.5 * time**3, 0 * time], axis=1))
    assert mean_jerk(thrown) == pytest.approx(15.0, rel=1e-6)  # d^3/dt^3 of 2.5 t^3
    assert mean_jerk(standing(3)) == 0.0


def test_scaling_to_a_body_scales_travel_and_nothing_else():
    motion = shuffle()
    tall = scale_to_body(motion, 1.5 * motion.rest_root_height)
    np.testing.assert_allclose(tall.root_position, 1.5 * motion.root_position)
    np.testing.assert_array_equal(tall.rotations, motion.rotations)
    place = joint_positions(tall.rotations, tall.root_position, 1.5 * REFERENCE_JOINTS)
    np.testing.assert_allclose(place, 1.5 * joint_positions(motion.rotations, motion.root_position, REFERENCE_JOINTS))


@pytest.mark.parametrize("offset", [-0.08, 0.05])
def test_grounding_puts_a_clip_on_the_floor(offset):
    low = lowest_point(ground(moved(standing(), [0, offset, 0])))
    assert np.abs(low).max() < 1e-9


def test_grounding_leaves_flights_alone_but_lifts_what_dips_smoothly():
    high = moved(standing(), [0, 0.6, 0])
    np.testing.assert_array_equal(ground(high).root_position, high.root_position)
    dip = np.zeros((60, 3))
    dip[28:31, 1] = -0.06  # three frames, too few to move the level
    lifted = ground(moved(standing(), dip))
    assert lowest_point(lifted).min() > -0.004
    assert np.abs(np.diff(lifted.root_position[:, 1] - dip[:, 1])).max() < 0.02


def test_flattening_follows_terrain_that_is_not_there():
    climb = np.zeros((120, 3))
    climb[:, 1] = np.linspace(0, 0.8, 120)
    low = lowest_point(ground(moved(standing(120), climb), flatten=True))
    assert np.abs(low[20:-20]).max() < 0.06


def test_locked_feet_do_not_slide_and_the_rest_of_the_body_stays():
    dragged = shuffle()
    before = foot_skate_ratio(dragged)
    locked = lock_feet(dragged)
    after = foot_skate_ratio(locked)
    assert before > 0.4
    assert after < 0.5 * before
    assert floor_penetration(locked) < 0.002
    arms = [JOINT[f"{s}_{p}"] for s in ("left", "right") for p in ("shoulder", "elbow", "wrist")]
    np.testing.assert_allclose(locked.rotations[:, arms], dragged.rotations[:, arms], atol=1e-12)


def test_locking_keeps_a_foot_that_creeps_in_its_place_when_told_it_stands():
    time = np.arange(60) / 30
    creeping = moved(standing(), np.stack([0.15 * np.sin(2 * np.pi * time / 2), 0 * time - 0.05, 0 * time], axis=1))
    locked = lock_feet(creeping, contacts=np.ones((60, 2)))
    speed = np.linalg.norm(np.diff(sole_points(locked)[:, :, 1], axis=0)[..., [0, 2]], axis=-1) * 30
    free = np.linalg.norm(np.diff(sole_points(creeping)[:, :, 1], axis=0)[..., [0, 2]], axis=-1) * 30
    assert free.max() > 0.4
    assert speed.max() < 0.2


def test_locking_a_statue_changes_nothing():
    statue = standing()
    locked = lock_feet(statue)
    np.testing.assert_allclose(locked.rotations, statue.rotations, atol=1e-9)
    np.testing.assert_allclose(locked.root_position, statue.root_position, atol=1e-9)


def test_a_single_frame_can_be_measured_grounded_and_locked():
    one = standing(1)
    assert physics_report(lock_feet(ground(one)))["foot_skate"] == 0.0


def test_a_treadmill_walk_gets_somewhere_when_the_root_follows_the_feet():
    # Feet that slide back at 1 m/s in turn while they stand, as in a walk in place.
    time = np.arange(120) / 30
    phase = time * 1.0
    controls = {"pelvis": np.tile([0.0, -0.06, 0.0], (120, 1))}
    for side, shift in (("l", 0.0), ("r", 0.5)):
        p = (phase + shift) % 1.0
        stance = p < 0.5
        z = np.where(stance, 0.25 - p, -0.25 + (p - 0.5))
        y = np.where(stance, 0.0, 0.08 * np.sin(2 * np.pi * (p - 0.5)))
        controls[f"foot_{side}"] = np.stack([0.02 + 0 * z, y, z], axis=1)
    walk = solve(controls, 30.0, "treadmill")
    travelled = root_from_feet(walk).root_position[-1] - walk.root_position[-1]
    assert travelled[2] == pytest.approx(time[-1], rel=0.15)
    assert abs(travelled[0]) < 0.05
    assert foot_skate_ratio(root_from_feet(walk)) < 0.5 * foot_skate_ratio(walk)


point = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array)


@given(point, point, st.floats(0.15, 0.8), point)
@example(np.array([0.0, 0.0, 0.015625]), np.zeros(3), 0.5, np.zeros(3))
@settings(max_examples=40, deadline=None)
def test_two_bone_ik_reaches_what_can_be_reached_with_bones_of_unchanged_length(bend, way, distance, twist):
    if np.linalg.norm(way) < 0.1:
        way = np.array([0.0, -1.0, 0.0])
    turn = matrix_from_rotvec(np.array(bend))
    root, middle = np.zeros(3), np.array([0.0, -0.42, 0.0])
    tip = middle + turn @ np.array([0.0, -0.4, 0.0])
    target = way / np.linalg.norm(way) * distance
    first, second = two_bone(*(v[None] for v in (root, middle, tip, target)), np.array([[1.0, 0, 0]]))
    knee = first[0] @ middle
    found = knee + second[0] @ (tip - middle)
    np.testing.assert_allclose(found, target, atol=1e-6)
    np.testing.assert_allclose(first[0] @ first[0].T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(second[0] @ second[0].T, np.eye(3), atol=1e-9)


def test_a_knee_never_bends_backwards_when_a_straight_leg_is_shortened():
    hip, knee, ankle = (np.array([[0.0, y, 0.0]]) for y in (0.9, 0.5, 0.1))
    first, _ = two_bone(hip, knee, ankle, ankle + np.array([[0, 0.2, 0]]), np.array([[1.0, 0, 0]]))
    assert (hip[0] + first[0] @ (knee - hip)[0])[2] > 0.1
