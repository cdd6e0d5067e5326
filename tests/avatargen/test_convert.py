"""Finished runs converted and animated, on a run's folder made by hand: no generation, no network, no Blender."""

import json
import shutil
import struct
import subprocess
from dataclasses import replace

import imageio_ffmpeg
import numpy as np
import pytest
import trimesh

from avatargen.body.open_body import load_open_body
from avatargen.body.posing import shape_body
from avatargen.body.rigged import perform, pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.cli import main
from avatargen.convert import Wish, animate_avatar, convert_run, grounded
from avatargen.core.config import to_tree
from avatargen.core.errors import BrokenFileError, InputError, MissingExtraError, UnsupportedFormatError
from avatargen.core.files import save_tensors
from avatargen.core.finished import read_finished
from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS
from avatargen.core.runs import pack_motion, pack_rigged, pack_shape, write_json
from avatargen.core.settings import Settings
from avatargen.core.values import Mesh, Motion, RiggedMesh, Shape, Skeleton
from avatargen.export.bvh import encode_bvh
from avatargen.export.npz import encode_amass
from avatargen.pipeline import animated
from motiongen.kinematics import REFERENCE_JOINTS, matrix_from_rotvec


def wiggle(name, seed, frames=12, scale=1.0):
    """Every joint but the hands turning about an axis of its own; for a body `scale` times the reference's size."""
    axes = np.random.default_rng(seed).normal(0, 0.3, (24, 3))
    axes[22:] = 0
    time = np.sin(np.linspace(0, 3, frames))
    height = float(REFERENCE_JOINTS[0, 1]) * scale
    return Motion(
        rotations=matrix_from_rotvec(time[:, None, None] * axes),
        root_position=np.stack((0.4 * time, height + 0.05 * time, -0.3 * time), axis=1),
        rest_root_height=height,
        joint_names=SMPL_JOINTS,
        fps=30.0,
        name=name,
    )


def make_run(folder, motion, *more):
    """What a run leaves behind, of the open body itself."""
    body = load_open_body()
    betas = np.zeros(body.num_betas, dtype=np.float32)
    vertices, joints = shape_body(body, body.template.new_zeros(1, body.num_betas))
    floor = np.array([0, float(vertices[0, :, 1].min()), 0], dtype=np.float32)
    mesh = Mesh(vertices=vertices[0].numpy() - floor, faces=body.faces.numpy())
    skeleton = Skeleton(names=SMPL_JOINTS, parents=SMPL_PARENTS, joints=joints[0].numpy() - floor)
    avatar = RiggedMesh(mesh=mesh, skeleton=skeleton, weights=body.weights.numpy())
    stages = {
        "shape": pack_shape(Shape(betas=betas, body=f"{body.kind}-{body.version}")),
        "avatar": pack_rigged(avatar),
    } | ({"motion": pack_motion(motion)} if motion else {})
    stages |= {f"motion_{number}": pack_motion(clip) for number, clip in enumerate(more, 2)}
    for name, (tensors, extra) in stages.items():
        save_tensors(folder / ".work" / f"{name}.safetensors", tensors, {"key": name * 2, "extra": json.dumps(extra)})
    record = {
        "texts": {"shape": None, "appearance": "a hero", "motion": motion.name if motion else None},
        "motion": {"frames": len(motion.rotations)} if motion else None,
        "settings": to_tree(Settings()),
        "licences": {"body (open)": "CC0-1.0", "code": "Apache-2.0"},
        "stages": {name: name * 2 for name in stages},
    }
    write_json(folder / "run.json", record)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "hero", wiggle("punching", 1))


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def document(path):
    data = path.read_bytes()
    return json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])


