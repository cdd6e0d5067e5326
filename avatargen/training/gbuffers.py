"""What can be rendered once: faces and normals of many bodies, poses and views, to be painted anew every time.

One record is a 128 x 128 picture of face numbers and camera-frame normals. Painting happens during training
(`avatargen.training.paint`), so a few thousand records give unlimited pictures.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from avatargen.body.model import BodyModel
from avatargen.body.open_body import load_open_body
from avatargen.body.posing import joint_transforms, pose_body
from avatargen.body.skeleton import A_POSE
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.rng import numpy_stream
from avatargen.core.rotations import matrix_from_axis_angle
from avatargen.guidance.embedded.slots import TRAITS
from avatargen.render.cameras import Cameras, orbit
from avatargen.render.raster import interpolate, rasterize
from avatargen.render.shading import vertex_normals
from avatargen.training.light_body import LightBody, lighten
from avatargen.training.processes import PARTS, in_processes, save_arrays
from avatargen.training.traits import traits_of
from avatargen.training.wardrobe import Wardrobe

SIZE = 128
VIEW_KINDS = ("body", "upper", "lower", "face", "hands", "feet")
_VIEW_SHARES = (0.52, 0.13, 0.09, 0.14, 0.06, 0.06)
_JOINT = {name: i for i, name in enumerate(SMPL_JOINTS)}
VIEWS_PER_BODY = 5
_DRESSED = 0.5
"""Share of the poses whose bodies are dressed, where there is a wardrobe."""
_AWAY = -0.3
"""Of a normal's part towards the camera: from here on it is the back of something thin."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Buffers:
    """Many rendered views."""

    face: Integer[np.ndarray, "n 128 128"]
    """Face number plus one; 0 where nothing is seen; uint16."""
    normal: Integer[np.ndarray, "n 128 128 3"]
    """Unit normals in the camera's frame times 127; int8."""
    kind: Integer[np.ndarray, " n"]
    """Index into VIEW_KINDS."""
    joints: Float[np.ndarray, "n 23 3"]
    """As the image tower predicts them."""
    traits: Float[np.ndarray, "n traits"]
    standing: Integer[np.ndarray, " n"]
    """1 where the pose is a relaxed standing one, from which traits can be read."""


def canonical_joints(rotations: Float[Tensor, "b 24 3 3"], body: BodyModel | None = None) -> Float[Tensor, "b 23 3"]:
    """Joints of the average body about the pelvis, Y up, turned so that the trunk faces +Z; metres."""
    body = body or load_open_body()
    rest = torch.matmul(body.joint_regressor, body.template)[None].expand(len(rotations), -1, -1)
    joints, _ = joint_transforms(rest, rotations, body.parents)
    local = joints - joints[:, :1]
    # Where the hips and the shoulders point to; of someone lying, where the trunk's front would point when upright.
    across = joints[:, _JOINT["left_hip"]] - joints[:, _JOINT["right_hip"]]
    across = across + joints[:, _JOINT["left_shoulder"]] - joints[:, _JOINT["right_shoulder"]]
    yaw = torch.atan2(-across[:, 2], across[:, 0])
    cos, sin, zero = torch.cos(yaw), torch.sin(yaw), torch.zeros_like(yaw)
    turn = torch.stack([cos, zero, -sin, zero, zero + 1, zero, sin, zero, cos], dim=-1).reshape(-1, 3, 3)
    return (local @ turn.transpose(1, 2))[:, 1:]


def standing_pose(generator: np.random.Generator) -> Float[np.ndarray, "24 3"]:
    """The A-pose with a jitter of all joints, arms between hanging and level, legs between closed and astride."""
    pose = A_POSE + generator.normal(0, 0.05, A_POSE.shape)
    raise_arms = np.radians(generator.uniform(-30, 42))
    spread = np.radians(generator.uniform(-4, 10))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        pose[_JOINT[f"{side}_shoulder"], 2] += sign * raise_arms
        pose[_JOINT[f"{side}_hip"], 2] += sign * spread
        pose[_JOINT[f"{side}_elbow"], 1] -= sign * abs(generator.normal(0, 0.2))
    pose[0] = 0
    return pose


@dataclass(frozen=True, eq=False)
class _View:
    kind: int
    azimuth: float
    elevation: float
    distance: float
    target: np.ndarray
    fov: float


