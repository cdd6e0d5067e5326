"""A run that is looked at, in every step, leaves the same files as one that is not."""

import importlib.util
import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import trimesh

from avatargen import preview
from avatargen.core.progress import Silent
from avatargen.preview import Preview
from tests.browser import browsing, find_browser
from tests.conftest import unavailable

pytestmark = pytest.mark.slow
SMALL = ("shape.codebook_size=16", "shape.refine_steps=1", "video.turntable_seconds=1.0", "video.width=64")
SMALL += ("video.height=64", "video.preview_width=160")
# Of these two, seconds are a part.
TIMED = {"run.json", "report.html"}


class Paper:
    url = "http://127.0.0.1:1"

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


def test_the_command_shows_its_page_and_ends_when_the_page_is_closed(cache, tmp_path):
    program = find_browser()
    if program is None or importlib.util.find_spec("viser") is None:
        unavailable("no Chromium, or no viser (extra `view`), here")
    command = [sys.executable, "-m", "avatargen", "--shape", "tall", "--guidance", "embedded", "--preview"]
    command += ["--out", str(tmp_path / "run"), *(word for change in SMALL for word in ("--set", change))]
    environment = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    url = run.stderr.readline().split()[1]
    assert url.startswith("http://127.0.0.1:")
    with browsing(program, tmp_path / "profile") as page:
        page.call("Page.navigate", url=url)
        assert run.stdout.readline() == f"{tmp_path / 'run'}\n"
        while "the preview stays" not in run.stderr.readline():
            page.ask("1")
        page.wait("[...document.querySelectorAll('input')].some(i => i.value == 'done')")
        assert run.poll() is None
    rest, told = run.communicate(timeout=60)
    assert (run.returncode, rest) == (0, "")
    assert "preview" not in told
    assert (tmp_path / "run" / "avatar.glb").is_file()


def _vertices(glb):
    return np.asarray(trimesh.load(io.BytesIO(glb), file_type="glb", force="mesh", process=False).vertices)


def _colors(glb):
    """The bytes of the vertex colors."""
    size = int.from_bytes(glb[12:16], "little")
    document, data = json.loads(glb[20 : 20 + size]), glb[28 + size :]
    accessor = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    view = document["bufferViews"][accessor["bufferView"]]
    return data[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
