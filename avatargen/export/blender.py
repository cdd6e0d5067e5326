"""FBX, .blend, USD, USDZ and Alembic, through Blender in a process of its own: nobody else writes them all well.

Blender is found in this order: `$AVATARGEN_BLENDER` (a `blender` program), `$AVATARGEN_BLENDER_PYTHON` (a Python
that can import `bpy`), this Python if it can import `bpy`, `blender` on the PATH.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from avatargen.core.errors import MissingExtraError, OutputError
from avatargen.core.values import Mesh, Motion, RiggedMesh
from avatargen.export.gltf import clip_names, encode_glb

SCRIPT = Path(__file__).with_name("_blender_script.py")
KINDS = ("fbx", "blend", "usd", "usdz", "abc")
"""Formats that need Blender."""
_ACTION_BYTES = 55
"""Of a clip's name; Blender cuts names at 63 bytes, and clips must stay apart."""
ONE_CLIP = ("usd", "usdz", "abc")
"""Those that hold one clip a file."""


def encode_in_blender(
    kinds: Sequence[str],
    model: RiggedMesh | Mesh,
    motions: Sequence[Motion] = (),
    *,
    name: str = "avatar",
    armature: str = "",
    author: str = "",
    copyright: str = "",  # noqa: A002  glTF's own word
    licence: str = "",
    timeout_s: float = 600.0,
) -> dict[str, bytes]:
    """The files of all `kinds` by name, companions (`textures/...`) first; Blender is started once for all of them.

    Blender keys whole frames at one rate: the fastest motion's; slower ones are interpolated to it. USD and Alembic
    hold one clip: with several there is one file each, named `name-clip.usd`.

    Args:
        kinds: of `KINDS`.
        model: in rest pose.
        motions: become actions.
        name: of the files and of the mesh.
        armature: what to call the object that holds the bones; empty: `name_rig`.
        author: as in the GLB; kept by .blend alone, as a property of the scene.
        copyright: as in the GLB.
        licence: as in the GLB.
        timeout_s: seconds until Blender is stopped.

    Raises:
        MissingExtraError: there is no Blender here.
        OutputError: Blender failed, took longer than `timeout_s`, or left a file out.
    """
    command = blender_command()
    motions = [replace(motion, name=motion.name.encode()[:_ACTION_BYTES].decode(errors="ignore")) for motion in motions]
    glb = encode_glb(model, motions, name=name, author=author, copyright=copyright, licence=licence)
    clips = clip_names(motions)
    wanted: list[dict[str, str]] = []
    for kind in kinds:
        if kind in ONE_CLIP and len(clips) > 1:
            files = [f"{name}-{word}.{kind}" for word in file_words(clips)]
            wanted += [{"kind": kind, "file": file, "clip": clip} for file, clip in zip(files, clips, strict=True)]
        else:
            wanted.append({"kind": kind, "file": f"{name}.{kind}", "clip": clips[0] if clips else ""})
    with tempfile.TemporaryDirectory(prefix="avatargen-blender-") as folder:
        source, target = Path(folder, "avatar.glb"), Path(folder, "out")
        target.mkdir()
        source.write_bytes(glb)
        job: dict[str, object] = {
            "source": str(source),
            "folder": str(target),
            "fps": max((motion.fps for motion in motions), default=30.0),
            "outputs": wanted,
            "armature": armature or f"{name}_rig",
            "credit": {"author": author, "copyright": copyright, "licence": licence},
        }
        run_blender(command, SCRIPT, job, timeout_s=timeout_s)
        made = {path.relative_to(target).as_posix(): path for path in sorted(target.rglob("*")) if path.is_file()}
        names = [output["file"] for output in wanted]
        if absent := [file for file in names if file not in made]:
            raise OutputError(f"Blender ended without an error but wrote no {', '.join(absent)}")
        companions = [file for file in made if file not in names]
        return {file: made[file].read_bytes() for file in (*companions, *names)}


def encode_fbx(
    rigged: RiggedMesh | Mesh, motions: Sequence[Motion] = (), *, name: str = "avatar", timeout_s: float = 600.0
) -> bytes:
    """A binary FBX 7.4 with mesh, embedded texture, armature and one take per motion; see `encode_in_blender`."""
    return encode_in_blender(("fbx",), rigged, motions, name=name, timeout_s=timeout_s)[f"{name}.fbx"]


def file_words(clips: Sequence[str]) -> list[str]:
    """Clips' names as parts of file names: letters, digits, `_` and `-` of any script; no two alike in any case."""
    words: list[str] = []
    for clip in clips:
        plain = "".join(c if c.isalnum() or c in "_-" else "-" for c in clip).strip("-")[:60] or "clip"
        word, number = plain, 2
        while word.lower() in (taken.lower() for taken in words):
            word, number = f"{plain}-{number}", number + 1
        words.append(word)
    return words


def blender_command() -> list[str]:
    """The words in front of a script's path that run it inside Blender.

    Raises:
        MissingExtraError: no Blender is installed; the message says how to get one.
    """
    program, python = os.environ.get("AVATARGEN_BLENDER"), os.environ.get("AVATARGEN_BLENDER_PYTHON")
    for variable, value in (("AVATARGEN_BLENDER", program), ("AVATARGEN_BLENDER_PYTHON", python)):
        if value and shutil.which(value) is None:
            raise MissingExtraError(f"${variable} names {value}, which is not a program; correct or unset it")
    if not program and python:
        return [python]
    if not program and importlib.util.find_spec("bpy") is not None:
        return [sys.executable]
    program = program or shutil.which("blender")
    if program:
        return [program, "--background", "--factory-startup", "--python-exit-code", "1", "--python"]
    raise MissingExtraError(
        'this format is written by Blender, which is not installed: pip install "avatargen[blender]", '
        "or set AVATARGEN_BLENDER to a blender program"
    )


def run_blender(command: Sequence[str], script: Path, job: dict[str, object], *, timeout_s: float) -> str:
    """Run `script` inside Blender with `job` as its last argument, as JSON; what it printed.

    Raises:
        OutputError: it failed or took longer than `timeout_s` seconds.
    """
    ends = ["--"] if "--background" in command else []
    words = [*command, str(script), *ends, json.dumps(job)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise OutputError(f"Blender took longer than {timeout_s:.0f} s for {script.stem}; it was stopped") from error
    except OSError as error:
        raise OutputError(f"Blender could not be started ({words[0]}): {error}") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise OutputError(f"Blender failed with exit code {done.returncode}:\n{tail}")
    return done.stdout
