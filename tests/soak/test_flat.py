"""Whether growth is seen, and nothing else is taken for it."""

from __future__ import annotations

import random

import pytest

from .flat import trend


def samples(growth: float, seed: int, count: int = 60) -> list[float]:
    """Of a figure that moves by itself, and grows by so much in all."""
    dice, value, found = random.Random(seed), 0.0, []
    for n in range(count):
        value = 0.5 * value + dice.gauss(0, 3)
        found.append(100 + value + growth * n / count + (60 if dice.random() < 0.03 else 0))
    return found


def test_what_moves_does_not_grow() -> None:
    grown = [trend(range(60), samples(0, seed)).growth for seed in range(150)]
    assert max(grown) < 3
    assert sum(growth > 0 for growth in grown) < 5


@pytest.mark.parametrize("growth", [40, 100])
def test_growth_is_seen_among_what_moves(growth: float) -> None:
    for seed in range(60):
        assert trend(range(60), samples(growth, seed)).growth > 3


def test_a_leak_of_one_in_ten_samples_is_seen_where_nothing_moves() -> None:
    assert trend(range(60), [12 + n // 10 for n in range(60)]).growth > 3


def test_few_samples_say_nothing() -> None:
    with pytest.raises(ValueError, match="5 samples"):
        trend(range(5), [1, 2, 3, 4, 5])
