import math

import numpy as np
import pytest
import torch

from avatargen.core.rng import stream
from avatargen.render.cameras import Cameras, look_at, orbit, project, rays, stack_cameras


def some_cameras(size=(7, 11)):
    return orbit(
        torch.tensor([0.0, 35.0, 200.0], dtype=torch.float64),
        torch.tensor([0.0, -30.0, 60.0], dtype=torch.float64),
        2.5,
        (0.1, 0.9, -0.2),
        50.0,
        size,
        dtype=torch.float64,
    )


def test_a_point_on_a_pixels_ray_projects_to_that_pixels_centre():
    cameras = some_cameras()
    origins, directions = rays(cameras)
    reach = 0.5 + torch.rand(3, 7, 11, 1, dtype=torch.float64, generator=stream(0, "reach"))
    points = (origins + reach * directions).reshape(3, -1, 3)
    seen = project(points, cameras)
    rows, columns = torch.meshgrid(torch.arange(7.0), torch.arange(11.0), indexing="ij")
    centres = torch.stack([columns, rows], -1).reshape(1, -1, 2).double() + 0.5
    torch.testing.assert_close(seen[..., :2], centres.expand(3, -1, -1), atol=1e-9, rtol=0)


def test_projection_equals_the_opengl_matrix():
    cameras = some_cameras((40, 60))
    points = torch.rand(20, 3, dtype=torch.float64, generator=stream(0, "points")) - 0.5
    ours = project(points, cameras).numpy()
    for i, (pose, angle) in enumerate(zip(cameras.world_from_camera.numpy(), cameras.fov_y.numpy(), strict=True)):
        scale, near, far = 1 / math.tan(angle / 2), 0.1, 10.0
        clip = np.array(
            [
                [scale * 40 / 60, 0, 0, 0],
                [0, scale, 0, 0],
                [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)],
                [0, 0, -1, 0],
            ]
        )
        homogeneous = np.c_[points.numpy(), np.ones(20)] @ (clip @ np.linalg.inv(pose)).T
        ndc = homogeneous[:, :2] / homogeneous[:, 3:]
        np.testing.assert_allclose(ours[i, :, 0], (ndc[:, 0] + 1) / 2 * 60, atol=1e-9)
        np.testing.assert_allclose(ours[i, :, 1], (1 - ndc[:, 1]) / 2 * 40, atol=1e-9)
        np.testing.assert_allclose(ours[i, :, 2], homogeneous[:, 3], atol=1e-12)


def test_in_a_front_view_the_characters_left_is_right_and_its_head_is_up():
    seen = project(torch.tensor([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]), orbit(0.0, size=100))[0]
    left_hand, head = seen
    assert left_hand[0] > 60
    assert left_hand[1] == pytest.approx(50, abs=1e-4)
    assert head[1] < 40


@pytest.mark.parametrize(
    ("azimuth", "elevation", "place"),
    [(0, 0, (0, 0, 2)), (90, 0, (2, 0, 0)), (180, 0, (0, 0, -2)), (-90, 0, (-2, 0, 0)), (0, 90, (0, 2, 0))],
)
def test_azimuth_goes_round_from_front_over_left_to_back(azimuth, elevation, place):
    torch.testing.assert_close(
        orbit(azimuth, elevation, 2.0).positions[0], torch.tensor(place, dtype=torch.float32), atol=1e-6, rtol=0
    )


def test_every_pose_is_a_rotation_even_straight_from_above():
    eyes = torch.tensor([[0.0, 3.0, 0.0], [0.0, -3.0, 0.0], [1.0, 2.0, 3.0]], dtype=torch.float64)
    rotation = look_at(eyes, torch.zeros_like(eyes))[:, :3, :3]
    eye = torch.eye(3, dtype=torch.float64).expand(3, 3, 3)
    torch.testing.assert_close(rotation @ rotation.transpose(1, 2), eye)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(3, dtype=torch.float64))


def test_resizing_keeps_what_is_seen():
    cameras = some_cameras((20, 30))
    points = torch.rand(5, 3, dtype=torch.float64, generator=stream(1, "points"))
    torch.testing.assert_close(project(points, cameras.resized(3))[..., :2], 3 * project(points, cameras)[..., :2])


def test_cameras_stack_and_split():
    cameras = some_cameras()
    again = stack_cameras([cameras[0], cameras[1:]])
    torch.testing.assert_close(again.world_from_camera, cameras.world_from_camera)
    assert len(cameras[-1]) == 1
    with pytest.raises(ValueError, match="share an image size"):
        stack_cameras([cameras, cameras.resized(2)])


def test_an_image_without_pixels_is_refused():
    with pytest.raises(ValueError, match="at least one pixel, not 0 x 4"):
        Cameras(torch.eye(4)[None], torch.ones(1), 0, 4)
