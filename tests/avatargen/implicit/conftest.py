"""A ball as a body: everything about it is known exactly, and it takes a fraction of a second to prepare."""

import pytest
import torch
import trimesh

from avatargen.implicit.avatar import AvatarField, Learned
from avatargen.implicit.color import make_look
from avatargen.implicit.encoding import band_pyramid
from avatargen.implicit.sdf import body_field

RADIUS = 0.3


def ball_mesh(subdivisions=4, radius=RADIUS):
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return torch.tensor(ball.vertices, dtype=torch.float32), torch.tensor(ball.faces, dtype=torch.long)


def make_ball_field():
    vertices, faces = ball_mesh()
    box = torch.tensor([[-0.1, 0.2, -0.1], [0.1, 0.4, 0.1]])
    body = body_field(vertices, faces, None, box, spacing=0.02, detail_spacing=0.01, growth=3.0)
    # Colors that vary over the ball: red to the right, green to the top, blue to the front.
    look = make_look(0.5 + vertices / RADIUS * 0.4, faces, None)
    pyramid = band_pyramid(body.bounds, (0.1, 0.05), lambda points, size: body.distance(points).abs() < 0.05 + size)
    learned = Learned(pyramid.rows, pyramid.rows, look.codes, 6, 300.0)
    return AvatarField(
        body=body, look=look, shape_pyramid=pyramid, color_pyramid=pyramid, learned=learned,
        normal_step=0.02, joints=torch.zeros(24, 3), parts=None,
    )  # fmt: skip


@pytest.fixture
def ball_field():
    """A new field each time, for its parameters change."""
    return make_ball_field()
