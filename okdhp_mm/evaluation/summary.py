"""Table of evaluations: metrics of every branch and the ensemble, and the best branch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mmengine.config import Config
from mmengine.runner import Runner

from ..engine.model import model_of
from ..structures import ENSEMBLE, branch_name, output_name

ADVICE = (
    '{leader} is better than the deployed {deployed} on these data. `export --branch {index}`\n'
    'exports it. It was chosen on these data and looks too good there: measure it on other data.'
)
OUTPUT = re.compile(rf'(branch\d+|{ENSEMBLE})/(?P<metric>.+)')
LESS_IS_BETTER = ('loss', 'epe', 'nme')
TIMES = ('time', 'data_time')
"""Names that mmengine logs together with the metrics."""


@dataclass(frozen=True)
class OutputMetrics:
    """Main metric of the outputs of a model, over all evaluations.

    Attributes:
        metric: Name of the metric; None without evaluations.
        rule: 'less' if less is better.
        deployed: Name of the deployed output; 'model' for a model without branches.
        by_output: Output name -> one value per evaluation, in their order.
    """

    metric: str | None
    rule: str | None
    deployed: str
    by_output: dict[str, list[float]]

    def best(self, name: str) -> float:
        """Return the best value of an output."""
        return (min if self.rule == 'less' else max)(self.by_output[name])


def output_metrics(runner: Runner, mode: str = 'val') -> OutputMetrics:
    """Return the main metric of every output over all evaluations.

    Args:
        runner: Runner during or after its training or test.
        mode: 'val' or 'test'.
    """
    model = model_of(runner)
    branches = getattr(getattr(model, 'head', None), 'branches', ())
    deployed = output_name(model.test_cfg.get('branch', 0)) if branches else 'model'
    logged = runner.message_hub.log_scalars
    found = [name.removeprefix(f'{mode}/') for name in logged if name.startswith(f'{mode}/')]
    metric, rule = main_metric(runner.cfg, found)
    if metric is None and not branches:
        metric = next((name for name in found if name not in TIMES), None)
    metrics = {}
    others = (*map(branch_name, range(len(branches))), ENSEMBLE)
    for name in others if branches else (deployed,):
        key = f'{mode}/{metric}' if name == deployed else f'{mode}/{name}/{metric}'
        if key in logged:
            metrics[name] = logged[key].data[0].tolist()
    return OutputMetrics(metric, rule, deployed, metrics)


def branch_table(runner: Runner, mode: str = 'val') -> str:
    """Return the table of the main metric of every output over all evaluations.

    Args:
        runner: Runner after its training or test.
        mode: 'val' or 'test'.

    Returns:
        The table; '' without metrics of several outputs.
    """
    outputs = output_metrics(runner, mode)
    if outputs.metric is None or len(outputs.by_output) < 2:
        return ''
    return format_table(outputs.by_output, outputs.metric, outputs.deployed, outputs.rule)


def main_metric(cfg: Config, metrics: Iterable[str]) -> tuple[str | None, str | None]:
    """Return the metric of ``default_hooks.checkpoint.save_best``, and its rule.

    If it names none or 'auto', the first metric of several outputs; None without any.

    Args:
        cfg: Training config.
        metrics: Names of what an evaluation found, e.g. 'coco/AP' and 'branch1/coco/AP'.
    """
    checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    metric, rule = (first_of(checkpoint.get(key)) for key in ('save_best', 'rule'))
    if metric in (None, 'auto'):
        metric = next((match['metric'] for match in map(OUTPUT.match, metrics) if match), None)
    if rule is None and any(word in (metric or '').lower() for word in LESS_IS_BETTER):
        rule = 'less'
    return metric, rule


def first_of(setting: str | list[str] | None) -> str | None:
    """Return the first entry of a setting that may be one value or several."""
    return setting[0] if isinstance(setting, (list, tuple)) else setting


def format_table(
    metrics: Mapping[str, Sequence[float]], metric: str, deployed: str, rule: str | None
) -> str:
    """Return the table of metrics by output, one column per evaluation.

    Args:
        metrics: Output name -> one value per evaluation, in their order.
        metric: Their name.
        deployed: Name of the deployed output.
        rule: 'less' if less is better.
    """
    better = min if rule == 'less' else max
    last = {name: values[-1] for name, values in metrics.items()}
    branches = [name for name in metrics if name != ENSEMBLE]
    leader = better(branches, key=last.__getitem__)
    marks: dict[str, list[str]] = {name: [] for name in metrics}
    marks[leader].append('<- best branch')
    if deployed in marks:
        marks[deployed].append('deployed (model.test_cfg.branch)')
    if ENSEMBLE in marks:
        marks[ENSEMBLE].append('needs every branch')
    width = max(map(len, [metric, *metrics]))
    several = any(len(values) > 1 for values in metrics.values())
    lines = [f'{metric:{width}}    last' + ('    best' if several else '')]
    for name, values in metrics.items():
        best = f'  {better(values):6.4f}' if several else ''
        lines.append(f'{name:{width}}  {last[name]:6.4f}{best}  {"; ".join(marks[name])}'.rstrip())
    if leader != deployed and deployed != ENSEMBLE:
        index = branches.index(leader)
        lines.append(ADVICE.format(leader=leader, deployed=deployed, index=index))
    return '\n'.join(lines)
