""".blend, USD, USDZ and Alembic made by Blender in one go, and read again: by Blender, and by USD's own library."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avatargen.export import Content, encode_all
from avatargen.export.blender import blender_command, file_words
from avatargen.export.surface import split_at_seams

pytestmark = pytest.mark.blender
FRAMES = list(range(0, 21, 5))


@pytest.fixture(scope="module")
def ours(rigged_tube, bend, lbs):
    source = split_at_seams(rigged_tube.mesh).source
    return np.stack([lbs(rigged_tube, bend, frame)[source] for frame in FRAMES])


@pytest.fixture(scope="module")
def files(blender, rigged_tube, bend):
    content = Content(model=rigged_tube, motions=(bend,), name="tube", author="A. Maker", licence="CC0-1.0")
    return encode_all(content, ["blend", "usd", "usdz", "abc"])


def test_all_files_come_from_one_blender_with_companions_before_the_file_that_names_them(files):
    assert list(files) == ["textures/tube_basecolor.png", "tube.blend", "tube.usd", "tube.usdz", "tube.abc"]


@pytest.mark.parametrize("kind", ["usdz", "abc", "blend"])
def test_blender_moves_what_it_reads_as_our_own_skinning_does(blender, files, ours, kind):
    report, posed = blender(files[f"tube.{kind}"], f".{kind}", FRAMES)
    assert posed.shape == ours.shape
    assert float(np.linalg.norm(posed - ours, axis=-1).max()) < 1e-4
    assert report["uv_layers"] == 1
    if kind == "abc":
        assert report["modifiers"] == ["MESH_SEQUENCE_CACHE"]
    else:
        assert set(report["bones"]) == {"root", "middle", "tip"}
        assert report["images"][0]["size"] == [24, 16]
    if kind == "blend":
        kinds = sorted(kind for kind, _ in report["objects"])
        assert kinds == ["ARMATURE", "CAMERA", "LIGHT", "LIGHT", "LIGHT", "MESH", "MESH"]
        assert report["camera"] == "Camera"
        assert (report["range"], report["fps"]) == ([0, 20], 30)
        assert report["actions"] == {"bend": [0.0, 20.0]}
        assert report["images"][0]["packed"]
        assert report["credit"] == {"author": "A. Maker", "licence": "CC0-1.0"}


@pytest.fixture(scope="session")
def usd_python(blender):
    """The words in front of a script that has USD's own library: `usd-core` here or elsewhere, else Blender's copy."""
    named = os.environ.get("AVATARGEN_USD_PYTHON")
    if named or importlib.util.find_spec("pxr") is not None:
        return [named or sys.executable]
    return blender_command()


@pytest.mark.parametrize("kind", ["usd", "usdz"])
def test_the_usd_library_skins_it_as_we_do_and_finds_the_texture(usd_python, files, ours, tmp_path, kind):
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    report, arrays = tmp_path / "report.json", tmp_path / "arrays.npz"
    job = {"source": str(tmp_path / f"tube.{kind}"), "frames": FRAMES, "report": str(report), "arrays": str(arrays)}
    probe = Path(__file__).with_name("usd_probe.py")
    done = subprocess.run(
        [*usd_python, str(probe), *["--"] * ("--background" in usd_python), json.dumps(job)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-800:]
    found = json.loads(report.read_text())
    assert (found["up"], found["metres"], found["fps"], found["range"]) == ("Y", 1.0, 30.0, [0.0, 20.0])
    assert found["joints"] == ["root", "root/middle", "root/middle/tip"]
    assert found["resolved"] == [True]
    assert found["uvs"] == ["st"]
    with np.load(arrays) as stored:
        assert float(np.linalg.norm(stored["posed"] - ours, axis=-1).max()) < 1e-4


def test_formats_of_one_clip_give_a_file_for_each(blender, rigged_tube, bend):
    long = replace(bend, name="w" * 100)
    other = replace(long, rotations=bend.rotations[:11], root_position=bend.root_position[:11])
    files = encode_all(Content(model=rigged_tube, motions=(bend, long, other), name="tube"), ["abc", "fbx"])
    assert list(files) == ["tube-bend.abc", f"tube-{'w' * 55}.abc", f"tube-{'w' * 55}-2.abc", "tube.fbx"]
    for name, end in (("bend", 20), (f"{'w' * 55}-2", 10)):
        report, _ = blender(files[f"tube-{name}.abc"], ".abc", [0])
        assert report["range"] == [0, end]


def test_clips_of_like_names_never_share_a_file():
    assert file_words(["a b", "a/b", "A-b", "拳", "///"]) == ["a-b", "a-b-2", "A-b-3", "拳", "clip"]


PC2 = """
import bpy, json, sys
import numpy as np
job = json.loads(sys.argv[-1])
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.wm.obj_import(filepath=job["obj"])
thing = bpy.context.scene.objects[0]
cache = thing.modifiers.new("cache", "MESH_CACHE")
cache.cache_format, cache.filepath = "PC2", job["pc2"]
posed = []
for frame in job["frames"]:
    bpy.context.scene.frame_set(frame)
    mesh = thing.evaluated_get(bpy.context.evaluated_depsgraph_get())
    points = np.zeros(len(mesh.data.vertices) * 3, dtype=np.float32)
    mesh.data.vertices.foreach_get("co", points)
    matrix = np.array(mesh.matrix_world)
    posed.append(points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
np.save(job["arrays"], np.stack(posed))
"""


def test_blenders_mesh_cache_plays_the_pc2_on_the_obj(rigged_tube, bend, lbs, tmp_path):
    from avatargen.core.errors import MissingExtraError
    from avatargen.export.blender import blender_command, run_blender

    try:
        command = blender_command()
    except MissingExtraError as error:
        pytest.skip(str(error))
    for name, data in encode_all(Content(model=rigged_tube, motions=(bend,), name="tube"), ["obj", "pc2"]).items():
        (tmp_path / name).write_bytes(data)
    script = tmp_path / "probe.py"
    script.write_text(PC2)
    job = {"obj": str(tmp_path / "tube.obj"), "pc2": str(tmp_path / "tube.pc2"), "frames": FRAMES}
    run_blender(command, script, job | {"arrays": str(tmp_path / "posed.npy")}, timeout_s=120.0)
    x, y, z = np.moveaxis(np.load(tmp_path / "posed.npy"), -1, 0)
    for row, frame in zip(np.stack((x, z, -y), axis=-1), FRAMES, strict=True):
        np.testing.assert_allclose(row, lbs(rigged_tube, bend, frame), atol=1e-5)
