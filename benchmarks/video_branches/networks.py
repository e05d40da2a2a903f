"""Networks of the experiment: one large and two small students of one run, on two flies.

The video is that of benchmarks/dkd.py, in its blocks. Every eighth block is held out of the
training, to choose thresholds on.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from dkd import BLOCK, config_of, write_blocks, write_pool
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from mmpose.registry import DATASETS, MODELS
from torch import nn
from torch.utils.data import DataLoader

from okdhp_mm.io.atomic import atomic_write, write_text
from okdhp_mm.models.losses.functional import spatial_kl

from .distilled import apply, learn, peak_features
from .tracks import LARGE, OUTPUTS, PEER, SMALL, Track

SPLITS = ('select', 'test')


def prepare(args: argparse.Namespace) -> None:
    """Write the three parts of the data and the pool of augmented clips unless they exist."""
    folder = args.out / 'data'
    if not (folder / 'select.json').exists():
        write_blocks(args.data, folder)
        hold_out(folder)
    if not (pool := folder / f'pool_{args.pool}.pt').exists():
        write_pool(pool, args.pool, args)


def hold_out(folder: Path) -> None:
    """Move every eighth block from train.json to select.json."""
    content = json.loads((folder / 'train.json').read_text())
    frames = {image['id']: image['frame_id'] for image in content['images']}
    for name, is_held_out in (('select', True), ('train', False)):
        kept = {i for i, frame in frames.items() if (frame // BLOCK % 8 == 1) == is_held_out}
        parts = content | dict(
            images=[image for image in content['images'] if image['id'] in kept],
            annotations=[label for label in content['annotations'] if label['image_id'] in kept],
        )
        write_text(folder / f'{name}.json', json.dumps(parts))


def training_config(args: argparse.Namespace, seed: int) -> Config:
    """Return the config of the flies' initializer with two small branches."""
    cfg = config_of('initializer', args, seed)
    # The stem is the trunk. A small branch has one stage of eight channels and a small head.
    small = dict(
        backbone=dict(
            base_channels=8, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,)
        ),
        head=dict(
            in_channels=8,
            deconv_out_channels=None,
            deconv_kernel_sizes=None,
            conv_out_channels=(16,),
            conv_kernel_sizes=(3,),
        ),
    )
    cfg.model.update(
        type='OKDHPTopdownPoseEstimator', split='stem', branches=[dict(), small, small]
    )
    cfg.model.backbone.stem_channels = 8
    cfg.default_hooks.distill = dict(type='DistillProgressHook')
    cfg.work_dir = str(args.out / 'branches' / str(seed))
    return cfg


def trained(args: argparse.Namespace, seed: int) -> nn.Module:
    """Train all branches unless they are trained; return the model."""
    cfg = training_config(args, seed)
    file = Path(cfg.work_dir) / f'iter_{args.iterations}.pth'
    if not file.exists():
        Runner.from_cfg(cfg).train()
    model = MODELS.build(cfg.model)
    model.load_state_dict(torch.load(file, weights_only=False)['state_dict'])
    return model.eval()


@torch.no_grad()
def predict(
    model: nn.Module, outputs: dict[str, np.ndarray], args: argparse.Namespace, split: str
) -> dict[str, np.ndarray]:
    """Return all outputs of a model on the tracks of a split, see :class:`Track`.

    Args:
        model: The branches.
        outputs: Weights of the outputs that are added to the small student.
        args: Options of the command.
        split: Name of the part of the data.
    """
    cfg = config_of('initializer', args, 0).test_dataloader.dataset
    cfg.ann_file = str(args.out / 'data' / f'{split}.json')
    content = json.loads(Path(cfg.ann_file).read_text())
    images = {image['id']: image for image in content['images']}
    labels = {label['id']: label for label in content['annotations']}
    loader = DataLoader(DATASETS.build(cfg), batch_size=32, collate_fn=pseudo_collate)
    found = defaultdict(list)
    for batch in loader:
        for sample in model.test_step(batch):
            poses = [sample.pred_instances] + [sample.pred_outputs.get(n) for n in OUTPUTS[1:]]
            image, label = images[sample.img_id], labels[sample.id]
            box = sample.gt_instances.bboxes[0]
            found['poses'].append(np.concatenate([each.keypoints for each in poses]))
            found['maxima'].append(np.concatenate([each.keypoint_scores for each in poses]))
            found['true'].append(sample.gt_instances.keypoints[0])
            found['seen'].append(sample.gt_instances.keypoints_visible.reshape(-1) > 0)
            found['size'].append(max(box[2:] - box[:2]))
            found['block'].append(int(image['frame_id']) // BLOCK)
            found['track'].append(int(label['track_id']))
            found['frame'].append(int(image['frame_id']))
        features = model.backbone(model.data_preprocessor(batch)['inputs'])
        maps = model.head.branch_outputs(features).final_heatmaps
        below = peak_features(maps[SMALL], model.head.branch_forward(features, SMALL)[1]).numpy()
        for name, weights in outputs.items():
            found[name].extend(apply(weights, below))
        # Both directions, at the temperature of the distillation.
        pairs = [
            (spatial_kl(maps[a], maps[b], 3) + spatial_kl(maps[b], maps[a], 3)) / 2
            for a, b in combinations(range(len(maps)), 2)
        ]
        found['divergence'].extend(torch.stack(pairs, 1).numpy())
    return {name: np.array(values) for name, values in found.items()}


def tracks_of(arrays: dict[str, np.ndarray]) -> list[Track]:
    """Return the tracks of stored predictions: one for each fly and block, in order of time."""
    found = []
    keys = np.stack([arrays['block'], arrays['track']], 1)
    for key in np.unique(keys, axis=0):
        index = np.flatnonzero((keys == key).all(1))
        index = index[np.argsort(arrays['frame'][index])]
        parts = {name: arrays[name][index] for name in Track.__dataclass_fields__}
        found.append(Track(**parts))
    return found


class Branches(nn.Module):
    """The trunk and some branches."""

    def __init__(self, model: nn.Module, branches: tuple[int, ...]):
        super().__init__()
        self.model, self.branches = model, branches

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the heatmaps of these branches."""
        features = self.model.backbone(images, branches=self.branches)
        return [self.model.head.branch_forward(features, m)[0][-1] for m in self.branches]


def costs(model: nn.Module) -> dict[str, float]:
    """Return the millions of multiply-adds of the trunk and of each branch above it."""
    width, height = model.head.decoder.input_size
    images = torch.zeros(1, 3, height, width)

    def macs(*branches: int) -> float:
        counted = get_model_complexity_info(
            Branches(model, branches), inputs=(images,), show_table=False, show_arch=False
        )
        return counted['flops'] / 1e6

    both = macs(LARGE, SMALL, PEER)
    tops = dict(
        large=both - macs(SMALL, PEER),
        small=both - macs(LARGE, PEER),
        peer=both - macs(LARGE, SMALL),
    )
    return tops | dict(trunk=both - sum(tops.values()))


def measured(args: argparse.Namespace, seed: int) -> None:
    """Train, and store the predictions and costs unless they are stored."""
    folder = args.out / 'predictions'
    folder.mkdir(parents=True, exist_ok=True)
    if all((folder / f'{seed}_{split}.npz').exists() for split in SPLITS):
        return
    model = trained(args, seed)
    write_text(args.out / 'costs.json', json.dumps(costs(model)))
    outputs = learn(model, args)
    for split in SPLITS:
        with atomic_write(folder / f'{seed}_{split}.npz') as file, open(file, 'wb') as stream:
            np.savez(stream, **predict(model, outputs, args, split))
