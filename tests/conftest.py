"""The outside programs that judge our files: the Khronos validator and Blender."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from avatargen.core.errors import MissingExtraError
from avatargen.core.files import cache_dir, digest_file
from avatargen.export.blender import blender_command, run_blender

# Continuous integration tries the same examples every time; elsewhere each run tries new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI", "").lower() in {"1", "true"}:
    settings.load_profile("ci")

TOOLS = Path(__file__).parents[1] / "tools"
PROBE = Path(__file__).parent / "avatargen" / "export" / "blender_probe.py"
NODE_HOME = cache_dir() / f"node-{digest_file(TOOLS / 'package-lock.json')}"  # before a test points the cache elsewhere


def unavailable(reason: str) -> None:
    """Fail where the continuous integration runs, because a judge that is missing judges nothing; else skip."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def validate(tmp_path_factory):
    """Run the Khronos validator on the bytes of a GLB or on a file; its report as a dict."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        unavailable("the Khronos glTF validator needs node and npm (Debian: apt-get install nodejs npm)")
    home = NODE_HOME
    if not (home / "node_modules" / "gltf-validator" / "package.json").exists():
        home.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(TOOLS / name, home / name)
        command = [npm, "ci", "--no-audit", "--no-fund", "--prefix", str(home)]
        made = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if made.returncode:
            unavailable(f"npm could not install gltf-validator: {made.stderr[-500:]}")
    folder = tmp_path_factory.mktemp("gltf")

    def run(data: bytes | Path) -> dict:
        path = data if isinstance(data, Path) else folder / "file.glb"
        if isinstance(data, bytes):
            path.write_bytes(data)
        done = subprocess.run(
            [node, str(TOOLS / "gltf_validate.cjs"), str(path)],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"NODE_PATH": str(home / "node_modules")},
        )
        if not done.stdout:
            unavailable(f"the glTF validator did not run: {done.stderr[-500:]}")
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def blender(tmp_path_factory):
    """Import a GLB or FBX in Blender; its report and the evaluated vertices, Y up again [frames, v, 3]."""
    try:
        command = blender_command()
    except MissingExtraError as error:
        unavailable(f"{error}\n  bpy wants numpy < 2: install it elsewhere and name it in AVATARGEN_BLENDER_PYTHON")
    folder = tmp_path_factory.mktemp("blender")

    def run(
        data: bytes | Path, suffix: str, frames: list[int], action: str = "", fps: int = 30
    ) -> tuple[dict, np.ndarray]:
        source, report, arrays = folder / f"file{suffix}", folder / "report.json", folder / "arrays.npz"
        for old in (report, arrays):
            old.unlink(missing_ok=True)
        if isinstance(data, Path):
            source = data
        else:
            source.write_bytes(data)
        job = {"source": str(source), "fps": fps, "frames": frames, "report": str(report), "arrays": str(arrays)}
        run_blender(command, PROBE, job | {"action": action}, timeout_s=300.0)
        with np.load(arrays) as stored:
            x, y, z = np.moveaxis(stored["posed"], -1, 0)
        return json.loads(report.read_text()), np.stack((x, z, -y), axis=-1)

    return run
