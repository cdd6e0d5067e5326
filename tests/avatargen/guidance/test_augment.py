import pytest
import torch

from avatargen.core.rng import stream
from avatargen.guidance.augment import homographies, random_maps, warp


def ramp(height=32, width=24):
    """A picture that says where each pixel is: red is x, green is y, in -1..1."""
    x = ((2 * torch.arange(width) + 1) / width - 1).expand(height, width)
    y = ((2 * torch.arange(height) + 1) / height - 1)[:, None].expand(height, width)
    return torch.stack([x, y, torch.zeros(height, width)])[None]


def test_nothing_to_do_draws_nothing_and_changes_nothing():
    generator = stream(0, "a")
    before = generator.get_state()
    assert random_maps(3, 1.0, 0.0, generator) is None
    assert torch.equal(before, generator.get_state())
    picture = ramp()
    assert warp(picture, None) is picture


def test_four_points_are_carried_to_four_others():
    start = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    end = torch.tensor([[[-0.8, -1.1], [0.9, -0.7], [1.2, 1.0], [-1.0, 0.6]]])
    maps = homographies(start, end)
    found = torch.cat([start, torch.ones(4, 1)], dim=1) @ maps[0].T
    torch.testing.assert_close(found[:, :2] / found[:, 2:], end[0], rtol=1e-5, atol=1e-5)


def test_the_identity_leaves_a_picture_as_it_is():
    torch.testing.assert_close(warp(ramp(), torch.eye(3)[None]), ramp(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("crop", [0.6, 0.8])
def test_a_crop_shows_a_square_within_the_picture_that_is_as_large_as_asked(crop):
    seen = warp(ramp().expand(200, 3, 32, 24), random_maps(200, crop, 0.0, stream(1, "crop")))
    # In the middle of the result the ramp's step is the share of the side that is kept.
    share = (seen[:, 0, 16, 13] - seen[:, 0, 16, 12]) / (2 / 24)
    assert crop - 1e-3 <= float(share.min()) < crop + 0.05
    assert 0.95 < float(share.max()) <= 1 + 1e-3
    torch.testing.assert_close(share, (seen[:, 1, 17, 12] - seen[:, 1, 16, 12]) / (2 / 32), rtol=1e-3, atol=1e-3)
    assert float(seen[:, :2].abs().max()) <= 1.0


def test_perspective_keeps_lines_straight_and_moves_corners_no_farther_than_asked():
    maps = random_maps(50, 1.0, 0.1, stream(2, "p"))
    corner = torch.tensor([[-1.0, -1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
    found = corner @ maps.transpose(1, 2)
    moved = found[..., :2] / found[..., 2:] - corner[:, :2]
    assert 0.15 < float(moved.abs().max()) <= 0.2 + 1e-4
    line = torch.stack([torch.linspace(-1, 1, 5), 0.3 * torch.linspace(-1, 1, 5), torch.ones(5)], dim=1)
    x, y = ((line @ maps.transpose(1, 2))[..., :2] / (line @ maps.transpose(1, 2))[..., 2:]).unbind(-1)
    area = (x[:, 1:-1] - x[:, :1]) * (y[:, -1:] - y[:, :1]) - (y[:, 1:-1] - y[:, :1]) * (x[:, -1:] - x[:, :1])
    assert float(area.abs().max()) < 1e-4


def test_gradients_reach_the_pictures():
    picture = torch.rand(2, 3, 12, 12, generator=stream(3, "g"), dtype=torch.float64).requires_grad_()
    maps = random_maps(2, 0.7, 0.1, stream(4, "g"))
    assert torch.autograd.gradcheck(lambda p: warp(p, maps), (picture[:, :, :4, :4],), fast_mode=True)
