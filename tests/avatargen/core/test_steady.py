import math

import pytest
import torch

from avatargen.core.steady import MOST_FAILURES, LossWatch, SafeSteps


def test_falling_and_noisy_losses_are_sound_and_runaway_ones_are_not():
    watch = LossWatch()
    assert all(watch.sound(3.0 / (1 + step) + 0.5 * (step % 3)) for step in range(40))
    for bad in (math.nan, math.inf, -math.inf, 1e6, -1e6):
        assert not watch.sound(bad)
    assert watch.failures == 5
    assert watch.sound(1.0)


def test_the_first_losses_may_be_anything_finite():
    watch = LossWatch()
    assert all(watch.sound(loss) for loss in (1e-3, 1e3, 1.0, 50.0))


def bowl(rate):
    point = torch.tensor([3.0, -2.0], requires_grad=True)
    return point, SafeSteps(torch.optim.Adam([point], lr=rate))


def test_a_step_whose_loss_is_not_a_number_is_repeated_at_half_the_rate_from_the_same_place():
    point, steps = bowl(0.1)
    for _ in range(5):
        assert steps.take(point.square().sum())
    before = point.detach().clone()
    assert steps.take(point.square().sum())
    assert not steps.take(point.square().sum() * math.nan)
    torch.testing.assert_close(point.detach(), before)
    assert steps.take(point.square().sum())

    # The same seven good steps without an accident, the last of them at half the rate.
    other = torch.tensor([3.0, -2.0], requires_grad=True)
    optimizer = torch.optim.Adam([other], lr=0.1)
    for step in range(6):
        optimizer.param_groups[0]["lr"] = 0.1 if step < 5 else 0.05
        optimizer.zero_grad()
        other.square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(point.detach(), other.detach())


def test_an_explosion_is_taken_back_and_the_bottom_still_reached():
    point, steps = bowl(0.2)
    taken = refused = 0
    while taken < 200:
        loss = point.square().sum()
        if taken == 50 and refused == 0:
            loss = loss * 0 + 1e9 * point.sum()
        good = steps.take(loss)
        taken, refused = taken + good, refused + (not good)
    assert refused == 1
    assert float(point.detach().norm()) < 0.1


def test_gradients_that_are_not_numbers_are_noticed_though_the_loss_is_one():
    point, steps = bowl(0.1)
    assert not steps.take((point * 0.0).sqrt().sum())
    torch.testing.assert_close(point.detach(), torch.tensor([3.0, -2.0]))


def test_what_cannot_recover_ends_with_its_best_state():
    point, steps = bowl(0.1)
    for _ in range(3):
        steps.take(point.square().sum())
    last = None
    for _ in range(MOST_FAILURES + 1):
        assert not steps.hopeless
        assert not steps.take(point.sum() * math.nan)
        last = point.detach().clone()
    assert steps.hopeless
    assert torch.isfinite(last).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_last_step_into_nowhere_is_taken_back(bad):
    point, steps = bowl(0.1)
    steps.take(point.square().sum())
    with torch.no_grad():
        point[0] = bad
    steps.finish()
    torch.testing.assert_close(point.detach(), torch.tensor([3.0, -2.0]))
