"""What a film is wanted as besides MP4: without its texture, as PNG frames with a transparent ground, as a GIF."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from avatargen.core.errors import OutputError
from avatargen.core.files import whole_folder, write_whole
from avatargen.core.progress import Reporter, Silent, stage
from avatargen.core.settings import VideoSettings
from avatargen.export.video import Shot, draw_in_order, drawing_threads, film, find_ffmpeg
from avatargen.render.picture import draw_mesh

_GIF_WIDTH, _GIF_FPS = 480, 15.0


def films(shot: Shot, path: Path, settings: VideoSettings, reporter: Reporter | None = None) -> dict[str, str]:
    """Write the film and all that the settings ask for besides it; returns file name -> what it is.

    Raises:
        OutputError: a file cannot be written or encoded.
    """
    film(shot, path, settings, reporter)
    written = {path.name: ""}
    if settings.gif:
        written[write_gif(path, path.with_suffix(".gif"), float(shot.fps)).name] = ", as a GIF"
    if settings.textureless:
        grey = path.with_name(f"{path.stem}_textureless.mp4")
        written[film(shot.without_texture(), grey, settings, reporter).name] = ", without its texture"
    if settings.png_sequence:
        folder = write_frames(shot, path.with_name(f"{path.stem}_frames"), settings, reporter)
        written[f"{folder.name}/"] = ", as PNG frames with a transparent ground"
    return written


def cut_out(shot: Shot, index: int, supersample: int) -> UInt8[np.ndarray, "h w 4"]:
    """One frame of the figure alone: sRGB and coverage, not multiplied into each other; no floor, no shadow."""
    figure = shot.figure
    with torch.no_grad():
        drawn = draw_mesh(
            shot.vertices(index),
            figure.faces,
            shot.cameras[index],
            figure.surface,
            light="studio",
            backdrop="black",
            supersample=supersample,
            edges=figure.edges,
        )
        cover = drawn.mask[0].clamp(0, 1)
        color = (drawn.image[0] / cover.clamp(min=1e-4)).clamp(0, 1) * (cover > 0)
        return (torch.cat([color, cover]).permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()


def write_frames(shot: Shot, folder: Path, settings: VideoSettings, reporter: Reporter | None = None) -> Path:
    """`folder` with 0000.png, 0001.png, ...; it takes the place of an older one when all frames are there.

    Raises:
        OutputError: the folder cannot be written.
    """
    told = reporter or Silent()
    with whole_folder(folder) as part, stage(told, f"{shot.name} frames", len(shot)):
        drawn = draw_in_order(
            lambda index: cut_out(shot, index, settings.supersample), len(shot), drawing_threads(settings)
        )
        for index, frame in enumerate(drawn):
            Image.fromarray(frame).save(part / f"{index:04d}.png", compress_level=4)
            told.step()
    return folder


def write_gif(video: Path, path: Path, fps: float) -> Path:
    """A GIF of a video, at most 480 pixels wide and 15 frames a second, with a palette of its own.

    Raises:
        OutputError: the file cannot be written or encoded.
    """
    rate = min(fps, _GIF_FPS)
    graph = f"fps={rate:.6g},scale='min({_GIF_WIDTH},iw)':-2:flags=lanczos,split[a][b]"
    graph += ";[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=bayer:bayer_scale=4"
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "film.gif"
        command = [find_ffmpeg(), "-v", "error", "-nostdin", "-i", str(video)]
        command += ["-filter_complex", graph, "-loop", "0", "-fflags", "+bitexact", "-threads", "1", str(part)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not part.is_file():
            raise OutputError(f"ffmpeg could not make {path.name}:\n  {done.stderr.strip() or 'no reason given'}")
        return write_whole(path, part.read_bytes())
