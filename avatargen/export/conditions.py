"""Condition maps for image models, per view and frame: OpenPose skeleton, depth, normals, part segmentation, camera.

`controls/cameras.json` holds the cameras (OpenGL: looking down -Z, +Y up; `world_from_camera`, intrinsics in pixels,
the centre of the upper left pixel at 0.5, 0.5) and the names of the parts. In `controls/view_00/` every frame has
`0000_openpose.png` and `.json` (OpenPose's format with COCO's 18 points; confidence 0 where a point of the face is
hidden), `_depth.png` (8 bits, near is bright), `_depth_mm.png` (16 bits, millimetres along the viewing axis, 0:
nothing), `_normals.png` (camera frame, x right, y up, z to the viewer, (n + 1) / 2) and `_parts.png` (palette index: 0
nothing, else 1 + the joint that moves the surface most).
"""

import colorsys
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer
from PIL import Image, ImageDraw
from torch import Tensor

from avatargen.body.posing import joint_transforms
from avatargen.body.rigged import pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import ConfigError
from avatargen.core.files import whole_folder
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.progress import Reporter, stage
from avatargen.core.settings import ConditionSettings
from avatargen.core.values import Motion, RiggedMesh
from avatargen.render.cameras import Cameras, orbit, project
from avatargen.render.raster import rasterize
from avatargen.render.shading import vertex_normals
from avatargen.render.studio import fitting_distance

FOV_DEG = 30.0
_ELEVATION_DEG = 5.0
COCO = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("right_eye", "left_eye", "right_ear", "left_ear"),
)
"""OpenPose's names and order of the 18 points."""
_FACE: dict[str, tuple[float, float, float]] = {
    "nose": (0.0, 0.151, 1.429),
    "right_eye": (-0.328, 0.573, 1.1),
    "left_eye": (0.328, 0.573, 1.1),
    "right_ear": (-0.823, 0.335, 0.124),
    "left_ear": (0.823, 0.335, 0.124),
}
"""From the head joint, in distances from neck to head joint: where they are on the open body."""
_LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
_COLORS = tuple(tuple(round(255 * c) for c in colorsys.hsv_to_rgb(i / 18, 1.0, 1.0)) for i in range(18))
_HIDDEN = 0.03
"""Metres that a point of the face may lie behind what is seen there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Take:
    """The avatar in every frame."""

    vertices: Float[Tensor, "t v 3"]
    points: Float[Tensor, "t 18 3"]
    """COCO's points in the world, metres."""
    faces: Integer[Tensor, "f 3"]
    part: Integer[np.ndarray, " f"]
    """Joint that moves each face most."""


def check_conditions(settings: ConditionSettings) -> None:
    """Refuse numbers that make no maps.

    Raises:
        ConfigError: with the key and what may stand there.
    """
    for key, low, high in (("views", 1, 64), ("size", 32, 4096), ("every", 1, 10_000)):
        if not low <= getattr(settings, key) <= high:
            raise ConfigError(f"conditions.{key}={getattr(settings, key)}: from {low} to {high}")


def condition_maps(
    avatar: RiggedMesh, motion: Motion | None, folder: Path, settings: ConditionSettings, reporter: Reporter
) -> Path:
    """Write the maps of an avatar performing a motion that is scaled to it, or standing in the A-pose.

    Raises:
        OutputError: the folder cannot be written.
        ValueError: the avatar's joints are not SMPL's, or the motion's are others.
    """
    if avatar.skeleton.names != SMPL_JOINTS or (motion is not None and motion.joint_names != SMPL_JOINTS):
        raise ValueError("condition maps need SMPL's joints")
    if motion is None:
        take = take_of(avatar, a_pose()[None].numpy())
    else:
        take = take_of(avatar, motion.rotations, motion.root_position)
    return write_conditions(take, folder, settings, reporter)


