"""Three texts to every file, at the smallest size that is still the true chain."""

import json
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import trimesh

from avatargen.body.rigged import perform
from avatargen.core.config import apply_tree, load_settings
from avatargen.core.settings import Settings
from avatargen.export.surface import split_at_seams

FILES = [
    "avatar.glb",
    "avatar.obj",
    "avatar.mtl",
    "avatar.png",
    "avatar.ply",
    "body.obj",
    "motion.npz",
    "motion.bvh",
    "turntable.mp4",
    "motion.mp4",
    "preview.png",
    "shape_candidates.png",
    "report.html",
    "run.json",
]


def test_every_promised_file_is_there_and_nothing_half_written(finished):
    names = {path.name for path in finished.folder.iterdir()}
    assert set(FILES) <= names
    assert not [name for name in names if name.endswith(".part")]
    assert set(finished.files) == set(FILES)


def test_the_mesh_is_one_closed_surface_within_its_budget(finished):
    mesh = finished.avatar.mesh
    read = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    assert read.is_watertight
    assert read.is_winding_consistent
    assert read.volume > 0
    assert read.body_count == 1
    assert len(mesh.faces) <= 12_600
    assert abs(float(mesh.vertices[:, 1].min())) < 1e-5


def test_at_most_four_weights_that_sum_to_one(finished):
    weights = finished.avatar.weights
    assert int((weights > 0).sum(1).max()) <= 4
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-5)


def test_tall_is_taller_than_the_neutral_body(finished):
    from avatargen.body.measure import measure
    from avatargen.body.open_body import load_open_body

    body = load_open_body()
    neutral = measure(body, body.template.new_zeros(body.num_betas))["height"]
    assert finished.shape.measures["height"] > neutral + 0.03


def test_the_avatar_stands_on_the_floor_in_every_frame(finished):
    lowest = perform(finished.avatar, finished.motion)[:, :, 1].min(1)
    assert float(np.abs(lowest).max()) < 0.06


def test_the_motion_file_has_the_keys_that_amass_readers_demand(finished):
    with np.load(finished.folder / "motion.npz", allow_pickle=False) as data:
        for key in ("poses", "trans", "betas", "gender", "mocap_framerate", "root_orient", "pose_body"):
            assert key in data.files
        assert data["poses"].shape[1] == 72
        assert len(data["poses"]) == len(data["trans"]) == len(finished.motion.rotations)


def frames_of(path, width, height):
    """Frames as ffmpeg itself decodes them; a process that has ended leaves no pipe open."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24"]
    done = subprocess.run([*command, "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, dtype=np.uint8).reshape(-1, height, width, 3)


def test_the_khronos_validator_finds_no_error_and_no_warning(finished, validate):
    issues = validate((finished.folder / "avatar.glb").read_bytes())["issues"]
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]


def test_blender_moves_the_avatar_as_we_do(finished, blender):
    frames = list(range(0, len(finished.motion.rotations), 6))
    assert len(frames) >= 10
    data = (finished.folder / "avatar.glb").read_bytes()
    report, posed = blender(data, ".glb", frames, finished.motion.name)
    assert len(report["bones"]) == 24
    assert report["images"]
    assert list(report["actions"]) == [finished.motion.name]
    source = split_at_seams(finished.avatar.mesh).source
    ours = perform(finished.avatar, finished.motion)[frames][:, source]
    assert float(np.linalg.norm(posed - ours, axis=-1).max()) < 1e-3


def test_the_fbx_of_the_finished_run_keeps_bones_action_and_texture_and_moves_as_we_do(finished, blender, tmp_path):
    from avatargen.convert import Wish, convert_run

    (path,) = convert_run(finished.folder, Wish(formats=("fbx",), skeleton="mixamo"), tmp_path)
    assert path.name == "avatar-mixamo.fbx"
    count = len(finished.motion.rotations)
    frames = list(range(0, count, 10))
    report, posed = blender(path.read_bytes(), ".fbx", frames, finished.motion.name)
    assert len(report["bones"]) == 24
    assert report["bones"]["mixamorig:LeftForeArm"] == "mixamorig:LeftArm"
    assert {tuple(ends) for ends in report["actions"].values()} == {(0.0, count - 1.0)}
    assert report["base_color_images"]
    assert report["images"][0]["packed"]
    assert report["images"][0]["size"] == [256, 256]
    source = split_at_seams(finished.avatar.mesh).source
    ours = perform(finished.avatar, finished.motion)[frames][:, source]
    assert float(np.linalg.norm(posed - ours, axis=-1).max()) < 1e-3


def test_videos_play_and_show_something(finished):
    for name, frames in (("turntable.mp4", 6), ("motion.mp4", len(finished.motion.rotations))):
        video = frames_of(finished.folder / name, 96, 96)
        assert len(video) == frames
        assert float(video.std()) > 5


def test_the_record_gives_back_the_settings_and_names_what_was_used(finished, tiny):
    record = json.loads((finished.folder / "run.json").read_text())
    assert apply_tree(Settings(), record["settings"], "run.json") == load_settings(
        quality="draft", overrides=["seed=0", "guidance.model=embedded", "device=cpu", *tiny]
    )
    assert record["texts"] == {"shape": "tall", "appearance": "Saitama", "motion": "punching"}
    assert record["description"]["name"] == "Saitama"
    assert "mocap.cs.cmu.edu" in json.dumps(record["licences"])
    assert set(record["files"]) == set(FILES)
    assert record["scores"]["shape"] is not None


def test_the_same_seed_gives_the_same_avatar_and_motion(finished, make_run, cache, tmp_path):
    again = make_run(tmp_path / "again")
    np.testing.assert_allclose(again.avatar.mesh.vertices, finished.avatar.mesh.vertices, atol=1e-6)
    np.testing.assert_array_equal(again.avatar.mesh.faces, finished.avatar.mesh.faces)
    assert (again.folder / "motion.npz").read_bytes() == (finished.folder / "motion.npz").read_bytes()
    assert (again.folder / "avatar.glb").read_bytes() == (finished.folder / "avatar.glb").read_bytes()


def test_resume_takes_finished_stages_and_a_broken_one_is_made_again(finished, make_run, cache, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder)
    (folder / ".work" / "motion.safetensors").write_bytes(b"broken")
    again = make_run(folder, resume=True)
    np.testing.assert_array_equal(again.avatar.mesh.vertices, finished.avatar.mesh.vertices)
    np.testing.assert_array_equal(again.motion.rotations, finished.motion.rotations)
    assert again.seconds["avatar"] < finished.seconds["avatar"]


@pytest.mark.parametrize(
    ("texts", "present", "absent"),
    [
        ({"appearance": None, "motion": None}, "avatar.glb", "motion.mp4"),
        ({"shape": None, "appearance": None}, "motion.bvh", "nothing"),
    ],
)
def test_each_text_is_optional(make_run, tmp_path, texts, present, absent):
    result = make_run(tmp_path / "part", **texts)
    assert (result.folder / present).exists()
    assert not (result.folder / absent).exists()
    assert result.avatar.mesh.texture is not None


def test_a_corrupted_cache_is_noticed_and_made_again(finished, make_run, cache, tmp_path):
    damaged = list(cache.rglob("*.safetensors"))
    for path in damaged:
        path.write_bytes(path.read_bytes()[:100])
    # Without an appearance, whose "man" shaped the finished body.
    again = make_run(tmp_path / "again", shape="tall man", appearance=None)
    np.testing.assert_array_equal(again.shape.betas, finished.shape.betas)
    np.testing.assert_array_equal(again.motion.rotations, finished.motion.rotations)
