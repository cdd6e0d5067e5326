"""The AMASS archive read by NumPy alone, by our importer, and replayed on a body the way AMASS' readers do."""

import io
import zipfile

import numpy as np
import pytest
import torch

from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS
from avatargen.core.values import Motion
from avatargen.export.npz import encode_amass
from motiongen.importers.amass import read_amass
from motiongen.kinematics import REFERENCE_JOINTS, joint_positions, matrix_from_rotvec

REST_ROOT = np.array([0.002, -0.21, 0.03])


def motion(angle=1.0, frames=12):
    generator = np.random.default_rng(5)
    vectors = generator.normal(0, angle, (frames, 24, 3))
    return Motion(
        rotations=matrix_from_rotvec(vectors),
        root_position=generator.normal(0, 1, (frames, 3)) + np.array([0, 1, 0]),
        rest_root_height=float(REFERENCE_JOINTS[0, 1]),
        joint_names=SMPL_JOINTS,
        fps=30.0,
    )


def encoded(value=None, body="open-1a2b"):
    value = value or motion()
    return encode_amass(value, betas=np.linspace(-1, 1, 10), gender="neutral", rest_root=REST_ROOT, body=body)


def load(data):
    return np.load(io.BytesIO(data), allow_pickle=False)


def test_it_holds_every_key_that_readers_ask_for_without_pickle():
    data = load(encoded())
    assert data["poses"].shape == (12, 72)
    assert data["trans"].shape == (12, 3)
    assert str(data["gender"]) == "neutral"
    assert data["betas"].shape == (10,)
    assert data["mocap_framerate"] == data["mocap_frame_rate"] == 30.0
    assert data["pose_body"].shape == (12, 63)
    assert data["pose_hand"].shape == (12, 90)
    np.testing.assert_array_equal(
        np.concatenate([data["root_orient"], data["pose_body"]], axis=1), data["poses"][:, :66]
    )
    assert "not SMPL's" in str(data["body"])
    assert "not SMPL's" not in str(load(encoded(body="smpl"))["body"])


def test_a_reader_that_poses_a_body_as_amass_says_finds_the_joints_up_along_z():
    value = motion()
    data = load(encoded(value))
    # joints = FK(poses) about the rest root, plus trans; then Z up.
    rest = REFERENCE_JOINTS - REFERENCE_JOINTS[0] + REST_ROOT
    turns = matrix_from_rotvec(data["poses"].reshape(-1, 24, 3))
    place = data["trans"] + rest[0]
    found = joint_positions(turns, place, rest, SMPL_PARENTS)
    wanted = joint_positions(value.rotations, value.root_position, REFERENCE_JOINTS)
    x, y, z = np.moveaxis(wanted, -1, 0)
    np.testing.assert_allclose(found, np.stack([x, -z, y], axis=-1), atol=1e-9)


@pytest.mark.parametrize("angle", [1e-9, 1e-4, 1.0, 3.0, 40.0])
def test_our_importer_gives_the_motion_back(angle, tmp_path):
    value = motion(angle)
    path = tmp_path / "motion.npz"
    path.write_bytes(encoded(value))
    back = read_amass(path)
    assert back.fps == 30.0
    np.testing.assert_allclose(back.rotations[:, :22], value.rotations[:, :22], atol=1e-9)
    np.testing.assert_allclose(back.root_position, value.root_position, atol=1e-12)


def test_half_turns_are_written_as_half_turns():
    vectors = np.zeros((3, 24, 3))
    vectors[0, 4], vectors[1, 4], vectors[2, 4] = (np.pi, 0, 0), (0, 0, np.pi), (np.pi * 0.6, 0, np.pi * 0.8)
    value = motion(frames=3)
    value = Motion(**{**value.__dict__, "rotations": matrix_from_rotvec(vectors)})
    found = load(encoded(value))["poses"].reshape(3, 24, 3)[:, 4]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.pi, atol=1e-7)
    np.testing.assert_allclose(matrix_from_rotvec(found), value.rotations[:, 4], atol=1e-7)


def test_a_second_run_is_byte_identical_and_carries_no_time_stamp():
    assert encoded() == encoded()
    dates = {entry.date_time for entry in zipfile.ZipFile(io.BytesIO(encoded())).infolist()}
    assert dates == {(1980, 1, 1, 0, 0, 0)}


def test_a_motion_without_smpls_joints_is_refused_by_name():
    value = motion()
    few = Motion(**{**value.__dict__, "rotations": value.rotations[:, :2], "joint_names": ("pelvis", "left_hip")})
    with pytest.raises(ValueError, match="right_hip"):
        encoded(few)


def test_the_open_body_posed_by_the_archive_stands_where_the_motion_says():
    from avatargen.body.open_body import load_open_body
    from avatargen.body.posing import pose_body, shape_body

    body = load_open_body()
    betas = torch.zeros(1, body.num_betas)
    rest_root = shape_body(body, betas)[1][0, 0].double().numpy()
    value = motion(0.3, frames=2)
    data = load(encode_amass(value, betas=betas[0].numpy(), gender="neutral", rest_root=rest_root, body="open"))
    turns = torch.tensor(matrix_from_rotvec(data["poses"].reshape(2, 24, 3)), dtype=torch.float32)
    posed = pose_body(body, betas.expand(2, -1), turns, torch.tensor(data["trans"], dtype=torch.float32))
    x, y, z = posed.joints[:, 0].numpy().T
    np.testing.assert_allclose(np.stack([x, z, -y], axis=-1), value.root_position, atol=1e-5)
