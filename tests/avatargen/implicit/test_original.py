import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatargen.body.open_body import load_open_body
from avatargen.core.config import load_settings
from avatargen.core.curves import Recording
from avatargen.core.errors import ConfigError
from avatargen.core.progress import Silent
from avatargen.core.rng import stream
from avatargen.core.settings import ImplicitSettings, OriginalSettings, PictureSettings
from avatargen.implicit import network_field, original, template
from avatargen.implicit.distance import surface_samples
from avatargen.implicit.stepping import run_steps
from avatargen.implicit.template import fit_template, rate_at, template_picture
from avatargen.render.raster import rasterize

OWN = OriginalSettings(
    width=48, layers=2, skip=(2,), octaves=4, color_width=16, color_layers=1, uniform=16, importance=8, rounds=2,
    template_steps=120, template_rays=1024, template_warm_up=10, warm_up=2, schedule=8, max_rays=400, rate=0.002,
)  # fmt: skip
SETTINGS = ImplicitSettings(
    method="original", steps=4, distance_mm=12.0, detail_mm=6.0, textureless_weight=1.0, mask_weight=1.0,
    checkpoint_every=2, original=OWN,
    pictures=PictureSettings(wording="original", light="harsh", backgrounds=("white",)),
)  # fmt: skip


class Listener:
    name, version, image_size, licence = "listener", "1", 32, "none"

    def __init__(self):
        self.shown, self.texts = [], []

    def encode_text(self, texts):
        self.texts += texts
        return torch.nn.functional.normalize(torch.tensor([[0.9, 0.5, 0.1]]), dim=-1).repeat(len(texts), 1)

    def encode_image(self, images):
        self.shown.append(images.detach())
        return torch.nn.functional.normalize(images.mean((2, 3)) + 0.01, dim=-1)


@pytest.fixture(scope="module")
def body():
    """The open body, whose distances are worked out once for all tests."""
    model, kept = load_open_body(), {}
    real = network_field.posed_field

    def once(*inputs):
        if "field" not in kept:
            kept["field"] = real(*inputs)
        return kept["field"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_field, "posed_field", once)
        yield model


def prepared(body, settings=SETTINGS, guidance=None):
    return original.prepare_original("a knight", body, torch.zeros(4), guidance or Listener(), settings, 0)


@pytest.fixture(scope="module")
def taught(body):
    """A scene whose field knows the coarse body, roughly."""
    scene = prepared(body)
    fit_template(scene.field, SETTINGS, stream(0, "t"), Silent())
    return scene


def test_the_preset_is_the_originals_recipe():
    large = load_settings(config=Path("presets/avatarclip.conf")).implicit
    assert large.original == OriginalSettings()
    assert (large.method, large.steps, large.views) == ("original", 30010, 1)
    weights = (large.textured_weight, large.textureless_weight, large.base_weight, large.mask_weight)
    assert (*weights, large.eikonal_weight) == (1.0, 1.0, 1.0, 1.0, 0.1)
    assert large.pictures.backgrounds == ("white", "noise", "checker", "black")
    small = load_settings(config=Path("presets/avatarclip_small.conf")).implicit
    assert small.original == OriginalSettings(
        width=128, layers=3, skip=(3,), color_width=128, color_layers=1, max_rays=7000, schedule=30000
    )
    assert small.pictures == large.pictures


def test_the_learning_rate_rises_for_500_steps_and_falls_along_a_cosine():
    large, small = OriginalSettings(), OriginalSettings(schedule=30000)
    assert rate_at(large, 250, 500, 100000) == pytest.approx(2.5e-4)
    assert rate_at(large, 500, 500, 100000) == pytest.approx(5e-4)
    assert rate_at(large, 30010, 500, 100000) / 5e-4 == pytest.approx(0.81, abs=0.005)
    assert rate_at(small, 30000, 500, 30000) == pytest.approx(2.5e-5)


