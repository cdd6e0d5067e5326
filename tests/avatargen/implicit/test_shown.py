"""Each part of how guidance is applied does what its setting says, and leaves the rest of a step alone."""

from dataclasses import replace

import pytest
import torch

from avatargen.body.open_body import load_open_body
from avatargen.core.errors import ConfigError
from avatargen.core.rng import stream
from avatargen.core.settings import ImplicitSettings, PictureSettings
from avatargen.guidance.augment import random_maps, warp
from avatargen.implicit import fit
from avatargen.implicit.shown import backdrops, check_pictures, color_light
from avatargen.implicit.words import encode_words
from avatargen.render.cameras import orbit

SETTINGS = ImplicitSettings(
    steps=6, views=4, image_size=32, distance_mm=12.0, detail_mm=6.0, sculpt="off",
    shape_levels_mm=(64.0, 32.0), color_levels_mm=(96.0, 48.0), direction_weight=0.0,
)  # fmt: skip


class Listener:
    """Features of pictures are their mean colors; it remembers what it was shown and told."""

    name, version, image_size, licence = "listener", "1", 32, "none"

    def __init__(self):
        self.texts, self.shown = [], []

    def encode_text(self, texts):
        self.texts += texts
        number = torch.tensor([[float(sum(map(ord, text)) % 7 + 1), 3.0, 1.0] for text in texts])
        return torch.nn.functional.normalize(number, dim=-1)

    def encode_image(self, images):
        self.shown.append(images.detach())
        return torch.nn.functional.normalize(images.mean((2, 3)) + 0.01, dim=-1)


@pytest.fixture(scope="module")
def body():
    return load_open_body()


@pytest.fixture(scope="module")
def scene(body):
    return fit.prepare("a red knight", body, torch.zeros(4), Listener(), SETTINGS)


def take(scene, step=0, seed=3, **pictures):
    """Loss of one step, with these switches, and what was shown: plain pictures, then the avatar's."""
    listener = Listener()
    settings = replace(scene.settings, pictures=PictureSettings(**pictures))
    words = encode_words("a red knight", listener, settings=settings.pictures)
    changed = replace(scene, settings=settings, guidance=listener, words=words)
    loss, _ = fit.step_loss(changed, step, stream(seed, "step"))
    return float(loss.detach()), listener.shown


def told(**pictures):
    listener = Listener()
    encode_words("a red knight", listener, settings=PictureSettings(**pictures))
    return [text for text in listener.texts if "knight" in text]


def test_the_views_of_a_step_are_one_batch(scene):
    _, (plain, avatar) = take(scene)
    assert plain.shape == avatar.shape == (4, 3, 32, 32)


def test_kinds_choose_the_views(scene):
    _, (_, faces) = take(scene, kinds=("face",), backgrounds=("white",), light="none")
    _, (_, bodies) = take(scene, kinds=("body",), backgrounds=("white",), light="none")
    covered = [float(((images - 1).abs().sum(1) > 0.02).float().mean()) for images in (faces, bodies)]
    assert covered[0] > 2 * covered[1]


@pytest.mark.parametrize(("name", "level"), [("white", 1.0), ("black", 0.0), ("grey", 0.5)])
def test_backgrounds_are_those_that_were_asked_for(scene, name, level):
    _, shown = take(scene, backgrounds=(name,), kinds=("body",))
    for images in shown:
        torch.testing.assert_close(images[:, :, 0, 0], torch.full((4, 3), level))


def test_light_can_be_gentle_harsh_or_none_and_draws_alike():
    cameras = orbit(torch.linspace(0, 300, 6), 0.0, 3.0, size=8)
    lights, states = {}, []
    for kind in ("gentle", "harsh", "none"):
        generator = stream(1, "light")
        lights[kind] = color_light(PictureSettings(light=kind), generator, cameras)
        states.append(generator.get_state())
    assert all(torch.equal(states[0], state) for state in states)
    assert 0.55 <= float(lights["gentle"].ambient.min()) <= float(lights["gentle"].ambient.max()) <= 0.95
    assert 0.0 <= float(lights["harsh"].ambient.min()) <= float(lights["harsh"].ambient.max()) <= 0.2
    for kind in ("gentle", "harsh"):
        torch.testing.assert_close(lights[kind].ambient + lights[kind].diffuse, torch.ones(6))
        assert torch.equal(lights[kind].direction, lights["none"].direction)
    assert torch.equal(lights["none"].ambient, torch.ones(6))
    assert not bool(lights["none"].diffuse.any())


