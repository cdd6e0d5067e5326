import pytest
import torch

from avatargen.implicit.draw import box_rays, draw, hull_rays, paint, shade_factor
from avatargen.render.cameras import orbit, rays
from avatargen.render.shading import headlight

RADIUS = 0.3


@pytest.fixture
def camera():
    return orbit([20.0, 200.0], [10.0, -30.0], 2.0, (0.0, 0.0, 0.0), 24.0, 40)


def test_a_ball_is_drawn_with_its_exact_silhouette_depth_and_normals(ball_field, camera):
    field = ball_field
    with torch.no_grad():
        drawing = draw(field, camera, hull=field.body.hull(0.01), samples=32, steps=40)
    origins, directions = rays(camera)
    origins, directions = origins.reshape(-1, 3), directions.reshape(-1, 3)
    closest = torch.linalg.cross(origins, directions).norm(dim=-1)
    opacity = torch.zeros(len(origins)).index_put((drawing.pixel,), drawing.opacity)
    assert float(opacity[closest < RADIUS - 0.015].min()) > 0.97
    assert float(opacity[closest > RADIUS + 0.015].max()) < 0.03
    facing = closest[drawing.pixel] < 0.8 * RADIUS
    away = (drawing.point[facing].norm(dim=-1) - RADIUS).abs()
    assert float(away.max()) < 3e-3
    outward = torch.nn.functional.normalize(drawing.point[facing], dim=-1)
    assert float((drawing.normal[facing] * outward).sum(-1).min()) > 0.99
    gradient = drawing.gradient[facing].norm(dim=-1)
    assert float((gradient - 1.0).abs().mean()) < 0.02


def test_the_surface_wears_the_look_of_its_closest_point(ball_field, camera):
    drawing = draw(ball_field, camera, hull=ball_field.body.hull(0.01))
    solid = drawing.opacity > 0.98
    expected = 0.5 + torch.nn.functional.normalize(drawing.point[solid], dim=-1) * 0.4
    seen = (drawing.style[solid] / drawing.opacity[solid, None]).detach()
    assert float((seen - expected).abs().max()) < 0.06
    torch.testing.assert_close(drawing.style, drawing.base)


def test_band_sampling_equals_dense_sampling_in_color_within_one_percent(ball_field, camera):
    field = ball_field
    with torch.no_grad():
        field.learned.features.normal_(0.0, 0.2, generator=torch.Generator().manual_seed(0))
        field.learned.features[0] = 0.0
    behind = torch.full((2, 3, 40, 40), 0.3)
    few = draw(field, camera, hull=field.body.hull(0.01), samples=16)
    many = draw(field, camera, hull=None, samples=1500)
    difference = (paint(few, few.style, behind) - paint(many, many.style, behind)).abs().detach()
    assert float(difference.mean()) < 0.003
    assert float(difference.quantile(0.99)) < 0.03
    inner = torch.zeros(2 * 40 * 40, dtype=torch.bool).index_put((few.pixel[few.opacity > 0.99],), torch.tensor(True))
    assert float(difference.permute(0, 2, 3, 1).reshape(-1, 3)[inner].mean()) < 0.01


def test_rays_start_on_the_hull_and_only_where_it_is_seen(ball_field, camera):
    close, every = hull_rays(ball_field, ball_field.body.hull(0.01), camera), box_rays(ball_field, camera)
    assert len(close.pixel) < 0.7 * len(every.pixel)
    start = close.origins + close.near[:, None] * close.directions
    outer = RADIUS + float(ball_field.body.vertex_limits[0]) + 0.01
    assert float((start.norm(dim=-1) - outer).abs().max()) < 2e-3


def test_empty_views_show_the_background_untouched(ball_field):
    away = orbit(0.0, 0.0, 2.0, (5.0, 0.0, 0.0), 20.0, 16)
    drawing = draw(ball_field, away, hull=ball_field.body.hull(0.01))
    behind = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert len(drawing.pixel) == 0
    torch.testing.assert_close(paint(drawing, drawing.style, behind), behind)


def test_growing_the_field_makes_the_ball_larger_and_gradients_reach_it(ball_field, camera):
    field = ball_field
    before = draw(field, camera, hull=field.body.hull(0.01))
    loss = (
        -before.opacity.sum() + (before.style * shade_factor(before, headlight(camera))).sum() + before.gradient.sum()
    )
    loss.backward()
    growth, features = field.learned.growth.grad, field.learned.features.grad
    assert growth is not None
    assert features is not None
    assert float(growth.abs().sum()) > 0
    assert float(features.abs().sum()) > 0
    with torch.no_grad():
        field.learned.growth.fill_(0.01)
        field.learned.growth[0] = 0.0
    after = draw(field, camera, hull=field.body.hull(0.01))
    assert float(after.opacity.detach().sum()) > float(before.opacity.detach().sum()) * 1.05
    # Two levels of 10 mm each, bounded by the limit of a part about which nothing is known (30 mm here).
    radius = after.point.detach()[after.opacity > 0.98].norm(dim=-1).median()
    assert float(radius) == pytest.approx(RADIUS + 0.03 * float(torch.tanh(torch.tensor(0.02 / 0.03))), abs=2e-3)
