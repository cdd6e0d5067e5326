import math

import numpy as np
import pytest
import torch
import trimesh

from avatargen.render.cameras import orbit
from avatargen.render.picture import Surface, draw_mesh
from avatargen.render.raster import antialias, rasterize
from avatargen.render.silhouettes import mesh_edges

SQUARE = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], dtype=torch.float64)
TWO = torch.tensor([[0, 1, 2], [0, 2, 3]])
FRONT = orbit(0.0, distance=3.0, size=32, dtype=torch.float64)
METRES = FRONT.focal.item() / 3.0  # pixels per metre in the plane z = 0


def ball(level, radius=0.5):
    mesh = trimesh.creation.icosphere(level, radius)
    return torch.tensor(np.array(mesh.vertices)), torch.tensor(np.array(mesh.faces))


def coverage(vertices, faces, cameras):
    return draw_mesh(vertices, faces, cameras).mask


def test_edges_know_their_two_faces_and_their_borders():
    edges = mesh_edges(TWO)
    assert len(edges.ends) == 5
    (diagonal,) = torch.nonzero(~edges.open).squeeze(1)
    assert sorted(edges.ends[diagonal].tolist()) == [0, 2]
    assert sorted(edges.opposite[diagonal].tolist()) == [1, 3]
    assert not mesh_edges(ball(2)[1]).open.any()


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.41, 0.5, 0.77, 0.99])
def test_a_square_between_pixels_covers_its_analytic_width_in_every_row(shift):
    half = 6.3 / METRES
    square = SQUARE * half + torch.tensor([shift / METRES, 0.0, 0.0], dtype=torch.float64)
    rows = coverage(square, TWO, FRONT)[0, 0, 12:20]
    torch.testing.assert_close(rows.sum(1), torch.full((8,), 12.6, dtype=torch.float64), atol=1e-9, rtol=0)
    columns = torch.arange(32, dtype=torch.float64) + 0.5
    centre = (rows * columns).sum(1) / rows.sum(1)
    # Exact coverage would put the centre of mass exactly there; blending two neighbours is within 1/40 pixel.
    torch.testing.assert_close(centre, torch.full((8,), 16 + shift, dtype=torch.float64), atol=0.025, rtol=0)


def test_the_area_of_a_square_grows_at_the_rate_of_its_outline():
    for size in (4.15, 5.4, 6.85):
        half = torch.tensor(size / METRES, dtype=torch.float64, requires_grad=True)
        coverage(SQUARE * half, TWO, FRONT).sum().backward()
        # d(area in pixels) / d(half side in metres); the four corner pixels are blended along one axis at a time.
        assert half.grad.item() == pytest.approx(8 * size * METRES, rel=0.12)


def test_moving_a_square_moves_its_centre_of_mass_at_the_same_rate():
    shift = torch.tensor(0.013, dtype=torch.float64, requires_grad=True)
    square = SQUARE * (6.3 / METRES) + shift * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    mask = coverage(square, TWO, FRONT)[0, 0]
    moment = (mask * (torch.arange(32, dtype=torch.float64) + 0.5)).sum(1)[12:20]
    (rate,) = torch.autograd.grad(moment.sum(), shift)
    # Half of the change falls on the neighbour's centre, so the rate is right within 1/12.6 of a pixel.
    assert rate.item() == pytest.approx(8 * 12.6 * METRES, rel=0.08)


@pytest.mark.parametrize("level", [2, 4, 6])
def test_a_sphere_has_the_area_and_growth_of_its_outline_however_fine_its_faces(level):
    vertices, faces = ball(level)
    cameras = orbit(33.0, 21.0, 2.0, size=64, dtype=torch.float64)
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    area = coverage(scale * vertices, faces, cameras).sum()
    (growth,) = torch.autograd.grad(area, scale)
    focal = cameras.focal.item()
    analytic = math.pi * focal**2 * 0.25 / (4 - 0.25)
    rate = math.pi * focal**2 * 2 * 0.25 * 4 / (4 - 0.25) ** 2
    # Level 2 is visibly a polyhedron (about 3 % smaller); from level 4 on the error is the method's.
    assert area.item() == pytest.approx(analytic, rel=0.035 if level == 2 else 0.003)
    assert growth.item() == pytest.approx(rate, rel=0.06 if level == 2 else 0.04)


