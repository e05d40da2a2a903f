"""Compare the cost of validating every branch and the ensemble with its lower bound.

    python benchmarks/validation_cost.py configs/okdhp/resnet18_mpii.py --data data/mpii

Sides, measured in turns in one run, on one batch of real persons:

- validation: what the runner does with a batch: the model's ``val_step`` and the evaluator's
  ``process``, of every output
- floor: forward of all branches and the ensemble, of the mirrored images too where the config asks
  for the flip test, and one decoding of each output
- stock: the validation of the student alone, by its own metric
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from real_persons import config_of
from timing import report, take_turns
from torch import Tensor, nn

import okdhp_mm  # noqa: F401  (makes mmpose importable; registers)  # isort: skip
from mmpose.registry import MODELS  # isort: skip
from okdhp_mm.student.config import student_config

VALIDATION, FLOOR, STOCK = 'validation', 'floor', 'stock'


@torch.no_grad()
def validation(model: nn.Module, evaluator: Evaluator, batch: dict) -> None:
    """One iteration of the validation loop."""
    evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
    for metric in evaluator.metrics:
        metric.results.clear()


@torch.no_grad()
def floor(model: nn.Module, images: Tensor) -> None:
    """All heatmaps, and the keypoints of each output."""
    head, adapter = model.head, model.head.adapter
    outputs = head.outputs(model.backbone(images))
    if model.test_cfg.get('flip_test', False):
        head.outputs(model.backbone(images.flip(-1)))
    for maps in (*outputs.final_heatmaps, outputs.ensemble):
        head.decode(adapter.to_output(maps))


def parts_of(config: Config, dataset_meta: dict) -> tuple[nn.Module, Evaluator]:
    """Return the network, untrained, and the evaluator of a config."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    evaluator = Evaluator([config.val_evaluator])
    evaluator.dataset_meta = dataset_meta
    return MODELS.build(config.model).to(device).eval(), evaluator


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', default='configs/okdhp/resnet18_mpii.py')
    parser.add_argument('--data', default='data/mpii', help="a folder in MPII's layout")
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument('--repeats', type=int, default=9)
    args = parser.parse_args()
    init_default_scope('mmpose')
    torch.manual_seed(0)

    config = config_of(args.config, args.data)
    loader = config.val_dataloader
    loader.update(batch_size=args.batch_size, num_workers=0, persistent_workers=False)
    loader = Runner.build_dataloader(loader)
    batch = next(iter(loader))

    model, evaluator = parts_of(config, loader.dataset.metainfo)
    images = model.data_preprocessor(batch, training=False)['inputs']
    student = parts_of(student_config(config, 0), loader.dataset.metainfo)
    sides = {
        VALIDATION: partial(validation, model, evaluator, batch),
        FLOOR: partial(floor, model, images),
        STOCK: partial(validation, *student, batch),
    }
    print(f'{args.config}, batch {args.batch_size}, {images.device}, torch {torch.__version__}')
    report(take_turns(sides, args.repeats), FLOOR)


if __name__ == '__main__':
    main()
