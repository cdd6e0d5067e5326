"""The film of how an avatar came to be: coarse body, sculpted, painted, refined, in one slow turn (`--process-video`).

`Process` stands between a run and its reporter and viewer: it passes everything on and remembers, every few steps, the
body's own mesh as it lies on the surface of that moment. It changes no result and fails no run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8

from avatargen.core.errors import BrokenFileError
from avatargen.core.files import load_tensors, save_tensors
from avatargen.core.progress import Reporter, Stopwatch
from avatargen.core.settings import VideoSettings
from avatargen.core.values import Mesh, Motion, RiggedMesh
from avatargen.core.viewing import Viewer
from avatargen.export.video import (
    FOV_DEG,
    Figure,
    Frame,
    draw_frame,
    figure_of,
    frame_size,
    seen_from,
    standing,
    write_video,
)
from avatargen.render.cameras import orbit
from avatargen.render.picture import Surface
from avatargen.render.studio import fitting_distance

_SNAPSHOTS = 24
"""Of the optimisation, spread evenly over its steps."""
_SECONDS, _MOST_FPS = 6.0, 24
_GROWING, _BEFORE = 0.6, 0.72
"""Shares of the film that pass until the surface, and until the refined surface, is there."""
_FADE = 0.06
_ELEVATION_DEG = 6.0


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The body's own mesh at one step."""

    vertices: Float[np.ndarray, "v 3"]
    colors: UInt8[np.ndarray, "v 3"]


