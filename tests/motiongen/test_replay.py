from dataclasses import replace

import numpy as np
import pytest
import torch

from avatargen.core.settings import MotionSettings
from motiongen.checks import Seen, passes
from motiongen.codebook import load_motion_codebook
from motiongen.finish import finish_motion
from motiongen.motion_features import RATE
from motiongen.motion_vae import load_motion_vae
from motiongen.replay import lost_details


@pytest.fixture(scope="module")
def book():
    return load_motion_codebook()


@pytest.fixture(scope="module")
def vae():
    return load_motion_vae()


def row_of(book, name: str) -> int:
    return int((book.clip == book.names.index(name)).nonzero()[0])


@pytest.mark.parametrize(
    ("name", "check"),
    [("procedural/nod_0", "nods"), ("procedural/shiver_1_mirrored", "shivers"), ("procedural/wave_0", "waves")],
)
def test_small_movements_that_the_vae_loses_come_back(book, vae, puppet, name, check):
    row = row_of(book, name)
    details = lost_details(vae, book, torch.tensor([row]))
    joints = puppet.joints[:24].double().numpy()
    settings = MotionSettings()
    motion = finish_motion(book.latents[row], vae, puppet, settings, name, details[0])
    assert passes(check, Seen(motion=motion, joints=joints))


def test_with_its_details_a_clip_of_our_own_is_what_it_was_made_as(book, vae):
    from avatargen.core.rng import numpy_stream
    from motiongen.dataset import finished_clips
    from motiongen.procedural.actions import ACTIONS, take_of

    row = row_of(book, "procedural/nod_0")
    details = lost_details(vae, book, torch.tensor([row]))
    made = vae.motion(book.latents[row][None], 60, details).rotations[0]
    nod = next(action for action in ACTIONS if action.name == "nod")
    clip = finished_clips([take_of(nod, 0, numpy_stream(0, "procedural/nod/0"))], RATE, mirror=False)[0].motion
    begin = float(book.begin[row])
    inside = [t for t in range(60) if 0 <= begin + t < len(clip.rotations) - 1 and (begin + t) % 1 < 1e-6]
    told = clip.rotations[[int(begin) + t for t in inside], 1:22]
    if inside:
        assert float(np.abs(made[inside, 1:22].numpy() - told).max()) < 0.05


def test_clips_that_are_not_ours_or_changed_since_get_nothing(book, vae):
    captured = next(i for i in range(len(book.clip)) if not book.names[int(book.clip[i])].startswith("procedural/"))
    own = row_of(book, "procedural/nod_0")
    assert not lost_details(vae, book, torch.tensor([captured])).any()
    moved = replace(book, latents=book.latents + 2.0)
    assert not lost_details(vae, moved, torch.tensor([own])).any()
    assert not lost_details(vae, replace(book, names=()), torch.tensor([own])).any()
