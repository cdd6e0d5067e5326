import pytest
import torch

from avatargen.core.rng import stream
from avatargen.guidance.losses import direction_loss, mean_features, similarity_loss, unit


def rows(n, name="rows", d=16):
    return torch.randn(n, d, generator=stream(0, name), dtype=torch.float64)


def test_similarity_is_zero_for_the_same_two_for_the_opposite_and_one_for_a_right_angle():
    a = rows(3)
    assert similarity_loss(a, 5.0 * a).item() == pytest.approx(0.0, abs=1e-12)
    assert similarity_loss(a, -a).item() == pytest.approx(2.0)
    x, y = torch.eye(16, dtype=torch.float64)[:1], torch.eye(16, dtype=torch.float64)[1:2]
    assert similarity_loss(x, y).item() == pytest.approx(1.0)


def test_similarity_agrees_with_torch_and_one_text_serves_all_images():
    a, t = rows(4), rows(1, "t")
    expected = (1 - torch.nn.functional.cosine_similarity(a, t)).mean()
    torch.testing.assert_close(similarity_loss(a, t), expected)


def test_direction_is_zero_when_image_and_text_change_alike():
    base, text = unit(rows(1, "b")), unit(rows(1, "t"))
    step = 0.05 * torch.eye(16, dtype=torch.float64)[:1]
    # Subtracting unit rows, so the moved ones must be unit rows as well: walk on the sphere.
    moved = unit(base + step)
    told = unit(text + (moved - base) - ((moved - base) * text).sum() * text)
    loss = direction_loss(moved, base, told, text)
    reference = 1 - torch.nn.functional.cosine_similarity(moved - base, told - text).item()
    assert loss.item() == pytest.approx(reference)
    assert loss.item() < direction_loss(moved, base, unit(text - (told - text)), text).item()


def test_direction_ignores_the_length_of_features():
    i, b, t, u = rows(4), rows(4, "b"), rows(1, "t"), rows(1, "u")
    torch.testing.assert_close(direction_loss(i, b, t, u), direction_loss(3 * i, 0.2 * b, 7 * t, 2 * u))


def test_losses_have_right_gradients():
    i, b, t, u = rows(3).requires_grad_(), rows(3, "b"), rows(1, "t"), rows(1, "u")
    torch.autograd.gradcheck(lambda x: similarity_loss(x, t), i)
    torch.autograd.gradcheck(lambda x: direction_loss(x, b, t, u), i)
    torch.autograd.gradcheck(lambda x: direction_loss(x, b, t, u, floor=2.5), i)


def test_no_change_costs_one_and_has_gradient_zero():
    image = rows(2).requires_grad_()
    loss = direction_loss(image, image.detach(), rows(1, "t"), rows(1, "u"))
    (gradient,) = torch.autograd.grad(loss, image)
    assert loss.item() == 1.0
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_with_a_floor_no_change_has_a_bounded_gradient_toward_the_text():
    image, t, u = rows(1).requires_grad_(), rows(1, "t"), rows(1, "u")
    loss = direction_loss(image, image.detach(), t, u, floor=0.1)
    (gradient,) = torch.autograd.grad(loss, image)
    assert loss.item() == 1.0
    assert 0 < gradient.norm().item() <= 10.0 / image.detach().norm().item() + 1e-9
    moved = image.detach() - 1e-3 * gradient
    assert direction_loss(moved, image.detach(), t, u, floor=0.1).item() < 1.0


def test_weights_choose_images():
    a, t = rows(2), rows(1, "t")
    torch.testing.assert_close(
        similarity_loss(a, t, torch.tensor([1.0, 0.0], dtype=torch.float64)), similarity_loss(a[:1], t)
    )


def test_the_mean_of_wordings_is_a_unit_row_between_them():
    m = mean_features(rows(5))
    assert m.norm().item() == pytest.approx(1.0)
    torch.testing.assert_close(mean_features(rows(1)), unit(rows(1)))


def test_a_zero_row_stays_zero():
    zero = torch.zeros(1, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(unit(zero).sum(), zero)
    assert torch.equal(unit(zero), torch.zeros(1, 4))
    assert torch.equal(gradient, torch.zeros(1, 4))
