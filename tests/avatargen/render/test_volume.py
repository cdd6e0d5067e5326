import math

import pytest
import torch

from avatargen.render.rays import box_span, march
from avatargen.render.volume import (
    alphas_from_sdf,
    composite,
    eikonal_loss,
    sample_edges,
    weights_from_alphas,
    weights_from_sdf,
)

F64 = torch.float64


def sphere(points):
    return points.norm(dim=-1) - 0.5


def capsule(points):
    along = points[:, 1].clamp(-0.4, 0.4)
    nearest = torch.stack([torch.zeros_like(along), along, torch.zeros_like(along)], dim=-1)
    return (points - nearest).norm(dim=-1) - 0.2


def ray_grid(size=24, width=0.9, z=2.0):
    x, y = torch.meshgrid(*[torch.linspace(-width, width, size, dtype=F64)] * 2, indexing="xy")
    origins = torch.stack([x.flatten(), y.flatten(), torch.full((size * size,), z, dtype=F64)], dim=-1)
    return origins, torch.tensor([0.0, 0.0, -1.0], dtype=F64).expand_as(origins)


@pytest.mark.parametrize("edges", [65, 257, 1025])
def test_the_expected_depth_converges_to_where_the_ray_meets_the_sphere(edges):
    t = torch.linspace(0.5, 3.5, edges, dtype=F64)[None]
    sdf = (2.0 - t).abs() - 0.5
    weights = weights_from_sdf(sdf, torch.tensor(2000.0, dtype=F64))
    depth = (weights * 0.5 * (t[:, 1:] + t[:, :-1])).sum()
    assert abs(depth.item() - 1.5) <= 3.0 / (edges - 1)


def test_weights_equal_the_papers_formula_written_out():
    generator = torch.Generator().manual_seed(0)
    sdf = torch.randn(20, 12, generator=generator, dtype=F64) * 0.02
    s = torch.tensor(150.0, dtype=F64)
    phi = torch.sigmoid(s * sdf)
    alpha = ((phi[:, :-1] - phi[:, 1:]) / phi[:, :-1]).clamp_min(0.0)
    expected = torch.zeros_like(alpha)
    for ray in range(20):
        light = 1.0
        for i in range(11):
            expected[ray, i] = light * alpha[ray, i]
            light *= 1.0 - float(alpha[ray, i])
    torch.testing.assert_close(alphas_from_sdf(sdf, s), alpha)
    torch.testing.assert_close(weights_from_sdf(sdf, s), expected)
    torch.testing.assert_close(weights_from_alphas(alpha), expected)


def test_weights_are_shares_that_sum_to_at_most_one_even_deep_inside():
    generator = torch.Generator().manual_seed(1)
    sdf = torch.randn(500, 30, generator=generator)
    weights = weights_from_sdf(sdf, torch.tensor(5000.0))
    assert bool(torch.isfinite(weights).all())
    assert float(weights.min()) >= 0.0
    assert float(weights.sum(1).max()) <= 1.0 + 1e-5


def test_what_is_behind_is_hidden_and_the_way_out_weighs_nothing():
    t = torch.linspace(0.0, 6.0, 601, dtype=F64)[None]
    two_walls = torch.minimum((t - 1.5).abs() - 0.5, (t - 4.5).abs() - 0.5)
    weights = weights_from_sdf(two_walls, torch.tensor(200.0, dtype=F64))[0]
    middle = 0.5 * (t[0, 1:] + t[0, :-1])
    assert float(weights[middle < 1.3].sum()) > 0.999
    assert float(weights[middle > 1.6].sum()) < 1e-6


