import numpy as np
import pytest

from avatargen.body.rigged import perform, pose_rigged
from avatargen.core.values import Mesh, Motion, RiggedMesh, Skeleton


def two_bones():
    """A stick along +X: root at 0, elbow at 1; two points ride on each bone."""
    points = np.array([[0, 0, 0], [0.5, 0, 0], [1.5, 0, 0], [2, 0, 0]], dtype=np.float32)
    mesh = Mesh(vertices=points, faces=np.array([[0, 1, 2]]))
    skeleton = Skeleton(names=("a", "b"), parents=(-1, 0), joints=np.array([[0, 0, 0], [1, 0, 0]], dtype=np.float32))
    weights = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    return RiggedMesh(mesh=mesh, skeleton=skeleton, weights=weights)


QUARTER = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32)


def test_an_elbow_turns_only_what_hangs_on_it():
    turns = np.stack([np.eye(3, dtype=np.float32), QUARTER])[None]
    posed = pose_rigged(two_bones(), turns)[0]
    np.testing.assert_allclose(posed, [[0, 0, 0], [0.5, 0, 0], [1, 0.5, 0], [1, 1, 0]], atol=1e-6)


def test_the_root_position_is_where_the_root_goes():
    motion = Motion(
        rotations=np.tile(np.eye(3, dtype=np.float32), (2, 2, 1, 1)),
        root_position=np.array([[0, 1, 0], [0, 2, 3]], dtype=np.float32),
        rest_root_height=1.0,
        joint_names=("a", "b"),
        fps=30.0,
    )
    posed = perform(two_bones(), motion)
    np.testing.assert_allclose(posed[1] - posed[0], np.tile([0.0, 1.0, 3.0], (4, 1)), atol=1e-6)
    np.testing.assert_allclose(posed[0, 0], [0, 1, 0], atol=1e-6)


def test_a_motion_of_other_joints_is_refused():
    motion = Motion(
        rotations=np.tile(np.eye(3, dtype=np.float32), (1, 1, 1, 1)),
        root_position=np.zeros((1, 3), dtype=np.float32),
        rest_root_height=1.0,
        joint_names=("x",),
        fps=30.0,
    )
    with pytest.raises(ValueError, match="retarget"):
        perform(two_bones(), motion)
