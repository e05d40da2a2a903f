"""Statistics of paired runs: gains over a baseline that was trained with the same seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Gain:
    """Mean difference to a baseline over the seeds that both have.

    Attributes:
        mean: Mean of the differences.
        error: Standard error of the mean; None for a single pair.
        differences: Difference by seed.
    """

    mean: float
    error: float | None
    differences: dict[int, float]


def paired_gain(values: Mapping[int, float], base: Mapping[int, float]) -> Gain | None:
    """Return the gain over a baseline.

    Args:
        values: Score by seed.
        base: The baseline's score by seed.

    Returns:
        The gain; None if no seed is in both.
    """
    differences = {seed: values[seed] - base[seed] for seed in sorted(values.keys() & base.keys())}
    if not differences:
        return None
    deviation = spread(list(differences.values()))
    error = None if deviation is None else deviation / len(differences) ** 0.5
    return Gain(statistics.mean(differences.values()), error, differences)


def spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation; None for a single value."""
    return statistics.stdev(values) if len(values) > 1 else None
