import math

import pytest
import torch

from avatargen.core.rng import stream
from avatargen.implicit.networks import ColorNetwork, NormalisedLinear, SdfNetwork, encode_frequencies


def network(width=128, layers=3, skip=(3,), octaves=6, seed=0):
    return SdfNetwork(width, layers, skip, octaves, 0.5, stream(seed, "sdf"))


def shaken(net, size=0.03):
    """The network some way from its start, so that no part of it is zero."""
    generator = stream(1, "shake")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return net.double()


def ball_points(count, dtype=torch.float64):
    points = torch.randn(count, 3, generator=stream(2, "points"), dtype=torch.float64)
    radius = torch.rand(count, 1, generator=stream(3, "points"), dtype=torch.float64)
    return (points / points.norm(dim=1, keepdim=True) * (0.2 + 0.8 * radius)).to(dtype)


@pytest.mark.parametrize(
    ("width", "layers", "color_layers", "sdf", "color"),
    [(256, 4, 2, 264_884, 135_180), (128, 3, 1, 50_228, 18_188)],
)
def test_the_networks_have_as_many_weights_as_the_originals(width, layers, color_layers, sdf, color):
    net = network(width, layers, (layers,))
    colors = ColorNetwork(width, width, color_layers, stream(0, "color"))
    assert sum(p.numel() for p in net.parameters()) == sdf
    assert sum(p.numel() for p in colors.parameters()) == color


def test_the_encoding_is_the_point_and_its_waves():
    points = torch.tensor([[0.1, -0.2, 0.3]])
    waves = encode_frequencies(points, 2)[0].tolist()
    expected = [0.1, -0.2, 0.3]
    for scale in (1.0, 2.0):
        expected += [math.sin(scale * x) for x in (0.1, -0.2, 0.3)] + [math.cos(scale * x) for x in (0.1, -0.2, 0.3)]
    assert waves == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("width", "layers", "skip"), [(256, 4, (4,)), (128, 3, (3,)), (256, 4, (2,)), (256, 3, ())])
def test_a_new_network_is_a_sphere_with_gradients_of_length_one(width, layers, skip):
    points = ball_points(2000)
    found, slopes = [], []
    for seed in range(8):  # one draw is a sphere to a few percent; their mean shows that no scale is missing
        net = network(width, layers, skip, seed=seed).double()
        distance, _, gradient = net.with_gradient(points)
        found.append(distance.detach())
        slopes.append(gradient.detach().norm(dim=1).mean())
        outward = (torch.nn.functional.normalize(gradient, dim=1) * torch.nn.functional.normalize(points, dim=1)).sum(1)
        assert float(outward.detach().mean()) > 0.9
    exact = points.norm(dim=1) - 0.5
    assert float((torch.stack(found).mean(0) - exact).abs().mean()) < 0.08
    # Softplus is rounder than the ramp for which the start is made, which flattens it by about a tenth.
    assert float(torch.stack(slopes).mean()) == pytest.approx(0.95, abs=0.18)


@pytest.mark.parametrize("skip", [(), (3,), (1, 3), (2,)])
def test_the_gradient_equals_autograds_and_so_do_the_gradients_of_its_losses(skip):
    net = shaken(network(64, 3, skip, 4))
    points = ball_points(40)
    distance, feature, gradient = net.with_gradient(points)
    plain, same = net(points)
    torch.testing.assert_close(distance, plain)
    torch.testing.assert_close(feature, same)
    free = points.clone().requires_grad_()
    (truth,) = torch.autograd.grad(net.distance(free).sum(), free, create_graph=True)
    torch.testing.assert_close(gradient, truth, rtol=1e-6, atol=1e-7)  # torch's softplus is a line beyond 20

    def weights_of(slope):
        loss = ((slope.norm(dim=1) - 1.0) ** 2).mean() + slope[:, 0].mean()
        return torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)

    for ours, theirs in zip(weights_of(gradient), weights_of(truth), strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


def test_weight_normalisation_keeps_the_weight_and_equals_torchs_own():
    weight = torch.randn(5, 7, generator=stream(0, "w"), dtype=torch.float64)
    ours = NormalisedLinear(weight, torch.zeros(5, dtype=torch.float64))
    torch.testing.assert_close(ours.weight(), weight)
    inputs = torch.randn(4, 7, generator=stream(1, "w"), dtype=torch.float64)
    torch.testing.assert_close(ours(inputs), inputs @ weight.T)
    theirs = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(7, 5, bias=False).double())
    with torch.no_grad():
        theirs.parametrizations.weight.original1.copy_(weight)
        theirs.parametrizations.weight.original0.copy_(weight.norm(dim=1, keepdim=True))
    ours(inputs).square().sum().backward()
    theirs(inputs).square().sum().backward()
    torch.testing.assert_close(ours.direction.grad, theirs.parametrizations.weight.original1.grad)


def test_colors_lie_in_range_and_style_and_reconstruction_share_all_but_their_heads():
    colors = ColorNetwork(16, 32, 2, stream(0, "color"))
    inputs = [torch.randn(9, n, generator=stream(1, "c")) for n in (3, 3, 16)]
    style, base = colors(*inputs)
    both = torch.cat([style, base]).detach()
    assert float(both.min()) > 0
    assert float(both.max()) < 1
    style.sum().backward()
    assert colors.base.bias.grad is None
    assert float(colors.hidden[0].bias.grad.abs().sum()) > 0


def test_a_skip_without_room_is_refused():
    with pytest.raises(ValueError, match="no room"):
        network(32, 3, (3,), 6)
    with pytest.raises(ValueError, match="layers 1 to 3"):
        network(128, 3, (4,))
