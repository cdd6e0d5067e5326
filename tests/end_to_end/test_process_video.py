"""A run that is filmed, then refined, in one folder: looking on changes nothing, what is finished is used again."""

import numpy as np
import pytest

from avatargen.core.finished import read_finished

pytestmark = pytest.mark.slow


def test_the_film_changes_no_file_and_a_refinement_takes_the_finished_avatar(finished, make_run, tmp_path):
    folder = tmp_path / "filmed"
    filmed = make_run(folder, more=("video.process=true",))
    assert (folder / "avatar.glb").read_bytes() == (finished.folder / "avatar.glb").read_bytes()
    assert set(filmed.files) - set(finished.files) == {"process.mp4"}
    film, plain = (folder / "process.mp4").read_bytes(), filmed.avatar.mesh

    refining = ("refine.steps=2", "refine.crisp=1", "refine.views=1", "refine.image_size=64")
    refined = make_run(folder, more=("video.process=true", *refining), resume=True)
    assert refined.seconds["avatar"] < 0.5 * filmed.seconds["avatar"]
    assert np.array_equal(refined.avatar.mesh.faces, plain.faces)
    assert np.array_equal(read_finished(folder).avatar.mesh.texture, refined.avatar.mesh.texture)
    assert not np.array_equal(refined.avatar.mesh.texture, plain.texture)
    assert (folder / "process.mp4").read_bytes() != film  # it now ends with the refined mesh
    assert not list((folder / ".work").glob("refine-*"))