def _choose_view(generator: np.random.Generator, joints: np.ndarray, vertices: np.ndarray, posed: bool) -> _View:
    kind = 0 if posed and generator.random() < 0.8 else int(generator.choice(len(VIEW_KINDS), p=_VIEW_SHARES))
    name = VIEW_KINDS[kind]
    side = "left" if generator.random() < 0.5 else "right"
    low, high = vertices.min(0), vertices.max(0)
    middle, radius = (low + high) / 2, float((high - low).max() / 2)
    spots: dict[str, tuple[np.ndarray, float]] = {
        "body": (middle, radius * generator.uniform(0.98, 1.45)),
        "upper": (joints[_JOINT["spine3"]], generator.uniform(0.34, 0.62)),
        "lower": ((joints[_JOINT["left_knee"]] + joints[_JOINT["right_knee"]]) / 2, generator.uniform(0.42, 0.7)),
        "face": (joints[_JOINT["head"]] + np.array([0, 0.06, 0.03]), generator.uniform(0.12, 0.3)),
        "hands": (joints[_JOINT[f"{side}_hand"]], generator.uniform(0.12, 0.32)),
        "feet": (
            (joints[_JOINT["left_foot"]] + joints[_JOINT["right_foot"]]) / 2 + np.array([0, 0.06, -0.05]),
            generator.uniform(0.2, 0.42),
        ),
    }
    target, half = spots[name]
    frontal = {"face": 55.0, "body": 180.0}.get(name, 180.0)
    azimuth = generator.normal(0, 50) if generator.random() < 0.4 else generator.uniform(-180, 180)
    if name == "face":
        azimuth = float(np.clip(generator.normal(0, 40), -140, 140)) if generator.random() < 0.8 else azimuth
    azimuth = float(np.clip(azimuth, -180, 180)) if frontal else 0.0
    fov = generator.uniform(18, 55)
    return _View(
        kind=kind,
        azimuth=azimuth,
        elevation=float(np.clip(generator.normal(4, 10), -25, 40)),
        distance=half / math.tan(math.radians(fov) / 2) + (0.1 if name == "body" else 0.0),
        target=target + generator.normal(0, 0.06 * half, 3),
        fov=fov,
    )


def render_buffers(
    seed: int,
    name: str,
    bodies: int,
    motions: Float[np.ndarray, "f 24 3"],
    standing_share: float = 0.55,
    views: int = VIEWS_PER_BODY,
    wardrobe: Wardrobe | None = None,
) -> Buffers:
    """Views of `bodies` random bodies, standing or in a frame of `motions`; dressed from `wardrobe`, or bare."""
    generator = numpy_stream(seed, f"gbuffers/{name}")
    body = load_open_body()
    betas = np.clip(generator.normal(0, 1.05, (bodies, body.num_betas)), -2.6, 2.6).astype(np.float32)
    stand = generator.random(bodies) < standing_share
    frames = generator.integers(0, len(motions), bodies)
    poses = np.stack([standing_pose(generator) if s else motions[f] for s, f in zip(stand, frames, strict=True)])
    out: dict[str, list[np.ndarray]] = {key: [] for key in ("face", "normal", "kind", "joints", "traits", "standing")}
    traits = traits_of(body, betas)
    for i in range(bodies):
        rotations = matrix_from_axis_angle(torch.tensor(poses[i : i + 1], dtype=torch.float32))
        with torch.no_grad():
            worn = wardrobe.dress(generator) if wardrobe else None
            if worn:
                vertices, places = worn.pose(torch.from_numpy(betas[i : i + 1]), rotations)
            else:
                posed = pose_body(body, torch.from_numpy(betas[i : i + 1]), rotations)
                vertices, places = posed.vertices[0], posed.joints[0]
            joints = canonical_joints(rotations, body)[0].numpy()
            cameras, kinds = _look(generator, vertices, places.numpy(), views, not stand[i])
            face, normal = _shot(worn or body, vertices, cameras)
        out["face"].append(face)
        out["normal"].append(normal)
        out["kind"].append(kinds)
        out["joints"].append(np.repeat(joints[None], views, 0))
        out["traits"].append(np.repeat(traits[i : i + 1], views, 0))
        out["standing"].append(np.full(views, int(stand[i]), dtype=np.uint8))
    return Buffers(**{key: np.concatenate(value) for key, value in out.items()})


def _look(
    generator: np.random.Generator, vertices: Tensor, joints: np.ndarray, views: int, posed: bool
) -> tuple[Cameras, np.ndarray]:
    """Random cameras, and the kind of each."""
    chosen = [_choose_view(generator, joints, vertices.numpy(), posed) for _ in range(views)]
    cameras = orbit(
        [v.azimuth for v in chosen],
        [v.elevation for v in chosen],
        [v.distance for v in chosen],
        torch.tensor(np.stack([v.target for v in chosen]), dtype=torch.float32),
        [v.fov for v in chosen],
        SIZE,
    )
    return cameras, np.array([v.kind for v in chosen], dtype=np.uint8)


def _shot(body: BodyModel | LightBody, vertices: Tensor, cameras: Cameras) -> tuple[np.ndarray, np.ndarray]:
    """What the cameras see: numbers of the full body's faces, and normals, as `Buffers` keeps them."""
    fragments = rasterize(vertices, body.faces, cameras)
    normal = interpolate(vertex_normals(vertices, body.faces), body.faces, fragments)
    local = torch.einsum(
        "bhwi,bij->bhwj", torch.nn.functional.normalize(normal, dim=-1), cameras.world_from_camera[:, :3, :3]
    )
    face = fragments.face + 1
    if isinstance(body, LightBody):
        face = torch.where(face > 0, body.original[fragments.face.clamp(min=0)] + 1, 0)
        # Cloth and hair have two sides, and one of them alone is modelled.
        local = torch.where(local[..., 2:] < _AWAY, -local, local)
    return face.numpy().astype(np.uint16), (local * 127).round().numpy().astype(np.int8)