def test_gradients_at_outlines_equal_finite_differences():
    vertices, faces = ball(1)
    vertices = vertices + 0.0071
    cameras = orbit([12.0, 100.0], [11.0, -35.0], 1.7, size=9, dtype=torch.float64)
    weights = torch.linspace(0.3, 1.7, 2 * 81, dtype=torch.float64).reshape(2, 1, 9, 9)
    assert torch.autograd.gradcheck(
        lambda points: (draw_mesh(points, faces, cameras, backend="torch").mask * weights).sum(),
        (vertices.requires_grad_(),),
        eps=1e-7,
        atol=1e-5,
        fast_mode=True,
    )


def test_an_image_without_gradients_at_outlines_would_not_move():
    vertices, faces = ball(3)
    vertices = vertices.requires_grad_()
    cameras = orbit(0.0, distance=2.0, size=32, dtype=torch.float64)
    plain = draw_mesh(vertices, faces, cameras, smooth_edges=False, light=None)
    assert not plain.mask.requires_grad


def test_hidden_outlines_leave_no_trace():
    wall = torch.cat([SQUARE * 2 + torch.tensor([0.0, 0, 0.8], dtype=torch.float64), ball(3)[0]])
    faces = torch.cat([TWO, ball(3)[1] + 4])
    image = torch.rand(1, 32, 32, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fragments = rasterize(wall, faces, FRONT)
    assert (fragments.face < 2).all()
    torch.testing.assert_close(antialias(image, wall, faces, FRONT, fragments), image, atol=0, rtol=0)


def test_an_outline_in_front_of_another_surface_is_blended_with_it():
    near = SQUARE * (4.3 / METRES)
    far = SQUARE * 3 - torch.tensor([0.0, 0, 0.5], dtype=torch.float64)
    colors = torch.tensor([[1.0, 0, 0]] * 4 + [[0, 0, 1.0]] * 4, dtype=torch.float64)
    image = draw_mesh(torch.cat([near, far]), torch.cat([TWO, TWO + 4]), FRONT, Surface(colors), light=None).image
    row = image[0, :, 16]
    torch.testing.assert_close(row[0].sum(), torch.tensor(8.6, dtype=torch.float64))
    torch.testing.assert_close(row.sum(0), torch.ones(32, dtype=torch.float64))
    torch.testing.assert_close(row[1], torch.zeros(32, dtype=torch.float64))
    assert row[0, 11] == pytest.approx(0.3)


def test_of_two_outlines_between_one_pair_of_pixels_the_one_of_the_seen_surface_counts():
    def plate(width, z, scale=6.0):
        half = width / METRES * (3.0 - z) / 3.0  # as wide in pixels as it would be at z = 0
        tall = scale / METRES
        corners = [[-half, -tall, z], [half, -tall, z], [half, tall, z], [-half, tall, z]]
        return torch.tensor(corners, dtype=torch.float64)

    red, blue, green = ([1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0])
    colors = torch.tensor([red] * 4 + [blue] * 4 + [green] * 4, dtype=torch.float64)
    vertices = torch.cat([plate(4.8, 1.0), plate(5.3, 0.0), plate(9.0, -0.3, 9.0)])
    faces = torch.cat([TWO, TWO + 4, TWO + 8])
    image = draw_mesh(vertices, faces, FRONT, Surface(colors), light=None).image
    # Red ends 0.3 beyond the last centre it covers, blue 0.8 beyond; green is right behind blue.
    torch.testing.assert_close(image[0, :, 16, 20], torch.tensor([0.8, 0, 0.2], dtype=torch.float64)[[0, 2, 1]])
    torch.testing.assert_close(image[0, :, 16, 21], torch.tensor(green, dtype=torch.float64))


def test_antialiasing_is_nearer_to_the_true_picture_than_sampling_is():
    vertices, faces = ball(4)
    cameras = orbit(10.0, 5.0, 2.0, size=48, dtype=torch.float64)
    truth = draw_mesh(vertices, faces, cameras, smooth_edges=False, supersample=12).mask
    errors = [
        (draw_mesh(vertices, faces, cameras, smooth_edges=on).mask - truth).abs().sum().item() for on in (False, True)
    ]
    assert errors[1] < 0.35 * errors[0]
