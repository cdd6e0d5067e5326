import pytest
import torch

from avatargen.body.open_body import load_open_body
from avatargen.core.parts import PARTS
from avatargen.core.settings import ImplicitSettings
from avatargen.implicit.avatar import build_field
from avatargen.implicit.closest import SurfaceIndex
from avatargen.implicit.sdf import bounded_growth, tap_gradient, tap_points


@pytest.fixture(scope="module")
def person():
    body = load_open_body()
    return body, build_field(body, torch.zeros(body.num_betas), ImplicitSettings(color_levels_mm=(48.0, 24.0)))


def on_surface(field, count=20000):
    corners = field.body.surface.corners
    generator = torch.Generator().manual_seed(0)
    face = torch.multinomial(
        torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=-1),
        count,
        replacement=True,
        generator=generator,
    )
    share = torch.distributions.Dirichlet(torch.ones(3)).sample((count,))
    return (corners[face] * share[..., None]).sum(1), face


def test_at_step_zero_the_surface_is_the_coarse_body_within_a_millimetre(person):
    _, field = person
    points, face = on_surface(field)
    # The back of the eyeballs and the inside of the mouth are no part of the outer surface.
    away = field.sdf(points).abs()
    assert float(away.median()) < 0.0002
    assert float((away < 0.001).float().mean()) > 0.97
    name = torch.tensor([not ("eye" in p or p in ("face", "lips")) for p in PARTS])
    parts = load_open_body().parts
    assert parts is not None
    plain = name[parts[face]]
    assert float(away[plain].quantile(0.998)) < 0.001


def test_the_sign_is_right_a_centimetre_off_the_surface(person):
    body, field = person
    points, face = on_surface(field, 4000)
    corners = field.body.surface.corners[face]
    normal = torch.nn.functional.normalize(
        torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), dim=-1
    )
    parts = body.parts
    assert parts is not None
    torso = torch.tensor([p in ("upper_torso", "lower_torso", "pelvis", "left_thigh", "left_shin") for p in PARTS])[
        parts[face]
    ]
    assert float((field.sdf(points[torso] + 0.01 * normal[torso]) > 0).float().mean()) > 0.995
    assert float((field.sdf(points[torso] - 0.01 * normal[torso]) < 0).float().mean()) > 0.995


def test_limits_are_tight_on_fingers_and_face_and_generous_on_the_scalp(person):
    body, field = person
    parts = body.parts
    assert parts is not None
    limits = field.body.vertex_limits
    for name, most in {"left_hand": 0.0031, "face": 0.0031, "right_eye": 0.0006}.items():
        vertices = body.faces[parts == PARTS.index(name)].unique()
        assert float(limits[vertices].max()) <= most
    scalp = body.faces[parts == PARTS.index("scalp")].unique()
    assert float(limits[scalp].max()) > 0.05


def test_growth_never_leaves_its_bounds_and_starts_with_slope_one():
    raw = torch.linspace(-1.0, 1.0, 2001)
    limit = torch.full_like(raw, 0.04)
    moved = bounded_growth(raw, limit)
    assert float(moved.max()) <= 0.0401
    assert float(moved.min()) >= -0.0101
    assert bool((moved[1:] >= moved[:-1]).all())
    tiny = torch.tensor([-1e-5, 1e-5])
    torch.testing.assert_close(bounded_growth(tiny, torch.full((2,), 0.04)), tiny, rtol=1e-3, atol=0)


def test_tap_gradients_of_a_linear_field_are_exact():
    slope = torch.tensor([0.3, -1.2, 0.7], dtype=torch.float64)
    points = torch.randn(30, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = tap_gradient(tap_points(points, 0.01) @ slope, 0.01)
    torch.testing.assert_close(found, slope.expand(30, 3))


def test_careful_closest_faces_equal_the_exact_ones(person):
    _, field = person
    points, _ = on_surface(field, 3000)
    points = points + 0.002 * torch.randn(points.shape, generator=torch.Generator().manual_seed(1))
    face, bary = field.body.near_faces(points, careful=True)
    foot = (field.body.surface.corners[face] * bary[..., None]).sum(1)
    exact = SurfaceIndex(vertices=field.body.surface.vertices, faces=field.body.surface.faces).query(points)
    off = (foot - points).norm(dim=-1) - exact.distance
    assert float((off < 1e-4).float().mean()) > 0.95
    assert float(off.quantile(0.99)) < 0.001
