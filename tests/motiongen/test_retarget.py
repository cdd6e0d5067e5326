# ruff: noqa: E501  tables read best in long lines
"""Foreign skeletons onto SMPL's joints: bones point where they pointed, whatever the file's rest pose, axes and units."""

import numpy as np
import pytest

from avatargen.core.errors import BrokenFileError, InputError
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.values import Motion
from motiongen.clips import swap_sides
from motiongen.importers.amass import read_amass
from motiongen.importers.bone_names import guess_bone_map
from motiongen.importers.bvh import parse_bvh
from motiongen.importers.retarget import mirror, resample, retarget_bvh
from motiongen.kinematics import JOINT, REFERENCE_JOINTS, joint_positions, matrix_from_rotvec, rotvec_from_matrix
from tests.motiongen.skeletons import BLENDER_NAMES, MIXAMO, SMPL_NAMES, UNREAL_NAMES, turn, write

POSE = {
    "Hips": turn(1, 30) @ turn(0, 10),
    "Spine": turn(0, 12),
    "Spine2": turn(2, -8),
    "Head": turn(1, 25),
    "LeftArm": turn(2, -60),
    "LeftForeArm": turn(1, -70),
    "RightArm": turn(1, 50) @ turn(2, 20),
    "RightForeArm": turn(1, 40),
    "RightHand": turn(2, 15),
    "LeftUpLeg": turn(0, -70),
    "LeftLeg": turn(0, 90),
    "RightUpLeg": turn(2, -10),
    "RightFoot": turn(0, 20),
    "LeftToeBase": turn(0, -15),
}
FRAMES = [{}, POSE]
ROOT = [(0, 0.95, 0), (0.2, 0.7, 0.4)]
LIMBS = [
    (f"{s}_{a}", f"{s}_{b}")
    for s in ("left", "right")
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
]
PAIRS = dict(
    zip(
        SMPL_JOINTS,
        ["Hips", "LeftUpLeg", "RightUpLeg", "Spine", "LeftLeg", "RightLeg", "Spine1", "LeftFoot", "RightFoot", "Spine2", "LeftToeBase", "RightToeBase", "Neck", "LeftShoulder", "RightShoulder", "Head", "LeftArm", "RightArm", "LeftForeArm", "RightForeArm", "LeftHand", "RightHand"],
        strict=False,
    )
)  # fmt: skip


def world_of(frame):
    g = {}
    for n, p, _ in MIXAMO:
        g[n] = (g[p] if p else np.eye(3)) @ frame.get(n, np.eye(3))
    return g


def directions(motion, joints=REFERENCE_JOINTS):
    p = joint_positions(motion.rotations, motion.root_position, joints)
    out = np.stack([p[:, JOINT[b]] - p[:, JOINT[a]] for a, b in LIMBS], axis=1)
    return out / np.linalg.norm(out, axis=-1, keepdims=True)


def wanted_directions():
    rest = np.array(
        [
            (0, -1, 0) if a.endswith(("hip", "knee")) else (1, 0, 0) if a.startswith("left") else (-1, 0, 0)
            for a, _ in LIMBS
        ]
    )
    return np.stack([[world_of(f)[PAIRS[a]] @ r for (a, _), r in zip(LIMBS, rest, strict=True)] for f in FRAMES])


A_POSE_REST = {
    "LeftArm": turn(2, -45), "RightArm": turn(2, 45), "LeftForeArm": turn(2, -45), "RightForeArm": turn(2, 45),
    "LeftUpLeg": turn(2, 12), "RightUpLeg": turn(2, -12), "LeftFoot": np.eye(3), "RightFoot": np.eye(3),
}  # fmt: skip

FILES = {
    "a T-pose in metres": {},
    "Mixamo's prefix and centimetres": {"unit": 100.0, "names": {n: f"mixamorig:{n}" for n, _, _ in MIXAMO}},
    "SMPL's names": {"names": SMPL_NAMES},
    "Unreal's names and centimetres": {"names": UNREAL_NAMES, "unit": 100.0},
    "Blender's names and millimetres": {"names": BLENDER_NAMES, "unit": 1000.0},
    "odd units": {"unit": 17.7},
    "Z up": {"world": turn(0, 90)},
    "facing +X": {"world": turn(1, 90)},
    "an A-pose with the legs apart": {"rest": A_POSE_REST},
}


