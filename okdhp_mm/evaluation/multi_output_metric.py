"""Any stock metric, for every output of the multi-branch model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric
from mmpose.evaluation.metrics import KeypointPartitionMetric
from mmpose.registry import METRICS

from ..errors import UserError
from .evaluator_config import walk_metrics

DEPLOYED = ''


@METRICS.register_module()
class MultiOutputMetric(BaseMetric):
    """Runs a stock metric for the deployed output, every other branch and the ensemble.

    The deployed output keeps the stock names (``coco/AP``, ``PCK``), which ``save_best`` expects.
    The others are prefixed (``branch1/coco/AP``, ``ensemble/coco/AP``). Each output has a stock
    metric of its own, which gives the same values as alone.

    Args:
        metric: Config of the stock metric: one that stores one result per sample, or a
            ``KeypointPartitionMetric`` of such metrics.

    Raises:
        UserError: If the metric is not one config, or evaluates in a way of its own.
    """

    def __init__(self, metric: ConfigDict):
        if not isinstance(metric, dict) or 'type' not in metric:
            raise UserError(
                f'MultiOutputMetric: metric={metric!r} must be the config of one stock metric; '
                'wrap each of several metrics on its own.'
            )
        deployed = METRICS.build(copy.deepcopy(metric))
        for part in parts_of(deployed).values():
            if type(part).evaluate is not BaseMetric.evaluate:
                raise UserError(
                    f'MultiOutputMetric cannot wrap {type(part).__name__}, which has its own '
                    '`evaluate`. Use that metric itself, with model.test_cfg.report="deployed".'
                )
        super().__init__(deployed.collect_device, deployed.prefix, deployed.collect_dir)
        # The prefix comes after the name of the output, see `compute_metrics`.
        self.prefix = None
        self._config = metric
        self._metrics = {DEPLOYED: deployed}

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the dataset, as every output's metric has it."""
        return self._metrics[DEPLOYED].dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        # Keep the original, because a metric with a converter changes its copy in place.
        self._dataset_meta = copy.deepcopy(dataset_meta)
        for metric in self._metrics.values():
            metric.dataset_meta = copy.deepcopy(dataset_meta)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store one result per sample and output.

        Args:
            data_batch: The batch as the data loader gave it.
            data_samples: The model's predictions, the deployed ones in ``pred_instances``, the
                others in ``pred_outputs``.

        Raises:
            UserError: If the model predicted the deployed output only.
        """
        if data_samples and 'pred_outputs' not in data_samples[0]:
            raise UserError(
                'MultiOutputMetric needs the predictions of every output, but the model has '
                "test_cfg.report='deployed'; set it to 'all' or use the stock metric itself."
            )
        results = self._results(DEPLOYED, data_batch, data_samples)
        for name in sorted(data_samples[0]['pred_outputs']) if data_samples else ():
            swapped = [
                {**sample, 'pred_instances': sample['pred_outputs'][name]}
                for sample in data_samples
            ]
            results |= self._results(name, data_batch, swapped)
        rows = zip(*results.values(), strict=True)
        self.results += [dict(zip(results, row, strict=True)) for row in rows]

    def _results(self, name: str, data_batch: Any, data_samples: Sequence[dict]) -> dict:
        """Return the stock results of an output, one per sample and part of the metric."""
        metric = self._metric(name)
        metric.process(data_batch, data_samples)
        results = {}
        for key, part in parts_of(metric).items():
            results[name, key], part.results = part.results, []
            if len(results[name, key]) != len(data_samples):
                raise UserError(
                    f'{type(part).__name__} stores {len(results[name, key])} results for '
                    f'{len(data_samples)} samples. MultiOutputMetric can only wrap metrics that '
                    'store one per sample.'
                )
        return results

    def _metric(self, name: str) -> BaseMetric:
        """Return the stock metric of an output; build it at the first call."""
        if name not in self._metrics:
            config = copy.deepcopy(self._config)
            for _, metric in walk_metrics(config):
                if metric.get('outfile_prefix'):
                    metric['outfile_prefix'] += f'_{name}'  # each output has its own result file
            self._metrics[name] = METRICS.build(config)
            self._metrics[name].dataset_meta = copy.deepcopy(self._dataset_meta)
        return self._metrics[name]

    def compute_metrics(self, results: list[dict[tuple[str, str], Any]]) -> dict[str, float]:
        """Compute the stock metric of every output, the deployed one first."""
        values: dict[str, float] = {}
        for name, key in results[0] if results else ():
            metric = parts_of(self._metric(name))[key]
            computed = metric.compute_metrics([result[name, key] for result in results])
            prefix = '/'.join(part for part in (name, key, metric.prefix) if part)
            values |= {f'{prefix}/{k}' if prefix else k: v for k, v in computed.items()}
        return values


def parts_of(metric: BaseMetric) -> dict[str, BaseMetric]:
    """Return the metrics that store the results, by their names in the output."""
    return metric.metrics if isinstance(metric, KeypointPartitionMetric) else {'': metric}
