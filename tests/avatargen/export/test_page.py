"""The page of a run: what it says, and that a real browser shows the avatar moving without asking the network."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from avatargen.core.curves import Recording, kept_curves
from avatargen.core.progress import Silent
from avatargen.export.gltf import encode_glb
from avatargen.export.page import run_page, three_js
from avatargen.export.surface import encode_png, split_at_seams
from tests.browser import browsing, find_browser
from tests.conftest import unavailable

EVIL = '<img src=x onerror=alert(1)> </script><script>alert("x")</script> & שלום 🦸'
RECORD = {
    "avatargen": "0.1.0",
    "texts": {"shape": "tall", "appearance": EVIL, "motion": "bending"},
    "description": {"text": "a red and blue tube", "source": "text"},
    "seed": 3,
    "quality": "draft",
    "guidance": {"name": "embedded"},
    "body": {"kind": "open", "measures": {"height": 1.2, "volume": 0.04}},
    "scores": {"shape": 0.25, "appearance": {"avatar": 0.3, "grey": 0.2}},
    "mesh": {"vertices": 158, "faces": 312, "texture": [16, 24]},
    "motion": {"frames": 21, "fps": 10, "seconds": 2.1},
    "seconds": {"load": 0.5, "total": 12.3},
    "peak_memory_mb": 500,
    "versions": {"python": "3.11"},
    "licences": {"body": "CC0-1.0"},
    "settings": {"seed": 3},
    "files": {"avatar.glb": "the avatar", "preview.png": "front", "run.json": "the record"},
    "left_undone": ["turntable.mp4"],
}
CURVES = {"sculpting": {"loss": [[1.0, 2.0], [2.0, 1.5], [3.0, 1.0]], "score": [[1.0, 0.1], [2.0, 0.3]]}}


@pytest.fixture(scope="module")
def page(rigged_tube, bend, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    (folder / "avatar.glb").write_bytes(encode_glb(rigged_tube, (bend,), name="tube"))
    (folder / "preview.png").write_bytes(encode_png(np.full((40, 60, 3), 99, dtype=np.uint8)))
    (folder / "report.html").write_bytes(run_page(folder, RECORD, CURVES))
    return folder / "report.html"


def test_texts_cannot_become_code_and_everything_is_told(page):
    text = page.read_text(encoding="utf-8")
    body = text[text.index("<body>") : text.index('<script type="text/plain"')]
    assert "<script" not in body
    assert "<img src=x" not in body
    assert "שלום 🦸" in body
    for word in ("CC0-1.0", "0.040 m³", "12.3 s", "three.js", "Stopped early", "sculpting: loss", "data:image/png"):
        assert word in body, word


def test_nothing_in_the_page_points_anywhere(page):
    text = page.read_text(encoding="utf-8")
    own = text.replace(three_js(), "")
    assert set(re.findall(r'(?:src|href)="(?!data:)([^"]*)"', own)) == {"https://threejs.org"}
    assert "default-src 'none'" in own


def test_the_installed_trimesh_still_ships_three_js_with_animation():
    bundle = three_js()
    assert "SPDX-License-Identifier: MIT" in bundle[:400]
    for word in ("AnimationMixer", "GLTFLoader", "SkinnedMesh"):
        assert word in bundle


def test_curves_are_remembered_with_the_result_they_belong_to(tmp_path):
    told = Recording(Silent())
    told.start("sculpting", 4)
    told.step(2)
    told.step(loss=1.5, score=0.2)
    told.step(loss=float("nan"))
    path = tmp_path / "avatar-curves.json"
    curves = {"sculpting": {"loss": [[3, 1.5]], "score": [[3, 0.2]]}}
    assert kept_curves(path, "k1", told.take()) == curves
    assert kept_curves(path, "k1", told.take()) == curves
    assert kept_curves(path, "k2", {}) == {}
    path.write_bytes(b"[1")
    assert kept_curves(path, "k1", {}) == {}


@pytest.fixture(scope="module")
def tab(page, tmp_path_factory):
    """The page, opened, its avatar shown, paused."""
    program = find_browser()
    if program is None:
        unavailable("no Chromium here (Debian: apt-get install chromium)")
    with browsing(program, tmp_path_factory.mktemp("profile")) as tab:
        tab.open(page, width=800, height=700)
        tab.wait("document.getElementById('viewer')?.dataset.state === 'shown'")
        tab.ask("avatarPage.play(false)")
        yield tab


FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
SETTLED = (
    "(() => { const s = avatarPage.state, t = avatarPage.view.target; if (!s.hips) return true;"
    "const h = new THREE.Vector3().setFromMatrixPosition(s.hips.matrixWorld);"
    "return Math.hypot(h.x - t.x, h.z - t.z) < 0.001; })()"
)


def seen(tab):
    """The viewer's pixels once the view has followed the avatar."""
    tab.ask(FRAMES)
    tab.wait(SETTLED)
    tab.ask(FRAMES)
    box = json.loads(tab.ask("JSON.stringify(document.getElementById('viewer').getBoundingClientRect())"))
    left, top, right = (round(box[side]) for side in ("left", "top", "right"))
    return np.asarray(Image.open(io.BytesIO(tab.picture())).convert("RGB")).astype(int)[top:, left:right]


