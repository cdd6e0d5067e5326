"""FBX made by Blender and read again by Blender; and what happens where there is no Blender."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avatargen.core.errors import MissingExtraError, OutputError
from avatargen.export.blender import blender_command, encode_fbx, run_blender
from avatargen.export.surface import split_at_seams


@pytest.fixture(scope="module")
def reimported(blender, rigged_tube, bend):
    slow = replace(bend, name="slow", rotations=bend.rotations[:11], root_position=bend.root_position[:11], fps=15.0)
    data = encode_fbx(rigged_tube, [bend, slow], name="tube")
    return data, *blender(data, ".fbx", list(range(0, 21, 2)), "bend")


@pytest.mark.blender
def test_the_fbx_holds_bones_texture_and_every_clip_at_full_length(reimported):
    data, report, _ = reimported
    assert data.startswith(b"Kaydara FBX Binary")
    assert report["bones"] == {"root": None, "middle": "root", "tip": "middle"}
    lengths = {name.rsplit("|", 1)[-1]: ends for name, ends in report["actions"].items()}
    assert lengths == {"bend": [0.0, 20.0], "slow": [0.0, 20.0]}
    assert report["base_color_images"] == ["tube_basecolor"]
    assert report["images"][0]["size"] == [24, 16]
    assert report["images"][0]["packed"]
    np.testing.assert_allclose(report["scales"], np.ones((2, 3)), atol=1e-6)


@pytest.mark.blender
def test_the_mesh_deforms_after_fbx_as_our_own_skinning_says(reimported, rigged_tube, bend, lbs):
    posed = reimported[2]
    source = split_at_seams(rigged_tube.mesh).source
    for row, frame in enumerate(range(0, 21, 2)):
        np.testing.assert_allclose(posed[row], lbs(rigged_tube, bend, frame)[source], atol=1e-4)


@pytest.mark.blender
def test_the_bind_pose_is_the_t_pose_with_frames_that_are_not_turned(reimported, rigged_tube):
    matrices = {name: np.reshape(rows, (4, 4)).T for name, rows in reimported[1]["bind_pose"].items()}
    skeleton = rigged_tube.skeleton
    assert set(skeleton.names) < set(matrices)
    for name, joint in zip(skeleton.names, skeleton.joints, strict=True):
        np.testing.assert_allclose(matrices[name][:3, :3], np.eye(3), atol=1e-6)
        np.testing.assert_allclose(matrices[name][:3, 3], joint, atol=1e-6)


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    for variable in ("AVATARGEN_BLENDER", "AVATARGEN_BLENDER_PYTHON"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("avatargen.export.blender.importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_without_blender_the_error_says_how_to_get_it(nowhere, rigged_tube):
    with pytest.raises(MissingExtraError, match=r'pip install "avatargen\[blender\]"'):
        encode_fbx(rigged_tube)


def test_a_variable_that_names_no_program_is_named_in_the_error(nowhere, monkeypatch):
    monkeypatch.setenv("AVATARGEN_BLENDER", "/nowhere/blender")
    with pytest.raises(MissingExtraError, match=r"AVATARGEN_BLENDER names /nowhere/blender"):
        blender_command()


def test_a_blender_program_is_asked_to_run_in_the_background_and_to_report_failure(nowhere, monkeypatch):
    program = nowhere / "blender"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    command = blender_command()
    assert command[0] == str(program)
    assert command[1:] == ["--background", "--factory-startup", "--python-exit-code", "1", "--python"]
    monkeypatch.setenv("AVATARGEN_BLENDER_PYTHON", sys.executable)
    assert blender_command() == [sys.executable]


def test_a_failing_blender_is_an_error_with_its_last_words(tmp_path):
    script = Path(tmp_path, "bad.py")
    script.write_text("raise SystemExit('the armature is upside down')")
    with pytest.raises(OutputError, match="upside down"):
        run_blender([sys.executable], script, {}, timeout_s=60.0)


def test_a_blender_that_hangs_is_stopped(tmp_path):
    script = Path(tmp_path, "slow.py")
    script.write_text("import time; time.sleep(60)")
    with pytest.raises(OutputError, match="longer than 1 s"):
        run_blender([sys.executable], script, {}, timeout_s=1.0)