def test_crops_and_perspective_show_the_same_step_through_a_map_and_the_plain_body_through_the_same(scene):
    _, plain = take(scene, backgrounds=("white",))
    _, mapped = take(scene, backgrounds=("white",), crop=0.6, perspective=0.1)
    generator = stream(3, "step")
    # What the step draws before the maps does not change: the maps are what comes next in the stream.
    shown = PictureSettings(backgrounds=("white",))
    cameras = fit.step_cameras(fit.step_views(0, 4), scene.field.joints, 32, generator)[1]
    color_light(shown, generator, cameras)
    backdrops(shown, "listener", cameras, generator)
    maps = random_maps(4, 0.6, 0.1, generator)
    for before, after in zip(plain, mapped, strict=True):
        torch.testing.assert_close(warp(before, maps), after, rtol=0, atol=1e-5)


def test_each_view_is_told_in_its_own_words_unless_switched_off():
    assert any("the face of" in text for text in told())
    assert any("from behind" in text for text in told())
    assert set(told(view_words=False, wording="plain")) == {"a red knight", "an untextured sculpture of a red knight"}


def test_wordings_can_be_chosen_and_replaced():
    assert "a 3D rendering of the back of a red knight in unreal engine" in told(wording="original")
    assert "the colors of a red knight" in told(wording="paint")
    own = told(wording="plain", templates=("face: a photo of the face of {}", "body: {} in oil", "body: my knight"))
    assert {"a photo of the face of a red knight", "a red knight in oil", "my knight"} <= set(own)
    assert "the face of a red knight" not in own
    assert "an untextured sculpture of a red knight" not in own


def test_negative_texts_cost_what_pictures_share_with_them(scene):
    without, (_, avatar) = take(scene)
    one, _ = take(scene, negative=("smoke",), negative_weight=0.5)
    listener = Listener()
    unwanted = encode_words("x", listener, settings=PictureSettings(negative=("smoke",))).negative
    kinds = fit.step_cameras(fit.step_views(0, 4), scene.field.joints, 32, stream(3, "step"))[0]
    texts = torch.cat([unwanted[kind] for kind in kinds])
    cosine = (listener.encode_image(avatar) * texts).sum(1)
    assert one - without == pytest.approx(0.5 * float(cosine.clamp_min(0).mean()), abs=1e-4)


def test_the_direction_loss_and_grey_pictures_can_be_switched(body, scene):
    listener = Listener()
    with_direction = replace(scene, settings=replace(scene.settings, direction_weight=1.0), guidance=listener)
    loss, _ = fit.step_loss(with_direction, 0, stream(3, "step"))
    # At the start the avatar is the plain body: its change is none, and costs one.
    plain, _ = fit.step_loss(replace(scene, guidance=listener), 0, stream(3, "step"))
    assert float((loss - plain).detach()) == pytest.approx(1.0, abs=1e-4)
    sculpted = fit.prepare("x", body, torch.zeros(4), listener, replace(SETTINGS, sculpt="on", samples=8))
    for every, rows in ((2, 8), (0, 4)):
        listener.shown.clear()
        settings = replace(sculpted.settings, textureless_every=every)
        fit.step_loss(replace(sculpted, settings=settings), 0, stream(3, "step"))
        assert [len(images) for images in listener.shown] == [4, rows]


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        ({"wording": "baroque"}, "implicit.pictures.wording: 'baroque'"),
        ({"light": "dim"}, "gentle, harsh, none"),
        ({"backgrounds": ("pink",)}, "white, black"),
        ({"kinds": ("ear",)}, "body, back"),
        ({"templates": ("ear: {}",)}, "does not say for which view"),
        ({"templates": ("no colon",)}, "does not say for which view"),
        ({"crop": 0.0}, "not in 0.1..1"),
        ({"perspective": 0.9}, "not in 0..0.3"),
        ({"negative_weight": -1.0}, "not in 0..10"),
    ],
)
def test_what_no_step_could_use_is_an_error(switch, words):
    with pytest.raises(ConfigError, match=words.replace(".", r"\.")):
        check_pictures(PictureSettings(**switch))