def take_of(
    avatar: RiggedMesh, rotations: Float[np.ndarray, "t j 3 3"], root: Float[np.ndarray, "t 3"] | None = None
) -> Take:
    """The avatar on SMPL's joints, posed; `root` is where the root joint goes, at rest if None."""
    rest = torch.from_numpy(avatar.skeleton.joints.astype(np.float32))
    turns = torch.from_numpy(np.ascontiguousarray(rotations, dtype=np.float32))
    shift = None if root is None else torch.from_numpy(np.ascontiguousarray(root, dtype=np.float32)) - rest[0]
    posed, transforms = joint_transforms(rest[None].expand(len(turns), -1, -1), turns, avatar.skeleton.parents, shift)
    head, neck = SMPL_JOINTS.index("head"), SMPL_JOINTS.index("neck")
    unit = (rest[head] - rest[neck]).norm()
    points = []
    for name in COCO:
        if name in _FACE:
            place = rest[head] + unit * torch.tensor(_FACE[name])
            points.append(transforms[:, head, :3, :3] @ place + transforms[:, head, :3, 3])
        elif name == "neck":
            points.append(0.5 * sum(posed[:, SMPL_JOINTS.index(f"{side}_shoulder")] for side in ("left", "right")))
        else:
            points.append(posed[:, SMPL_JOINTS.index(name)])
    mesh = avatar.mesh
    part = avatar.weights[mesh.faces].sum(1).argmax(1)
    vertices = torch.from_numpy(pose_rigged(avatar, rotations, root))
    return Take(vertices=vertices, points=torch.stack(points, 1), faces=torch.tensor(mesh.faces).long(), part=part)


def cameras_of(take: Take, settings: ConditionSettings) -> Cameras:
    """Cameras that stand still around the whole take, the first in front."""
    everything = take.vertices.reshape(-1, 3)
    middle = 0.5 * (everything.amin(0) + everything.amax(0))
    azimuths = [360.0 * view / settings.views for view in range(settings.views)]
    away = max(fitting_distance(everything, middle, a, _ELEVATION_DEG, FOV_DEG) for a in azimuths)
    return orbit(torch.tensor(azimuths), _ELEVATION_DEG, away, middle, FOV_DEG, settings.size)


def maps(take: Take, frame: int, camera: Cameras) -> tuple[Tensor, Tensor, Integer[np.ndarray, "h w"]]:
    """Depth [h, w] (metres, 0: nothing), normals [h, w, 3] in the camera's frame (zero: nothing), 1 + part [h, w]."""
    vertices = take.vertices[frame]
    seen = rasterize(vertices, take.faces, camera)
    face, bary = seen.face[0], seen.bary[0]
    hit = face >= 0
    depth = torch.where(hit, seen.depth[0], torch.zeros_like(seen.depth[0]))
    smooth = vertex_normals(vertices, take.faces)[take.faces[face.clamp(min=0)]]
    world = torch.nn.functional.normalize((smooth * bary[..., None]).sum(-2), dim=-1)
    normals = (world @ camera.world_from_camera[0, :3, :3]) * hit[..., None]
    part = np.where(hit.numpy(), 1 + take.part[face.clamp(min=0).numpy()], 0)
    return depth, normals, part


def keypoints(take: Take, frame: int, camera: Cameras, depth: Float[Tensor, "h w"]) -> Float[np.ndarray, "18 3"]:
    """Pixel x, pixel y and confidence of COCO's points; a point of the face that is hidden or outside has 0."""
    flat = project(take.points[frame], camera)[0].numpy()
    out = np.concatenate([flat[:, :2], np.ones((len(COCO), 1))], axis=1)
    height, width = depth.shape
    for row, name in enumerate(COCO):
        x, y = int(np.floor(flat[row, 0])), int(np.floor(flat[row, 1]))
        inside = 0 <= x < width and 0 <= y < height and flat[row, 2] > 0
        front = float(depth[y, x]) if inside else 0.0
        if not inside or (name in _FACE and 0 < front < flat[row, 2] - _HIDDEN):
            out[row] = 0.0
    return out


