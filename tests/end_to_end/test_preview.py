"""A run that is looked at, in every step, leaves the same files as one that is not."""

import io
import json

import numpy as np
import pytest
import trimesh

from avatargen import preview
from avatargen.core.progress import Silent
from avatargen.preview import Preview

pytestmark = pytest.mark.slow
# Of these two, seconds are a part.
TIMED = {"run.json", "report.html"}


class Paper:
    def __init__(self):
        self.drawn, self.stages, self.opened = [], [], 0

    def open(self):
        self.opened = self.opened + 1

    def watched(self):
        return True

    def tell(self, stage, share, values):
        self.stages.append(stage)

    def draw(self, glb):
        self.drawn.append(glb)


def test_looking_at_every_step_changes_no_file(finished, make_run, validate, tmp_path, monkeypatch):
    monkeypatch.setattr(preview, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(preview, "_SHARE", 1e9)
    paper = Paper()
    shown = Preview(Silent(), paper)
    run = make_run(tmp_path / "run", reporter=shown, viewer=shown)
    assert set(run.files) == set(finished.files)
    for name in set(finished.files) - TIMED:
        assert (run.folder / name).read_bytes() == (finished.folder / name).read_bytes(), name
    for stage in ("sculpting", "meshing", "rigging"):
        assert stage in paper.stages
    # The coarse body, each of the three steps, and the finished avatar, at last with its motion.
    assert len(paper.drawn) >= 6
    for glb in (*paper.drawn[:4], paper.drawn[-1]):
        assert validate(glb)["issues"]["numErrors"] == 0
    assert b'"animations"' in paper.drawn[-1]
    assert b'"animations"' not in paper.drawn[0]
    coarse, first, later = (_vertices(glb) for glb in (paper.drawn[0], paper.drawn[1], paper.drawn[3]))
    assert abs(coarse[:, 1].min()) < 1e-3  # it stands on the floor
    assert coarse.shape == first.shape == later.shape
    assert 0 < np.abs(coarse - later).max() < 0.05
    assert any(_colors(paper.drawn[1]) != _colors(glb) for glb in paper.drawn[2:4])


def _vertices(glb):
    return np.asarray(trimesh.load(io.BytesIO(glb), file_type="glb", force="mesh", process=False).vertices)


def _colors(glb):
    """The bytes of the vertex colors."""
    size = int.from_bytes(glb[12:16], "little")
    document, data = json.loads(glb[20 : 20 + size]), glb[28 + size :]
    accessor = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    view = document["bufferViews"][accessor["bufferView"]]
    return data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
