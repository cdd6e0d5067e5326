"""Fitted exponents are those that the costs were made with."""

import growth
import pytest


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_found_beside_a_fixed_cost(power):
    sizes = [1, 4, 16, 64, 256, 1024]
    assert growth.exponent(sizes, [3.0 * size**power for size in sizes]) == pytest.approx(power)
    # Of the smallest sizes a fixed cost hides the growth; they have no say.
    assert growth.exponent(sizes, [0.5 + 3.0 * size**power for size in sizes]) == pytest.approx(power, abs=0.02)


def test_memory_is_what_the_work_holds_at_once(tmp_path):
    def make():
        return lambda: sum(bytearray(60_000_000)[::1_000_000])

    seconds, megabytes = growth.measured(make, 2)
    assert seconds > 0
    assert megabytes == pytest.approx(60_000_000 / 2**20, rel=0.15)
