"""Write a comparison as CSV, Markdown, LaTeX and a plot."""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from ..evaluation.gains import Gain, paired_gain, spread
from ..io.atomic import atomic_write_folder
from ..recipes.alone import ALONE
from .runs import Run

NAME = 'compare'
HEAD = ('method', 'seeds', 'deployed', 'gain', 'mean of branches', 'ensemble')
LATEX = {
    '\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}',
    **{sign: f'\\{sign}' for sign in '&%$#_{}'},
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Scores of a method.

    Attributes:
        method: Name of the method.
        runs: Its runs by seed.
        gain: Paired gain of the deployed output over the baseline; None for the baseline itself,
            and without a seed in common.
    """

    method: str
    runs: dict[int, Run]
    gain: Gain | None

    def cells(self, digits: int) -> list[str]:
        """Return the cells of the table, see ``HEAD``."""
        runs = self.runs.values()
        ensembles = [run.ensemble for run in runs if run.ensemble is not None]
        return [
            self.method,
            ' '.join(map(str, self.runs)),
            mean([run.deployed for run in runs], digits),
            number(self.gain.mean, self.gain.error, digits, '+') if self.gain else '-',
            mean([run.branches for run in runs], digits),
            mean(ensembles, digits) if ensembles else '-',
        ]


def write_comparison(runs: Sequence[Run], out: Path) -> str:
    """Write ``compare.csv``, ``.md``, ``.tex`` and ``.png``.

    Args:
        runs: Finished runs with the same metric.
        out: Folder to write to.

    Returns:
        The Markdown.
    """
    rows = rows_of(runs)
    texts = {'csv': as_csv(rows), 'md': as_markdown(rows), 'tex': as_latex(rows)}
    with atomic_write_folder(out) as folder:
        for kind, content in texts.items():
            (folder / f'{NAME}.{kind}').write_text(content, encoding='utf-8')
        draw(rows, folder / f'{NAME}.png')
    return texts['md']


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """Return a row for each method; the baseline, ``alone`` or the first method, comes first."""
    groups: dict[str, dict[int, Run]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        groups.setdefault(run.method, {})[run.seed] = run
    first = ALONE if ALONE in groups else runs[0].method
    base = {seed: run.deployed for seed, run in groups[first].items()}
    order = [first, *(run.method for run in runs if run.method != first)]
    return [
        Row(name, groups[name], None if name == first else gain_of(groups[name], base))
        for name in dict.fromkeys(order)
    ]


def gain_of(group: dict[int, Run], base: dict[int, float]) -> Gain | None:
    """Return the paired gain of a method's deployed output."""
    return paired_gain({seed: run.deployed for seed, run in group.items()}, base)


def as_csv(rows: Sequence[Row]) -> str:
    """Return a line for each run."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    names = ['method', 'seed', 'metric', 'deployed', 'gain', 'branches', 'ensemble', 'work_dir']
    writer.writerow(names)
    for row in rows:
        for seed, run in row.runs.items():
            gain = row.gain.differences.get(seed, '') if row.gain else ''
            ensemble = '' if run.ensemble is None else run.ensemble
            scores = [run.metric, run.deployed, gain, run.branches, ensemble]
            writer.writerow([row.method, seed, *scores, run.folder])
    return file.getvalue()


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table in Markdown, with a note."""
    lines = [HEAD, ['---'] * len(HEAD), *cells_of(rows)]
    body = '\n'.join(
        f'| {" | ".join(cell.replace("|", chr(92) + "|") for cell in line)} |' for line in lines
    )
    return f'{body}\n\n{note(rows)}\n'


def as_latex(rows: Sequence[Row]) -> str:
    """Return the table in LaTeX. It needs the package booktabs."""
    lines = [' & '.join(map(latex, line)) + r' \\' for line in [HEAD, *cells_of(rows)]]
    head, *body = lines
    return '\n'.join(
        [
            f'% {note(rows)}',
            r'\begin{tabular}{llrrrr}',
            *(r'\toprule', head, r'\midrule', *body, r'\bottomrule'),
            r'\end{tabular}',
            '',
        ]
    )


def latex(text: str) -> str:
    """Return text with the special characters of LaTeX escaped."""
    escaped = re.sub(r'[\\~^&%$#_{}]', lambda sign: LATEX[sign[0]], text)
    return escaped.replace('±', r'$\pm$')


def cells_of(rows: Sequence[Row]) -> list[list[str]]:
    """Return the cells of all rows."""
    values = [abs(run.deployed) for row in rows for run in row.runs.values()]
    # Some metrics are shares, others are percentages or pixels.
    digits = 4 if max(values) <= 1 else 2
    return [row.cells(digits) for row in rows]


def note(rows: Sequence[Row]) -> str:
    """Explain the numbers of the table in one line."""
    base, run = rows[0].method, next(iter(rows[0].runs.values()))
    better = ', less is better' if run.lower_is_better else ''
    return (
        f'{run.metric} of the last validation{better}. Deployed: the output that is exported. '
        f'After a score: standard deviation over the seeds. Gain: difference to {base} with the '
        'same seed, mean ± standard error.'
    )


def mean(values: Sequence[float], digits: int) -> str:
    """Return the mean with its standard deviation."""
    return number(statistics.mean(values), spread(values), digits)


def number(value: float, error: float | None, digits: int, sign: str = '') -> str:
    """Return a number and its error, if it has one."""
    return f'{value:{sign}.{digits}f}' + ('' if error is None else f' ± {error:.{digits}f}')


def draw(rows: Sequence[Row], file: Path) -> None:
    """Draw every run, and the mean gain of every method with its standard error."""
    run = next(iter(rows[0].runs.values()))
    # Names of the user's metrics may have a dollar sign.
    with rc_context({'text.parse_math': False}):
        size = (9, 1.5 + 0.4 * len(rows))
        figure = Figure(figsize=size, layout='constrained', dpi=120)
        scores, gains = figure.subplots(1, 2, sharey=True)
        for height, row in enumerate(reversed(rows)):
            values = [each.deployed for each in row.runs.values()]
            scores.plot(values, [height] * len(values), 'o', color='C0', alpha=0.5)
            scores.plot(statistics.mean(values), height, '|', color='C0', markersize=16)
            if row.gain:
                found = list(row.gain.differences.values())
                gains.plot(found, [height] * len(found), 'o', color='C1', alpha=0.4)
                gains.errorbar(
                    row.gain.mean, height, xerr=row.gain.error, fmt='|', color='C1', capsize=4
                )
        scores.set_yticks(range(len(rows)), [row.method for row in reversed(rows)])
        gains.axvline(0, color='0.6', linewidth=1)
        scores.set_title(f'{run.metric} by seed', fontsize=10)
        gains.set_title(f'gain over {rows[0].method}, ± standard error', fontsize=10)
        figure.savefig(file)
