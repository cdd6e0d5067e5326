"""The body itself as the finished mesh, in its own UVs and its own look."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from avatargen.body.look import base_color_at
from avatargen.body.open_body import load_open_body
from avatargen.body.posing import pose_body
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import ConfigError
from avatargen.core.parts import PART_ID
from avatargen.core.rng import stream
from avatargen.core.settings import ImplicitSettings, RefineSettings
from avatargen.core.values import Mesh
from avatargen.evaluate.crossings import crossing_faces
from avatargen.guidance.clip import prepare_images
from avatargen.guidance.clip_model import Clip, VisionTransformer
from avatargen.guidance.losses import unit
from avatargen.implicit import refine
from avatargen.mesh.template import free_ways
from avatargen.mesh.texture import repaint
from avatargen.render.shading import vertex_normals

SETTINGS = RefineSettings(
    steps=4, views=2, image_size=64, detail="on", cells_mm=(96.0, 48.0), color_rate=0.3, shape_rate=0.001,
    keep_weight=0.0, checkpoint_every=2,
)  # fmt: skip
IMPLICIT = ImplicitSettings(direction_weight=0.0)
ASKED = torch.tensor([[0.45, 0.3, -0.45]])


class Yellow:
    """Likes pictures whose middle is yellow, whatever is asked."""

    name, version, image_size, licence = "fake", "1", 32, "none"

    def encode_text(self, texts):
        return unit(ASKED).repeat(len(texts), 1)

    def encode_image(self, images):
        size = images.shape[-1]
        part = images[:, :, int(0.3 * size) : int(0.55 * size), int(0.4 * size) : int(0.6 * size)]
        return unit(part.mean((2, 3)) - 0.5)


class TinyClip:
    """CLIP's code with small random weights."""

    name, version, image_size, licence = "clip:tiny", "1", 32, "none"

    def __init__(self):
        self.model = Clip(VisionTransformer(32, 8, 64, 2, 24), 512, 20, 64, 2).eval().requires_grad_(False)
        draws = stream(0, "tiny clip")
        for name, value in self.model.named_parameters():
            width, middle = (value[0].numel(), 0.0) if value.ndim > 1 else (25, float(name.endswith("weight")))
            nn.init.normal_(value, middle, std=1.2 / width**0.5, generator=draws)
        self.asked = unit(self.encode_image(torch.tensor([0.9, 0.2, 0.1])[None, :, None, None].expand(1, 3, 32, 32)))

    def encode_text(self, texts):
        return self.asked.repeat(len(texts), 1)

    def encode_image(self, images):
        return unit(self.model.encode_image(prepare_images(images, self.image_size)))


class Notes:
    def __init__(self):
        self.lines, self.losses = [], []

    def start(self, stage, total):
        pass

    def step(self, n=1, **values):
        self.losses.append(values["loss"])

    def finish(self):
        pass

    def note(self, line):
        self.lines.append(line)


@pytest.fixture(scope="module")
def body():
    return load_open_body()


@pytest.fixture(scope="module")
def posed(body):
    return pose_body(body, torch.zeros(1, 4), a_pose()[None])


@pytest.fixture(scope="module")
def mesh(body, posed):
    plain = Mesh(
        vertices=posed.vertices[0].numpy(), faces=body.faces.numpy(), uvs=body.uvs.numpy(),
        uv_faces=body.uv_faces.numpy(),
    )  # fmt: skip
    return repaint(plain, lambda face, bary: base_color_at(body, face, bary), 256)


@pytest.fixture(scope="module")
def parts_of(body, mesh, posed):
    canvas = refine.canvas_of(mesh, body, posed, "cpu")
    ways = vertex_normals(canvas.vertices, canvas.faces)
    room = np.minimum(*(free_ways(mesh, ways.numpy(), np.full(len(ways), side)) for side in (1.0, -1.0)))
    return canvas, ways, torch.from_numpy(room).float()


@pytest.fixture(scope="module")
def run(body, posed, parts_of):
    def make(settings=SETTINGS, seed=0, guidance=None, implicit=IMPLICIT, reporter=None, checkpoint=None):
        betas, judge = torch.zeros(4), guidance or Yellow()
        return refine.refine_avatar(
            "yellow", *parts_of, body, betas, posed.joints[0], judge, implicit, settings, seed, reporter, checkpoint
        )

    return make


