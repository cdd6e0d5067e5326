import numpy as np
import pytest
import torch

from avatargen.body.posing import shape_body
from avatargen.shape.query import background, mannequin, query_cameras, query_vertices, render_query, stand


@pytest.fixture(scope="module")
def bodies(body):
    betas = torch.zeros(2, body.num_betas)
    betas[1, 0] = 1.5
    return betas


def test_bodies_stand_on_the_floor(body, bodies):
    lowest = query_vertices(body, bodies)[..., 1].amin(1)
    torch.testing.assert_close(lowest, torch.zeros(2))
    moved = stand(shape_body(body, bodies)[0] + torch.tensor([0.3, 5.0, -1.0]))
    assert moved[..., 1].amin(1).abs().max() < 1e-5


def test_the_camera_is_metric_so_height_can_be_read_off_the_picture(body, bodies):
    vertices = query_vertices(body, bodies)
    pictures = render_query(body, vertices, 128, 1)[:, 0]
    scene = torch.nn.functional.avg_pool2d(background(256).permute(2, 0, 1)[None], 2)[0]
    for picture, points in zip(pictures, vertices, strict=True):
        rows = torch.nonzero((picture - scene).abs().sum(0).amax(1) > 0.05).squeeze(1)
        read = 2.20 - float(rows.min()) / 128 * 2.30
        assert read == pytest.approx(float(points[:, 1].max()), abs=0.03)


def _span(picture, empty):
    """First and last row in which a picture differs from the empty scene."""
    rows = torch.nonzero((picture - empty).abs().sum(0).amax(1) > 0.02).squeeze(1)
    return int(rows.min()), int(rows.max())


def test_a_taller_body_is_taller_in_the_picture_by_the_right_number_of_pixels(body):
    size = 230  # a pixel is a centimetre at the body's plane
    vertices = query_vertices(body, torch.zeros(1, body.num_betas))
    # Flat, so that every vertex lies in the plane that the scale holds for, and perspective plays no part.
    flat = vertices * torch.tensor([1.0, 1.0, 1e-4])
    height = float(flat[0, :, 1].max())
    scaled = [flat * (wanted / height) for wanted in (1.50, 1.80, 2.00)]
    pictures = render_query(body, torch.cat(scaled), size, 1)[:, 0]
    empty = torch.nn.functional.avg_pool2d(background(2 * size).permute(2, 0, 1)[None], 2)[0]
    spans = [_span(picture, empty) for picture in pictures]
    floor = round((2.20 - 0.0) / 2.30 * size)
    for (top, bottom), wanted in zip(spans, (1.50, 1.80, 2.00), strict=True):
        assert abs((bottom + 1 - top) - 100 * wanted) <= 1
        assert abs(bottom + 1 - floor) <= 1  # all stand on one line, however tall


def test_the_scene_shows_a_floor_and_lines_at_known_heights():
    column = background(2300)[:, 0]  # a pixel is a millimetre
    step = torch.nonzero((column[1:] - column[:-1]).abs().sum(1) > 0.01).squeeze(1) + 1
    heights = 2.20 - step.float() / 1000
    edges = [line + side for line in (2.0, 1.75, 1.5, 1.25, 1.0) for side in (0.006, -0.006)]
    torch.testing.assert_close(heights, torch.tensor([*edges, 0.11]), atol=0.002, rtol=0)


def test_the_picture_of_a_body_does_not_depend_on_its_neighbours(body, bodies):
    vertices = query_vertices(body, bodies)
    both = render_query(body, vertices, 32, 2)
    torch.testing.assert_close(both[1:], render_query(body, vertices[1:], 32, 2))
    assert both.shape == (2, 2, 3, 32, 32)
    assert 0 <= both.min() <= both.max() <= 1


def test_the_four_views_are_front_three_quarter_side_and_back():
    at = query_cameras(16).positions
    flat = torch.nn.functional.normalize(at[:, [0, 2]], dim=1)
    degrees = torch.rad2deg(torch.atan2(flat[:, 0], flat[:, 1]))
    torch.testing.assert_close(degrees.abs(), torch.tensor([0.0, 40.0, 90.0, 180.0]), atol=1e-3, rtol=0)


def test_the_gradient_leads_from_one_body_to_another(body):
    tall = torch.nn.functional.one_hot(torch.tensor([0]), body.num_betas).float()

    def picture(step):
        return torch.nn.functional.avg_pool2d(render_query(body, query_vertices(body, step * tall), 48, 1)[0], 6)

    with torch.no_grad():
        target = picture(torch.tensor(1.0))

    def loss(step):
        return (picture(step) - target).square().sum()

    step = torch.zeros((), requires_grad=True)
    (slope,) = torch.autograd.grad(loss(step), step)
    places = np.linspace(-0.3, 0.3, 7)
    curve = [float(loss(torch.tensor(float(s), requires_grad=True)).detach()) for s in places]
    assert float(slope) < 0
    # Thin arms at this size make both rough: the outline's gradient is that of whole pixels.
    assert 0.5 < float(slope) / np.polyfit(places, curve, 2)[1] < 2.0


def test_the_mannequin_has_a_face_and_otherwise_skin(body):
    colors = mannequin(body)
    common = colors.round(decimals=4).unique(dim=0, return_counts=True)
    assert common[1].max() > 0.9 * len(colors)
    assert len(common[0]) > 5
