import pytest
import torch

from avatargen.core.rng import stream
from avatargen.implicit.neus import ball_span, render_rays, sample_depths, section_alphas
from avatargen.render.cameras import orbit, rays
from avatargen.render.volume import alphas_from_sdf

RADIUS = 0.5


def sphere(points):
    return points.norm(dim=-1) - RADIUS


def capsule(points):
    along = points[:, 1].clamp(-0.4, 0.4)
    return (points - torch.stack([torch.zeros_like(along), along, torch.zeros_like(along)], dim=1)).norm(dim=-1) - 0.2


def view(distance, size=24):
    origins, directions = rays(orbit(20.0, 10.0, distance, fov_deg=60.0, size=size))
    return origins.reshape(-1, 3), directions.reshape(-1, 3)


def looker(shape, color=(0.2, 0.6, 0.9)):
    def look(points):
        free = points.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(shape(free).sum(), free)
        tint = torch.tensor(color).expand(len(points), 3)
        return shape(points), gradient, tint, 0.5 * tint

    return look


def hit_depth(origins, directions):
    middle = -(origins * directions).sum(-1)
    closest = torch.linalg.cross(origins, directions).norm(dim=-1)
    return closest, middle - (RADIUS**2 - closest**2).clamp_min(0).sqrt()


def test_rays_are_sampled_one_unit_around_their_place_nearest_to_the_origin():
    near, far = ball_span(torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.3, 0.4]]), torch.tensor([[0.0, 0.0, -1.0]] * 2))
    assert near.tolist() == pytest.approx([2.0, 0.0])
    assert far.tolist() == pytest.approx([4.0, 1.4])


@pytest.mark.parametrize("distance", [1.4, 2.0])
def test_a_sphere_is_drawn_with_its_exact_silhouette_depth_color_and_normals(distance):
    origins, directions = view(distance)
    sections = sample_depths(
        sphere, origins, directions, uniform=32, importance=32, rounds=4, generator=stream(0, "rays")
    )
    assert sections.starts.shape == (24 * 24, 64)
    assert bool((sections.starts[:, 1:] >= sections.starts[:, :-1]).all())
    seen = render_rays(looker(sphere), origins, directions, sections, torch.tensor(1000.0))
    closest, depth = hit_depth(origins, directions)
    hit, missed = closest < RADIUS - 0.02, closest > RADIUS + 0.02
    assert float(seen.opacity[hit].min()) > 0.97
    assert float(seen.opacity[missed].max()) < 0.03
    torch.testing.assert_close(
        seen.style[hit] / seen.opacity[hit, None], torch.tensor([0.2, 0.6, 0.9]).expand(int(hit.sum()), 3)
    )
    truth = (origins + depth[:, None] * directions)[hit] / RADIUS
    assert float((seen.normal[hit] * truth).sum(-1).min()) > 0.99
    weights_at = render_rays(
        lambda p: (sphere(p), *looker(sphere)(p)[1:2], p, p), origins, directions, sections, torch.tensor(1000.0)
    )
    found = ((weights_at.style / weights_at.opacity[:, None] - origins) * directions).sum(-1)
    assert float((found - depth)[hit].abs().max()) < 0.006
    assert float(seen.eikonal) == pytest.approx(0.0, abs=1e-6)


def test_importance_samples_gather_at_the_surface():
    origins, directions = view(2.0)
    closest, depth = hit_depth(origins, directions)
    hit = closest < 0.4
    sections = sample_depths(sphere, origins[hit], directions[hit], uniform=32, importance=32, rounds=4, generator=None)
    near = ((sections.starts - depth[hit, None]).abs() < 0.05).sum(1)
    assert int(near.min()) >= 16  # 32 even ones would leave one or two there


def test_a_capsule_has_its_exact_silhouette():
    origins, directions = view(2.0, 48)
    sections = sample_depths(capsule, origins, directions, uniform=32, importance=32, rounds=4, generator=None)
    seen = render_rays(looker(capsule), origins, directions, sections, torch.tensor(1000.0))
    step = torch.linspace(0.8, 3.2, 4000)
    points = origins[:, None] + step[:, None] * directions[:, None]
    least = torch.stack([capsule(ray) for ray in points]).amin(1)
    assert float(seen.opacity[least < -0.01].min()) > 0.97
    assert float(seen.opacity[least > 0.01].max()) < 0.03


def test_opacities_are_those_of_the_edges_where_the_slope_is_constant():
    edges = torch.linspace(0.3, -0.3, 41, dtype=torch.float64)[None]
    middle, length = 0.5 * (edges[:, 1:] + edges[:, :-1]), torch.full((1, 40), 0.015, dtype=torch.float64)
    slope, sharpness = torch.full_like(middle, -1.0), torch.tensor(80.0, dtype=torch.float64)
    ours = section_alphas(middle, slope, length, sharpness)
    high = middle > -0.1  # below, the guard against 0/0 shows
    torch.testing.assert_close(ours[high], alphas_from_sdf(edges, sharpness)[high], rtol=1e-2, atol=1e-3)


def test_the_even_samples_of_a_ray_shift_together():
    origins, directions = view(2.0, 4)
    plain = sample_depths(sphere, origins, directions, uniform=16, importance=0, rounds=0, generator=None)
    moved = sample_depths(sphere, origins, directions, uniform=16, importance=0, rounds=0, generator=stream(1, "r"))
    shift = moved.starts - plain.starts
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift))
    assert 0.01 < float(shift.abs().max()) <= 1 / 16
    assert float(shift[:, 0].std()) > 0.01
