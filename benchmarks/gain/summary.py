"""Summarize runs: scores, gains over the student alone in pairs of one seed, transfer, cost."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from okdhp_mm.evaluation.gains import paired_gain, spread
from okdhp_mm.structures import ENSEMBLE, branch_name

from .arms import ALONE
from .devices import may_be_timed

DEPLOYED = branch_name(0)


def scores(result: dict, metric: str) -> dict[str, float]:
    """Return a run's scores on the reported persons.

    Returns:
        'deployed' (branch 0), 'chosen' (the best branch on the selection persons), 'branches'
        (their mean) and, with branches, 'ensemble': theirs, or the frozen teacher.
    """
    branches = [name for name in result['test'] if name != ENSEMBLE]
    chosen = max(branches, key=lambda name: result['selection'][name][metric])
    found = dict(
        deployed=result['test'][DEPLOYED][metric],
        chosen=result['test'][chosen][metric],
        branches=statistics.mean(result['test'][name][metric] for name in branches),
    )
    if ENSEMBLE in result['test']:
        found['ensemble'] = result['test'][ENSEMBLE][metric]
    return found


def summarize(results: Iterable[dict], metric: str) -> list[dict]:
    """Return a row per student and arm, in the order of their first runs.

    Args:
        results: Of all runs.
        metric: 'PCK' or 'AUC'.
    """
    groups: dict[tuple[str, str], dict[int, dict]] = {}
    for result in results:
        group = groups.setdefault((result['student'], result['arm']), {})
        group[result['seed']] = result
    return [
        dict(student=student, arm=arm) | row(group, groups.get((student, ALONE), {}), metric)
        for (student, arm), group in groups.items()
    ]


def row(group: dict[int, dict], alone: dict[int, dict], metric: str) -> dict:
    """Return an arm's row.

    Args:
        group: The arm's runs by seed.
        alone: Those of the student alone.
        metric: 'PCK' or 'AUC'.

    Returns:
        For every score, its mean and its standard deviation over the seeds (``spread_...``). Over
        the seeds of the student alone: the paired gain with its standard error (``error_...``), the
        transfer (gain of the student divided by that of the ensemble), and the time of the training
        divided by that of the student alone on the same device. ``loss_ratio`` is the loss on other
        persons divided by that on those trained on.
    """
    found = {seed: scores(result, metric) for seed, result in group.items()}
    summary = dict(seeds=sorted(group))
    for name in next(iter(found.values())):
        values = [found[seed][name] for seed in sorted(found)]
        summary |= {name: statistics.mean(values), f'spread_{name}': spread(values)}
    # Not in the runs of an earlier version.
    if all('loss_ratio' in result for result in group.values()):
        summary['loss_ratio'] = statistics.mean(r['loss_ratio'] for r in group.values())
    pairs = sorted(group.keys() & alone.keys())
    if not pairs:
        return summary
    base = {seed: scores(alone[seed], metric)['deployed'] for seed in pairs}
    for name in next(iter(found.values())):
        gain = paired_gain({seed: found[seed][name] for seed in pairs}, base)
        summary[f'gain_{name}'], summary[f'error_{name}'] = gain.mean, gain.error
    # The transfer is defined only for a positive gain.
    if summary.get('gain_ensemble', 0) > 0:
        for name in ('deployed', 'branches'):
            summary[f'transfer_{name}'] = summary[f'gain_{name}'] / summary['gain_ensemble']
    timed = [s for s in pairs if may_be_timed(group[s].get('device'), alone[s].get('device'))]
    if timed:
        summary['time'] = statistics.median(seconds(group[s]) / seconds(alone[s]) for s in timed)
    return summary


def seconds(result: dict) -> float:
    """Return the seconds of all steps of a training, without the data."""
    return result['step_seconds'] * result['iterations']
