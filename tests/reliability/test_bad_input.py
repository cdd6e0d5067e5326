"""Bad input to every command: a message, exit code 2, no traceback, nothing changed on disk.

`docs/errors.md` lists what is told; the table below is its proof.
"""

import io
import json
import pickle
import re
import struct
import zipfile
import zlib
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save as encode_tensors

from avatargen import cli
from avatargen.core.finished import read_finished
from avatargen.export.bvh import encode_bvh
from avatargen.export.npz import encode_amass
from motiongen import cli as motion_cli
from tests.avatargen.test_convert import make_run, wiggle
from tests.reliability.test_found import HOCON, PICKLES, WEIGHTS


class Trap:
    """Pickled, it would leave a mark where it is unpickled."""

    def __reduce__(self):
        return (Path("pwned").write_text, ("code was run",))


def png_header(width, height):
    """The first chunk of a PNG, which is all of it."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def npz(**arrays):
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def animation():
    stream = io.BytesIO()
    frames = [Image.new("P", (8, 8), color) for color in range(3)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def bvh_faults(good):
    """Ten broken BVH files by name."""
    head, _, tail = good.partition("MOTION")
    return {
        "cut": good[: len(good) // 2],
        "headless": "MOTION" + tail,
        "frames": good.replace("Frames: 12", "Frames: 13"),
        "endless": good.replace("Frames: 12", "Frames: 999999999999"),
        "nan": good[: good.rindex("\n", 0, -2)] + "\n" + "nan " * 75 + "\n",
        "word": good.replace("OFFSET 0", "OFFSET zero", 1),
        "twice": re.sub(r"(JOINT|ROOT) \S+", r"\1 same", head) + "MOTION" + tail,
        "time": good.replace("Frame Time: ", "Frame Time: -"),
        "channel": good.replace("Zrotation", "Wrotation", 1),
        "unknown": re.sub(r"(JOINT|ROOT) \S+", lambda m: f"{m[1]} j{m.start()}", head) + "MOTION" + tail,
    }


def npz_faults():
    """Twelve broken AMASS archives by name."""
    poses, trans = np.zeros((5, 72)), np.zeros((5, 3))
    whole = npz(poses=poses, trans=trans, mocap_framerate=30.0)
    return {
        "empty": b"",
        "text": b"poses = 1",
        "cut": whole[: len(whole) // 2],
        "poseless": npz(trans=trans, mocap_framerate=30.0),
        "transless": npz(poses=poses, mocap_framerate=30.0),
        "rateless": npz(poses=poses, trans=trans),
        "narrow": npz(poses=poses[:, :30], trans=trans, mocap_framerate=30.0),
        "nan": npz(poses=poses * np.nan, trans=trans, mocap_framerate=30.0),
        "short": npz(poses=poses, trans=trans[:2], mocap_framerate=30.0),
        "pickled": npz(poses=np.array([Trap()], dtype=object), trans=trans, mocap_framerate=30.0),
        "locked": encrypted(whole),
        "boundless": boundless(),
    }


def encrypted(data):
    """A zip archive that says of every entry that it needs a password; the fuzzer found it."""
    changed = bytearray(data)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            changed[at + flags] |= 1
    return bytes(changed)


def boundless():
    """An array whose header promises more numbers than any memory holds."""
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(raw, {"descr": "<f8", "fortran_order": False, "shape": (10**15, 66)})
    return rewritten(npz(trans=np.zeros((5, 3))), "poses.npy", raw.getvalue())


def rewritten(data, entry, content):
    """A zip archive with one more entry, whatever its name."""
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(entry, content)
    return stream.getvalue()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a finished run and every kind of broken file."""
    root = tmp_path_factory.mktemp("world")
    motion = wiggle("punching", 1)
    make_run(root / "run", motion)
    make_run(root / "still", None)
    (root / "begun" / ".work").mkdir(parents=True)
    for name, content in {"torn": "{", "other": "[]", "lost": "{}"}.items():
        (root / name).mkdir()
        (root / name / "run.json").write_text(content)
    make_run(root / "hollow", None)
    (root / "hollow" / ".work" / "avatar.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{\x22a\x22:[}")
    avatar = read_finished(root / "run").avatar
    good = encode_bvh(motion, avatar.skeleton).decode()
    for name, text in bvh_faults(good).items():
        (root / f"{name}.bvh").write_text(text)
    for name, data in npz_faults().items():
        (root / f"{name}.npz").write_bytes(data)
    whole = encode_amass(motion, betas=np.zeros(16), gender="neutral", rest_root=np.zeros(3), body="open")
    (root / "escaping.npz").write_bytes(rewritten(whole, "../../escaped.npy", b"x"))
    files = {
        "file": b"",
        "words.txt": b"not a picture",
        "words.png": b"not a picture",
        "bomb.png": png_header(200_000, 200_000),
        "short.png": png_header(64, 64),
        "moving.gif": animation(),
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "clip.pt": pickle.dumps(Trap()),
        "broken.safetensors": b"\xff" * 40,
        "avatar.glb": b"glTF" + bytes(20),
        "other.safetensors": encode_tensors({"a": torch.zeros(3)}),
        "one.csv": b"shape\ntall\n",
        "cycle.conf": b'include "back.conf"',
        "back.conf": b'include "cycle.conf"',
        "self.conf": b'include "self.conf"\nseed = 1',
        "missing.conf": b'include "gone.conf"',
        "network.conf": b'include url("http://127.0.0.1:9/x.conf")',
        "hidden.conf": b'implicit { include url("http://127.0.0.1:9/x.conf") }',
        "list.conf": b"[1, 2]",
        "open.conf": b"implicit { steps = ",
        "binary.conf": bytes(range(256)),
        "type.conf": b'implicit.steps = "many"',
        "key.conf": b"implicit.stps = 3",
        "section.conf": b"implicit = 3",
        "deep.conf": b"a { " * 3000,
        "loop.conf": b"seed = ${seed}",
        "range.conf": b"mesh.voxel_mm = 1e-9",
        "infinite.conf": b"implicit.sharpness = 1e999",
        "large.conf": b"# x\n" * 300_000,
        "empty.csv": b"",
        "columns.csv": b"shape,colour\ntall,red\n",
        "same.csv": b"shape\ntall\ntall\n",
        "binary.csv": bytes(range(256)),
        "bare.csv": b"name,shape\nhero,\n",
        "characters.conf": b"somebody = 3",
        "labels.csv": b"a,b\n1,2\n",
        "blank.txt": b"\n \n",
        "vocabulary.txt": "\n".join(["#version", *(f"a{n} b{n}" for n in range(48_894))]).encode(),
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    for number, (pickled, weights, configuration) in enumerate(
        zip_longest(PICKLES.values(), WEIGHTS.values(), HOCON.values())
    ):
        for file, data in (("{}.pt", weights), ("{}.conf", configuration), ("{}/smpl/SMPL_NEUTRAL.pkl", pickled)):
            if data is not None:
                path = root / "found" / file.format(number)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data if isinstance(data, bytes) else data.encode())
    for folder, data in {"evil": pickle.dumps(Trap()), "cut": b"\x80\x02}", "old": pickle.dumps({"v": [1.0]})}.items():
        (root / f"bodies_{folder}" / "smpl").mkdir(parents=True)
        (root / f"bodies_{folder}" / "smpl" / "SMPL_NEUTRAL.pkl").write_bytes(data)
    return root


