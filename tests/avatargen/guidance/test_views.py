import math

import pytest
import torch

from avatargen.body.open_body import load_open_body
from avatargen.body.posing import pose_body
from avatargen.body.skeleton import a_pose
from avatargen.core.errors import InputError
from avatargen.core.parts import PARTS
from avatargen.core.rng import stream
from avatargen.guidance.prompts import VIEWS
from avatargen.guidance.views import named_view, random_view
from avatargen.render.cameras import orbit, project


@pytest.fixture(scope="module")
def body():
    return load_open_body()


@pytest.fixture(scope="module", params=[-2.0, 0.0, 2.0])
def posed(request, body):
    betas = torch.zeros(1, body.num_betas)
    betas[0, 0] = request.param
    return pose_body(body, betas, a_pose()[None])


def inside(body, posed, view, parts, margin=1.0):
    cameras = orbit(view.azimuth_deg, view.elevation_deg, view.distance, view.target, view.fov_deg, 100)
    chosen = torch.isin(body.parts, torch.tensor([PARTS.index(p) for p in parts]))
    corners = body.faces[chosen].unique()
    flat = project(posed.vertices[0, corners], cameras)[0, :, :2]
    return ((flat > -margin) & (flat < 100 + margin)).all(-1).float().mean().item()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("body", PARTS),
        ("back", PARTS),
        ("face", ("face", "lips", "left_eye", "right_eye", "left_brow", "right_brow")),
        ("upper", ("upper_torso", "face", "scalp")),
        ("lower", ("pelvis", "left_thigh", "right_thigh", "left_shin", "right_shin", "left_foot", "right_foot")),
        ("hands", ("left_hand",)),
        ("feet", ("left_foot", "right_foot")),
    ],
)
def test_each_view_shows_what_it_is_named_for(body, posed, name, parts):
    assert inside(body, posed, named_view(name, posed.joints[0]), parts) > 0.99


def test_the_right_hand_is_shown_from_its_own_side(body, posed):
    assert inside(body, posed, named_view("hands", posed.joints[0], -60.0), ("right_hand",)) > 0.99


def test_a_body_fills_its_picture(body, posed):
    view = named_view("body", posed.joints[0])
    tall = (posed.vertices[0, :, 1].max() - posed.vertices[0, :, 1].min()).item()
    seen = 2 * view.distance * math.tan(math.radians(view.fov_deg / 2))
    assert 0.6 < tall / seen < 0.99


def test_random_bodies_are_called_back_exactly_behind(body, posed):
    generator = stream(0, "views")
    views = [random_view("body", posed.joints[0], generator) for _ in range(300)]
    assert all((view.name == "back") == (abs(view.azimuth_deg) > 90) for view in views)
    assert 0.05 < sum(view.name == "back" for view in views) / 300 < 0.25
    assert all(inside(body, posed, view, ("upper_torso",)) > 0.9 for view in views[:20])


def test_the_same_stream_gives_the_same_view(posed):
    for name in VIEWS:
        first = random_view(name, posed.joints[0], stream(1, "v"))
        assert first == random_view(name, posed.joints[0], stream(1, "v"))


def test_unknown_views_are_refused(posed):
    with pytest.raises(InputError, match="there are body, back"):
        named_view("ear", posed.joints[0])