def test_gradients_equal_finite_differences():
    generator = torch.Generator().manual_seed(2)
    sdf = (torch.randn(3, 6, generator=generator, dtype=F64) * 0.01).requires_grad_()
    s = torch.tensor(120.0, dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(weights_from_sdf, (sdf, s))


def test_the_background_gets_exactly_what_is_left_of_the_light():
    weights = torch.tensor([[0.2, 0.3], [0.0, 0.0]])
    values = torch.ones(2, 2, 3) * torch.tensor([1.0, 0.0, 0.0])
    back = torch.tensor([[0.0, 0.0, 1.0]]).expand(2, 3)
    out = composite(weights, values, back)
    torch.testing.assert_close(out, torch.tensor([[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]]))


def test_samples_fall_where_the_weights_are_in_order_and_inside():
    edges = torch.linspace(0.0, 1.0, 11)[None].repeat(2, 1)
    weights = torch.zeros(2, 10)
    weights[0, 3], weights[1, 7] = 0.9, 0.5
    places = sample_edges(edges, weights, 101)
    assert bool((places[:, 1:] >= places[:, :-1]).all())
    assert float(places[0].min()) >= 0.3
    assert float(places[1].max()) <= 0.8
    inside = ((places[0] >= 0.3 - 1e-6) & (places[0] <= 0.4 + 1e-6)).float().mean()
    assert float(inside) == 1.0
    shifted = sample_edges(edges, weights, 101, torch.tensor([0.4, -0.4]))
    assert bool((shifted[:, 1:] >= shifted[:, :-1]).all())
    assert not torch.equal(shifted, places)


def test_a_distance_field_has_no_eikonal_loss_and_a_doubled_one_has_one():
    directions = torch.nn.functional.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(3)), dim=-1)
    assert float(eikonal_loss(directions)) < 1e-10
    assert abs(float(eikonal_loss(2.0 * directions)) - 1.0) < 1e-5


def test_a_box_span_equals_sampling_the_ray():
    generator = torch.Generator().manual_seed(4)
    origins = torch.randn(200, 3, generator=generator, dtype=F64) * 1.5
    directions = torch.nn.functional.normalize(torch.randn(200, 3, generator=generator, dtype=F64), dim=-1)
    bounds = torch.tensor([[-0.5, -0.7, -0.3], [0.6, 0.4, 0.5]], dtype=F64)
    near, far = box_span(origins, directions, bounds)
    t = torch.linspace(0.0, 8.0, 8001, dtype=F64)
    points = origins[:, None] + t[None, :, None] * directions[:, None]
    inside = ((points >= bounds[0]) & (points <= bounds[1])).all(-1)
    for ray in range(200):
        if not bool(inside[ray].any()):
            assert float(far[ray] - near[ray]) < 2e-3
            continue
        hits = t[inside[ray]]
        assert abs(float(hits[0] - near[ray])) < 2e-3
        assert abs(float(hits[-1] - far[ray])) < 2e-3


@pytest.mark.parametrize("field", [sphere, capsule])
def test_a_march_and_its_weights_give_the_exact_depth_and_silhouette(field):
    origins, directions = ray_grid()
    zero = torch.zeros(len(origins), dtype=F64)
    sharp = torch.tensor(1000.0, dtype=F64)
    trace = march(field, origins, directions, zero + 0.5, zero + 4.0, 60, 1.0 / 1000.0)
    assert bool((trace.depth[:, 1:] >= trace.depth[:, :-1]).all())
    edges = sample_edges(trace.depth, weights_from_sdf(trace.sdf, sharp), 33)
    points = origins[:, None] + edges[..., None] * directions[:, None]
    weights = weights_from_sdf(field(points.view(-1, 3)).view(edges.shape), sharp)
    # Seen along z, a sphere of radius 0.5 and a capsule of radius 0.2 and half length 0.4.
    away = origins[:, :2].norm(dim=-1)
    if field is capsule:
        away = (origins[:, :2] - torch.stack([zero, origins[:, 1].clamp(-0.4, 0.4)], dim=-1)).norm(dim=-1)
    radius = 0.5 if field is sphere else 0.2
    inside = away < radius - 0.005
    outside = away > radius + 0.005
    opacity = weights.sum(1)
    assert float(opacity[inside].min()) > 0.97
    assert float(opacity[outside].max()) < 0.03
    depth = (weights * 0.5 * (edges[:, 1:] + edges[:, :-1])).sum(1) / opacity.clamp_min(1e-9)
    steep = away < 0.9 * radius
    exact = 2.0 - (radius**2 - away[steep] ** 2).sqrt()
    assert float((depth[steep] - exact).abs().max()) < 2e-3


def test_a_march_sees_the_graze_before_the_hit():
    def two(points):
        return torch.minimum((points - torch.tensor([0.0, 0.302, 1.0])).norm(dim=-1) - 0.3, points[:, 2] + 1.0)

    origins, directions = torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([[0.0, 0.0, -1.0]])
    trace = march(two, origins, directions, torch.zeros(1), torch.full((1,), 5.0), 80, 0.002)
    weights = weights_from_sdf(trace.sdf, torch.tensor(500.0))[0]
    middle = 0.5 * (trace.depth[0, 1:] + trace.depth[0, :-1])
    assert float(weights[(middle - 1.0).abs() < 0.2].sum()) == pytest.approx(1 - 1 / (1 + math.exp(-1.0)), abs=0.08)
    assert float(weights.sum()) > 0.98