@pytest.mark.parametrize("kind", FILES)
def test_limbs_point_where_they_pointed(kind):
    motion = retarget_bvh(parse_bvh(write(MIXAMO, FRAMES, ROOT, **FILES[kind])))
    wanted = wanted_directions()
    if kind == "facing +X":
        # The file's world is Y up as ours, so the figure keeps facing where it faced.
        wanted = wanted @ turn(1, 90).T
    angle = np.degrees(np.arccos(np.clip((directions(motion) * wanted).sum(-1), -1, 1)))
    assert angle.max() < 0.3, dict(zip(LIMBS, angle[1], strict=True))


@pytest.mark.parametrize("kind", ["a T-pose in metres", "Z up", "Mixamo's prefix and centimetres"])
def test_a_t_pose_skeleton_hands_every_joints_orientation_over(kind):
    motion = retarget_bvh(parse_bvh(write(MIXAMO, FRAMES, ROOT, **FILES[kind])))
    for frame, rotations in zip(FRAMES, motion.rotations, strict=True):
        local = [frame.get(PAIRS[j], np.eye(3)) if j in PAIRS else np.eye(3) for j in SMPL_JOINTS]
        np.testing.assert_allclose(rotations, local, atol=3e-3)  # the reference's thighs lean by 0.15 degrees
    assert SMPL_JOINTS[22:] == ("left_hand", "right_hand")
    np.testing.assert_allclose(motion.rotations[:, 22:], np.broadcast_to(np.eye(3), (2, 2, 3, 3)), atol=1e-12)


def test_hips_scale_by_leg_length_and_the_rest_pose_stands_on_the_floor():
    for unit in (1.0, 100.0):
        motion = retarget_bvh(parse_bvh(write(MIXAMO, FRAMES, ROOT, unit=unit)))
        place = joint_positions(motion.rotations, motion.root_position, REFERENCE_JOINTS)
        hips = place[:, [1, 2]].mean(1)
        leg = 0.42 + 0.4 + 0.07  # hip to the sole of the source
        source = [
            np.array(r) + world_of(f)["Hips"] @ np.array([0, -0.06, 0]) for f, r in zip(FRAMES, ROOT, strict=True)
        ]
        np.testing.assert_allclose(hips, np.array(source) * REFERENCE_JOINTS[1, 1] / leg, atol=1e-4)
        assert place[0, [10, 11], 1] == pytest.approx(REFERENCE_JOINTS[10, 1], abs=2e-3)
        assert motion.rest_root_height == REFERENCE_JOINTS[0, 1]


@pytest.mark.parametrize("spine", [1, 2, 4])
def test_any_number_of_spine_joints_gives_the_chest_its_orientation(spine):
    chain = [(f"S{i}", "Hips" if i == 0 else f"S{i - 1}", (0, 0.35 / spine, 0)) for i in range(spine)]
    names = {"Spine2": f"S{spine - 1}"}
    rest = [(n, names.get(p, p), o) for n, p, o in MIXAMO if not n.startswith("Spine")]
    joints = [rest[0], *chain, *rest[1:]]
    frame = {f"S{i}": turn(0, 60 / spine) for i in range(spine)} | {"Neck": turn(1, 20), "Head": turn(1, 20)}
    motion = retarget_bvh(parse_bvh(write(joints, [{}, frame], ROOT)))
    trunk = [motion.rotations[1, JOINT[f"spine{k}"]] for k in (1, 2, 3)]
    np.testing.assert_allclose(trunk[0] @ trunk[1] @ trunk[2], turn(0, 60), atol=1e-6)
    # Bent evenly in the file, it is bent evenly here.
    np.testing.assert_allclose(trunk[0], turn(0, 20), atol=1e-6)
    np.testing.assert_allclose(motion.rotations[1, JOINT["head"]], turn(1, 20), atol=1e-6)


