import math

import torch

from avatargen.core.rng import stream
from avatargen.core.rotations import (
    angle_between,
    axis_angle_from_matrix,
    matrix_from_6d,
    matrix_from_axis_angle,
    matrix_from_quat,
    quat_from_matrix,
    sixd_from_matrix,
)


def random_rotations(n=200):
    vectors = torch.randn(n, 3, generator=stream(0, "test"), dtype=torch.float64)
    return matrix_from_axis_angle(vectors)


def test_a_quarter_turn_about_y_carries_z_to_x():
    turn = matrix_from_axis_angle(torch.tensor([0.0, math.pi / 2, 0.0]))
    torch.testing.assert_close(turn @ torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]))


def test_quaternions_are_xyzw():
    quat = quat_from_matrix(matrix_from_axis_angle(torch.tensor([math.pi / 2, 0.0, 0.0])))
    root = math.sqrt(0.5)
    torch.testing.assert_close(quat.abs(), torch.tensor([root, 0.0, 0.0, root]))


def test_every_form_gives_the_rotation_back():
    rotations = random_rotations()
    for back in (
        matrix_from_6d(sixd_from_matrix(rotations)),
        matrix_from_quat(quat_from_matrix(rotations)),
        matrix_from_axis_angle(axis_angle_from_matrix(rotations)),
    ):
        torch.testing.assert_close(back, rotations, rtol=0, atol=1e-9)


def test_any_six_numbers_give_a_rotation():
    sixd = torch.randn(100, 6, generator=stream(1, "test"), dtype=torch.float64)
    rotations = matrix_from_6d(sixd)
    eye = torch.eye(3, dtype=torch.float64).expand(100, 3, 3)
    torch.testing.assert_close(rotations @ rotations.mT, eye, rtol=0, atol=1e-9)
    assert bool((torch.linalg.det(rotations) > 0.999).all())


def test_the_angle_between_a_turn_and_none_is_the_turn():
    turn = matrix_from_axis_angle(torch.tensor([[0.0, 0.3, 0.4]]))
    torch.testing.assert_close(angle_between(turn, torch.eye(3)[None]), torch.tensor([0.5]))


def test_streams_depend_on_seed_and_name_alone():
    draws = [torch.rand(3, generator=stream(s, n)).tolist() for s, n in [(0, "a"), (0, "a"), (1, "a"), (0, "b")]]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]
    assert draws[0] != draws[3]