def draw_openpose(points: Float[np.ndarray, "18 3"], size: int) -> Image.Image:
    """The skeleton in OpenPose's colors on black."""
    picture = Image.new("RGB", (size, size))
    pen, width = ImageDraw.Draw(picture), max(2, size // 100)
    for number, (a, b) in enumerate(_LIMBS):
        if points[a, 2] and points[b, 2]:
            dim = tuple(int(0.6 * c) for c in _COLORS[number])
            pen.line([*points[a, :2], *points[b, :2]], fill=dim, width=width)
    for row, (x, y, sure) in enumerate(points):
        if sure:
            pen.ellipse([x - width, y - width, x + width, y + width], fill=_COLORS[row])
    return picture


def write_conditions(take: Take, folder: Path, settings: ConditionSettings, reporter: Reporter) -> Path:
    """Write all maps; `folder` appears whole, in place of an older one.

    Raises:
        OutputError: the folder cannot be written.
    """
    frames, cameras = range(0, len(take.vertices), settings.every), cameras_of(take, settings)
    with whole_folder(folder) as part, stage(reporter, "controls", settings.views * len(frames)):
        (part / "cameras.json").write_text(json.dumps(_cameras_json(cameras, list(frames)), indent=1) + "\n")
        for view in range(settings.views):
            place = part / f"view_{view:02d}"
            place.mkdir()
            for frame in frames:
                for name, data in _files(take, frame, cameras[view]).items():
                    (place / f"{frame:04d}_{name}").write_bytes(data)
                reporter.step()
    return folder


def _files(take: Take, frame: int, camera: Cameras) -> dict[str, bytes]:
    depth, normals, part = maps(take, frame, camera)
    points = keypoints(take, frame, camera, depth)
    hit = depth > 0
    near, far = (float(depth[hit].min()), float(depth[hit].max())) if hit.any() else (0.0, 1.0)
    bright = torch.where(hit, 255 - 215 * (depth - near) / max(far - near, 1e-6), torch.zeros_like(depth))
    blue = torch.where(hit[..., None], normals, torch.tensor([0.0, 0.0, 1.0]))
    segments = Image.fromarray(part.astype(np.uint8), mode="P")
    segments.putpalette(_palette())
    person = {"person_id": [-1], "pose_keypoints_2d": [round(float(v), 3) for v in points.reshape(-1)]}
    told = {"version": 1.3, "people": [person], "canvas_width": camera.width, "canvas_height": camera.height}
    return {
        "openpose.png": _png(draw_openpose(points, camera.width)),
        "openpose.json": (json.dumps(told) + "\n").encode(),
        "depth.png": _png(Image.fromarray(bright.round().numpy().astype(np.uint8))),
        "depth_mm.png": _png(Image.fromarray((depth * 1000).round().numpy().astype(np.uint16))),
        "normals.png": _png(Image.fromarray(((blue + 1) * 127.5).round().numpy().astype(np.uint8))),
        "parts.png": _png(segments),
    }


def _palette() -> list[int]:
    out = [0, 0, 0]
    for joint in range(len(SMPL_JOINTS)):
        out += [round(255 * c) for c in colorsys.hsv_to_rgb((joint * 0.381966) % 1, 0.55 + 0.4 * (joint % 2), 0.95)]
    return out


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", compress_level=4)
    return stream.getvalue()


def _cameras_json(cameras: Cameras, frames: list[int]) -> dict[str, Any]:
    views = []
    for view in range(len(cameras)):
        focal = float(cameras.focal[view])
        middle = {"cx": cameras.width / 2, "cy": cameras.height / 2}
        pose = cameras.world_from_camera[view].double().numpy().round(7).tolist()
        size = {"width": cameras.width, "height": cameras.height}
        views.append(
            {"folder": f"view_{view:02d}", **size, "fx": focal, "fy": focal, **middle, "world_from_camera": pose}
        )
    return {
        "convention": "OpenGL camera: looks down -Z, +Y up; metres; world Y up, the character faces +Z",
        "frames": frames,
        "views": views,
        "keypoints": list(COCO),
        "parts": ["nothing", *SMPL_JOINTS],
    }