def test_what_needs_no_blender_is_written_without_it(run, tmp_path, monkeypatch):
    monkeypatch.setattr("avatargen.export.blender.subprocess.run", None)
    kinds = ("glb", "vrm", "obj", "ply", "stl", "bvh", "npz", "pc2")
    files = convert_run(run, Wish(formats=kinds), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted([*(f"avatar.{kind}" for kind in kinds if kind != "npz"), "motion.npz"])
    assert sorted(path.name for path in files) == names
    assert document(tmp_path / "avatar.glb")["asset"]["extras"]["licence"] == "CC0-1.0"
    assert document(tmp_path / "avatar.glb")["meshes"][0]["name"] == "a-hero-punching"


def test_without_blender_the_others_say_in_one_line_how_to_get_it_and_write_nothing(run, tmp_path, monkeypatch, capsys):
    for variable in ("AVATARGEN_BLENDER", "AVATARGEN_BLENDER_PYTHON"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("avatargen.export.blender.importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    for kind in ("fbx", "blend", "usd", "usdz", "abc"):
        with pytest.raises(MissingExtraError, match=r'pip install "avatargen\[blender\]"'):
            convert_run(run, Wish(formats=("glb", kind)), tmp_path / "out")
    assert main(["export", str(run), "--format", "fbx", "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("pose", "name"), [("a", "avatar-a"), ("7", "avatar-frame7")])
def test_a_static_file_holds_the_pose_that_was_asked_for(run, tmp_path, pose, name):
    convert_run(run, Wish(formats=("obj", "stl"), pose=pose), tmp_path)
    finished = read_finished(run)
    if pose == "a":
        wanted = pose_rigged(finished.avatar, a_pose()[None].numpy())[0]
        wanted = wanted - np.array([0, wanted[:, 1].min(), 0])
    else:
        wanted = perform(finished.avatar, animated(finished.motion, finished.avatar))[7]
    read = trimesh.load(tmp_path / f"{name}.obj", process=False)
    np.testing.assert_allclose(read.vertices, wanted, atol=2e-6)
    assert trimesh.load(tmp_path / f"{name}.stl").extents == pytest.approx(np.ptp(wanted, axis=0), abs=1e-5)


def test_a_runs_motions_all_come_along_when_it_is_exported_or_lends_them(run, tmp_path):
    first, second = wiggle("walking", 4), wiggle("waving", 5, frames=8)
    two = make_run(tmp_path / "two", first, second, wiggle("walking", 6))
    convert_run(two, Wish(formats=("glb", "npz")), tmp_path / "out")
    clips = document(tmp_path / "out" / "avatar.glb")["animations"]
    assert [clip["name"] for clip in clips] == ["walking", "waving", "walking 2"]
    with np.load(tmp_path / "out" / "motion-waving.npz") as data:
        turns = matrix_from_rotvec(data["poses"][:, :66].reshape(8, 22, 3))
    np.testing.assert_allclose(turns[:, 1:], second.rotations[:, 1:22], atol=1e-5)
    animate_avatar(run, [two], Wish(formats=("glb",)), tmp_path / "lent")
    assert len(document(tmp_path / "lent" / "avatar.glb")["animations"]) == 3


def test_several_motions_become_clips_and_each_moves_the_avatar_as_its_source_says(run, tmp_path):
    avatar = read_finished(run).avatar
    reference = Skeleton(names=SMPL_JOINTS, parents=SMPL_PARENTS, joints=REFERENCE_JOINTS)
    dance, walk = wiggle("x", 2), wiggle("y", 3, frames=9)
    (tmp_path / "dance.bvh").write_bytes(encode_bvh(dance, reference))
    rest = REFERENCE_JOINTS[0]
    archive = encode_amass(walk, betas=np.zeros(10), gender="neutral", rest_root=rest, body="smpl")
    (tmp_path / "walk.npz").write_bytes(archive)
    sources = [tmp_path / "dance.bvh", tmp_path / "walk.npz", run, tmp_path / "walk.npz"]
    files = animate_avatar(run, sources, Wish(formats=("glb", "pc2", "npz")), tmp_path / "out")
    clips = document(tmp_path / "out" / "avatar.glb")["animations"]
    assert [clip["name"] for clip in clips] == ["dance", "walk", "punching", "walk 2"]
    assert len(files) == 9
    for name, motion in (("dance", dance), ("walk", walk), ("walk-2", walk), ("punching", read_finished(run).motion)):
        data = (tmp_path / "out" / f"avatar-{name}.pc2").read_bytes()
        points = np.frombuffer(data[32:], dtype="<f4").reshape(len(motion.rotations), -1, 3)
        wanted = perform(avatar, animated(motion, avatar))
        if name != "punching":  # recordings are set down on the floor
            assert float(points[..., 1].min()) == pytest.approx(0, abs=1e-5)
            assert abs(float(wanted[..., 1].min())) < 0.15
            wanted = wanted - np.array([0, wanted[..., 1].min(), 0])
        # A BVH is scaled by the length of the legs, the others by the height of the pelvis.
        np.testing.assert_allclose(points, wanted, atol=2e-2 if name == "dance" else 1e-5)


def test_films_of_several_motions_are_named_after_them_and_as_large_as_the_runs_own(copy, tmp_path):
    record = json.loads((copy / "run.json").read_text())
    record["settings"]["video"] |= {"width": 64, "height": 48, "supersample": 1, "of_another_version": 3}
    write_json(copy / "run.json", record)
    avatar = read_finished(copy).avatar
    path = tmp_path / "one more.bvh"
    path.write_bytes(encode_bvh(wiggle("more", 3, frames=6), avatar.skeleton))
    files = animate_avatar(copy, [copy, path], Wish(formats=("mp4",)), tmp_path / "out")
    assert [file.name for file in files] == ["avatar-punching.mp4", "avatar-one-more.mp4"]
    for file, count in zip(files, (12, 6), strict=True):
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(file), "-f", "rawvideo"]
        done = subprocess.run([*command, "-pix_fmt", "gray", "-"], capture_output=True, check=True)
        frames = np.frombuffer(done.stdout, dtype=np.uint8).reshape(count, 48, 64).astype(int)
        assert np.abs(frames[0] - frames[count // 2]).max() > 30


@pytest.mark.parametrize(("lift", "stays"), [(0.1, False), (-0.1, False), (0.4, True)])
def test_a_clip_that_hovers_is_set_down_and_a_leap_is_left_in_the_air(run, lift, stays):
    avatar = read_finished(run).avatar
    motion = animated(wiggle("hover", 4, frames=70), avatar)
    low = perform(avatar, motion)[..., 1].min()
    raised = replace(motion, root_position=motion.root_position + np.array([0, lift - low, 0], dtype=np.float32))
    down = grounded(raised, avatar)
    assert (down is raised) == stays
    if not stays:
        assert perform(avatar, down)[..., 1].min() == pytest.approx(0, abs=1e-5)


def test_by_default_files_go_into_the_run_and_animations_into_a_folder_of_their_own(copy, capsys):
    assert main(["export", str(copy), "--format", "stl,bvh", "--skeleton", "vrm"]) == 0
    assert capsys.readouterr().out.split() == [str(copy / "avatar.stl"), str(copy / "avatar-vrm.bvh")]
    assert main(["animate", str(copy), str(copy), "--author", "A. Maker", "--licence", "CC-BY-4.0"]) == 0
    assert capsys.readouterr().out.split() == [str(copy / "animated" / "avatar.glb")]
    extras = document(copy / "animated" / "avatar.glb")["asset"]["extras"]
    assert extras == {"author": "A. Maker", "licence": "CC-BY-4.0"}


def broken(folder, what):
    match what:
        case "missing":
            shutil.rmtree(folder)
        case "unfinished":
            (folder / "run.json").unlink()
        case "bad record":
            (folder / "run.json").write_text("{")
        case "other record":
            (folder / "run.json").write_text("[]")
        case "cut stage":
            stage = folder / ".work" / "avatar.safetensors"
            stage.write_bytes(stage.read_bytes()[:1000])
        case "no stage":
            (folder / ".work" / "avatar.safetensors").unlink()
        case "foreign stage":
            shutil.copy(folder / ".work" / "motion.safetensors", folder / ".work" / "avatar.safetensors")
        case "newer stage":
            record = json.loads((folder / "run.json").read_text())
            record["stages"]["avatar"] = "older"
            (folder / "run.json").write_text(json.dumps(record))
        case "no settings":
            record = json.loads((folder / "run.json").read_text())
            del record["settings"]
            (folder / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        ("missing", InputError, "no such run"),
        ("unfinished", InputError, "--resume"),
        ("bad record", BrokenFileError, r"run\.json cannot be read"),
        ("other record", BrokenFileError, "not the record of a run"),
        ("cut stage", BrokenFileError, r"avatar\.safetensors"),
        ("no stage", BrokenFileError, r"avatar\.safetensors is missing"),
        ("foreign stage", BrokenFileError, "does not hold what it should"),
        ("newer stage", InputError, "in the middle of another run"),
        ("no settings", BrokenFileError, "holds no settings"),
    ],
)
def test_a_run_that_cannot_be_used_is_told_and_nothing_is_written(copy, tmp_path, capsys, what, error, words):
    broken(copy, what)
    with pytest.raises(error, match=words):
        convert_run(copy, Wish(formats=("glb",)), tmp_path / "out")
    assert main(["export", str(copy), "--format", "glb", "--out", str(tmp_path / "out")]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("wish", "error", "words"),
    [
        (Wish(formats=("max",)), UnsupportedFormatError, "unknown format 'max'; use glb"),
        (Wish(formats=("",)), UnsupportedFormatError, "empty"),
        (Wish(skeleton="rigify"), InputError, "smpl, mixamo, vrm, unreal"),
        (Wish(formats=("glb",), pose="a"), InputError, "obj, ply, stl"),
        (Wish(formats=("obj",), pose="sitting"), InputError, "t, a, or the number"),
        (Wish(formats=("obj",), pose="12"), InputError, "12 frames, 0 to 11"),
        (Wish(vrm={"license": "CC0"}), InputError, "no licence field"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told(run, tmp_path, wish, error, words):
    with pytest.raises(error, match=words):
        convert_run(run, wish, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_without_motion_can_be_given_one(tmp_path, run):
    still = make_run(tmp_path / "still", None)
    with pytest.raises(InputError, match="avatargen animate"):
        convert_run(still, Wish(formats=("bvh",)))
    with pytest.raises(InputError, match="without a motion"):
        animate_avatar(run, [still], Wish())
    assert document(convert_run(still, Wish())[0]).get("animations") is None
    assert len(document(animate_avatar(still, [run], Wish())[0])["animations"]) == 1


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("gone.bvh", None, "no such motion"),
        ("dance.c3d", b"x", "cannot read motions from .c3d"),
        ("broken.npz", b"PK", "broken.npz"),
        ("broken.bvh", b"HIERARCHY", "broken.bvh"),
    ],
)
def test_a_motion_that_cannot_be_read_is_told(run, tmp_path, capsys, name, data, words):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert main(["animate", str(run), str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