def seen(refined, canvas, part):
    """Colors in the middle of the faces of a part."""
    face = torch.nonzero((canvas.parts[canvas.faces] == PART_ID[part]).all(1)).squeeze(1)
    return refined.colors(face, torch.full((len(face), 3), 1 / 3))


@pytest.fixture(scope="module")
def straight(run):
    return run()


def same(one, other, canvas):
    return torch.equal(one.offsets, other.offsets) and torch.equal(
        seen(one, canvas, "upper_torso"), seen(other, canvas, "upper_torso")
    )


def test_the_same_seed_gives_the_same_mesh_bit_by_bit_and_another_another(run, straight, parts_of):
    assert same(run(), straight, parts_of[0])
    assert not same(run(seed=1), straight, parts_of[0])


def test_stopping_and_going_on_equals_going_straight_through(run, straight, parts_of, tmp_path, monkeypatch):
    path, real, notes = tmp_path / "refine.safetensors", refine._step, Notes()

    def dies_in_the_fourth(scene, progress):
        if progress.step == 3:
            raise KeyboardInterrupt
        return real(scene, progress)

    monkeypatch.setattr(refine, "_step", dies_in_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path)
    monkeypatch.setattr(refine, "_step", real)
    resumed = run(checkpoint=path, reporter=notes)
    assert notes.lines == ["refining: continuing at step 2 of 4"]
    assert same(resumed, straight, parts_of[0])


def test_texels_reach_the_color_that_is_asked_for(run, parts_of):
    refined = run(replace(SETTINGS, steps=30, color_rate=0.2, offset_mm=0.0))
    assert refined.after > refined.before + 0.25
    torso = seen(refined, parts_of[0], "lower_torso").mean(0)
    assert float(unit(torso - 0.5) @ unit(ASKED)[0]) > 0.95
    assert float(refined.offsets.abs().max()) == 0.0


def test_offsets_stay_within_the_limits_of_their_parts_and_the_mesh_does_not_run_through_itself(run, mesh, parts_of):
    canvas, ways, room = parts_of
    # No smoothness, and a rate that takes every vertex to its limit.
    rough = replace(IMPLICIT, textureless_every=1)
    refined = run(replace(SETTINGS, steps=6, shape_rate=0.01), implicit=rough)
    moved = replace(mesh, vertices=(canvas.vertices + refined.offsets[:, None] * ways).numpy())
    assert float(refined.offsets.abs().max()) > 0.0005
    assert float(refined.offsets.max()) <= 0.002 + 2e-6
    assert bool((refined.offsets.abs() <= 0.25 * room + 1e-6).all())
    for part, most in {"face": 0.0, "left_eye": 0.0, "left_hand": 0.00014, "right_hand": 0.00014}.items():
        assert float(refined.offsets[canvas.parts == PART_ID[part]].abs().max()) <= most
    assert int((crossing_faces(moved) & ~crossing_faces(mesh)).sum()) == 0


def test_the_embedded_guidance_moves_no_single_texel_and_no_vertex(run, parts_of):
    judge = Yellow()
    judge.name = "embedded"
    refined = run(replace(SETTINGS, detail="auto"), guidance=judge)
    start = run(replace(SETTINGS, steps=0))
    assert float(refined.offsets.abs().max()) == 0.0
    assert same(refined, start, parts_of[0])


def test_what_the_judge_likes_less_is_taken_back(run, parts_of, monkeypatch):
    def spoil(optimizer, loss):
        with torch.no_grad():
            for group in optimizer.param_groups:
                for value in group["params"]:
                    value.sub_(2.0 * torch.tensor([0.9, 0.6, -0.9]) if value.ndim == 2 else 0.0)
        return float(loss.detach())

    monkeypatch.setattr(refine, "sound_step", spoil)
    refined = run()
    assert refined.after == refined.before
    assert same(refined, run(replace(SETTINGS, steps=0)), parts_of[0])


def test_with_clip_the_score_rises(run):
    refined = run(replace(SETTINGS, steps=12), guidance=TinyClip())
    assert refined.after > refined.before + 0.04


@pytest.mark.parametrize(
    "change",
    [{"detail": "maybe"}, {"steps": -1}, {"crisp": 1.5}, {"offset_mm": 50.0}, {"image_size": 4}, {"views": 0}],
)
def test_settings_that_cannot_be_used_are_told(change):
    with pytest.raises(ConfigError, match=r"refine\."):
        refine.check_refine(replace(SETTINGS, **change))
