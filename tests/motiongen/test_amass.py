"""Archives of AMASS and SMPL-X under the names that their makers give them."""

import numpy as np
import pytest

from motiongen.importers.amass import read_amass


@pytest.mark.parametrize("rate", ["mocap_framerate", "mocap_frame_rate"])
def test_smpl_x_tells_root_and_body_apart_and_means_the_same(rate, tmp_path):
    generator = np.random.default_rng(0)
    root, body = generator.normal(0, 0.4, (5, 3)), generator.normal(0, 0.4, (5, 63))
    shared = {"trans": generator.normal(0, 0.2, (5, 3)), rate: np.array(120.0)}
    split = {"root_orient": root, "pose_body": body, "pose_hand": np.zeros((5, 90)), "pose_jaw": np.zeros((5, 3))}
    split |= {"surface_model_type": np.array("smplx"), "gender": np.array("neutral"), "betas": np.zeros(16)}
    np.savez(tmp_path / "smplx.npz", **(shared | split))
    np.savez(tmp_path / "smplh.npz", **(shared | {"poses": np.concatenate((root, body, np.zeros((5, 90))), axis=1)}))
    told, found = read_amass(tmp_path / "smplh.npz"), read_amass(tmp_path / "smplx.npz")
    assert found.fps == 120.0
    np.testing.assert_array_equal(found.rotations, told.rotations)
    np.testing.assert_array_equal(found.root_position, told.root_position)
    assert not np.allclose(found.rotations[:, 1:22], np.eye(3))
