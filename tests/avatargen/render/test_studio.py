import math

import numpy as np
import pytest
import torch
import trimesh

from avatargen.render.cameras import orbit, project
from avatargen.render.studio import contact_shadow, fitting_distance, studio_background


def plate(height, half=0.02):
    """A small square that looks down."""
    vertices = torch.tensor(
        [[-half, height, -half], [half, height, -half], [half, height, half], [-half, height, half]]
    )
    return vertices, torch.tensor([[0, 1, 2], [0, 2, 3]])


@pytest.mark.parametrize("height", [0.1, 0.4])
def test_a_small_plate_hides_the_share_of_sky_of_its_form_factor(height):
    vertices, faces = plate(height)
    shadow = contact_shadow(vertices, faces, strength=1.0, samples=81)
    below = shadow.shade[40, 40].item()
    assert below == pytest.approx(1 - math.exp(-(0.04**2) / (math.pi * height**2)), rel=0.02)
    side = -math.log(1 - shadow.shade[40, 60].item())
    away = 20 * shadow.step
    assert side == pytest.approx(0.04**2 * height**2 / math.pi / (height**2 + away**2) ** 2, rel=0.05)


def test_a_plate_that_looks_up_and_one_far_above_leave_no_shadow():
    vertices, faces = plate(0.1)
    assert contact_shadow(vertices, faces.flip(1)).shade.max() == 0
    assert contact_shadow(*plate(30.0)).shade.max() < 1e-3


def test_the_shadow_lies_under_the_figure_and_fades_before_its_border():
    mesh = trimesh.creation.icosphere(3, 0.2).apply_translation((0.7, 0.2, -0.4))
    vertices = torch.tensor(np.array(mesh.vertices), dtype=torch.float32)
    faces = torch.tensor(np.array(mesh.faces))
    camera = orbit(0.0, 85.0, 4.0, (0.7, 0, -0.4), 40.0, 64)
    clear = studio_background(camera)
    image = studio_background(camera, contact_shadow(vertices, faces))
    dark = (clear - image)[0, 0]
    row, column = divmod(int(dark.argmax()), 64)
    assert abs(row - 31.5) < 4
    assert abs(column - 31.5) < 4
    assert dark.max() > 0.3
    assert dark[0].max() < 1e-6
    assert dark.min() >= -1e-6


def test_the_backdrop_has_no_horizon():
    image = studio_background(orbit([0.0, 40.0], [7.0, 2.0], 5.0, (0, 0.9, 0), size=200))
    assert 0 < image.min() < image.max() < 1
    steps = (image[:, :, 1:] - image[:, :, :-1]).abs()
    assert steps.max() < 0.004
    assert (image - image[:1]).abs().max() < 0.1


def test_grid_lines_lie_every_half_metre():
    camera = orbit(0.0, 90.0, 3.0, size=400)
    dark = (studio_background(camera) - studio_background(camera, grid=0.5))[0, 0]
    lines = project(torch.tensor([[-0.5, 0, 0.25], [0.0, 0, 0.25], [0.5, 0, 0.25], [0.25, 0, 0.25]]), camera)[0]
    on = [dark[int(y), int(x) - 1 : int(x) + 2].max().item() for x, y, _ in lines]
    assert min(on[:3]) > 0.1
    assert on[3] == 0


@pytest.mark.parametrize(("azimuth", "elevation", "aspect"), [(0.0, 0.0, 1.0), (33.0, 12.0, 0.6), (200.0, -5.0, 1.8)])
def test_the_fitting_distance_keeps_all_points_in_the_image_and_no_farther(azimuth, elevation, aspect):
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 2.0, 0.6])
    target = points.mean(0)
    distance = fitting_distance(points, target, azimuth, elevation, 30.0, aspect, margin=0.1)
    camera = orbit(azimuth, elevation, distance, target, 30.0, (200, round(200 * aspect)))
    seen = project(points, camera)[0, :, :2] / torch.tensor([camera.width, camera.height])
    assert (seen - 0.5).abs().max().item() == pytest.approx(0.4, abs=1e-3)
