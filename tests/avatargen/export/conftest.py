"""A small skinned tube with a seam, a texture and a bend."""

import numpy as np
import pytest

from avatargen.core.values import Mesh, Motion, RiggedMesh, Skeleton

RINGS, SIDES = 13, 12


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
def stick() -> RiggedMesh:
    """A body on SMPL's joints whose vertices are its joints, each moved by its parent, with a fan of faces."""
    from avatargen.core.parts import SMPL_JOINTS, SMPL_PARENTS
    from motiongen.kinematics import REFERENCE_JOINTS

    joints = REFERENCE_JOINTS - np.array([0, REFERENCE_JOINTS[:, 1].min(), 0])
    weights = np.zeros((24, 24), dtype=np.float32)
    weights[np.arange(24), [max(parent, 0) for parent in SMPL_PARENTS]] = 1
    faces = np.array([[i, i + 1, i + 2] for i in range(22)])
    uvs = np.stack((np.linspace(0, 1, 24), np.linspace(0, 1, 24) ** 2), axis=1).astype(np.float32)
    texture = np.full((8, 8, 3), 120, dtype=np.uint8)
    mesh = Mesh(vertices=joints.astype(np.float32), faces=faces, uvs=uvs, uv_faces=faces, texture=texture)
    skeleton = Skeleton(names=SMPL_JOINTS, parents=SMPL_PARENTS, joints=joints)
    return RiggedMesh(mesh=mesh, skeleton=skeleton, weights=weights)


@pytest.fixture(scope="session")
def dance() -> Motion:
    """Twenty-four frames of every SMPL joint turning a little about an axis of its own."""
    from avatargen.core.parts import SMPL_JOINTS
    from motiongen.kinematics import REFERENCE_JOINTS, matrix_from_rotvec

    axes = np.random.default_rng(5).normal(0, 0.35, (24, 3))
    axes[22:] = 0  # hands: importers give them back with the wrist
    time = np.sin(np.linspace(0, 3, 24))
    height = float(REFERENCE_JOINTS[0, 1] - REFERENCE_JOINTS[:, 1].min())
    place = np.stack((0.4 * time, height + 0.05 * time, -0.3 * time), axis=1)
    return Motion(
        rotations=matrix_from_rotvec(time[:, None, None] * axes),
        root_position=place,
        rest_root_height=height,
        joint_names=SMPL_JOINTS,
        fps=24.0,
        name="dance",
    )
