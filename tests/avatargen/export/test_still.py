"""Static files in T-pose, A-pose or any frame: what trimesh reads back is where our skinning puts the body."""

import io

import numpy as np
import pytest
import trimesh

from avatargen.body.skeleton import A_POSE
from avatargen.core.errors import InputError
from avatargen.core.parts import SMPL_JOINTS
from avatargen.export import Content, encode_all
from avatargen.export.still import still
from avatargen.export.stl import encode_stl


@pytest.mark.parametrize("kind", ["obj", "ply", "stl"])
@pytest.mark.parametrize("frame", [0, 13])
def test_trimesh_reads_the_frame_that_was_asked_for(rigged_tube, bend, lbs, kind, frame):
    content = Content(model=rigged_tube, motions=(bend,), name="tube", pose=str(frame))
    data = list(encode_all(content, [kind]).values())[-1]
    read = trimesh.load(io.BytesIO(data), file_type=kind, force="mesh", process=False)
    found = np.asarray(read.vertices)[np.asarray(read.faces)].reshape(-1, 9)
    wanted = lbs(rigged_tube, bend, frame)[rigged_tube.mesh.faces].reshape(-1, 9)
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_an_stl_is_watertight_with_normals_that_point_out(tube):
    read = trimesh.load(io.BytesIO(encode_stl(tube)), file_type="stl")
    read.merge_vertices()
    assert read.is_watertight
    assert read.volume == pytest.approx(trimesh.Trimesh(tube.vertices, tube.faces).volume, rel=1e-5)
    stored = np.frombuffer(encode_stl(tube)[84:], dtype=[("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")])
    outwards = stored["c"].mean(1) - tube.vertices.mean(0)
    assert ((stored["n"] * outwards).sum(1) > 0).all()


def test_the_a_pose_lowers_the_arms_by_its_angles_and_stands_on_the_floor(stick):
    points = still(stick, "a").vertices
    assert points[:, 1].min() == pytest.approx(0, abs=1e-6)
    joint = SMPL_JOINTS.index
    # Vertices of the stick figure are its joints: the upper arm points down by collar and shoulder together.
    arm = points[joint("left_elbow")] - points[joint("left_shoulder")]
    down = A_POSE[joint("left_collar"), 2] + A_POSE[joint("left_shoulder"), 2]
    assert np.arctan2(arm[1], arm[0]) == pytest.approx(down, abs=1e-5)
    assert still(stick, "t") is stick.mesh


@pytest.mark.parametrize(
    ("pose", "words"), [("b", "use t, a, or the number"), ("21", "21 frames, 0 to 20"), ("-1", "use t, a")]
)
def test_a_pose_that_is_none_is_told(rigged_tube, bend, pose, words):
    with pytest.raises(InputError, match=words):
        still(rigged_tube, pose, bend)


def test_a_frame_without_a_motion_is_told(rigged_tube):
    with pytest.raises(InputError, match="no motion"):
        still(rigged_tube, "0")