class Process:
    """A `Reporter` and a `Viewer` that remembers what it is shown; see the module."""

    def __init__(self, inner: Reporter, viewer: Viewer | None, path: Path, key: str) -> None:
        self._inner, self._viewer = inner, viewer
        self._path, self._key = path, key
        self._look: Callable[[], Mesh] | None = None
        self._total, self._done = 1, 0
        self._kept = _read(path, key)
        self._finished: list[RiggedMesh] = []
        self.seconds = 0.0
        """How long remembering has taken."""

    def start(self, stage: str, total: int) -> None:
        """Open a stage."""
        self._total, self._done = max(1, total), 0
        self._inner.start(stage, total)

    def step(self, n: int = 1, **values: float) -> None:
        """Remember the surface, if it is time to."""
        self._inner.step(n, **values)
        self._done += n
        every = max(1, self._total // _SNAPSHOTS)
        if self._look is not None and (self._done % every == 0 or self._done == self._total):
            self._remember(self._done, self._look)

    def finish(self) -> None:
        """Close the stage."""
        self._inner.finish()

    def note(self, line: str) -> None:
        """Tell the user one line."""
        self._inner.note(line)

    def show(self, avatar: Mesh | RiggedMesh, motions: Sequence[Motion] = ()) -> None:
        """This is how the avatar looks from now on."""
        if self._viewer is not None:
            self._viewer.show(avatar, motions)
        self._look = None
        if isinstance(avatar, Mesh):
            self._remember(0, lambda: avatar)
        elif not any(avatar is other for other in self._finished):
            self._finished.append(avatar)

    def follow(self, look: Callable[[], Mesh]) -> None:
        """Ask `look` for the surface every few steps."""
        if self._viewer is not None:
            self._viewer.follow(look)
        self._look = look

    def _remember(self, step: int, look: Callable[[], Mesh]) -> None:
        if step in self._kept:
            return  # by a run before this one, which took the same steps
        clock = Stopwatch()
        try:
            mesh = look()
            if mesh.vertex_colors is None:
                return
            colors = np.round(np.clip(mesh.vertex_colors, 0, 1) * 255).astype(np.uint8)
            self._kept[step] = Snapshot(mesh.vertices.astype(np.float32), colors)
            _write(self._path, self._key, self._kept)
        # A film is no reason to lose the run.
        except Exception as error:  # a film of the run must not end it
            self._look = None
            self._inner.note(f"no more pictures for the process video: {type(error).__name__}: {error}")
        self.seconds += clock.seconds

    def film(self, path: Path, settings: VideoSettings, faces: Integer[np.ndarray, "f 3"]) -> Path | None:
        """Write the film; None where there is nothing to show.

        Args:
            path: of the video.
            settings: its size and quality.
            faces: of the body's own mesh.

        Raises:
            OutputError: the file cannot be written or encoded.
            StoppedError: a stop was asked for.
        """
        snapshots = [self._kept[step] for step in sorted(self._kept) if len(self._kept[step].vertices) > faces.max()]
        if not snapshots or not self._finished:
            return None
        fps = min(settings.fps, _MOST_FPS)
        count = max(8, round(_SECONDS * fps))
        draw = _draftsman(snapshots, faces, self._finished[-2:], count, settings)
        self._inner.note(f"process video: {len(snapshots)} pictures of the optimisation took {self.seconds:.1f} s")
        return write_video(draw, count, path, fps, settings, "process video", self._inner)


def _write(path: Path, key: str, kept: dict[int, Snapshot]) -> None:
    steps = sorted(kept)
    tensors = {
        "steps": torch.tensor(steps),
        "vertices": torch.from_numpy(np.stack([kept[step].vertices for step in steps])),
        "colors": torch.from_numpy(np.stack([kept[step].colors for step in steps])),
    }
    save_tensors(path, tensors, {"key": key})


def _read(path: Path, key: str) -> dict[int, Snapshot]:
    try:
        tensors, metadata = load_tensors(path)
        if metadata.get("key") != key:
            return {}
        rows = zip(tensors["vertices"].numpy(), tensors["colors"].numpy(), strict=True)
        return {
            int(step): Snapshot(vertices, colors)
            for step, (vertices, colors) in zip(tensors["steps"], rows, strict=True)
        }
    except (FileNotFoundError, BrokenFileError, KeyError, ValueError, TypeError):
        return {}  # a film with fewer pictures is no harm


@dataclass(frozen=True, eq=False)
class _State:
    """What is drawn at one moment."""

    figure: Figure
    vertices: torch.Tensor


def _draftsman(
    snapshots: Sequence[Snapshot],
    faces: Integer[np.ndarray, "f 3"],
    finished: Sequence[RiggedMesh],
    count: int,
    settings: VideoSettings,
) -> Callable[[int], Frame]:
    """What draws frame after frame: snapshots flow into each other, finished meshes are faded to."""
    vertices = [torch.tensor(standing(rigged), dtype=torch.float32) for rigged in finished]
    everything = torch.cat([torch.from_numpy(snapshots[0].vertices), vertices[-1]])
    target = 0.5 * (everything.amin(0) + everything.amax(0))
    aspect = settings.width / settings.height
    distance = max(
        fitting_distance(everything, target, float(a), _ELEVATION_DEG, FOV_DEG, aspect) for a in range(0, 360, 30)
    )
    cameras = orbit(
        torch.arange(count) * (360.0 / count), _ELEVATION_DEG, distance, target, FOV_DEG, frame_size(settings)
    )
    plain = figure_of(Mesh(vertices=snapshots[0].vertices, faces=faces))
    figures = [
        seen_from(figure_of(rigged.mesh), points, cameras, distance, settings.supersample)
        for rigged, points in zip(finished, vertices, strict=True)
    ]
    starts = (_GROWING, _BEFORE)[: len(finished)]

    def growing(share: float) -> _State:
        place = share * (len(snapshots) - 1)
        first = min(int(place), len(snapshots) - 1)
        one, other = snapshots[first], snapshots[min(first + 1, len(snapshots) - 1)]
        part = place - first
        points = torch.from_numpy((1 - part) * one.vertices + part * other.vertices).float()
        colors = torch.from_numpy(((1 - part) * one.colors + part * other.colors) / 255).float()
        return _State(Figure(plain.faces, Surface(colors), plain.edges), points)

    def state(number: int, share: float) -> _State:
        """The optimisation (number 0) or a finished mesh (from 1)."""
        return growing(share) if number == 0 else _State(figures[number - 1], vertices[number - 1])

    def draw(index: int) -> Frame:
        now = index / count
        number = sum(now >= start for start in starts)
        share = min(1.0, now / _GROWING)

        def picture(which: int) -> Frame:
            shown = state(which, share)
            return draw_frame(shown.figure, shown.vertices, cameras[index], settings.supersample)

        since = now - starts[number - 1] if number else _FADE
        if since >= _FADE:
            return picture(number)
        mix = since / _FADE
        return np.round((1 - mix) * picture(number - 1) + mix * picture(number).astype(np.float64)).astype(np.uint8)

    return draw