def test_cameras_are_drawn_as_the_original_draws_them():
    generator = stream(0, "cameras")
    drawn = [original.step_camera(step, OriginalSettings(), 0.65, 32, generator) for step in range(1600)]
    faces = [camera for number, (_, camera) in enumerate(drawn) if number % 4 == 3]
    assert all((name == "face") == (number % 4 == 3) for number, (name, _) in enumerate(drawn))
    bodies = [(name, camera) for name, camera in drawn if name != "face"]
    assert sum(name == "back" for name, _ in bodies) / len(bodies) == pytest.approx(0.134, abs=0.03)
    for camera in faces[:50]:
        reach = camera.positions[0] - torch.tensor([0.0, 0.65, 0.3])
        assert float(reach.norm()) == pytest.approx(0.4, abs=1e-5)
        assert float(reach[1]) == pytest.approx(0.0, abs=1e-6)
        assert float(reach[2]) > 0.2
    places = torch.cat([camera.positions for _, camera in bodies])
    assert 0.5 < float(places.norm(dim=1).min()) < float(places.norm(dim=1).max()) < 2.6
    behind = torch.tensor([name == "back" for name, _ in bodies])
    assert float(places[behind, 2].max()) < 0.31
    assert math.degrees(float(drawn[0][1].fov_y)) == pytest.approx(60.0)


def test_rays_go_where_the_silhouette_is_and_ten_pixels_around_it_as_far_as_the_budget_goes(taught):
    for step in range(6):
        _, camera = original.step_camera(step, OWN, taught.head_height, 256, stream(step, "c"))
        sized, pixel = original.silhouette_rays(taught, camera)
        if len(pixel) == 0:
            continue
        assert 0.75 * OWN.max_rays < len(pixel) < 1.15 * OWN.max_rays
        wide = torch.zeros(sized.height**2, dtype=torch.bool)
        wide[pixel] = True
        seen = rasterize(taught.template, taught.faces, sized).mask.reshape(-1) > 0.5
        assert bool(wide[seen].all())
    plenty = replace(taught, settings=replace(SETTINGS, original=replace(OWN, max_rays=10**9)))
    assert original.silhouette_rays(plenty, camera)[0].height == 256
    plain = replace(taught, settings=replace(SETTINGS, original=replace(OWN, silhouettes=False)))
    assert len(original.silhouette_rays(plain, camera)[1]) == 113**2


def test_networks_that_were_taught_the_coarse_body_have_its_surface_and_color(taught):
    places, _ = surface_samples(taught.field.body.surface.corners, 0.03)
    with torch.no_grad():
        off = taught.field.distance(places).abs()
        _, _, _, base = taught.field.learned.look(taught.field.to_unit(places))
    assert float(off.mean()) < 0.015
    assert 0.4 < float(base.mean()) < 0.8
    assert float(taught.field.learned.sharpness.detach()) == pytest.approx(
        SETTINGS.sharpness * taught.field.scale, rel=1e-4
    )
    box = taught.field.bounds
    rim = torch.stack([box[0] + 0.001, box[1] - 0.001])
    assert float(taught.field.sdf(rim).min()) > 0
    outside, inside = taught.field.sdf(
        torch.stack([taught.field.center + torch.tensor([0.3, 0.0, 0.3]), places.mean(0)])
    )
    assert outside > 0
    assert inside < 0.05


def test_the_original_way_to_teach_them_lowers_its_loss(body):
    heard = []

    class Hearing(Silent):
        def step(self, n=1, **values):
            heard.append(values["loss"])

    settings = replace(SETTINGS, original=replace(OWN, template="render", template_steps=25, template_rays=256))
    scene = prepared(body, settings)
    fit_template(scene.field, settings, stream(0, "t"), Hearing())
    assert sum(heard[-5:]) < 0.8 * sum(heard[:5])
    assert float(scene.field.learned.log_sharpness.detach()) == pytest.approx(3.0, abs=0.2)  # exp(10 times 0.3), still


@pytest.mark.parametrize(("bad", "steps", "notes"), [({3}, 6, 1), (range(3, 99), 2, 7)])
def test_teaching_notices_what_is_no_number_and_ends_with_what_it_has(body, monkeypatch, bad, steps, notes):
    calls, heard = [], []

    def losses(field, own, generator):
        def loss():
            calls.append(1)
            size = sum(value.square().sum() for value in field.learned.parameters())
            return size * math.nan if len(calls) in bad else size

        return loss

    class Hearing(Silent):
        def step(self, n=1, **values):
            heard.append(values["loss"])

        def note(self, line):
            heard.append(line)

    monkeypatch.setattr(template, "_distance_loss", losses)
    settings = replace(SETTINGS, original=replace(OWN, template="distance", template_steps=6))
    scene = prepared(body, settings)
    fit_template(scene.field, settings, stream(0, "t"), Hearing())
    assert (len([h for h in heard if isinstance(h, float)]), len([h for h in heard if isinstance(h, str)])) == (
        steps,
        notes,
    )
    assert all(bool(torch.isfinite(value).all()) for value in scene.field.learned.parameters())


