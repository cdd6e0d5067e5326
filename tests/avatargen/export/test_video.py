import io
import re
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from avatargen.core.errors import OutputError
from avatargen.core.settings import VideoSettings
from avatargen.core.values import Mesh, Motion, RiggedMesh, Skeleton
from avatargen.export.extras import films, write_frames
from avatargen.export.preview import head_of, preview, write_preview
from avatargen.export.video import (
    draw_frame,
    figure_of,
    follow,
    motion_shot,
    motion_video,
    turntable,
    turntable_shot,
    write_video,
)
from avatargen.render.cameras import orbit, project

SMALL = VideoSettings(width=64, height=64, fps=10, turntable_seconds=0.8, supersample=1, preview_width=320, crf=4)


def doll():
    """A capsule man with a red left hand, on two joints; the second carries the red hand."""
    body = trimesh.creation.capsule(1.2, 0.2, count=[12, 12])
    body.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))
    body.apply_translation((0, -body.bounds[0, 1], 0))
    hand = trimesh.creation.icosphere(2, 0.18).apply_translation((0.5, 1.0, 0))
    both = trimesh.util.concatenate([body, hand])
    colors = np.full((len(both.vertices), 3), 0.6)
    colors[len(body.vertices) :] = (0.9, 0.05, 0.05)
    colors.setflags(write=False)  # values may come from files and other processes
    mesh = Mesh(vertices=both.vertices.astype(np.float32), faces=both.faces.astype(np.int64), vertex_colors=colors)
    joints = np.array([[0, 0.8, 0], [0.3, 1.0, 0]])
    weights = np.zeros((len(both.vertices), 2))
    weights[: len(body.vertices), 0] = 1
    weights[len(body.vertices) :, 1] = 1
    skeleton = Skeleton(names=("root", "hand"), parents=(-1, 0), joints=joints)
    return RiggedMesh(mesh=mesh, skeleton=skeleton, weights=weights)


def walk(frames=12, metres=0.0, fps=10.0):
    place = np.tile(np.array([0.0, 0.8, 0.0]), (frames, 1))
    place[:, 0] = np.linspace(0, metres, frames)
    turns = np.tile(np.eye(3), (frames, 2, 1, 1))
    return Motion(
        rotations=turns, root_position=place, rest_root_height=0.8, joint_names=("root", "hand"), fps=fps, name="walk"
    )


