import pytest
import torch

from avatargen.implicit.encoding import _scatter, band_pyramid, hash_pyramid, lookup, plane_pyramid

BOUNDS = torch.tensor([[-0.4, -0.3, -0.2], [0.5, 0.3, 0.2]])


def everywhere(points, spacing):
    return torch.ones(len(points), dtype=torch.bool)


def points_inside(count=200, seed=0):
    draw = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))
    return BOUNDS[0] + draw * (BOUNDS[1] - BOUNDS[0])


def node_positions(pyramid):
    """Position of each row of a one-level band pyramid."""
    (level,) = pyramid.levels
    out = torch.zeros(pyramid.rows, 3)
    cells = torch.nonzero(level.cells)
    corners = torch.tensor([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    rows = level.corners[level.cells[tuple(cells.T)].long()].long()
    out[rows] = level.origin + level.spacing * (cells[:, None] + corners).float()
    return out


def test_a_level_reproduces_linear_functions_exactly():
    pyramid = band_pyramid(BOUNDS, (0.1,), everywhere)
    table = node_positions(pyramid) @ torch.tensor([[1.0, 0.5], [-2.0, 0.0], [0.3, 4.0]]) + 0.7
    table[0] = 0.0
    points = points_inside()
    expected = points @ torch.tensor([[1.0, 0.5], [-2.0, 0.0], [0.3, 4.0]]) + 0.7
    torch.testing.assert_close(pyramid(table, points), expected, atol=1e-5, rtol=1e-5)
    slope = pyramid.gradient(table[:, :1], points)
    torch.testing.assert_close(slope, torch.tensor([[1.0, -2.0, 0.3]]).expand(len(points), 3), atol=1e-4, rtol=1e-4)


def test_levels_add_up_with_their_gains():
    both = band_pyramid(BOUNDS, (0.2, 0.07), everywhere, gains=(1.0, 0.25))
    table = torch.randn(both.rows, 3, generator=torch.Generator().manual_seed(1))
    table[0] = 0.0
    points = points_inside()
    total = torch.zeros(len(points), 3)
    for level, gain in zip(both.levels, (1.0, 0.25), strict=True):
        rows, weights = level.rows(points)
        total += (table[rows.long()] * weights[..., None]).sum(1)
        torch.testing.assert_close(weights.sum(1), torch.full((len(points),), gain))
    torch.testing.assert_close(both(table, points), total, atol=1e-5, rtol=1e-5)


def test_only_wanted_cells_exist_and_the_rest_reads_zero():
    def upper(points, spacing):
        return points[:, 1] > -0.5 * spacing

    pyramid = band_pyramid(BOUNDS, (0.02,), upper)
    full = band_pyramid(BOUNDS, (0.02,), everywhere)
    assert pyramid.rows < 0.6 * full.rows
    table = torch.ones(pyramid.rows, 1)
    table[0] = 0.0
    value = pyramid(table, points_inside())[:, 0]
    above = points_inside()[:, 1] > 0.03
    below = points_inside()[:, 1] < -0.05
    torch.testing.assert_close(value[above], torch.ones(int(above.sum())))
    assert float(value[below].abs().max()) == 0.0
    outside = torch.tensor([[9.0, 9.0, 9.0], [-9.0, 0.0, 0.0]])
    assert float(pyramid(table, outside).abs().max()) == 0.0


def test_mirrored_levels_share_left_and_right_without_a_crease():
    pyramid = band_pyramid(torch.tensor([[-0.4, -0.2, -0.2], [0.4, 0.2, 0.2]]), (0.08,), everywhere, mirror=True)
    table = torch.randn(pyramid.rows, 2, generator=torch.Generator().manual_seed(2))
    points = torch.rand(100, 3, generator=torch.Generator().manual_seed(3)) * 0.3
    flipped = points * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(pyramid(table, points), pyramid(table, flipped))
    middle = torch.tensor([[-1e-3, 0.05, 0.02], [0.0, 0.05, 0.02], [1e-3, 0.05, 0.02]])
    left, center, right = pyramid(table, middle)
    assert float((left + right - 2 * center).abs().max()) < 1e-3 * float(table.abs().max())


def test_a_hashed_level_sums_the_rows_that_the_hash_names():
    pyramid = hash_pyramid(BOUNDS, (0.1,), 512)
    table = torch.randn(pyramid.rows, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float32)
    point = torch.tensor([[0.123, -0.045, 0.067]])
    place = (point[0] - (BOUNDS[0] - 0.05)) / 0.1
    cell, part = place.floor().long(), place - place.floor()
    expected = torch.zeros(2)
    for i in (0, 1):
        for j in (0, 1):
            for k in (0, 1):
                x, y, z = (int(cell[a]) + o for a, o in zip(range(3), (i, j, k), strict=True))
                row = (x ^ (y * 2_654_435_761) ^ (z * 805_459_861)) % 512 + 1
                share = 1.0
                for a, o in zip(range(3), (i, j, k), strict=True):
                    share *= float(part[a]) if o else 1.0 - float(part[a])
                expected += share * table[row]
    torch.testing.assert_close(pyramid(table, point)[0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("mirror", [False, True])
def test_planes_add_up_to_what_torchs_own_sampling_of_three_pictures_gives(mirror):
    pyramid = plane_pyramid(BOUNDS, (0.1, 0.03), mirror=mirror, gains=(1.0, 0.5))
    table = torch.randn(pyramid.rows, 2, generator=torch.Generator().manual_seed(6))
    points = torch.cat([points_inside(), torch.tensor([[2.0, 0.0, 0.0], [0.1, -3.0, 0.1]])])
    expected = torch.zeros(len(points), 2)
    for level in pyramid.levels:
        low, first = level.origin, level.first
        place = points.clone()
        if mirror:
            place[:, 0] = torch.hypot(place[:, 0], torch.tensor(0.5 * level.spacing))
        unit = 2.0 * (place - low) / (level.spacing * (torch.tensor(level.shape) - 1)) - 1.0
        for one, two in ((0, 1), (1, 2), (2, 0)):
            size = level.shape[one] * level.shape[two]
            picture = table[first : first + size].T.reshape(1, 2, level.shape[one], level.shape[two])
            seen = torch.nn.functional.grid_sample(
                picture, unit[None, None][..., [two, one]], align_corners=True, padding_mode="border"
            )
            expected += level.gain * seen[0, :, 0].T
            first += size
    torch.testing.assert_close(pyramid(table, points), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("kind", ["band", "hash", "planes"])
def test_the_derivative_in_the_points_is_that_of_tiny_steps(kind, mirror):
    build = {
        "band": lambda: band_pyramid(BOUNDS, (0.1, 0.04), everywhere, mirror=mirror, gains=(1.0, 0.5)),
        "hash": lambda: hash_pyramid(BOUNDS, (0.1, 0.04), 512, mirror=mirror, gains=(1.0, 0.5)),
        "planes": lambda: plane_pyramid(BOUNDS, (0.1, 0.04), mirror=mirror, gains=(1.0, 0.5)),
    }
    pyramid = build[kind]()
    table = torch.randn(pyramid.rows, 1, generator=torch.Generator().manual_seed(7))
    table[0] = 0.0
    points = torch.cat([points_inside(), torch.tensor([[2.0, 0.0, 0.0], [0.1, -3.0, 0.1]])])
    slope = pyramid.gradient(table, points)
    tiny = 2e-4
    for axis in range(3):
        way = tiny * torch.eye(3)[axis]
        rough = (pyramid(table, points + way) - pyramid(table, points - way))[:, 0] / (2 * tiny)
        # A step across the border of two cells sees both of their slopes.
        off = (slope[:, axis] - rough).abs() / (1.0 + rough.abs())
        assert float(off.quantile(0.97)) < 0.02
        assert float(off.median()) < 0.002


def test_the_coarser_half_of_the_levels_gives_their_share_of_the_sum():
    pyramid = band_pyramid(BOUNDS, (0.2, 0.1, 0.05), everywhere)
    table = torch.randn(pyramid.rows, 1, generator=torch.Generator().manual_seed(8))
    table[0] = 0.0
    coarse = pyramid.coarser()
    assert [level.spacing for level in coarse.levels] == [0.2, 0.1]
    assert coarse.rows == pyramid.rows
    table[pyramid.levels[2].first :] = 0.0
    torch.testing.assert_close(coarse(table, points_inside()), pyramid(table, points_inside()))
    assert len(coarse.coarser().coarser().levels) == 1


def test_the_gradient_of_a_lookup_equals_autograds_through_plain_indexing():
    generator = torch.Generator().manual_seed(5)
    rows = torch.randint(0, 30, (50, 16), generator=generator).int()
    weights = torch.rand(50, 16, generator=generator)
    upstream = torch.randn(50, 4, generator=generator)
    table = torch.randn(30, 4, generator=generator, requires_grad=True)
    (plain,) = torch.autograd.grad((table[rows.long()] * weights[..., None]).sum(1), table, upstream)
    (ours,) = torch.autograd.grad(lookup(table, rows, weights), table, upstream)
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(_scatter(rows, weights, upstream, 30), plain, atol=1e-5, rtol=1e-5)