def state(root):
    """Every file with its size and time."""
    return {str(p.relative_to(root)): (p.stat().st_size, p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file()}


BVH_FAULTS = ("cut", "headless", "frames", "endless", "nan", "word", "twice", "time", "channel", "unknown")
NPZ_FAULTS = (
    *("empty", "text", "cut", "poseless", "transless", "rateless", "narrow", "nan", "short", "pickled", "locked"),
    "boundless",
)
RUN = ["--shape", "tall", "--guidance", "embedded", "--device", "cpu", "--quiet"]
VOCABULARY = ["--set", "guidance.vocabulary=vocabulary.txt"]
SETTINGS = {
    "implicit.steps=-5": "implicit.steps = -5 is out of range",
    "implicit.steps=1.5": "a whole number",
    "implicit.steps=many": "a whole number",
    "implicit.views=0": "1 to 64",
    "implicit.samples=7": "does not divide",
    "implicit.sharpness=nan": "finite",
    "implicit.color_rate=inf": "finite",
    "implicit.stps=3": "did you mean 'steps'",
    "implicit=3": "is a section",
    "mesh.voxel_mm=0": "0.5 to 50",
    "mesh.voxel_mm=-3": "0.5 to 50",
    "mesh.voxel_mm=1e-9": "0.5 to 50",
    "mesh.faces=3": "mesh.faces = 3",
    "mesh.texture_size=1000000": "16 to 16384",
    "mesh.topology=quads": "scan and template",
    "motion.seconds=1e9": "1 to 10",
    "motion.fps=0": "5 to 240",
    "video.width=0": "16 to 7680",
    "video.fps=100000": "1 to 240",
    "video.crf=99": "0 to 51",
    "video.gif=perhaps": "true or false",
    "shape.codebook_size=0": "1 to 2048",
    "guidance.image_weight=7": "0..1",
    "conditions.views=0": "conditions.views",
    "controls.height=185": "1.3 to 2.2",
    "seed": "key=value",
    "=3": "key=value",
}
AVATAR = {
    "no text": (["--quiet"], "at least one of"),
    "empty shape": (["--shape", ""], "--shape is empty"),
    "blank appearance": (["--appearance", " \t "], "--appearance is empty"),
    "empty description": (["--describe", ""], "--describe is empty"),
    "enormous motion": (["--motion", "x" * 1_000_000], "1000000 characters"),
    "bell": (["--shape", "tall\x07"], "control characters"),
    "zero byte": (["--appearance", "a\x00b"], "control characters"),
    "half a character": (["--appearance", "\ud83e"], "control characters"),
    "quality": (["--shape", "tall", "--quality", "best"], "invalid choice"),
    "seed": (["--shape", "tall", "--seed", "x"], "invalid int"),
    "option": (["--shape", "tall", "--colour", "red"], "unrecognized"),
    "abbreviation": (["--shap", "tall"], "unrecognized"),
    "body": (["--shape", "tall", "--body", "smal"], "smal"),
    "no SMPL": (["--shape", "tall", "--body", "smpl"], "smpl_models"),
    "no SMPL-X": (["--shape", "tall", "--body", "smplx"], "smpl_models"),
    "SMPL that runs code": ([*RUN, "--body", "smpl", "--set", "body.folder=bodies_evil"], "SMPL_NEUTRAL.pkl"),
    "SMPL cut off": ([*RUN, "--body", "smpl", "--set", "body.folder=bodies_cut"], "SMPL_NEUTRAL.pkl"),
    "SMPL of another kind": ([*RUN, "--body", "smpl", "--set", "body.folder=bodies_old"], "SMPL_NEUTRAL.pkl"),
    "guidance": (["--shape", "tall", "--guidance", "clop:ViT-B/32"], "clop"),
    "CLIP's name": (["--shape", "tall", "--guidance", "clip:ViT-B/33"], "ViT-B/32"),
    "ensemble": (["--shape", "tall", "--guidance", "embedded*x+embedded"], "embedded*x"),
    "no CLIP": (["--shape", "tall", "--guidance", "clip:ViT-B/32"], "ViT-B"),
    "weights gone": ([*RUN[:2], "--guidance", "clip:ViT-B/32", "--guidance-weights", "gone.pt"], "gone.pt"),
    "weights that run code": (
        [*RUN[:2], "--guidance", "clip:ViT-B/32", "--guidance-weights", "clip.pt", *VOCABULARY],
        "clip.pt",
    ),
    "weights torn": (
        [*RUN[:2], "--guidance", "clip:ViT-B/32", "--guidance-weights", "broken.safetensors", *VOCABULARY],
        "broken.safetensors",
    ),
    "device": (["--shape", "tall", "--device", "tpu"], "unknown device 'tpu'"),
    "no GPU": (["--shape", "tall", "--device", "cuda"], "--device cpu"),
    "tall in centimetres": (["--shape", "tall", "--height", "185"], "1.3 to 2.2 m"),
    "weight in words": (["--weight-kg", "heavy"], "controls.weight_kg"),
    "gender": (["--height", "1.8", "--gender", "blue"], "controls.gender"),
    "age": ([*RUN, "--age", "33"], "0 to 1"),
    "characters gone": (["--appearance", "a knight", "--set", "characters=gone.conf"], "gone.conf"),
    "characters wrong": (["--appearance", "a knight", "--set", "characters=characters.conf"], "characters.conf"),
    "picture gone": (["--appearance-image", "gone.png"], "gone.png"),
    "picture of words": (["--appearance-image", "words.png"], "words.png"),
    "picture too large": (["--appearance-image", "bomb.png"], "bomb.png"),
    "picture cut off": (["--appearance-image", "short.png"], "short.png"),
    "picture that moves": (["--appearance-image", "moving.gif"], "moving.gif"),
    "picture of lines": (["--face-image", "drawing.svg"], "drawing.svg"),
    "picture is a folder": (["--face-image", "run"], "no picture"),
    "out below a file": ([*RUN, "--out", "file/run"], "--out"),
    "out is a file": ([*RUN, "--out", "file"], "--out"),
    "out too long": ([*RUN, "--out", "x" * 300], "--out"),
    "out with a zero byte": ([*RUN, "--out", "a\x00b"], "--out"),
    "config gone": ([*RUN, "--config", "gone.conf"], "no such configuration file"),
    "config is a folder": ([*RUN, "--config", "run"], "run"),
    "config is a device": ([*RUN, "--config", "/dev/zero"], "regular file"),
    **{
        f"{name}.conf": ([*RUN, "--config", f"{name}.conf"], words)
        for name, words in {
            "cycle": "includes itself",
            "self": "includes itself",
            "missing": "missing include",
            "network": "include url",
            "hidden": "include url",
            "list": "list.conf",
            "open": "not valid HOCON",
            "binary": "binary.conf",
            "type": "a whole number",
            "key": "did you mean",
            "section": "is a section",
            "deep": "deep.conf",
            "loop": "loop.conf",
            "range": "0.5 to 50",
            "infinite": "infinite.conf",
            "large": "at most 64 kB",
        }.items()
    },
    **{f"--set {text}": ([*RUN, "--set", text], words) for text, words in SETTINGS.items()},
    "invisible shape": (["--shape", "\u202e\u200b\ufeff"], "--shape is empty"),
    "accents of nothing": (["--shape", "\u0300" * 900], "--shape is empty"),
    "no character": (["--appearance", "\uffff"], "--appearance is empty"),
    "second motion empty": (["--motion", "punching", "--motion", ""], "empty"),
    "motions of semicolons": (["--motion", "; ;"], "empty"),
    "bell in a second motion": (["--motion", "punching;\x07"], "control characters"),
    "height that is no number": ([*RUN, "--height", "nan"], "finite"),
    "height below nothing": ([*RUN, "--height", "-1"], "1.3 to 2.2"),
    "age without end": ([*RUN, "--age", "inf"], "finite"),
    "weight of a ship": ([*RUN, "--weight-kg", "1e9"], "30 to 200"),
    "muscle": ([*RUN, "--muscle", "2"], "0 to 1"),
    "no faces": ([*RUN, "--faces", "0"], "mesh.faces"),
    "faces in words": ([*RUN, "--faces", "many"], "invalid int"),
    "a GPU of another number": (["--shape", "tall", "--device", "cuda:99"], "--device cpu"),
    "no device": (["--shape", "tall", "--device", ""], "unknown device"),
    "no body": (["--shape", "tall", "--body", ""], "unknown body"),
    "no guidance": (["--shape", "tall", "--guidance", ""], "unknown guidance"),
    "guidance weighed with nan": (["--shape", "tall", "--guidance", "embedded*nan+embedded"], "positive weight"),
    "guidance weighed below nothing": (["--shape", "tall", "--guidance", "embedded*-1"], "positive weight"),
    "picture is a device": (["--appearance-image", "/dev/zero"], "no picture"),
    "picture of nothing": (["--appearance-image", "file"], "cannot be read as a picture"),
    "config with a zero byte": ([*RUN, "--config", "a\x00"], "cannot be read"),
    "config with a long name": ([*RUN, "--config", "x" * 300], "too long"),
    "config of a torn run": ([*RUN, "--config", "torn/run.json"], "not valid HOCON"),
    "config of another record": ([*RUN, "--config", "other/run.json"], "not a list"),
    **{
        f"weights: {name}": (
            [*RUN[:2], "--guidance", "clip:ViT-B/32", "--guidance-weights", file, *VOCABULARY],
            words,
        )
        for name, file, words in (
            ("a device", "/dev/zero", "/dev/zero"),
            ("a folder", "run", "no weight file"),
            ("empty", "file", "cannot be read"),
            ("of another model", "other.safetensors", "'text_projection' is missing"),
            *((name, f"found/{number}.pt", f"{number}.pt") for number, name in enumerate(WEIGHTS)),
        )
    },
    "vocabulary is a device": (
        [
            *RUN[:2],
            "--guidance",
            "clip:ViT-B/32",
            "--guidance-weights",
            "other.safetensors",
            "--set",
            "guidance.vocabulary=/dev/zero",
        ],
        "no vocabulary",
    ),
    **{
        f"SMPL: {name}": ([*RUN, "--body", "smpl", "--set", f"body.folder=found/{number}"], "SMPL_NEUTRAL.pkl")
        for number, name in enumerate(PICKLES)
    },
    **{f"config: {name}": ([*RUN, "--config", f"found/{n}.conf"], f"{n}.conf") for n, name in enumerate(HOCON)},
}
GLB = {
    "as a picture": (["--appearance-image", "avatar.glb"], "cannot be read as a picture"),
    "as a face": (["--face-image", "avatar.glb"], "cannot be read as a picture"),
    "as a configuration": ([*RUN, "--config", "avatar.glb"], "not valid HOCON"),
    "as weights": (
        [*RUN[:2], "--guidance", "clip:ViT-B/32", "--guidance-weights", "avatar.glb", *VOCABULARY],
        "avatar.glb",
    ),
    "as a vocabulary": (
        [
            *RUN[:2],
            "--guidance",
            "clip:ViT-B/32",
            "--guidance-weights",
            "other.safetensors",
            "--set",
            "guidance.vocabulary=avatar.glb",
        ],
        "avatar.glb",
    ),
    "as characters": (["--appearance", "a knight", "--set", "characters=avatar.glb"], "avatar.glb"),
    "as a table": (["batch", "avatar.glb"], "first line"),
    "as a run": (["export", "avatar.glb", "--format", "obj"], "no such run"),
    "as a motion": (["animate", "run", "avatar.glb"], "cannot read motions"),
    "as texts": (["evaluate", "run", "--distractors", "avatar.glb", "--out", "file"], "file"),
}
FINISHED = {
    "export of nothing": (["export", "gone", "--format", "glb"], "no such run"),
    "export of a file": (["export", "file", "--format", "glb"], "no such run"),
    "export of a begun run": (["export", "begun", "--format", "glb"], "--resume"),
    "export of a torn record": (["export", "torn", "--format", "glb"], "run.json"),
    "export of another record": (["export", "other", "--format", "glb"], "not the record"),
    "export of an empty record": (["export", "lost", "--format", "glb"], "not the record"),
    "export of a torn stage": (["export", "hollow", "--format", "glb"], "avatar.safetensors"),
    "format": (["export", "run", "--format", "xyz"], "unknown format 'xyz'"),
    "no format": (["export", "run", "--format", ","], "unknown format"),
    "format without motion": (["export", "still", "--format", "bvh"], "has no motion"),
    "skeleton": (["export", "run", "--format", "glb", "--skeleton", "spider"], "spider"),
    "pose": (["export", "run", "--format", "obj", "--pose", "handstand"], "handstand"),
    "frame": (["export", "run", "--format", "obj", "--pose", "999"], "999"),
    "pose of a clip": (["export", "run", "--format", "glb", "--pose", "a"], "a pose is for"),
    "VRM without value": (["export", "run", "--format", "vrm", "--vrm", "x"], "FIELD=VALUE"),
    "VRM field": (["export", "run", "--format", "vrm", "--vrm", "x=y"], "x"),
    "no Blender": (["export", "run", "--format", "fbx"], "AVATARGEN_BLENDER_PYTHON"),
    "export into a file": (["export", "run", "--format", "glb", "--out", "file"], "file"),
    "animate with nothing": (["animate", "run"], "required"),
    "motion gone": (["animate", "run", "gone.bvh"], "no such motion"),
    "motion of words": (["animate", "run", "words.txt"], "cannot read motions"),
    "motion of a mesh": (["animate", "run", "avatar.glb"], "cannot read motions"),
    "motion of a still run": (["animate", "run", "still"], "without a motion"),
    **{f"{name}.bvh": (["animate", "run", f"{name}.bvh"], f"{name}.bvh") for name in BVH_FAULTS},
    **{f"{name}.npz": (["animate", "run", f"{name}.npz"], f"{name}.npz") for name in NPZ_FAULTS},
    "export with a zero byte": (["export", "run", "--format", "glb", "--out", "a\x00b"], "null byte"),
    "export below a long name": (["export", "run", "--format", "glb", "--out", "x" * 300], "--out"),
    "export of a long name": (["export", "x" * 300, "--format", "glb"], "x" * 300),
    "animate gone": (["animate", "gone", "cut.bvh"], "no such run"),
    "animate torn": (["animate", "torn", "cut.bvh"], "run.json"),
    "motion is a device": (["animate", "run", "/dev/zero"], "no such motion"),
    "motion with a long name": (["animate", "run", "x" * 300 + ".bvh"], "x" * 300),
    "animate to an unknown format": (["animate", "run", "run", "--format", "xyz"], "unknown format"),
    "evaluate a torn record": (["evaluate", "torn"], "run.json"),
    "evaluate a begun run": (["evaluate", "begun"], "--resume"),
    "evaluate a torn stage": (["evaluate", "hollow"], "avatar.safetensors"),
    "evaluate into a file": (["evaluate", "run", "--out", "file"], "file"),
    "evaluate against a device": (["evaluate", "run", "--distractors", "/dev/zero"], "no file"),
    "evaluate against bytes": (["evaluate", "run", "--distractors", "binary.csv"], "binary.csv"),
    "evaluate nothing": (["evaluate", "gone"], "gone"),
    "evaluate against nothing": (["evaluate", "run", "--distractors", "gone.txt"], "gone.txt"),
    "evaluate against blanks": (["evaluate", "run", "--distractors", "blank.txt"], "no text"),
}
OTHERS = {
    "shape without text": (["shape"], "required"),
    "empty shape": (["shape", ""], "--shape is empty"),
    "shape with a bell": (["shape", "tall\x07"], "control characters"),
    "shape of no body": (["shape", "tall", "--body", "smal"], "smal"),
    "shape below a file": (["shape", "tall", "--guidance", "embedded", "--out", "file/x"], "--out"),
    "shape with a wrong key": (["shape", "tall", "--set", "shape.sise=3"], "shape.sise"),
    "batch without table": (["batch"], "required"),
    "batch of nothing": (["batch", "gone.csv"], "gone.csv"),
    "batch of a folder": (["batch", "run"], "no file"),
    "batch of a device": (["batch", "/dev/zero"], "no file"),
    "batch of an empty table": (["batch", "empty.csv"], "first line"),
    "batch of unknown columns": (["batch", "columns.csv"], "colour"),
    "batch of the same twice": (["batch", "same.csv"], "rows 1 and 2"),
    "batch of bytes": (["batch", "binary.csv"], "binary.csv"),
    "batch of no text": (["batch", "bare.csv"], "line 2"),
    "batch into a file": (["batch", "same.csv", "--out", "file"], "rows 1 and 2"),
    "shape in centimetres": (["shape", "tall", "--height", "185"], "1.3 to 2.2"),
    "shape with a cycle": (["shape", "tall", "--config", "cycle.conf"], "includes itself"),
    "shape on no GPU": (["shape", "tall", "--device", "cuda"], "--device cpu"),
    "enormous shape": (["shape", "x" * 5000], "5000 characters"),
    "batch of no one": (["batch", "one.csv", "--jobs", "0"], "at least one"),
    "batch of some": (["batch", "one.csv", "--jobs", "some"], "invalid int"),
    "batch of a wrong quality": (["batch", "one.csv", "--quality", "best"], "unknown quality"),
    "batch of a wrong key": (["batch", "one.csv", "--set", "x=1"], "unknown key 'x'"),
    "batch of a cycle": (["batch", "one.csv", "--config", "cycle.conf"], "includes itself"),
    "batch to nowhere": (["batch", "one.csv", "--ray", "nowhere"], "HOST:PORT"),
    "batch to a file": (["batch", "one.csv", "--out", "file"], "file"),
    "batch of a long name": (["batch", "x" * 300], "x" * 300),
    "completion of nothing": (["completion"], "zsh"),
    "completion of another shell": (["completion", "tcsh"], "zsh"),
    "train without steps": (["train", "shape", "--steps", "0"], "at least one step"),
    "train an absent body": (["train", "shape", "--body", "smpl"], "smpl_models"),
    "train guidance without data": (["train", "guidance"], "--motions"),
    "models of no kind": (["models", "sell"], "invalid choice"),
    "models list NAME": (["models", "list", "clip:RN50"], "takes no name"),
    "models path without a name": (["models", "path"], "take one"),
    "models path of no model": (["models", "path", "clip:ViT-Z"], "unknown model"),
    "models path of a missing one": (["models", "path", "clip:RN50"], "models fetch"),
    "models fetch without network": (["models", "fetch", "clip:RN50"], "RN50"),
    "doctor's options": (["doctor", "--cure"], "unrecognized"),
    "train": (["train"], "shape | guidance"),
    "train everything": (["train", "everything"], "shape | guidance"),
}
MOTION = {
    "no text": ([], "required"),
    "empty text": ([""], "empty"),
    "text of spaces": (["  "], "empty"),
    "out of another kind": (["punching", "--out", "punch.mp3"], ".bvh and .npz"),
    "out below a file": (["punching", "--out", "file/x.bvh", "--guidance", "embedded", "--quiet"], "file"),
    "a year of it": (["punching", "--seconds", "3e7"], "1 to 10"),
    "no frames": (["punching", "--fps", "0"], "5 to 240"),
    "body": (["punching", "--body", "smal"], "smal"),
    "prior": (["punching", "--guidance", "embedded", "--set", "motion.prior=dance"], "dance"),
    "weights gone": (["punching", "--guidance", "embedded", "--set", "motion.weights=gone"], "gone"),
    "control characters": (["punching\x07"], "U+0007"),
    "enormous text": (["x" * 2000], "2,000 characters"),
    "endless seconds": (["punching", "--seconds", "nan"], "finite"),
    "endless frames": (["punching", "--fps", "inf"], "finite"),
    "intensity": (["punching", "--intensity", "99"], "0.1 to 4"),
    "no SMPL": (["punching", "--body", "smpl"], "smpl_models"),
    "guidance": (["punching", "--guidance", "clop"], "clop"),
    "cycle": (["punching", "--config", "cycle.conf"], "includes itself"),
    "out with a zero byte": (["punching", "--out", "a\x00.bvh"], "zero byte"),
    "import without labels": (
        ["import", "cut.bvh", "--takes", "1", "--labels", "gone.csv", "--out", "s.npz"],
        "gone.csv",
    ),
    "import of a device": (["import", "cut.bvh", "--takes", "1", "--labels", "/dev/zero", "--out", "s.npz"], "no file"),
    "import of code": (["import", "pickled.npz", "--takes", "1", "--out", "set.npz"], "pickled.npz"),
    "import without end": (["import", "boundless.npz", "--takes", "1", "--out", "set.npz"], "boundless.npz"),
    "train on a device": (["train", "pose", "--out", "x", "--data", "/dev/zero"], "not found"),
    "train on words": (["train", "pose", "--out", "x", "--data", "words.txt"], "not a readable"),
    "import of nothing": (["import", "gone", "--takes", "1", "--out", "set.npz"], "gone"),
    "import of no motion": (["import", "run", "--takes", "1", "--out", "set.npz"], "run"),
    "import of broken files": (["import", "cut.bvh", "--takes", "1", "--out", "set.npz"], "cut.bvh"),
    "import with wrong labels": (
        ["import", "cut.bvh", "--takes", "1", "--labels", "labels.csv", "--out", "set.npz"],
        "labels.csv",
    ),
    "train nothing": (["train", "dance", "--out", "x"], "invalid choice"),
    "train without steps": (["train", "pose", "--out", "x", "--steps", "0"], "at least"),
    "train without data": (["train", "pose", "--out", "x", "--data", "gone.npz"], "gone.npz"),
    "train on another file": (["train", "pose", "--out", "x", "--data", "short.npz"], "short.npz"),
}
CASES = [
    *((cli.main, *case, name) for name, case in (AVATAR | FINISHED | {f"{k} ": v for k, v in OTHERS.items()}).items()),
    *((cli.main, *case, f"a GLB {name}") for name, case in GLB.items()),
    *((motion_cli.main, *case, f"motiongen {name}") for name, case in MOTION.items()),
]


@pytest.mark.parametrize(("main", "words", "said"), [case[:3] for case in CASES], ids=[case[3] for case in CASES])
def test_bad_input_is_told_and_changes_nothing(main, words, said, world, monkeypatch, capsys):
    monkeypatch.chdir(world)
    monkeypatch.setenv("AVATARGEN_OFFLINE", "1")
    monkeypatch.setenv("AVATARGEN_CACHE", str(world.parent / "cache"))
    monkeypatch.setenv("HOME", str(world.parent / "home"))
    monkeypatch.setenv("AVATARGEN_BLENDER_PYTHON", "/nowhere/python")
    before = state(world)
    try:
        code = main(words)
    except SystemExit as exit_:  # argparse's own
        code = exit_.code
    told = capsys.readouterr()
    assert code == 2, told
    assert said in told.err
    assert "Traceback" not in told.err
    assert len(told.err) < 4000
    assert not told.out
    assert state(world) == before
    assert not (world / "pwned").exists()


def test_there_are_many_cases_for_every_command():
    assert len(CASES) >= 290
    commands = {words[0] for main, words, *_ in CASES if main is cli.main and words}
    assert {"shape", "export", "animate", "batch", "models", "doctor", "evaluate", "train"} <= commands


def test_the_table_in_the_docs_names_every_class_of_error():
    from avatargen.core import errors

    text = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    for name in vars(errors):
        if name.endswith("Error") and name != "AvatarGenError":
            assert name in text, name


def test_an_archive_cannot_write_outside_its_folder(world, tmp_path):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    assert cli.main(["animate", str(world / "run"), str(world / "escaping.npz"), "--out", str(folder)]) == 0
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == ["a/b/avatar.glb"]


def test_a_machine_without_ffmpeg_is_told_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    assert cli.main(RUN) == 2
    assert "IMAGEIO_FFMPEG_EXE" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_records_of_the_future_are_told(world, monkeypatch, capsys, tmp_path):
    record = json.loads((world / "run" / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(record | {"avatargen": "9", "settings": {"warp": {"factor": 9}}}))
    assert cli.main(["--shape", "tall", "--config", str(tmp_path / "run.json")]) == 2
    assert "unknown key 'warp'" in capsys.readouterr().err
