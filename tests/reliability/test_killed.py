"""A run that is killed or stopped at any moment and resumed ends with the files of a run that was not."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

from avatargen.core.finished import read_finished

VICTIM = Path(__file__).with_name("victim.py")


def make(root, *plans):
    """Run the victim; its report. OpenMP's threads do not survive a fork, so there are none."""
    environment = os.environ | {"AVATARGEN_CACHE": str(root / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(VICTIM), str(root), *plans]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def same(folder, reference):
    """Nothing half-written, nothing missing, and all but the record's timings equal."""
    assert names(folder) == names(reference)
    ours, theirs = read_finished(folder), read_finished(reference)
    np.testing.assert_allclose(ours.avatar.mesh.vertices, theirs.avatar.mesh.vertices, atol=1e-5)
    np.testing.assert_array_equal(ours.avatar.mesh.faces, theirs.avatar.mesh.faces)
    np.testing.assert_allclose(ours.motion.rotations, theirs.motion.rotations, atol=1e-6)
    curves = sorted(f".work/{path.name}" for path in (reference / ".work").glob("*-curves.json"))
    assert len(curves) >= 3
    for name in ("avatar.glb", "motion.bvh", "motion.mp4", "turntable.mp4", "preview.png", *curves):
        assert (folder / name).read_bytes() == (reference / name).read_bytes(), name


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A run killed at five random moments one after the other, and one that is stopped with Ctrl-C."""
    root = tmp_path_factory.mktemp("killed")
    draw = random.Random(8)
    moments = ",".join(f"{draw.random():.3f}" for _ in range(5))
    return root, make(root, f"killed:event:{moments}", "halted:stage:sculpting")


def test_a_run_killed_at_random_moments_and_resumed_equals_one_that_was_not(told):
    root, report = told
    assert report["kills"]["killed"] >= 3
    same(root / "killed", root / "reference")


def test_ctrl_c_leaves_an_avatar_that_opens_and_says_what_is_missing(told):
    root, report = told
    halted = root / "halted-stopped"
    assert report["kills"]["halted"] == 0
    assert report["undone"]["halted"] == [
        "sculpting after 0 of 6 steps",
        "refining after 0 of 3 steps",
        "motion after 0 of 4 steps",
        "turntable.mp4",
        "motion.mp4",
    ]
    scene = trimesh.load(halted / "avatar.glb")
    assert 1.6 < scene.extents[1] < 2.1
    assert not (halted / "motion.mp4").exists()
    unfinished = read_finished(halted)
    assert unfinished.motion is not None
    assert set(unfinished.record["files"]) <= {path.name for path in halted.iterdir()}


def test_a_stopped_run_goes_on_to_the_same_end(told):
    root, _ = told
    same(root / "halted", root / "reference")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_kills_at_random_times(tmp_path):
    draw = random.Random(88)
    report = make(tmp_path, *(f"run{number}:time:{draw.random():.4f}" for number in range(20)))
    assert sum(report["kills"].values()) == 20
    for number in range(20):
        same(tmp_path / f"run{number}", tmp_path / "reference")