def red(pixels):
    """Share of pixels that are clearly the red of the tube's upper half."""
    return float(((pixels[..., 0] > 1.8 * pixels[..., 1]) & (pixels[..., 0] > 1.8 * pixels[..., 2])).mean())


def test_the_avatar_appears_with_its_texture_and_moves(tab):
    tab.ask("avatarPage.seek(0)")
    first = seen(tab)
    assert red(first) > 0.004
    tab.ask("avatarPage.seek(1.0)")
    assert (np.abs(first - seen(tab)).max(-1) > 40).mean() > 0.01
    tab.ask("avatarPage.play(true)")
    before = tab.ask("avatarPage.state.time")
    tab.wait(f"avatarPage.state.time !== {before}")
    tab.ask("avatarPage.play(false)")


def test_the_page_moves_vertices_as_linear_blend_skinning_does(tab, rigged_tube, bend, lbs):
    tab.ask("avatarPage.seek(10 / 30)")
    tab.ask(FRAMES)
    place = tab.ask(
        "(() => { const m = avatarPage.state.meshes[0], a = m.geometry.attributes.position, out = [];"
        "for (let i = 0; i < a.count; i++) { const v = new THREE.Vector3().fromBufferAttribute(a, i);"
        "m.boneTransform(i, v); v.applyMatrix4(m.matrixWorld); out.push(v.toArray()); } return out; })()"
    )
    ours = lbs(rigged_tube, bend, 10)[split_at_seams(rigged_tube.mesh).source]
    np.testing.assert_allclose(np.array(place), ours, atol=1e-4)


def test_buttons_take_the_texture_away_and_show_the_edges(tab):
    tab.ask("avatarPage.seek(0)")
    dressed = seen(tab)
    tab.ask("document.getElementById('clay').click()")
    bare = seen(tab)
    assert red(bare) < 0.2 * red(dressed)
    tab.ask("document.getElementById('wire').click()")
    assert (np.abs(bare - seen(tab)).max(-1) > 30).mean() > 0.003
    tab.ask("document.getElementById('clay').click(); document.getElementById('wire').click()")
    assert (np.abs(dressed - seen(tab)).max(-1) > 40).mean() < 0.002


def test_dragging_turns_the_view_and_the_clip_can_be_left(tab):
    tab.ask("scrollTo(0, 0)")
    yaw = tab.ask("avatarPage.view.yaw")
    where = json.loads(tab.ask("JSON.stringify(document.querySelector('#viewer canvas').getBoundingClientRect())"))
    x, y = where["x"] + where["width"] / 2, where["y"] + where["height"] / 2
    tab.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    tab.mouse("mouseMoved", x + 100, y, button="left", buttons=1)
    tab.mouse("mouseReleased", x + 100, y, button="left")
    assert abs(tab.ask("avatarPage.view.yaw") - yaw) > 0.5
    assert tab.ask("[...document.getElementById('clip').options].map((o) => o.text)") == ["bend", "rest pose"]
    tab.ask("(() => { const c = document.getElementById('clip'); c.selectedIndex = 1; c.onchange(); })()")
    assert tab.ask("document.getElementById('play').disabled") is True
    tab.ask("(() => { const c = document.getElementById('clip'); c.selectedIndex = 0; c.onchange(); })()")


def test_no_complaint_and_no_request_leaves_the_machine(tab):
    assert tab.console == []
    assert {url.split(":")[0] for url in tab.requests} <= {"file", "data", "blob"}
    assert sum(url.startswith("file:") for url in tab.requests) == 1
    assert tab.ask("document.getElementById('texture').width") == 24
