"""The summary as Markdown, JSON and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot as plt

from .arms import ALONE
from .data import DIGEST
from .summary import summarize

TITLES = dict(PCK='PCKh@0.5', AUC='area under the PCKh curve')
COLUMNS = ('deployed', 'branches', 'chosen', 'ensemble')
HEAD = (
    '| student | arm | seeds | epochs | deployed | mean of branches | chosen branch | ensemble '
    '| gain of deployed | gain of branches | transfer | time | loss ratio |\n' + '|---' * 13 + '|'
)
NOTE = (
    'Reported on persons that nothing was chosen by. Deployed: branch 0, fixed beforehand; chosen: '
    'the best branch on\nother persons. ± after a score: standard deviation over the seeds; after '
    'a gain: standard error of the mean difference\nto the student alone with the same seed. '
    "Transfer: gain over the ensemble's gain, deployed / mean of branches. Time: of\nthe training "
    'steps, to the student alone on the same device. Loss ratio: of the deployed student, on other '
    'persons to\nthose trained on.'
)


def write_report(results: list[dict], settings: dict, stem: Path) -> str:
    """Write it as ``.md``, ``.json`` and ``.png``.

    Args:
        results: Of all runs.
        settings: Which they share.
        stem: The files' path without its end.

    Returns:
        The Markdown.
    """
    epochs = {(r['student'], r['arm']): r['epochs'] for r in results}
    tables = {metric: summarize(results, metric) for metric in TITLES}
    shared = {k: v for k, v in settings.items() if k not in ('students', 'pretrained', DIGEST)}
    start = start_of(settings.get('pretrained') or {})
    text = '\n\n'.join(
        [
            ', '.join(f'{key} {value}' for key, value in shared.items()) + f'. {start}',
            *(f'{TITLES[metric]}:\n\n{table(rows, epochs)}' for metric, rows in tables.items()),
            NOTE,
        ]
    )
    stem.with_suffix('.md').write_text(text + '\n')
    stem.with_suffix('.json').write_text(
        json.dumps(dict(settings=settings, summary=tables, runs=results), indent=1)
    )
    draw(tables, stem.with_suffix('.png'))
    return text


def start_of(pretrained: dict[str, str]) -> str:
    """Return a sentence about the initial weights, which all arms of a student share."""
    if not pretrained:
        return 'All runs start from scratch.'
    files = ', '.join(f'{student} from {Path(file).name}' for student, file in pretrained.items())
    return f'Backbones start from pretrained weights in every arm ({files}); the rest is new.'


def table(rows: list[dict], epochs: dict[tuple[str, str], int]) -> str:
    """Return a Markdown table."""
    lines = [HEAD]
    for row in rows:
        cells = [row['student'], row['arm'], str(len(row['seeds']))]
        cells.append(str(epochs[row['student'], row['arm']]))
        cells += [with_error(row.get(name), row.get(f'spread_{name}')) for name in COLUMNS]
        for name in ('deployed', 'branches'):
            gain = None if row['arm'] == ALONE else row.get(f'gain_{name}')
            cells.append(with_error(gain, row.get(f'error_{name}'), sign='+'))
        shares = [row.get(f'transfer_{name}') for name in ('deployed', 'branches')]
        cells.append('-' if shares[0] is None else ' / '.join(f'{share:.0%}' for share in shares))
        cells += [f'{row[key]:.2f}' if key in row else '-' for key in ('time', 'loss_ratio')]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def with_error(value: float | None, error: float | None, sign: str = '') -> str:
    """Return a number and its ±, if they exist."""
    if value is None:
        return '-'
    return f'{value:{sign}.2f}' + ('' if error is None else f' ± {error:.2f}')


def draw(tables: dict[str, list[dict]], file: Path) -> None:
    """Gains over the student alone: deployed branch, mean of branches, ensemble."""
    students = list(dict.fromkeys(row['student'] for row in tables['PCK']))
    figure, axes = plt.subplots(
        len(students), len(tables), figsize=(11, 1 + 3.2 * len(students)), squeeze=False
    )
    for line, student in zip(axes, students, strict=True):
        for axis, (metric, rows) in zip(line, tables.items(), strict=True):
            own = [r for r in rows if r['student'] == student and 'gain_deployed' in r]
            own = [r for r in own if r['arm'] != ALONE][::-1]
            axis.axvline(0, color='0.6', linewidth=1)
            for name, marker in (('deployed', 'o'), ('branches', '|'), ('ensemble', 'D')):
                points = [(r[f'gain_{name}'], y) for y, r in enumerate(own) if f'gain_{name}' in r]
                x, y = zip(*points, strict=True) if points else ((), ())
                axis.plot(x, y, marker, label=name)
            for height, r in enumerate(own):
                if r['error_deployed'] is not None:
                    axis.errorbar(
                        r['gain_deployed'], height, xerr=r['error_deployed'], color='C0', capsize=3
                    )
            axis.set_yticks(range(len(own)), [r['arm'] for r in own])
            axis.set_title(f'{student}: gain in {TITLES[metric]}', fontsize=10)
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)
