"""FBX through Blender in a process of its own: the format has no open specification, Blender writes a good one.

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
from pathlib import Path

from avatargen.core.errors import MissingExtraError, OutputError
from avatargen.core.values import Mesh, Motion, RiggedMesh
from avatargen.export.gltf import encode_glb

SCRIPT = Path(__file__).with_name("_blender_script.py")


def encode_fbx(
    rigged: RiggedMesh | Mesh, motions: Sequence[Motion] = (), *, name: str = "avatar", timeout_s: float = 600.0
) -> bytes:
    """A binary FBX 7.4 with mesh, embedded texture, armature and one take per motion.

    Blender keys whole frames at one rate: the fastest motion's; slower ones are interpolated to it.

    Raises:
        MissingExtraError: there is no Blender here.
        OutputError: Blender failed or took longer than `timeout_s`.
    """
    command = blender_command()
    glb = encode_glb(rigged, motions, name=name)
    with tempfile.TemporaryDirectory(prefix="avatargen-fbx-") as folder:
        source, target = Path(folder, "avatar.glb"), Path(folder, "avatar.fbx")
        source.write_bytes(glb)
        fps = max((motion.fps for motion in motions), default=30.0)
        run_blender(command, SCRIPT, {"source": str(source), "target": str(target), "fps": fps}, timeout_s=timeout_s)
        if not target.is_file():
            raise OutputError("Blender ended without an error but wrote no FBX")
        return target.read_bytes()


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
