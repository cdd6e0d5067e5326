"""Turntable and motion videos: H.264 in MP4, 4:2:0, as every browser plays it; see `extras` for GIF and PNG frames.

Frames are drawn in a few threads (torch releases Python's lock; the ray caster does not) and encoded in
order, so the same input gives the same file on the same machine.
"""

import os
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatargen.body.rigged import perform, pose_rigged
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import MissingExtraError, OutputError
from avatargen.core.files import write_whole
from avatargen.core.parts import SMPL_JOINTS
from avatargen.core.progress import Reporter, Silent, stage
from avatargen.core.settings import VideoSettings
from avatargen.core.stopping import give_up
from avatargen.core.values import Mesh, Motion, RiggedMesh
from avatargen.render.cameras import Cameras, orbit
from avatargen.render.picture import Surface, coarser, render_mesh, surface_of, texels_per_metre
from avatargen.render.silhouettes import Edges, mesh_edges
from avatargen.render.studio import Shadow, contact_shadow, fitting_distance, studio_background

FOV_DEG = 26.0
_ELEVATION_DEG = 7.0
_MOTION_AZIMUTH_DEG = 28.0

Frame = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True, eq=False)
class Figure:
    """What stays the same in all frames."""

    faces: Tensor
    surface: Surface
    edges: Edges


def figure_of(mesh: Mesh) -> Figure:
    """Faces, look and edges of `mesh` as tensors."""
    faces = torch.tensor(mesh.faces, dtype=torch.int64)
    return Figure(faces, surface_of(mesh), mesh_edges(faces))


def seen_from(figure: Figure, vertices: Float[Tensor, "v 3"], camera: Cameras, distance: float, many: int) -> Figure:
    """The figure with a texture about as fine as the samples of a picture from `distance`: finer ones flicker."""
    samples = float(camera.focal[0]) * many / distance
    factor = texels_per_metre(figure.surface, vertices, figure.faces) / samples
    # Charts keep a few texels' distance, so an average over more than four would mix them.
    return replace(figure, surface=coarser(figure.surface, 4 if factor > 3 else 2 if factor > 1.5 else 1))


def draw_frame(
    figure: Figure,
    vertices: Float[Tensor, "v 3"],
    camera: Cameras,
    supersample: int = 1,
    center: Float[Tensor, " 3"] | None = None,
    grid: float = 0.0,
    shadow: Shadow | None = None,
) -> Frame:
    """One picture of a figure standing on a studio floor, as stored in files; `shadow` saves working it out again."""
    with torch.no_grad():
        behind = studio_background(camera, shadow or contact_shadow(vertices, figure.faces), center, grid)
        image = render_mesh(
            vertices,
            figure.faces,
            camera,
            figure.surface.colors,
            texture=figure.surface.texture,
            uvs=figure.surface.uvs,
            uv_faces=figure.surface.uv_faces,
            background=behind,
            light="studio",
            supersample=supersample,
            edges=figure.edges,
        )
        return to_bytes(image[0])


_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], dtype=np.float32) / 16 + 1 / 32
"""Thresholds of ordered dithering (Bayer 1973): without them the soft backdrop shows bands."""


