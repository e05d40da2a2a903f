"""Model card of an exported student: a ``README.md`` in the form of the Hugging Face Hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mmpose
import torch
from mmengine.config import Config, ConfigDict
from mmpose.models.pose_estimators.base import BasePoseEstimator

from ..data.check import leaf_datasets
from ..data.own_dataset import is_labeled
from ..data.pseudo_labels.added_persons import ADDED
from ..data.unlabeled import is_unlabeled
from ..errors import UserError
from ..evaluation.summary import main_metric
from ..io.data_files import read_json
from ..keypoint_names import names_of
from ..models.branch_configs import METHOD_KEYS, deployed_output
from ..structures import branch_name
from ..version import __version__
from .complexity import Complexity

COUNTED = 50_000_000
"""Size in bytes of the largest annotation file whose persons are counted; COCO's takes too long."""
CARD = """\
---
library_name: mmpose
pipeline_tag: keypoint-detection
tags:
{tags}
---

# {title}

| | |
|---|---|
{rows}

## Keypoints

{keypoints}

## Run

```bash
python -m okdhp_mm infer PICTURES --student FOLDER
```

```python
from mmpose.apis import MMPoseInferencer

inferencer = MMPoseInferencer('FOLDER/student.py', 'FOLDER/student.pth', det_model='whole_image')
result = next(inferencer('photo.jpg'))
```

If the folder has `student.onnx`, add `--onnx` to the first command. That graph needs neither MMPose nor torch.

`student.py` is Python code, and MMPose unpickles `student.pth`. Use them only if you trust their author.
"""  # noqa: E501


def model_card(
    cfg: Config,
    config: Config,
    checkpoint: dict,
    trained: BasePoseEstimator,
    branch: int | None,
    cost: Complexity,
    meta: dict,
) -> str:
    """Return the text of the model card.

    Args:
        cfg: Training config.
        config: Config of the student.
        checkpoint: The checkpoint that is exported.
        trained: The trained network.
        branch: Index of the branch; None for a student trained alone.
        cost: Cost of the student.
        meta: Metainfo of its dataset.
    """
    names = names_of(meta)
    model, codec = config.model, dict(config.model.head.decoder)
    width, height = codec.pop('input_size')
    settings = ', '.join(f'{key}={value}' for key, value in codec.items() if key != 'type')
    rows = {
        'network': f'{model.backbone.type} with {model.head.type}, {cost}',
        'input': f'crop around one person or animal, {width}x{height} pixels; {pixels(model)}',
        'output': f'{len(names)} keypoints, codec {codec["type"]} ({settings})',
        'method': describe_method(cfg, trained)
        + ('' if branch is None else f'; this is {branch_name(branch)}'),
        'trained on': describe_sets(cfg.get('train_dataloader')),
        'validated on': describe_sets(cfg.get('val_dataloader')),
        'metric': recorded_metric(cfg, checkpoint, branch),
        'exported with': f'okdhp_mm {__version__}, mmpose {mmpose.__version__}, '
        f'torch {torch.__version__}',
    }
    tags = ['pose-estimation', *([] if branch is None else ['knowledge-distillation'])]
    return CARD.format(
        tags='\n'.join(f'- {tag}' for tag in tags),
        title=f'{model.backbone.type} for {len(names)} keypoints of {meta["dataset_name"]}',
        rows='\n'.join(f'| {name} | {text} |' for name, text in rows.items() if text),
        keypoints=', '.join(f'`{name}`' for name in names),
    )


def pixels(model: Any) -> str:
    """Return the order of the channels and the normalization."""
    preprocessor = model.data_preprocessor
    swaps = preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr')
    mean, std = preprocessor.get('mean'), preprocessor.get('std')
    scaled = f'(value - {mean}) / {std}' if mean and std else 'values of 0 to 255'
    return f'{"RGB" if swaps else "BGR"}, {scaled}'


def describe_sets(loader: Any) -> str:
    """Return the annotation files of a data loader, with their numbers of persons if known."""
    sets = [dataset for dataset, _ in leaf_datasets(loader.dataset)] if loader else []
    return ', '.join(
        f'`{Path(dataset.ann_file).name}`{chosen_persons(dataset)}'
        for dataset in sets
        if dataset.get('ann_file')
    )


def chosen_persons(dataset: ConfigDict) -> str:
    """Return how many persons a dataset takes of its file, in brackets; '' if unknown."""
    if is_unlabeled(dataset):
        return ' (without labels)'
    indices = dataset.get('indices')
    if indices is None:
        count = count_persons(os.path.join(dataset.get('data_root') or '', dataset.ann_file))
        return f'{count} with pseudo-labels' if Path(dataset.ann_file).name == ADDED else count
    return f' ({indices if isinstance(indices, int) else len(indices)} persons of it)'


def count_persons(file: str) -> str:
    """Return the number of labeled persons of a small COCO JSON in brackets, otherwise ''."""
    try:
        content = read_json(file) if os.path.getsize(file) <= COUNTED else None
    except (OSError, UserError):
        return ''  # the data need not be on the machine that exports
    entries = content.get('annotations') if isinstance(content, dict) else None
    if not isinstance(entries, list):
        return ''
    persons = [entry for entry in entries if isinstance(entry, dict) and is_labeled(entry)]
    return f' ({len(persons)} persons)'


def recorded_metric(cfg: Config, checkpoint: dict, branch: int | None) -> str:
    """Return the main metric that the checkpoint records for its weights; '' if it has none.

    Only a best checkpoint is written after its validation; others hold the metric of older weights.
    """
    hub, meta = checkpoint.get('message_hub') or {}, checkpoint.get('meta') or {}
    logged, info = hub.get('log_scalars') or {}, hub.get('runtime_info') or {}
    found = [name.removeprefix('val/') for name in logged if name.startswith('val/')]
    metric, _ = main_metric(cfg, found)
    best = Path(str(info.get('best_ckpt') or info.get(f'best_ckpt_{metric}'))).stem
    if not best.endswith((f'epoch_{meta.get("epoch")}', f'iter_{meta.get("iter")}')):
        return ''
    key = f'val/{metric}'
    if branch is not None and branch != deployed_output(cfg.model):
        key = f'val/{branch_name(branch)}/{metric}'
    return f'{metric} {logged[key].current():.4f} in the validation' if key in logged else ''


def describe_method(cfg: dict, model: BasePoseEstimator) -> str:
    """Return the name of the method, the branches and the parts of the distillation."""
    if not hasattr(model.head, 'branches'):
        return 'the student alone, without distillation'
    settings = cfg.get('model') or {}
    split = settings.get('split', 'whole')
    where = 'share the backbone' if split == 'whole' else f'part at {split}'
    count = len(model.head.branches)
    parts = [f'{count} branches, which {where}' if count > 1 else '1 branch']
    parts.append(type(model.head.aggregator).__name__)
    terms = model.head.distiller.terms.items()
    distills = ', '.join(name for name, term in terms if term.is_distillation)
    parts.append(f'distillation by {distills}' if distills else 'without distillation')
    name = cfg.get('method_name') or ('' if settings.keys() & set(METHOD_KEYS) else 'okdhp')
    return (f'{name}: ' if name else '') + '; '.join(parts)
