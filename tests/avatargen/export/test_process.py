"""A ball that grows from red to blue, and a finished green one."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import trimesh

from avatargen.core.progress import Silent
from avatargen.core.settings import VideoSettings
from avatargen.core.values import Mesh, RiggedMesh, Skeleton
from avatargen.export.process import Process

SMALL = VideoSettings(width=64, height=64, fps=10, supersample=1, crf=4)
BALL = trimesh.creation.icosphere(2, 0.4)
FACES = BALL.faces.astype(np.int64)


def ball(size=1.0, color=(0.9, 0.1, 0.1)):
    points = (BALL.vertices * size + np.array([0, 0.5, 0])).astype(np.float32)
    return Mesh(vertices=points, faces=FACES, vertex_colors=np.tile(np.float32(color), (len(points), 1)))


def rigged(color):
    skeleton = Skeleton(names=("root",), parents=(-1,), joints=np.zeros((1, 3), dtype=np.float32))
    return RiggedMesh(mesh=ball(1.2, color), skeleton=skeleton, weights=np.ones((len(BALL.vertices), 1)))


class Watcher(Silent):
    """Remembers what it is told as reporter and as viewer."""

    def __init__(self):
        self.told = []

    def step(self, n=1, **values):
        self.told.append(("step", n, values))

    def note(self, line):
        self.told.append(("note", line))

    def show(self, avatar, motions=()):
        self.told.append(("show", avatar))

    def follow(self, look):
        self.told.append(("follow", look))


def optimise(process, steps=48, start=0, broken=False):
    """What a run tells while a ball turns blue and larger."""
    done = [start]

    def look():
        if broken:
            raise ValueError("no surface")
        share = done[0] / steps
        return ball(1 + 0.2 * share, (0.9 - 0.8 * share, 0.1, 0.1 + 0.8 * share))

    process.show(ball())
    process.follow(look)
    process.start("sculpting", steps)
    if start:
        process.step(start)
    while done[0] < steps:
        done[0] += 1
        process.step(loss=1.0, score=0.5)
    process.finish()


def frames(path, size=64):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24"]
    data = subprocess.run([*command, "-"], capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, size, size, 3)


def middle(frame):
    return frame[28:36, 28:36].mean((0, 1))


def test_the_film_goes_from_the_first_state_over_the_optimisation_to_the_finished_meshes(tmp_path):
    process = Process(Silent(), None, tmp_path / "process.safetensors", "key")
    optimise(process)
    first, last = rigged((0.1, 0.8, 0.1)), rigged((0.9, 0.9, 0.1))
    for avatar in (first, last, last):
        process.show(avatar)
    path = process.film(tmp_path / "process.mp4", SMALL, FACES)
    shown = frames(path)
    assert len(shown) == 60
    assert middle(shown[0]).argmax() == 0
    assert middle(shown[34]).argmax() == 2  # just before the surface: blue
    assert middle(shown[41]).argmax() == 1  # the finished, not yet refined: green
    red, green, blue = middle(shown[-1])
    assert min(red, green) > blue + 80  # refined: yellow
    heights = [int((np.ptp(frame.astype(int), axis=2) > 60).any(1).sum()) for frame in (shown[0], shown[34])]
    assert heights[1] > 1.1 * heights[0]


def test_everything_is_passed_on_unchanged(tmp_path):
    inner = Watcher()
    process = Process(inner, inner, tmp_path / "process.safetensors", "key")
    optimise(process, steps=5)
    kinds = [told[0] for told in inner.told]
    assert kinds == ["show", "follow", *["step"] * 5]
    assert inner.told[-1] == ("step", 1, {"loss": 1.0, "score": 0.5})


def test_a_run_that_goes_on_keeps_the_pictures_of_the_one_before(tmp_path):
    whole, halves = (Process(Silent(), None, tmp_path / f"{name}.safetensors", "key") for name in ("a", "b"))
    optimise(whole)
    optimise(halves, steps=24)
    again = Process(Silent(), None, tmp_path / "a.safetensors", "key")
    optimise(again, start=30)
    again.show(rigged((0.1, 0.8, 0.1)))
    whole.show(rigged((0.1, 0.8, 0.1)))
    one, other = (p.film(tmp_path / f"{n}.mp4", SMALL, FACES) for n, p in enumerate((whole, again)))
    assert one.read_bytes() == other.read_bytes()


def test_pictures_of_other_runs_and_broken_files_are_not_used(tmp_path):
    path = tmp_path / "process.safetensors"
    optimise(Process(Silent(), None, path, "key"))
    for key, data in (("other", path.read_bytes()), ("key", path.read_bytes()[:500])):
        path.write_bytes(data)
        process = Process(Silent(), None, path, key)
        process.show(rigged((0.1, 0.8, 0.1)))
        assert process.film(tmp_path / "none.mp4", SMALL, FACES) is None
    assert not (tmp_path / "none.mp4").exists()


def test_a_surface_that_cannot_be_had_ends_the_pictures_not_the_run(tmp_path):
    inner = Watcher()
    process = Process(inner, None, tmp_path / "process.safetensors", "key")
    optimise(process, broken=True)
    notes = [told[1] for told in inner.told if told[0] == "note"]
    assert notes == ["no more pictures for the process video: ValueError: no surface"]
    assert sum(told[0] == "step" for told in inner.told) == 48


@pytest.mark.parametrize("steps", [1, 7, 24, 100])
def test_about_two_dozen_pictures_are_kept_whatever_the_number_of_steps(tmp_path, steps):
    process = Process(Silent(), None, tmp_path / "process.safetensors", "key")
    optimise(process, steps=steps)
    assert min(steps, 24) + 1 <= len(process._kept) <= 35
    assert max(process._kept) == steps