def to_bytes(image: Float[Tensor, "3 h w"]) -> Frame:
    """A stored picture from a drawn one."""
    height, width = image.shape[1:]
    thresholds = torch.from_numpy(np.tile(_BAYER, (height // 4 + 1, width // 4 + 1))[:height, :width])
    return (image.permute(1, 2, 0).clamp(0, 1) * 255 + thresholds[..., None]).clamp(max=255).to(torch.uint8).numpy()


def standing(rigged: RiggedMesh) -> Float[np.ndarray, "v 3"]:
    """The avatar in the relaxed A-pose on the floor; as it is where its skeleton is not SMPL's."""
    if rigged.skeleton.names != tuple(SMPL_JOINTS):
        return rigged.mesh.vertices.astype(np.float32)
    points = pose_rigged(rigged, a_pose()[None].numpy())[0]
    return points - np.array([0.0, points[:, 1].min(), 0.0], dtype=points.dtype)


@dataclass(frozen=True, eq=False)
class Shot:
    """Everything a film shows: the figure in each frame and where the camera stands."""

    figure: Figure
    frames: Float[Tensor, "m v 3"]
    """Vertices, metres: one row for all frames or one for each."""
    cameras: Cameras
    """One for each frame."""
    fps: float | int
    name: str
    centers: Float[Tensor, "t 3"] | None = None
    """Around what the floor's grid lies; None: no grid."""

    def __len__(self) -> int:
        return len(self.cameras)

    def vertices(self, index: int) -> Float[Tensor, "v 3"]:
        """Those of one frame."""
        return self.frames[index if len(self.frames) > 1 else 0]

    def without_texture(self) -> "Shot":
        """The same in grey clay, which shows the shape alone."""
        return replace(self, figure=replace(self.figure, surface=Surface()), name=f"{self.name}, textureless")


def turntable_shot(avatar: Mesh | RiggedMesh, settings: VideoSettings) -> Shot:
    """One turn around the avatar, from its front over its left side; loops without a jump."""
    mesh = avatar.mesh if isinstance(avatar, RiggedMesh) else avatar
    points = standing(avatar) if isinstance(avatar, RiggedMesh) else mesh.vertices
    vertices = torch.tensor(points, dtype=torch.float32)
    count = max(1, round(settings.turntable_seconds * settings.fps))
    azimuths = torch.arange(count) * (360.0 / count)
    target = 0.5 * (vertices.amin(0) + vertices.amax(0))
    aspect = settings.width / settings.height
    distance = max(
        fitting_distance(vertices, target, float(a), _ELEVATION_DEG, FOV_DEG, aspect) for a in range(0, 360, 15)
    )
    cameras = orbit(azimuths, _ELEVATION_DEG, distance, target, FOV_DEG, frame_size(settings))
    figure = seen_from(figure_of(mesh), vertices, cameras, distance, settings.supersample)
    return Shot(figure, vertices[None], cameras, settings.fps, "turntable")


def motion_shot(mesh: Mesh, posed: Float[np.ndarray, "t v 3"], fps: float | int, settings: VideoSettings) -> Shot:
    """`mesh` whose vertices are given for each frame, metres; a faster motion than `settings.max_fps` is thinned out.

    The camera stands still if the whole motion fits well from one place, else it moves along smoothly.
    """
    stride = max(1, round(fps / settings.max_fps))
    frames = torch.tensor(posed[::stride], dtype=torch.float32)
    targets, distance = follow(frames, fps / stride, settings.width / settings.height)
    cameras = orbit(_MOTION_AZIMUTH_DEG, _ELEVATION_DEG, distance, targets, FOV_DEG, frame_size(settings))
    figure = seen_from(figure_of(mesh), frames[0], cameras, distance, settings.supersample)
    return Shot(figure, frames, cameras, fps / stride, "motion video", targets)


def film(shot: Shot, path: Path, settings: VideoSettings, reporter: Reporter | None = None) -> Path:
    """Draw and encode a shot.

    Raises:
        OutputError: the file cannot be written or encoded.
    """
    fixed = contact_shadow(shot.frames[0], shot.figure.faces) if len(shot.frames) == 1 else None

    def draw(index: int) -> Frame:
        center, grid = (None, 0.0) if shot.centers is None else (shot.centers[index], 0.16)
        points, camera = shot.vertices(index), shot.cameras[index]
        return draw_frame(shot.figure, points, camera, settings.supersample, center, grid, fixed)

    return write_video(draw, len(shot), path, shot.fps, settings, shot.name, reporter)


def turntable(avatar: Mesh | RiggedMesh, path: Path, settings: VideoSettings, reporter: Reporter | None = None) -> Path:
    """A video of one turn around the avatar, see `turntable_shot`.

    Raises:
        OutputError: the file cannot be written or encoded.
    """
    return film(turntable_shot(avatar, settings), path, settings, reporter)


def motion_video(
    rigged: RiggedMesh, motion: Motion, path: Path, settings: VideoSettings, reporter: Reporter | None = None
) -> Path:
    """A video of the avatar performing a motion that is scaled to it.

    Raises:
        OutputError: the file cannot be written or encoded.
        ValueError: the motion's joints are not the avatar's.
    """
    return posed_video(rigged.mesh, perform(rigged, motion), motion.fps, path, settings, reporter)


def posed_video(
    mesh: Mesh,
    posed: Float[np.ndarray, "t v 3"],
    fps: float | int,
    path: Path,
    settings: VideoSettings,
    reporter: Reporter | None = None,
) -> Path:
    """A video of `mesh` whose vertices are given for each frame, see `motion_shot`.

    Raises:
        OutputError: the file cannot be written or encoded.
    """
    return film(motion_shot(mesh, posed, fps, settings), path, settings, reporter)


def follow(frames: Float[Tensor, "t v 3"], fps: float | int, aspect: float) -> tuple[Float[Tensor, "t 3"], float]:
    """Where the camera looks in each frame, and its one distance, so that nobody leaves the picture."""
    points = frames[:, :: max(1, frames.shape[1] // 1500)]
    low, high = points.amin(1), points.amax(1)
    floor = low[:, 1].amin().clamp(max=0.0)
    height = 0.5 * (high[:, 1].amax() + floor)

    def distance(targets: Tensor) -> float:
        flat = points.reshape(-1, 3)
        each = targets[:, None].expand(points.shape).reshape(-1, 3)
        return fitting_distance(flat, each, _MOTION_AZIMUTH_DEG, _ELEVATION_DEG, FOV_DEG, aspect)

    still = 0.5 * (low.amin(0) + high.amax(0))
    still[1] = height
    still = still.expand(len(frames), 3)
    moving = _smooth(0.5 * (low + high), 0.45 * fps)
    moving[:, 1] = height
    standing_still, moving_along = distance(still), distance(moving)
    return (still, standing_still) if standing_still <= 1.3 * moving_along else (moving, moving_along)


def _smooth(path: Float[Tensor, "t 3"], sigma: float) -> Float[Tensor, "t 3"]:
    """Gaussian mean over time; ends are held."""
    reach = max(1, int(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2)
    held = torch.cat([path[:1].expand(reach, 3), path, path[-1:].expand(reach, 3)])
    smooth = torch.nn.functional.conv1d(held.T[:, None], (kernel / kernel.sum())[None, None])
    return smooth[:, 0].T.contiguous()


def frame_size(settings: VideoSettings) -> tuple[int, int]:
    """Height and width; 4:2:0 needs even numbers."""
    return max(16, settings.height // 2 * 2), max(16, settings.width // 2 * 2)


def draw_in_order(draw: Callable[[int], Frame], count: int, workers: int) -> Iterator[Frame]:
    """Frames 0..count-1, drawn by `workers` threads that are at most a few frames ahead."""
    waiting: deque[Future[Frame]] = deque()
    # One thread of torch for each of ours: more would wait for each other. It is a setting of the thread.
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for index in range(count):
                waiting.append(pool.submit(draw, index))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            # Torch remembers the last setting for threads to come: give it back this thread's own.
            torch.set_num_threads(torch.get_num_threads())


def find_ffmpeg() -> str:
    """The program that encodes videos: the one that imageio-ffmpeg brings, or $IMAGEIO_FFMPEG_EXE.

    Raises:
        MissingExtraError: there is none.
    """
    try:
        program = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        program = ""
    if shutil.which(program) is None:
        raise MissingExtraError(
            f"no ffmpeg here{f' ({program} is no program)' if program else ''}, and videos need one\n"
            "  pip install imageio-ffmpeg brings it; or name one in IMAGEIO_FFMPEG_EXE."
        )
    return program


def write_video(
    draw: Callable[[int], Frame],
    count: int,
    path: Path,
    fps: float | int,
    settings: VideoSettings,
    name: str = "video",
    reporter: Reporter | None = None,
) -> Path:
    """Encode `count` drawn frames to `path`, which appears whole or not at all.

    Raises:
        OutputError: the file cannot be written or encoded.
    """
    reporter = reporter or Silent()
    with stage(reporter, name, count), tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "video.mp4"
        with _encoder(part, frame_size(settings), fps, settings.crf) as take:
            for frame in draw_in_order(draw, count, drawing_threads(settings)):
                give_up(path.name)
                take(frame)
                reporter.step()
        return write_whole(path, part.read_bytes())


@contextmanager
def _encoder(path: Path, size: tuple[int, int], fps: float | int, crf: int) -> Iterator[Callable[[Frame], None]]:
    """A function that takes frames; the file is complete when the block ends.

    It runs the ffmpeg that imageio-ffmpeg brings, out of reach of a terminal's Ctrl-C. `bitexact` leaves out dates and
    versions, so that equal frames give equal files; `faststart` lets a browser play before all has arrived.
    """
    height, width = size
    command = [find_ffmpeg(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}", "-r", f"{fps:.6g}", "-i", "-", "-an", "-c:v", "libx264", "-crf", str(crf)]
    command += ["-preset", "medium", "-threads", "2", "-vf", "scale=out_color_matrix=bt709:out_range=tv"]
    command += ["-pix_fmt", "yuv420p", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1"]
    command += ["-colorspace", "bt709", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart"]
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            [*command, str(path)], stdin=subprocess.PIPE, stderr=complaints, process_group=0
        ) as process:
            pipe = process.stdin
            if pipe is None:
                raise OutputError("cannot talk to ffmpeg")

            def take(frame: Frame) -> None:
                pipe.write(np.ascontiguousarray(frame).data)

            try:
                yield take
                pipe.close()
            except BrokenPipeError:
                pass  # ffmpeg has given up; what it said is below
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0 or not path.is_file():
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip()
            raise OutputError(f"ffmpeg could not encode a video ({width} x {height}):\n  {said or 'no reason given'}")


def drawing_threads(settings: VideoSettings) -> int:
    """As set, else the cores this process may use, at most four: more only wait for the ray caster."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return settings.workers or min(4, cores)