def test_a_bone_map_helps_where_names_say_nothing():
    names = {n: f"bone{i}" for i, (n, _, _) in enumerate(MIXAMO)}
    bvh = parse_bvh(write(MIXAMO, FRAMES, ROOT, names=names))
    with pytest.raises(InputError, match=r"cannot tell which joints are pelvis.*\n.*bone0.*\n.*bone map|bone map"):
        retarget_bvh(bvh)
    bones = {smpl: names[mixamo] for smpl, mixamo in PAIRS.items()}
    plain = retarget_bvh(parse_bvh(write(MIXAMO, FRAMES, ROOT)))
    np.testing.assert_allclose(retarget_bvh(bvh, bones).rotations, plain.rotations, atol=1e-9)
    with pytest.raises(InputError, match="no joint 'tail'"):
        retarget_bvh(bvh, bones | {"head": "tail"})
    with pytest.raises(InputError, match="'tail' is no SMPL joint"):
        retarget_bvh(bvh, bones | {"tail": "bone0"})


def test_cmus_extra_hip_joints_and_necks_are_found():
    names = ["Hips", "LHipJoint", "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase", "RHipJoint", "RightUpLeg", "RightLeg", "RightFoot", "RightToeBase", "LowerBack", "Spine", "Spine1", "Neck", "Neck1", "Head", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand", "RightShoulder", "RightArm", "RightForeArm", "RightHand"]  # fmt: skip
    parents = [-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 15, 13, 17, 18, 19, 13, 21, 22, 23]
    found = guess_bone_map(names, parents)
    assert found["left_hip"] == "LeftUpLeg"
    assert found["right_ankle"] == "RightFoot"
    assert found["left_collar"] == "LeftShoulder"
    assert found["left_shoulder"] == "LeftArm"
    assert found["head"] == "Head"


def test_bones_without_length_are_refused():
    flat = [(n, p, (0, 0, 0)) for n, p, _ in MIXAMO]
    with pytest.raises(BrokenFileError, match="no length"):
        retarget_bvh(parse_bvh(write(flat, FRAMES, ROOT), "flat.bvh"))


def some_motion(frames=9, fps=30.0):
    generator = np.random.default_rng(0)
    return Motion(
        rotations=matrix_from_rotvec(generator.normal(0, 1.2, (frames, 24, 3))),
        root_position=generator.normal(0, 1, (frames, 3)),
        rest_root_height=0.9,
        joint_names=SMPL_JOINTS,
        fps=fps,
        contacts=generator.uniform(0, 1, (frames, 2)),
    )


def test_a_mirror_image_has_its_joints_on_the_other_side_and_twice_is_once():
    motion = some_motion()
    image = mirror(motion)
    ours = joint_positions(motion.rotations, motion.root_position, REFERENCE_JOINTS)
    theirs = joint_positions(image.rotations, image.root_position, REFERENCE_JOINTS)
    for name, index in JOINT.items():
        other = name.replace("left", "x").replace("right", "left").replace("x", "right")
        np.testing.assert_allclose(theirs[:, JOINT[other]], ours[:, index] * [-1, 1, 1], atol=1e-12)
    again = mirror(image)
    np.testing.assert_array_equal(again.rotations, motion.rotations)
    np.testing.assert_array_equal(again.root_position, motion.root_position)
    np.testing.assert_array_equal(again.contacts, motion.contacts)
    assert np.linalg.det(image.rotations) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("words", "image"),
    [
        ("punch with the right hand", "punch with the left hand"),
        ("slash from the right shoulder to the left hip", "slash from the left shoulder to the right hip"),
        ("breakdance upright", "breakdance upright"),
        ("Left, then leftwards", "Right, then rightwards"),
        ("clap", "clap"),
    ],
)
def test_words_change_sides_and_back(words, image):
    assert swap_sides(words) == image
    assert swap_sides(image) == words


def test_resampling_keeps_ends_and_length_and_turns_at_constant_speed():
    turns = np.linspace(0, 3, 31)
    vectors = np.zeros((31, 24, 3))
    vectors[:, 5, 1] = turns
    motion = Motion(**{**some_motion(31).__dict__, "rotations": matrix_from_rotvec(vectors)})
    fast = resample(motion, 72.0)
    assert len(fast.rotations) == 73
    np.testing.assert_allclose(rotvec_from_matrix(fast.rotations[:, 5])[:, 1], np.linspace(0, 3, 73), atol=1e-9)
    np.testing.assert_allclose(fast.root_position[[0, -1]], motion.root_position[[0, -1]], atol=1e-12)
    assert resample(motion, 30.0) is motion
    assert len(resample(some_motion(1), 60.0).rotations) == 1


