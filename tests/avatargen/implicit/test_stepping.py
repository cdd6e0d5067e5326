import math

import pytest

from avatargen.implicit.stepping import settled, share_of_way


def test_scores_that_rise_never_settle_and_flat_ones_do_when_patience_is_over():
    rising = [0.3 + 0.001 * step for step in range(400)]
    assert settled(rising, 50) is None
    # The mean of 24 steps rises until all of them are of the plateau; patience counts from there.
    plateau = [0.3 + 0.001 * min(step, 100) for step in range(400)]
    found = settled(plateau, 50)
    assert found is not None
    assert 150 < found <= 101 + 24 + 50
    assert settled(plateau[:found], 50) == found
    assert settled(plateau[: found - 1], 50) is None
    assert settled(plateau, 0) is None
    assert settled([], 50) is None


def test_what_swings_with_the_views_is_no_rise_and_no_fall():
    swinging = [0.3 + 0.05 * math.sin(step * math.pi / 6) for step in range(300)]
    assert settled(swinging, 60) == 24 + 60


def test_a_fall_is_no_rise():
    falling = [0.3 - 0.001 * step for step in range(300)]
    assert settled(falling, 100) == 24 + 100


def test_the_way_is_even_without_a_plateau_and_its_rest_takes_a_tenth_with_one():
    assert [share_of_way(step, 4, None) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    shares = [share_of_way(step, 100, 40) for step in range(40, 52)]
    assert shares[0] == pytest.approx(0.4)
    assert shares[5] == pytest.approx(0.7)
    assert shares[10] == shares[11] == 1.0
    assert share_of_way(97, 100, 96) == pytest.approx(0.97)
    assert share_of_way(100, 100, 96) == 1.0
