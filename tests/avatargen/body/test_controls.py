"""Bodies by numbers: the numbers hold on the mesh, the rest stays as near as it can."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from avatargen.body.controls import FARTHEST, asked_of, check_controls, control_shape, controls_of
from avatargen.body.measure import DENSITY_KG_M3
from avatargen.body.open_body import load_open_body, phenotype_names, phenotypes_from_betas
from avatargen.body.posing import shape_body
from avatargen.core.errors import InputError
from avatargen.core.settings import ControlsSettings


@pytest.fixture(scope="module")
def body():
    return load_open_body()


@pytest.fixture(scope="module")
def licensed(body):
    """A body as the user's own file gives it: no phenotypes, ten betas."""
    return replace(body, kind="smpl", shape_directions=body.shape_directions[..., :10])


def height_and_weight(body, betas):
    """By another library, on the mesh."""
    vertices, _ = shape_body(body, betas[None])
    mesh = trimesh.Trimesh(vertices[0].numpy(), body.faces.numpy(), process=False)
    return float(mesh.extents[1]), mesh.volume * DENSITY_KG_M3


def some_betas(seed, count=16):
    return torch.randn(count, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("height", "weight"), [(1.85, 80.0), (1.50, 45.0), (1.60, 110.0), (2.05, 95.0), (1.70, 48.0)])
@pytest.mark.parametrize("start", [None, 1])
def test_height_and_weight_hold_on_the_mesh(body, height, weight, start):
    betas = torch.zeros(16) if start is None else some_betas(start)
    found = control_shape(body, betas, ControlsSettings(height=height, weight_kg=weight))
    measured = height_and_weight(body, found.betas)
    assert measured == pytest.approx((height, weight), abs=1e-3)
    assert found.missed == ()
    assert float(found.betas.norm()) <= FARTHEST


@pytest.mark.parametrize(
    ("age", "gender", "muscle"), [(0.0, 0.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.5), (0.33, 1.0, 1.0)]
)
def test_age_gender_and_muscle_hold_in_the_phenotypes_and_with_height_and_weight(body, age, gender, muscle):
    wanted = ControlsSettings(height=1.72, weight_kg=66.0, age=age, gender=gender, muscle=muscle)
    found = control_shape(body, torch.zeros(16), wanted)
    there = dict(zip(phenotype_names(), phenotypes_from_betas(found.betas.double().numpy()), strict=True))
    assert [there["age"], there["gender"], there["muscle"]] == pytest.approx([0.5 + age / 2, gender, muscle], abs=1e-4)
    assert height_and_weight(body, found.betas) == pytest.approx((1.72, 66), abs=1e-3)


def test_the_change_is_the_smallest_there_is(body):
    """Lagrange: the change is a combination of the controls' slopes, so nothing sideways would shorten it."""
    start = some_betas(2).double()
    found = control_shape(body, start, ControlsSettings(height=1.9, weight_kg=85.0)).betas
    slopes = []
    for k in range(16):
        step = 1e-4 * torch.eye(16, dtype=torch.float64)[k]
        high, low = (controls_of(body, found + sign * step) for sign in (1, -1))
        slopes.append([(high[name] - low[name]) / 2e-4 for name in ("height", "weight_kg")])
    change, slopes = (found - start).numpy(), np.array(slopes)
    within = slopes @ np.linalg.lstsq(slopes, change, rcond=None)[0]
    np.testing.assert_allclose(within, change, atol=1e-4)


def test_one_control_alone_moves_the_rest_as_the_population_does(body):
    average = controls_of(body, torch.zeros(16))
    man, woman = (controls_of(body, control_shape(body, torch.zeros(16), c).betas) for c in (
        ControlsSettings(gender=0.0), ControlsSettings(gender=1.0)
    ))  # fmt: skip
    assert man["height"] > average["height"] + 0.03
    assert woman["height"] < average["height"] - 0.03
    assert man["weight_kg"] > woman["weight_kg"] + 10
    strong = controls_of(body, control_shape(body, torch.zeros(16), ControlsSettings(muscle=1.0)).betas)
    assert abs(strong["height"] - average["height"]) < 0.03


def test_what_is_not_asked_for_stays_and_nothing_asked_changes_nothing(body):
    betas = some_betas(3)
    assert control_shape(body, betas, ControlsSettings()).betas is betas
    own = controls_of(body, betas)
    again = control_shape(body, betas, ControlsSettings(**{name: own[name] for name in ("height", "weight_kg")})).betas
    torch.testing.assert_close(again, betas, atol=1e-4, rtol=0)


def test_an_impossible_pair_comes_as_near_as_a_plausible_body_can_and_says_so(body):
    found = control_shape(body, torch.zeros(16), ControlsSettings(height=1.35, weight_kg=200.0))
    assert found.missed
    assert float(found.betas.norm()) == pytest.approx(FARTHEST, rel=0.02)
    measured = height_and_weight(body, found.betas)
    assert measured == pytest.approx((found.reached["height"], found.reached["weight_kg"]), abs=1e-3)
    assert measured[0] < 1.6
    assert measured[1] > 120


def test_a_text_that_is_far_out_gives_way_before_the_numbers_do(body):
    wild = 5 * torch.nn.functional.normalize(some_betas(4), dim=0)
    found = control_shape(body, wild, ControlsSettings(height=2.1, weight_kg=60.0))
    assert found.missed == ()
    assert height_and_weight(body, found.betas) == pytest.approx((2.1, 60.0), abs=1e-3)
    assert float(found.betas.norm()) <= FARTHEST


def test_every_single_control_reaches_both_ends_of_its_range(body):
    ends = {"height": (1.3, 2.2), "weight_kg": (30, 200), "age": (0, 1), "gender": (0, 1), "muscle": (0, 1)}
    for name, values in ends.items():
        for value in values:
            found = control_shape(body, torch.zeros(16), ControlsSettings(**{name: float(value)}))
            assert found.missed == (), (name, value)
            assert found.reached[name] == pytest.approx(value, abs=1e-3)


def test_a_licensed_body_takes_height_and_weight_by_measuring(licensed):
    found = control_shape(licensed, torch.zeros(10), ControlsSettings(height=1.8, weight_kg=90.0))
    assert height_and_weight(licensed, found.betas) == pytest.approx((1.8, 90.0), abs=1e-3)
    assert set(controls_of(licensed, found.betas)) == {"height", "weight_kg"}


@pytest.mark.parametrize("name", ["age", "gender", "muscle"])
def test_a_licensed_body_says_what_it_does_not_hold(licensed, name):
    with pytest.raises(InputError, match=f"--{name}: the smpl body holds no {name}.*\n.*--body open"):
        check_controls(licensed, ControlsSettings(**{name: 0.5}))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("height", 185.0, "--height 185: it can be 1.3 to 2.2 m"),
        ("weight_kg", 5.0, "--weight-kg 5: it can be 30 to 200 kg"),
        ("age", 70.0, "--age 70: it can be 0 to 1"),
        ("gender", -0.1, "--gender -0.1"),
        ("muscle", 1.5, "--muscle 1.5"),
    ],
)
def test_a_number_outside_its_range_names_the_range(body, name, value, words):
    with pytest.raises(InputError, match=words):
        check_controls(body, ControlsSettings(**{name: value}))


def test_only_what_is_set_is_asked():
    assert asked_of(ControlsSettings()) == {}
    assert asked_of(ControlsSettings(gender=0.0, height=1.7)) == {"height": 1.7, "gender": 0.0}
