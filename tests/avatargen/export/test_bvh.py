"""BVH read back by our own strict reader, which shares no code with the writer, and by Blender."""

import json
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS
from avatargen.core.values import Motion, Skeleton
from avatargen.export.bvh import angles_zxy, encode_bvh
from motiongen.importers.bvh import elementary_rotation, parse_bvh
from motiongen.importers.retarget import retarget_bvh
from motiongen.kinematics import REFERENCE_JOINTS, joint_positions, matrix_from_rotvec

BODY = Skeleton(names=SMPL_JOINTS, parents=SMPL_PARENTS, joints=REFERENCE_JOINTS)


def wild_motion(frames=25, hands=True):
    generator = np.random.default_rng(3)
    waypoints = generator.normal(0, 0.5, (4, 24, 3))
    waypoints[:, 0, 1] += np.linspace(0, 8, 4)  # more than a full turn
    time = np.linspace(0, 3, frames)
    low = np.minimum(time.astype(int), 2)
    vectors = waypoints[low] + (time - low)[:, None, None] * (waypoints[low + 1] - waypoints[low])
    if not hands:
        vectors[:, 22:] = 0
    place = np.stack([0.3 * time, 0.9 + 0.1 * np.sin(time), -0.2 * time], axis=1)
    return Motion(
        rotations=matrix_from_rotvec(vectors),
        root_position=place,
        rest_root_height=float(REFERENCE_JOINTS[0, 1]),
        joint_names=SMPL_JOINTS,
        fps=30.0,
        name="wild",
    )


def test_a_reader_finds_every_rotation_and_place_again():
    motion = wild_motion()
    read = parse_bvh(encode_bvh(motion, BODY).decode())
    assert read.frame_time == pytest.approx(1 / 30, abs=1e-9)
    smpl = {"Hips": "pelvis", "LeftToeBase": "left_foot", "RightHandMiddle1": "right_hand", "Spine2": "spine3"}
    assert {smpl[n]: read.names.index(n) for n in smpl}.keys() <= set(SMPL_JOINTS)
    # Joints by place in the tree: depth first, as the file has them.
    order = [index for index, _ in sorted(enumerate(SMPL_JOINTS), key=lambda pair: _path(pair[0]))]
    np.testing.assert_allclose(read.rotations, motion.rotations[:, order], atol=1e-6)
    np.testing.assert_allclose(read.translations[:, 0], motion.root_position, atol=1e-6)
    for row, joint in enumerate(order[1:], 1):
        bone = REFERENCE_JOINTS[joint] - REFERENCE_JOINTS[SMPL_PARENTS[joint]]
        np.testing.assert_allclose(read.offsets[row], bone, atol=1e-6)


def _path(joint):
    path = []
    while joint >= 0:
        path.append(joint)
        joint = SMPL_PARENTS[joint]
    return path[::-1]


def test_the_importer_gives_back_the_motion_within_a_ten_thousandth_radian():
    motion = wild_motion(hands=False)
    back = retarget_bvh(parse_bvh(encode_bvh(motion, BODY).decode()), joints=REFERENCE_JOINTS)
    np.testing.assert_allclose(back.rotations, motion.rotations, atol=1e-5)
    np.testing.assert_allclose(back.root_position, motion.root_position, atol=1e-5)


def test_angles_run_on_past_half_a_turn_and_keep_close_over_time():
    turn = np.linspace(0, 4 * np.pi, 90)
    angles = angles_zxy(elementary_rotation(1, turn))
    assert np.abs(np.diff(angles, axis=0)).max() < 0.2
    assert angles[-1, 2] == pytest.approx(4 * np.pi, abs=1e-9)


@given(st.tuples(*[st.floats(-3.2, 3.2)] * 3), st.sampled_from([None, np.pi / 2, -np.pi / 2]))
@settings(max_examples=200, deadline=None)
def test_angles_give_their_rotation_again_also_in_gimbal_lock(vector, lock):
    z, x, y = vector
    x = x if lock is None else lock
    matrix = _compose(np.array([[z, x, y]]))
    np.testing.assert_allclose(_compose(angles_zxy(matrix)), matrix, atol=1e-7)


def _compose(angles):
    z, x, y = angles.T
    return elementary_rotation(2, z) @ elementary_rotation(0, x) @ elementary_rotation(1, y)


def test_a_joint_without_motion_stays_at_rest_and_the_root_is_scaled_to_the_skeleton():
    motion = wild_motion()
    few = Motion(
        rotations=motion.rotations[:, :1],
        root_position=motion.root_position,
        rest_root_height=2 * motion.rest_root_height,
        joint_names=("pelvis",),
        fps=24.0,
    )
    read = parse_bvh(encode_bvh(few, BODY).decode())
    np.testing.assert_allclose(read.translations[:, 0], motion.root_position / 2, atol=1e-6)
    np.testing.assert_allclose(read.rotations[:, 1:], np.broadcast_to(np.eye(3), (25, 23, 3, 3)), atol=1e-12)


def test_the_same_motion_gives_the_same_bytes():
    assert encode_bvh(wild_motion(), BODY) == encode_bvh(wild_motion(), BODY)


_PROBE = """
import bpy, json, sys
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_anim.bvh(filepath=sys.argv[-1], axis_forward='-Z', axis_up='Y', use_fps_scale=False)
rig = next(o for o in bpy.context.scene.objects if o.type == 'ARMATURE')
out = []
for frame in (1, 8, 25):
    bpy.context.scene.frame_set(frame)
    out.append({b.name: list(rig.matrix_world @ b.head) for b in rig.pose.bones})
print('RESULT' + json.dumps(out))
"""


@pytest.mark.blender
def test_blender_puts_the_joints_where_our_kinematics_does(tmp_path):
    from avatargen.core.errors import MissingExtraError
    from avatargen.export.blender import blender_command

    try:
        command = blender_command()
    except MissingExtraError as error:
        pytest.skip(str(error))
    motion, path, script = wild_motion(), tmp_path / "wild.bvh", tmp_path / "probe.py"
    path.write_bytes(encode_bvh(motion, BODY))
    script.write_text(_PROBE)
    done = subprocess.run([*command, str(script), str(path)], capture_output=True, text=True, timeout=240)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT")), None)
    assert line, done.stdout[-800:] + done.stderr[-800:]
    ours = joint_positions(motion.rotations, motion.root_position, REFERENCE_JOINTS)
    names = {
        "Hips": "pelvis",
        "LeftForeArm": "left_elbow",
        "RightFoot": "right_ankle",
        "Head": "head",
        "LeftHand": "left_wrist",
    }
    for frame, found in zip((0, 7, 24), json.loads(line[6:]), strict=True):
        for bone, joint in names.items():
            x, y, z = found[bone]
            np.testing.assert_allclose([x, z, -y], ours[frame, SMPL_JOINTS.index(joint)], atol=1e-4)
