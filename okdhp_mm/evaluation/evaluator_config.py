"""Walk the metrics in the config of an evaluator, whatever their arrangement.

mmengine and mmpose accept one metric, a list of metrics, or an evaluator with ``metrics``, e.g. a
``MultiDatasetEvaluator`` with one metric per validation set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeGuard

from mmengine.config import ConfigDict
from mmengine.evaluator import Evaluator
from mmengine.registry import EVALUATOR

from ..errors import UserError

EvaluatorConfig: TypeAlias = ConfigDict | dict | list | tuple


def map_metrics(
    evaluator: EvaluatorConfig, change: Callable[[Any, str], Any], key: str = ''
) -> Any:
    """Return the config with every metric replaced; the rest of the arrangement stays.

    Args:
        evaluator: Config of an evaluator.
        change: Called with the config of a metric and its key; returns the new one.
        key: Key of the evaluator, e.g. 'val_evaluator'.
    """
    if isinstance(evaluator, (list, tuple)):
        return [
            map_metrics(entry, change, f'{key}.{index}') for index, entry in enumerate(evaluator)
        ]
    if has_metrics(evaluator):
        metrics = map_metrics(evaluator['metrics'], change, f'{key}.metrics')
        return evaluator | dict(metrics=metrics)
    return change(evaluator, key)


def walk_metrics(evaluator: EvaluatorConfig, key: str = '') -> Iterator[tuple[str, dict]]:
    """Yield key and config of every metric, and of the metrics that other metrics wrap.

    Args:
        evaluator: Config of an evaluator.
        key: Key of the evaluator, e.g. 'val_evaluator'.
    """
    found: list[tuple[str, Any]] = []
    map_metrics(evaluator, lambda metric, key: found.append((key, metric)), key)
    for key, metric in found:
        while isinstance(metric, dict):
            yield key, metric
            key, metric = f'{key}.metric', metric.get('metric')


def add_metric(evaluator: EvaluatorConfig, metric: dict, option: str) -> list:
    """Return the config of an evaluator with one more metric, which gets every sample.

    Args:
        evaluator: Config of an evaluator.
        metric: Config of the metric.
        option: Option of the command line that adds the metric.

    Raises:
        UserError: If the evaluator divides the samples among its metrics.
    """
    if has_metrics(evaluator):
        raise UserError(
            f'{option} needs one metric or a list of metrics, but the evaluator has '
            f'type={evaluator.get("type")!r}. Test one dataset at a time.'
        )
    return [*(evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]), metric]


def has_metrics(evaluator: Any) -> TypeGuard[dict]:
    """Return True for the config of an evaluator that holds metrics, False for a metric's."""
    return isinstance(evaluator, dict) and 'metrics' in evaluator


def build_evaluator(evaluator: EvaluatorConfig) -> Evaluator:
    """Build an evaluator as mmengine's runner does."""
    if has_metrics(evaluator):
        return EVALUATOR.build(dict(type='Evaluator') | evaluator)
    return Evaluator(evaluator)
