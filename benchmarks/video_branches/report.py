"""Tables of the experiment over all seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from dkd import spread

from .confidence import compare
from .networks import SPLITS, tracks_of
from .routing import (
    RULES,
    calls,
    cost,
    even_calls,
    in_between,
    random_calls,
    threshold_for,
)
from .tracks import ENSEMBLE, LARGE, PEER, SMALL, Track, pck

SHARES = (0.1, 0.3)
BETWEEN = ('small', 'repeat')
DRAWS = 10
WALKING = 25
"""First block of the part of the video where the flies walk."""
NAMES = {LARGE: 'large', SMALL: 'small', PEER: 'other small', ENSEMBLE: 'ensemble'}


def read(out: Path, first_block: int = 0) -> list[tuple[list[Track], list[Track]]]:
    """Return the held-out and the test tracks of each finished seed, from a block on."""
    folder = out / 'predictions'
    seeds = sorted(int(file.name.split('_')[0]) for file in folder.glob('*_test.npz'))
    found = []
    for seed in seeds:
        parts = [dict(np.load(folder / f'{seed}_{part}.npz')) for part in SPLITS]
        kept = [part['block'] >= first_block for part in parts]
        select, test = (
            tracks_of({name: values[keep] for name, values in part.items()})
            for part, keep in zip(parts, kept, strict=True)
        )
        found.append((select, test))
    return found


def bounds(runs: Sequence, costs: dict[str, float]) -> list[str]:
    """Return the rows of each output on every frame."""
    tops = {LARGE: ('large',), SMALL: ('small',), PEER: ('peer',)}
    tops[ENSEMBLE] = ('large', 'small', 'peer')
    rows = ['| output on every frame | MMAC | PCK@0.1 |', '|---|---|---|']
    for output, names in tops.items():
        macs = costs['trunk'] + sum(costs[name] for name in names)
        values = [pck(test, [t.poses[:, output] for t in test]) for _, test in runs]
        rows.append(f'| {NAMES[output]} | {macs:.1f} | {spread(values, 1)} |')
    return rows


def routed(
    select: list[Track], test: list[Track], costs: dict[str, float], share: float
) -> dict[tuple[str, str], dict]:
    """Return the results of each pose in between and rule, and of the controls.

    'pck' is the accuracy of the rule. 'even' has as many calls at equal distances and the same pose
    in between. 'equal_cost' repeats poses of calls at equal distances, whose total cost is equal.
    """
    found, lengths = {}, [len(track) for track in test]
    frames = sum(lengths)

    def accuracy(called: list[np.ndarray], kind: str) -> float:
        return pck(test, [in_between(t, c, kind) for t, c in zip(test, called, strict=True)])

    def draw(total: int) -> list[list[np.ndarray]]:
        rngs = (np.random.default_rng(seed) for seed in range(DRAWS))
        return [random_calls(lengths, total, rng) for rng in rngs]

    wanted = round(share * frames)
    runs = dict(even=[even_calls(lengths, wanted)], random=draw(wanted))
    for name, rule in RULES.items():
        threshold = threshold_for(select, rule, share)
        runs[name] = [[calls(track, rule, threshold) for track in test]]
    for name, drawn in runs.items():
        total = int(np.concatenate(drawn[0]).sum())
        for kind in BETWEEN:
            macs = cost(costs, name, kind, total / frames)
            affordable = round(macs / (costs['trunk'] + costs['large']) * frames)
            found[kind, name] = dict(
                share=100 * total / frames,
                macs=macs,
                pck=statistics.mean(accuracy(called, kind) for called in drawn),
                even=accuracy(even_calls(lengths, total), kind),
                equal_cost=accuracy(even_calls(lengths, affordable), 'repeat'),
            )
    return found


def routing_rows(runs: Sequence, costs: dict[str, float]) -> list[str]:
    """Return a row for each pose in between, rule and share of calls."""
    rows = [
        '| in between | calls | share of calls, % | MMAC | PCK@0.1 | as many even calls '
        '| repeat at equal cost |',
        '|---|---|---|---|---|---|---|',
    ]
    found = [[routed(*run, costs, share) for run in runs] for share in SHARES]
    for key in found[0][0]:
        for seeds in found:
            digits = dict(share=0, macs=1, pck=1, even=1, equal_cost=1)
            cells = [spread([s[key][name] for s in seeds], n) for name, n in digits.items()]
            rows.append('| ' + ' | '.join([*key, *cells]) + ' |')
    return rows


def confidence_rows(runs: Sequence) -> list[str]:
    """Return the AUROC of each measure for each output."""
    rows = ['| output | confidence | AUROC | within keypoints |', '|---|---|---|---|']
    for output in (LARGE, SMALL, ENSEMBLE):
        seeds = [compare(*run, output) for run in runs]
        for name in seeds[0]:
            cells = [spread([s[name][key] for s in seeds], 1) for key in ('auroc', 'within')]
            rows.append(f'| {NAMES[output]} | {name} | {" | ".join(cells)} |')
    return rows


def report(out: Path) -> str:
    """Return the tables of all test blocks and of those where the flies walk."""
    costs, parts = json.loads((out / 'costs.json').read_text()), []
    for title, first_block in dict(all=0, walking=WALKING).items():
        runs = read(out, first_block)
        poses = sum(len(track) for track in runs[0][1])
        parts.append([f'{title}: {len(runs)} seeds, {poses} poses'])
        parts += [bounds(runs, costs), routing_rows(runs, costs), confidence_rows(runs)]
    return '\n\n'.join('\n'.join(rows) for rows in parts)
