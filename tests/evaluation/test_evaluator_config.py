"""Every arrangement of metrics: one, a list, several validation sets, metrics in metrics."""

import pytest
from mmengine.config import ConfigDict

from okdhp_mm.errors import UserError
from okdhp_mm.evaluation.evaluator_config import (
    add_metric,
    build_evaluator,
    map_metrics,
    walk_metrics,
)

EPE, AUC = ConfigDict(type='EPE'), ConfigDict(type='AUC')
SETS = [dict(type='CocoDataset'), dict(type='MpiiDataset')]
SEVERAL = ConfigDict(type='MultiDatasetEvaluator', metrics=[EPE, AUC], datasets=SETS)
WRAPPED = ConfigDict(type='MultiOutputMetric', metric=EPE)


@pytest.mark.parametrize(
    ('evaluator', 'keys'),
    [
        (EPE, ['e']),
        ([EPE, AUC], ['e.0', 'e.1']),
        (SEVERAL, ['e.metrics.0', 'e.metrics.1']),
        ([WRAPPED, AUC], ['e.0', 'e.0.metric', 'e.1']),
        (ConfigDict(metrics=WRAPPED), ['e.metrics', 'e.metrics.metric']),
    ],
)
def test_every_metric_is_found_with_its_key(evaluator, keys):
    found = dict(walk_metrics(evaluator, 'e'))
    assert list(found) == keys
    assert {metric['type'] for metric in found.values()} <= {'EPE', 'AUC', 'MultiOutputMetric'}


def test_metrics_are_replaced_and_the_arrangement_stays():
    changed = map_metrics(SEVERAL, lambda metric, key: metric.type)
    assert changed == SEVERAL | dict(metrics=['EPE', 'AUC'])
    assert map_metrics((EPE,), lambda metric, key: metric.type) == ['EPE']
    assert SEVERAL.metrics == [EPE, AUC], 'the given config stays'


@pytest.mark.parametrize('evaluator', [EPE, [EPE, AUC], SEVERAL, dict(metrics=[EPE])])
def test_an_evaluator_is_built_as_the_runner_does(evaluator):
    built = build_evaluator(evaluator)
    metrics = evaluator['metrics'] if 'metrics' in evaluator else evaluator
    assert len(built.metrics) == (len(metrics) if isinstance(metrics, list) else 1)
    assert type(built).__name__ == (evaluator.get('type') if evaluator is SEVERAL else 'Evaluator')


def test_a_metric_is_added_where_it_gets_every_sample():
    assert add_metric(EPE, AUC, '--dump') == add_metric([EPE], AUC, '--dump') == [EPE, AUC]
    with pytest.raises(UserError, match="--dump needs .* type='MultiDatasetEvaluator'"):
        add_metric(SEVERAL, AUC, '--dump')