AMASS = {"poses": np.zeros((4, 156)), "trans": np.zeros((4, 3)), "mocap_framerate": np.array(60.0)}


def _without(key):
    return {k: v for k, v in AMASS.items() if k != key}


AMASS_FAULTS = {
    "no poses": (_without("poses"), "neither 'poses'"),
    "no trans": (_without("trans"), "no 'trans'"),
    "no frame rate": (_without("mocap_framerate"), "no frame rate"),
    "frame rate zero": (AMASS | {"mocap_framerate": np.array(0.0)}, "frame rate is 0"),
    "frame rate NaN": (AMASS | {"mocap_framerate": np.array(np.nan)}, "'mocap_framerate' holds NaN"),
    "zero frames": (AMASS | {"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))}, r"'poses' has shape \(0, 156\)"),
    "trans too short": (AMASS | {"trans": np.zeros((3, 3))}, "'trans' has shape"),
    "NaN": (AMASS | {"trans": np.full((4, 3), np.nan)}, "NaN"),
    "too few joints": (AMASS | {"poses": np.zeros((4, 60))}, "60 numbers a frame"),
    "text": (AMASS | {"poses": np.array([["a", "b"]])}, "'poses' has shape .* and type <U1"),
    "complex": (AMASS | {"trans": np.zeros((4, 3), complex)}, "'trans' has shape .* and type complex128"),
    "times": (AMASS | {"trans": np.zeros((4, 3), "m8[s]")}, "'trans' has shape .* and type timedelta64"),
    "two rates": (AMASS | {"mocap_framerate": np.ones(2)}, "'mocap_framerate' has shape"),
    "root in two numbers": (AMASS | {"rest_root": np.zeros(2)}, "'rest_root' has shape"),
    "no height": (AMASS | {"rest_root_height": np.array(0.0)}, "'rest_root_height' is 0 m"),
    "height in words": (AMASS | {"rest_root_height": np.array("tall")}, "'rest_root_height' has shape"),
    "halves of two lengths": (
        _without("poses") | {"root_orient": np.zeros((4, 3)), "pose_body": np.zeros((3, 63))},
        "'pose_body' has shape",
    ),
}


@pytest.mark.parametrize("fault", AMASS_FAULTS)
def test_a_broken_amass_file_is_refused_by_name(fault, tmp_path):
    arrays, message = AMASS_FAULTS[fault]
    np.savez(tmp_path / "clip.npz", **arrays)
    with pytest.raises(BrokenFileError, match=rf"clip\.npz.*{message}"):
        read_amass(tmp_path / "clip.npz")


def test_an_archive_that_wants_to_run_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    np.savez(
        tmp_path / "evil.npz", poses=np.array([Evil()], dtype=object), trans=np.zeros((1, 3)), mocap_framerate=30.0
    )
    with pytest.raises(BrokenFileError, match="neither 'poses'"):
        read_amass(tmp_path / "evil.npz")
    assert not (tmp_path / "ran").exists()
    whole = (tmp_path / "evil.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BrokenFileError, match=r"half\.npz"):
        read_amass(tmp_path / "half.npz")


def test_amass_stands_up_from_z_to_y(tmp_path):
    poses = np.zeros((2, 156))
    poses[:, 0] = np.pi / 2  # AMASS turns the Y-up body upright in its Z-up world
    np.savez(tmp_path / "clip.npz", **(AMASS | {"poses": poses, "trans": np.array([[0, 0, 1.2], [0, -2.0, 1.2]])}))
    motion = read_amass(tmp_path / "clip.npz", pelvis_offset=np.zeros(3), pelvis_height=float(REFERENCE_JOINTS[0, 1]))
    assert motion.fps == 60.0
    place = joint_positions(motion.rotations, motion.root_position, REFERENCE_JOINTS)
    np.testing.assert_allclose(place[0], REFERENCE_JOINTS - REFERENCE_JOINTS[0] + [0, 1.2, 0], atol=1e-12)
    np.testing.assert_allclose(motion.root_position[1], [0, 1.2, 2.0], atol=1e-12)  # AMASS' -y is our +z