def test_a_step_shows_a_lit_and_a_grey_picture_before_an_untouched_background(taught):
    listener = Listener()
    scene = replace(taught, guidance=listener)
    loss, score = original.original_loss(scene, 0, stream(1, "step"))
    (images,) = listener.shown
    assert images.shape[:2] == (2, 3)
    torch.testing.assert_close(images[:, :, 0, 0], torch.ones(2, 3))
    grey = images[1]
    torch.testing.assert_close(grey.amax(0)[grey.amin(0) < 0.9], grey.amin(0)[grey.amin(0) < 0.9], atol=0.35, rtol=0)
    assert -1.0 <= score <= 1.0
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in scene.field.learned.parameters())
    scene.field.learned.zero_grad()
    listener.shown.clear()
    one = replace(scene, settings=replace(SETTINGS, textureless_weight=0.0))
    original.original_loss(one, 0, stream(1, "step"))
    assert [len(shown) for shown in listener.shown] == [1]


def test_one_sweep_gives_the_same_loss_and_gradients_as_the_originals_second_pass(taught):
    learned, found = taught.field.learned, []
    for way in ("twice", "sweep"):
        learned.gradient = way
        learned.zero_grad()
        loss, _ = original.original_loss(taught, 0, stream(1, "step"))
        loss.backward()
        found.append((loss.detach(), [p.grad.clone() for p in learned.parameters()]))
    learned.zero_grad()
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    for twice, sweep in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(twice, sweep, rtol=1e-2, atol=1e-4 * float(twice.abs().max() + 1))


def test_views_are_told_as_the_original_tells_them(body):
    listener = Listener()
    prepared(body, guidance=listener)
    told = [text for text in listener.texts if "knight" in text]
    for words in ("a knight", "the face of a knight", "the back of a knight"):
        assert f"a 3D rendering of {words} in unreal engine" in told


def test_the_template_picture_is_white_under_half_ambient_half_overhead_light(taught):
    _, camera = original.step_camera(0, OWN, taught.head_height, 64, stream(3, "c"))
    color, mask = template_picture(taught.template, taught.faces, camera)
    inside = color[mask > 0]
    assert 0.49 < float(inside.min()) < 0.55 < float(inside.max()) <= 1.0 + 1e-5
    assert float(color[mask == 0].abs().max()) == 0.0


def test_the_same_seed_gives_the_same_avatar_and_going_on_equals_going_through(body, tmp_path, monkeypatch):
    settings = replace(SETTINGS, original=replace(OWN, template_steps=3))

    def run(**more):
        return original.fit_original("a knight", body, torch.zeros(4), Listener(), settings, 0, **more).state()

    told, told_again = Recording(Silent()), Recording(Silent())
    straight = run(reporter=told)
    path = tmp_path / "fit.safetensors"

    def half(settings, *rest):
        run_steps(replace(settings, steps=2), *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(original, "run_steps", half)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path)
    monkeypatch.setattr(original, "run_steps", run_steps)
    resumed = run(checkpoint=path, reporter=told_again)
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    curves = told.take()
    assert [len(curves[stage]["loss"]) for stage in curves] == [3, SETTINGS.steps]
    assert told_again.take() == curves


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": -3}, "original.width = -3: at least 4"),
        ({"max_rays": 0}, "at least 64"),
        ({"gradient": "thrice"}, "twice and sweep"),
        ({"template": "magic"}, "distance and render"),
        ({"importance": 30}, "cannot be spread over 4 rounds"),
        ({"skip": (9,)}, "layers 1 to 4"),
        ({"width": 32}, "must exceed 39"),
    ],
)
def test_settings_that_make_no_network_are_errors(change, words):
    with pytest.raises(ConfigError, match=words):
        original.check_original(replace(OriginalSettings(), **change))
