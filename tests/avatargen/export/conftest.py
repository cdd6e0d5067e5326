"""A small skinned tube with a seam, a texture and a bend, and the outside programs that judge our files."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from avatargen.core.errors import MissingExtraError
from avatargen.core.files import cache_dir, digest_file
from avatargen.core.values import Mesh, Motion, RiggedMesh, Skeleton
from avatargen.export.fbx import blender_command, run_blender

TOOLS = Path(__file__).parents[3] / "tools"
RINGS, SIDES = 13, 12


def unavailable(reason: str) -> None:
    """Fail where the continuous integration runs, because a judge that is missing judges nothing; else skip."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(reason)
    pytest.skip(reason)


def make_tube() -> Mesh:
    """A closed tube along Y from 0 to 1.2 m, radius 0.1 m, with caps, one UV seam and a two-color texture."""
    turn = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
    ring = np.stack((0.1 * np.cos(turn), np.zeros(SIDES), 0.1 * np.sin(turn)), axis=1)
    heights = np.linspace(0, 1.2, RINGS)
    sides = np.concatenate([ring + np.array([0, y, 0]) for y in heights])
    vertices = np.concatenate((sides, [[0, 0, 0], [0, 1.2, 0]]))
    around, up = np.meshgrid(np.linspace(0, 1, SIDES + 1), np.linspace(0, 1, RINGS))
    uvs = np.concatenate((np.stack((around.ravel(), up.ravel()), axis=1), [[0.5, 0.0], [0.5, 1.0]]))
    faces, uv_faces = [], []
    bottom, top, uv_bottom = len(sides), len(sides) + 1, len(uvs) - 2
    for i in range(SIDES):
        j, last = (i + 1) % SIDES, (RINGS - 1) * SIDES
        for r in range(RINGS - 1):
            a, b, c, d = r * SIDES + i, r * SIDES + j, (r + 1) * SIDES + j, (r + 1) * SIDES + i
            e, f = r * (SIDES + 1) + i, (r + 1) * (SIDES + 1) + i
            faces += [[a, c, b], [a, d, c]]
            uv_faces += [[e, f + 1, e + 1], [e, f, f + 1]]
        faces += [[bottom, i, j], [top, last + j, last + i]]
        uv_last = (RINGS - 1) * (SIDES + 1)
        uv_faces += [[uv_bottom, i, i + 1], [uv_bottom + 1, uv_last + i + 1, uv_last + i]]
    texture = np.zeros((16, 24, 3), dtype=np.uint8)
    texture[:8], texture[8:] = (200, 40, 30), (30, 60, 210)  # the upper half of the image: v > 0.5: red
    texture[:, :3, 1] = 255
    return Mesh(
        vertices=vertices.astype(np.float32),
        faces=np.array(faces),
        uvs=uvs.astype(np.float32),
        uv_faces=np.array(uv_faces),
        texture=texture,
    )


@pytest.fixture(scope="session")
def tube() -> Mesh:
    return make_tube()


@pytest.fixture(scope="session")
def rigged_tube(tube: Mesh) -> RiggedMesh:
    """Three bones, of which the second is blended into both others."""
    joints = np.array([[0.0, 0.3, 0.0], [0.0, 0.6, 0.0], [0.0, 0.9, 0.0]])
    skeleton = Skeleton(names=("root", "middle", "tip"), parents=(-1, 0, 1), joints=joints)
    y = tube.vertices[:, 1].astype(np.float64)
    upper, middle = np.clip((y - 0.8) / 0.2, 0, 1), np.clip((y - 0.5) / 0.2, 0, 1)
    weights = np.stack((1 - middle, middle - upper, upper), axis=1)
    return RiggedMesh(mesh=tube, skeleton=skeleton, weights=weights)


def turning(axis: tuple[float, float, float], angles: np.ndarray) -> np.ndarray:
    """Rodrigues' formula, written here a second time on purpose: matrices [t, 3, 3]."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=np.float64)
    s, c = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    return np.eye(3) + s * cross + (1 - c) * cross @ cross


@pytest.fixture(scope="session")
def bend() -> Motion:
    """Twenty-one frames: the root walks and makes more than a full turn, the middle bends, the tip twists."""
    t = np.linspace(0, 1, 21)
    rotations = np.stack(
        (turning((0, 1, 0), 7 * t), turning((0, 0, 1), 1.2 * np.sin(3 * t)), turning((0.6, 0, 0.8), 2 * t)), axis=1
    )
    path = np.stack((0.5 * t, 0.6 + 0.1 * np.sin(6 * t), -0.8 * t), axis=1)
    return Motion(
        rotations=rotations,
        root_position=path,
        rest_root_height=0.6,
        joint_names=("root", "middle", "tip"),
        fps=30.0,
        name="bend",
    )


def pose(rigged: RiggedMesh, motion: Motion, frame: int) -> np.ndarray:
    """Linear blend skinning joint by joint in plain NumPy: the oracle that readers of our files must agree with."""
    scale = rigged.skeleton.joints[0, 1] / motion.rest_root_height
    world: list[np.ndarray] = []
    for j, parent in enumerate(rigged.skeleton.parents):
        local = np.eye(4)
        local[:3, :3] = motion.rotations[frame, motion.joint_names.index(rigged.skeleton.names[j])]
        if parent < 0:
            local[:3, 3] = motion.root_position[frame] * scale
            world.append(local)
        else:
            local[:3, 3] = rigged.skeleton.joints[j] - rigged.skeleton.joints[parent]
            world.append(world[parent] @ local)
    posed = np.zeros((len(rigged.mesh.vertices), 3))
    for j, matrix in enumerate(world):
        moved = (rigged.mesh.vertices - rigged.skeleton.joints[j]) @ matrix[:3, :3].T + matrix[:3, 3]
        posed += rigged.weights[:, j : j + 1] * moved
    return posed


@pytest.fixture(scope="session")
def lbs():
    return pose


@pytest.fixture(scope="session")
def validate(tmp_path_factory):
    """Run the Khronos validator on bytes; its report as a dict."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        unavailable("the Khronos glTF validator needs node and npm (Debian: apt-get install nodejs npm)")
    home = cache_dir() / f"node-{digest_file(TOOLS / 'package-lock.json')}"
    if not (home / "node_modules" / "gltf-validator" / "package.json").exists():
        home.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(TOOLS / name, home / name)
        command = [npm, "ci", "--no-audit", "--no-fund", "--prefix", str(home)]
        made = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if made.returncode:
            unavailable(f"npm could not install gltf-validator: {made.stderr[-500:]}")
    folder = tmp_path_factory.mktemp("gltf")

    def run(data: bytes) -> dict:
        path = folder / "file.glb"
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

    def run(data: bytes, suffix: str, frames: list[int], action: str = "", fps: int = 30) -> tuple[dict, np.ndarray]:
        source, report, arrays = folder / f"file{suffix}", folder / "report.json", folder / "arrays.npz"
        for old in (report, arrays):
            old.unlink(missing_ok=True)
        source.write_bytes(data)
        job = {"source": str(source), "fps": fps, "frames": frames, "report": str(report), "arrays": str(arrays)}
        run_blender(command, Path(__file__).with_name("blender_probe.py"), job | {"action": action}, timeout_s=300.0)
        with np.load(arrays) as stored:
            x, y, z = np.moveaxis(stored["posed"], -1, 0)
        return json.loads(report.read_text()), np.stack((x, z, -y), axis=-1)

    return run