def read(path):
    """What ffmpeg says about a video, and its frames."""
    tool = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path)]
    said = subprocess.run(tool, capture_output=True, text=True).stderr
    line = next(line for line in said.splitlines() if "Video:" in line)
    codec, pixels = re.search(r"Video: (\w+).*?, (\w+)\(", line).groups()
    width, height = map(int, re.search(r", (\d+)x(\d+)", line).groups())
    rate = float(re.search(r"([\d.]+) fps", line).group(1))
    raw = subprocess.run([*tool, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    return {"codec": codec, "pix_fmt": pixels, "fps": rate, "line": line}, frames


def red(frame):
    rows, columns = np.nonzero((frame[..., 0] > 90) & (frame[..., 1] < 60))
    return columns.mean(), rows.mean(), len(rows)


def test_a_turntable_is_h264_that_browsers_play_and_begins_at_the_front(tmp_path):
    path = turntable(doll(), tmp_path / "turn.mp4", SMALL)
    meta, frames = read(path)
    assert meta["codec"] == "h264"
    assert meta["pix_fmt"] == "yuv420p"
    assert "bt709" in meta["line"]
    assert meta["fps"] == 10
    assert frames.shape == (8, 64, 64, 3)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert red(frames[0])[0] > 38  # the left hand, on the right of a front view
    assert red(frames[4])[0] < 26
    assert red(frames[2])[0] == pytest.approx(31.5, abs=2)
    # The step over the loop's end is like any other.
    steps = [np.abs(frames[i].astype(float) - frames[i - 1]).mean() for i in range(8)]
    assert steps[0] < 1.5 * max(steps[1:])


def test_the_decoded_colors_are_those_drawn(tmp_path):
    colors = np.array([[200, 40, 30], [30, 160, 60], [40, 60, 190], [240, 220, 40]], np.uint8)
    shown = np.repeat(np.repeat(colors.reshape(2, 2, 3), 32, 0), 32, 1)
    _, frames = read(write_video(lambda index: shown, 2, tmp_path / "flat.mp4", 10, SMALL))
    middle = frames[1][16::32, 16::32]
    assert np.abs(middle.astype(int) - colors.reshape(2, 2, 3)).max() <= 6


def test_the_same_input_gives_the_same_bytes_with_any_number_of_threads(tmp_path):
    from dataclasses import replace

    first = turntable(doll(), tmp_path / "a.mp4", replace(SMALL, workers=1)).read_bytes()
    again = turntable(doll(), tmp_path / "b.mp4", replace(SMALL, workers=3)).read_bytes()
    assert first == again


def test_drawing_leaves_the_number_of_torch_threads_alone(tmp_path):
    before = torch.get_num_threads()
    turntable(doll(), tmp_path / "a.mp4", SMALL)
    assert torch.get_num_threads() == before


def test_a_failure_while_drawing_leaves_nothing_behind(tmp_path):
    def draw(index):
        if index == 3:
            raise RuntimeError("no more")
        return np.zeros((64, 64, 3), np.uint8)

    with pytest.raises(RuntimeError, match="no more"):
        write_video(draw, 8, tmp_path / "broken.mp4", 10, SMALL)
    assert not list(tmp_path.iterdir())


def test_what_ffmpeg_refuses_is_an_output_error_in_its_words(tmp_path):
    with pytest.raises(OutputError, match=r"ffmpeg could not encode a video \(64 x 64\):\n.*-1"):
        write_video(lambda index: np.zeros((64, 64, 3), np.uint8), 3, tmp_path / "x.mp4", -1, SMALL)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        turntable(doll(), tmp_path / "file" / "turn.mp4", SMALL)


def test_progress_counts_every_frame(tmp_path):
    class Counting:
        def __init__(self):
            self.stages, self.steps, self.finished = [], 0, 0

        def start(self, stage, total):
            self.stages.append((stage, total))

        def step(self, n=1, **values):
            self.steps += n

        def finish(self):
            self.finished += 1

        def note(self, line):
            raise AssertionError(line)

    reporter = Counting()
    turntable(doll(), tmp_path / "turn.mp4", SMALL, reporter)
    assert (reporter.stages, reporter.steps, reporter.finished) == ([("turntable", 8)], 8, 1)


def test_a_motion_video_moves_the_joints_and_keeps_the_speed_of_a_fast_motion(tmp_path):
    from dataclasses import replace

    motion = walk(24, fps=48.0)
    lift = np.array(motion.rotations)
    angle = np.linspace(0, 1.2, 24)
    lift[:, 1, 0, 0] = lift[:, 1, 1, 1] = np.cos(angle)
    lift[:, 1, 1, 0], lift[:, 1, 0, 1] = np.sin(angle), -np.sin(angle)
    path = motion_video(
        doll(), replace(motion, rotations=lift), tmp_path / "lift.mp4", replace(SMALL, max_fps=24, width=79)
    )
    meta, frames = read(path)
    assert frames.shape == (12, 64, 78, 3)
    assert meta["fps"] == 24
    assert red(frames[-1])[1] < red(frames[0])[1] - 4


def test_a_motion_of_other_joints_is_refused(tmp_path):
    from dataclasses import replace

    with pytest.raises(ValueError, match="retarget"):
        motion_video(doll(), replace(walk(), joint_names=("root", "foot")), tmp_path / "x.mp4", SMALL)


@pytest.mark.parametrize("metres", [0.0, 0.3, 6.0])
def test_the_camera_keeps_the_whole_motion_in_the_picture(metres):
    points = torch.tensor(doll().mesh.vertices)
    path = torch.zeros(60, 1, 3)
    path[:, 0, 2] = torch.linspace(0, metres, 60)
    frames = points + path
    targets, distance = follow(frames, 30.0, 0.8)
    cameras = orbit(28.0, 7.0, distance, targets, 26.0, (100, 80))
    seen = project(frames, cameras)[..., :2] / torch.tensor([80.0, 100.0])
    assert 0 < seen.min() < seen.max() < 1
    assert (seen - 0.5).abs().max() > 0.38  # and does not stand too far away
    steps = targets[1:] - targets[:-1]
    assert (steps[1:] - steps[:-1]).abs().max() < 0.01
    if metres < 1:
        assert steps.abs().max() == 0
    else:
        assert steps[30, 2] > 0.05


def test_a_frame_is_the_figure_on_a_light_floor_with_a_shadow():
    mesh = doll().mesh
    frame = draw_frame(
        figure_of(mesh), torch.tensor(mesh.vertices), orbit(0.0, 7.0, 5.0, (0, 0.8, 0), 26.0, (96, 96)), 2
    )
    assert frame.dtype == np.uint8
    assert frame[2, 2].min() > 180
    assert frame[90, 4].min() > 180
    column = frame[:, 48, 0].astype(int)
    below = column[-1]
    assert column[78:84].min() < below - 25


def test_the_preview_shows_front_side_back_and_a_close_face(tmp_path):
    rigged = doll()
    picture = preview(rigged, SMALL)
    assert picture.shape == (120, 320, 3)
    front, side, back, face = np.split(picture, [91, 142, 233], axis=1)
    assert red(front)[0] > 55
    assert red(back)[0] < 35
    assert red(side)[2] > 0
    figure = (np.abs(face.astype(int) - face[2, 2]) > 25).any(-1)
    assert figure.mean() > 0.25
    path = write_preview(rigged.mesh, tmp_path / "preview.png", SMALL, skeleton=rigged.skeleton)
    stored = np.asarray(Image.open(io.BytesIO(path.read_bytes())))
    assert stored.shape == (120, 320, 3)
    assert np.abs(stored.astype(int) - picture).mean() < 1


def test_the_head_reaches_from_the_neck_joint_to_the_top():
    vertices = torch.tensor(doll().mesh.vertices)
    top = float(vertices[:, 1].max())
    skeleton = Skeleton(names=("neck", "head"), parents=(-1, 0), joints=np.array([[0, 1.3, 0], [0, 1.4, 0]]))
    center, height = head_of(vertices, skeleton)
    assert height == pytest.approx(top - 1.3, abs=1e-5)
    assert 1.3 < center[1] < top
    assert head_of(vertices, None)[1] == pytest.approx(top / 7, abs=1e-4)


def test_no_vertex_of_a_dance_across_the_floor_leaves_the_picture_in_any_frame():
    from avatargen.body.open_body import load_open_body
    from avatargen.body.rigged import pose_rigged
    from motiongen.procedural.actions import procedural_clips

    body = load_open_body()
    points = body.template.numpy() - np.array([0, float(body.template[:, 1].min()), 0], dtype=np.float32)
    joints = (body.joint_regressor @ torch.from_numpy(points)).numpy()
    skeleton = Skeleton(names=body.joint_names, parents=body.parents, joints=joints)
    rigged = RiggedMesh(
        mesh=Mesh(vertices=points, faces=body.faces.numpy()), skeleton=skeleton, weights=body.weights.numpy()
    )
    chosen = [c.motion for c in procedural_clips(takes=1) if c.motion.name.split("/")[1] in ("squat_0", "lunge_0")]
    for motion in chosen:
        path = motion.root_position.astype(np.float32)
        path[:, 0] += np.linspace(0, 3, len(path), dtype=np.float32)
        posed = pose_rigged(rigged, motion.rotations.astype(np.float32), path)
        shot = motion_shot(rigged.mesh, posed, motion.fps, VideoSettings(supersample=1))
        seen = torch.cat([project(shot.vertices(i), shot.cameras[i]) for i in range(len(shot))])
        assert (shot.cameras.width, shot.cameras.height) == (1280, 720)
        assert seen[..., 0].min() > 0
        assert seen[..., 1].min() > 0
        assert seen[..., 0].max() < 1280
        assert seen[..., 1].max() < 720


def test_a_film_is_also_had_in_clay_as_frames_on_nothing_and_as_a_gif(tmp_path):
    from dataclasses import replace

    wanted = replace(SMALL, textureless=True, png_sequence=True, gif=True)
    written = films(turntable_shot(doll(), wanted), tmp_path / "turn.mp4", wanted)
    assert list(written) == ["turn.mp4", "turn.gif", "turn_textureless.mp4", "turn_frames/"]
    assert {p.name for p in tmp_path.iterdir()} == {name.rstrip("/") for name in written}
    _, painted = read(tmp_path / "turn.mp4")
    _, grey = read(tmp_path / "turn_textureless.mp4")
    assert len(painted) == len(grey) == 8
    assert np.ptp(painted.astype(int), axis=-1).max() > 80
    assert np.ptp(grey.astype(int), axis=-1).max() < 12
    with Image.open(tmp_path / "turn.gif") as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == 8
        assert gif.size == (64, 64)
    frames = sorted((tmp_path / "turn_frames").iterdir())
    assert [f.name for f in frames] == [f"{i:04d}.png" for i in range(8)]
    cut = np.asarray(Image.open(frames[0]))
    assert cut.shape == (64, 64, 4)
    assert (cut[0, 0] == 0).all()
    # Laid over what the video shows behind it, a frame is the video's but for the shadow.
    inside = cut[..., 3] == 255
    assert inside.mean() > 0.05
    assert np.abs(cut[..., :3].astype(int) - painted[0])[inside].mean() < 8


def test_frames_that_cannot_be_drawn_leave_the_older_ones(tmp_path, monkeypatch):
    folder = write_frames(turntable_shot(doll(), SMALL), tmp_path / "frames", SMALL)
    before = sorted(p.read_bytes() for p in folder.iterdir())

    def fail(*arguments):
        raise RuntimeError("no more")

    monkeypatch.setattr("avatargen.export.extras.cut_out", fail)
    with pytest.raises(RuntimeError, match="no more"):
        write_frames(turntable_shot(doll(), SMALL), tmp_path / "frames", SMALL)
    assert sorted(p.read_bytes() for p in folder.iterdir()) == before
    assert [p.name for p in tmp_path.iterdir()] == ["frames"]
