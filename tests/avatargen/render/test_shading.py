import math

import numpy as np
import pytest
import torch
import trimesh

from avatargen.core.errors import ConfigError
from avatargen.core.rng import stream
from avatargen.render.cameras import orbit
from avatargen.render.shading import (
    BACKGROUNDS,
    Light,
    Studio,
    background,
    face_normals,
    headlight,
    linear_from_srgb,
    random_light,
    shade,
    srgb_from_linear,
    vertex_normals,
)


def ball():
    mesh = trimesh.creation.icosphere(4, 0.5)
    return torch.tensor(np.array(mesh.vertices)), torch.tensor(np.array(mesh.faces))


def test_normals_of_a_sphere_point_outward_along_its_radii():
    vertices, faces = ball()
    torch.testing.assert_close(vertex_normals(vertices, faces), 2 * vertices, atol=6e-3, rtol=0)
    centres = torch.nn.functional.normalize(vertices[faces].mean(1), dim=-1)
    torch.testing.assert_close(face_normals(vertices, faces), centres, atol=6e-3, rtol=0)


def test_normals_of_a_batch_are_those_of_its_meshes_and_turn_with_them():
    vertices, faces = ball()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=stream(0, "turn")))[0]
    turn = turn * torch.linalg.det(turn)
    both = vertex_normals(torch.stack([vertices, vertices @ turn.T]), faces)
    torch.testing.assert_close(both[0], vertex_normals(vertices, faces))
    torch.testing.assert_close(both[1], both[0] @ turn.T)


def test_a_vertex_without_faces_has_no_normal_and_no_nan():
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]])
    normals = vertex_normals(vertices, torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(normals, torch.tensor([[0.0, 0, 1]] * 3 + [[0, 0, 0]]))


def test_srgb_goes_to_light_and_back_and_mid_grey_is_a_fifth_of_white():
    values = torch.linspace(0, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(srgb_from_linear(linear_from_srgb(values)), values, atol=1e-6, rtol=0)
    assert linear_from_srgb(torch.tensor(0.5)).item() == pytest.approx(0.214, abs=1e-3)
    black = torch.zeros(3, requires_grad=True)
    srgb_from_linear(linear_from_srgb(black)).sum().backward()
    assert torch.isfinite(black.grad).all()


def test_a_plain_light_follows_lamberts_law():
    cameras = orbit(0.0, size=2)
    light = Light(torch.tensor([[0.0, 0, 1]]), torch.tensor([0.1]), torch.tensor([0.9]))
    angles = torch.tensor([0.0, 60.0, 90.0, 150.0]) * math.pi / 180
    normals = torch.stack([angles.sin(), 0 * angles, angles.cos()], -1).reshape(1, 2, 2, 3)
    lit = shade(torch.full((1, 2, 2, 3), 0.5), normals, light, cameras)
    torch.testing.assert_close(lit[..., 0].reshape(-1), 0.5 * torch.tensor([1.0, 0.55, 0.1, 0.1]))


def test_the_headlight_is_where_the_camera_is():
    cameras = orbit([0.0, 90.0], [0.0, 30.0], 2.0)
    torch.testing.assert_close(headlight(cameras).direction, cameras.positions / 2)


def test_random_light_has_the_original_distribution():
    cameras = orbit([40.0] * 4000, 10.0, 1.0)
    light = random_light(stream(3, "light"), cameras)
    torch.testing.assert_close(light.ambient + light.diffuse, torch.ones(4000))
    assert 0 <= light.ambient.min() < 0.01
    assert 0.19 < light.ambient.max() <= 0.2
    torch.testing.assert_close(light.direction.norm(dim=-1), torch.ones(4000))
    local = torch.einsum("bji,bj->bi", cameras.world_from_camera[:, :3, :3], light.direction)
    azimuth, elevation = torch.atan2(local[:, 0], local[:, 2]), torch.asin(local[:, 1])
    for angle in (azimuth, elevation):
        assert angle.abs().max() <= math.pi / 4 + 1e-5
        assert angle.std().item() == pytest.approx(math.pi / 2 / math.sqrt(12), rel=0.05)


def test_the_studio_is_brightest_towards_its_key_never_clips_and_never_blackens():
    vertices, faces = ball()
    normals = vertex_normals(vertices, faces).reshape(1, 1, -1, 3)
    cameras = orbit(0.0, dtype=torch.float64)
    white = shade(torch.ones_like(normals), normals, Studio(), cameras)
    assert white.max() < 1
    assert white.min() > 0.4
    ahead = normals[..., 2] > 0.3  # what the camera sees well; along the outline the rim light may be brighter
    best = normals[ahead][white[ahead].sum(-1).argmax()]
    assert best[0] < -0.1  # key from the viewer's left
    assert best[1] > 0.2
    dark = shade(torch.full_like(normals, 0.2), normals, Studio(), cameras)
    assert (dark < white).all()


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds_fill_the_image_and_repeat_with_their_seed(kind):
    cameras = orbit([0.0, 90.0], size=(64, 48))
    first, again = (background(kind, cameras, stream(5, "bg")) for _ in range(2))
    assert first.shape == (2, 3, 64, 48)
    assert 0 <= first.min() <= first.max() <= 1
    assert torch.equal(first, again)
    if kind in ("noise", "checker"):
        assert not torch.equal(first, background(kind, cameras, stream(6, "bg")))
        assert not torch.equal(first[0], first[1])
        with pytest.raises(ValueError, match="pass a generator"):
            background(kind, cameras)


def test_a_checkerboard_has_two_tones_and_soft_edges():
    board = background("checker", orbit([0.0] * 3, size=128), stream(1, "bg"))[:, 0]
    for image in board:
        low, high = image.min(), image.max()
        soft = (image > low + 0.1 * (high - low)) & (image < high - 0.1 * (high - low))
        assert 0.02 < soft.float().mean() < 0.7
        assert (image - low < 0.1 * (high - low)).float().mean() > 0.1


def test_a_background_can_be_a_color_or_an_image():
    cameras = orbit([0.0, 90.0], size=8)
    color = torch.tensor([0.1, 0.2, 0.3])
    torch.testing.assert_close(background(color, cameras)[1, :, 3, 4], color)
    image = torch.rand(3, 8, 8, generator=stream(0, "image"))
    torch.testing.assert_close(background(image, cameras)[1], image)


def test_an_unknown_background_is_named():
    with pytest.raises(ConfigError, match="no background 'beach'; there are: white"):
        background("beach", orbit(0.0, size=8))