def make_buffers(
    path: Path,
    seed: int,
    bodies: int,
    motions: Float[np.ndarray, "f 24 3"],
    workers: int = 2,
    wardrobe: Callable[[], Wardrobe] | None = None,
) -> Buffers:
    """Buffers kept in `path` (npz), rendered by `workers` processes when they are not there yet.

    `wardrobe` is asked for then: what the bodies wear.
    """
    if path.exists():
        return _read(path)
    share, worn = -(-bodies // PARTS), wardrobe() if wardrobe else None
    calls = [(seed, f"{path.stem}/{i}", share, motions) for i in range(PARTS)]
    return _keep(path, in_processes(partial(render_buffers, wardrobe=worn), calls, workers))


def render_pose_buffers(
    seed: int, name: str, motions: Float[np.ndarray, "f 24 3"], views: int = 2, wardrobe: Wardrobe | None = None
) -> Buffers:
    """Whole-body views of every frame of `motions`, mostly from the front, on random light bodies (no traits).

    Every second body, at random, is dressed from `wardrobe`.
    """
    generator = numpy_stream(seed, f"gbuffers/{name}")
    body = load_open_body()
    bare = wardrobe.bare if wardrobe else lighten(body)
    rotations = matrix_from_axis_angle(torch.from_numpy(motions))
    with torch.no_grad():
        joints = canonical_joints(rotations, body).numpy()
    faces, normals = [], []
    for i in range(len(motions)):
        betas = torch.from_numpy(np.clip(generator.normal(0, 0.7, (1, body.num_betas)), -2, 2).astype(np.float32))
        light = wardrobe.dress(generator) if wardrobe and generator.random() < _DRESSED else bare
        with torch.no_grad():
            vertices, posed = light.pose(betas, rotations[i : i + 1])
            face, normal = _render_whole(generator, light, vertices, posed, views)
        faces.append(face)
        normals.append(normal)
    count = len(motions) * views
    return Buffers(
        face=np.concatenate(faces),
        normal=np.concatenate(normals),
        kind=np.zeros(count, dtype=np.uint8),
        joints=np.repeat(joints, views, 0),
        traits=np.zeros((count, len(TRAITS)), dtype=np.float32),
        standing=np.zeros(count, dtype=np.uint8),
    )


def _render_whole(
    generator: np.random.Generator, light: LightBody, vertices: Tensor, joints: Tensor, views: int
) -> tuple[np.ndarray, np.ndarray]:
    low, high = vertices.amin(0), vertices.amax(0)
    fov = generator.uniform(20, 45, views)
    half = np.where(
        generator.random(views) < 0.5, 1.09, float((high - low).max() / 2) * generator.uniform(1, 1.4, views)
    )
    frontal = np.where(
        generator.random(views) < 0.75, generator.uniform(-70, 70, views), generator.uniform(-180, 180, views)
    )
    cameras = orbit(
        (heading_deg(joints) + frontal).tolist(),
        np.clip(generator.normal(5, 6, views), -10, 25).tolist(),
        (half / np.tan(np.radians(fov) / 2)).tolist(),
        (low + high)[None] / 2 + torch.from_numpy(generator.normal(0, 0.04, (views, 3)).astype(np.float32)),
        fov.tolist(),
        SIZE,
    )
    return _shot(light, vertices, cameras)


def heading_deg(joints: Float[Tensor, "24 3"]) -> float:
    """Azimuth that a posed body's trunk faces: 0 is +Z, 90 is +X."""
    across = joints[_JOINT["left_hip"]] - joints[_JOINT["right_hip"]]
    across = across + joints[_JOINT["left_shoulder"]] - joints[_JOINT["right_shoulder"]]
    return math.degrees(math.atan2(-float(across[2]), float(across[0])))


def make_pose_buffers(
    path: Path,
    seed: int,
    motions: Float[np.ndarray, "f 24 3"],
    workers: int = 2,
    wardrobe: Callable[[], Wardrobe] | None = None,
) -> Buffers:
    """Pose buffers kept in `path` (npz), rendered by `workers` processes when they are not there yet."""
    if path.exists():
        return _read(path)
    shares, worn = np.array_split(motions, PARTS), wardrobe() if wardrobe else None
    calls = [(seed, f"{path.stem}/{i}", part) for i, part in enumerate(shares)]
    return _keep(path, in_processes(partial(render_pose_buffers, wardrobe=worn), calls, workers))


def _read(path: Path) -> Buffers:
    with np.load(path, allow_pickle=False) as archive:
        return Buffers(**{key: archive[key] for key in archive.files})


def join(*parts: Buffers) -> Buffers:
    """Several buffers as one."""
    return Buffers(**{key: np.concatenate([getattr(p, key) for p in parts]) for key in Buffers.__dataclass_fields__})


def _keep(path: Path, parts: list[Buffers]) -> Buffers:
    joined = join(*parts)
    save_arrays(path, **{key: getattr(joined, key) for key in Buffers.__dataclass_fields__})
    return joined
