"""Overview of a training, before its first step."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.device import get_device
from mmengine.dist import get_world_size
from mmengine.runner import IterBasedTrainLoop, Runner
from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor

from ..datasets.mixed_sampler import MixedSampler
from ..datasets.unlabeled import UnlabeledDataset
from ..engine.model import model_of
from ..models.state_names import student_tensors
from ..student.card import describe_method

COUNTED = 20_000
"""Largest number of persons whose pictures are counted, which takes time."""


def overview(runner: Runner) -> str:
    """Return the overview of a training: data, student, method, steps, device and files."""
    model, loop = model_of(runner), runner.train_loop
    lines = dict(data=f'{describe_data(loop.dataloader.dataset)} to train on')
    if runner.val_loop is not None:
        lines['data'] += f', {describe_data(runner.val_dataloader.dataset)} to validate on'
    else:
        lines['data'] += ', no validation'
    lines |= dict(
        student=describe_student(runner),
        method=describe_method(runner.cfg, model),
        steps=describe_steps(runner),
        device=describe_device(),
        files=f'{relative(runner.work_dir)}; complete log: {relative(log_file(runner))}',
    )
    return '\n'.join(f'{name:8} {text}' for name, text in lines.items())


def describe_data(dataset: BaseDataset) -> str:
    """Return the number of persons, and of pictures if they can be counted soon."""
    if isinstance(dataset, ConcatDataset) and isinstance(dataset.datasets[-1], UnlabeledDataset):
        labeled, *others = dataset.datasets
        return f'{describe_data(labeled)} and {sum(map(len, others))} unlabeled persons'
    persons = len(dataset)
    if persons > COUNTED or not hasattr(dataset, 'get_data_info'):
        return f'{persons} persons'
    pictures = {dataset.get_data_info(index).get('img_path') for index in range(persons)}
    return f'{persons} persons in {len(pictures)} pictures'


def describe_student(runner: Runner) -> str:
    """Return backbone, size, number of keypoints and input of the student."""
    model = model_of(runner)
    backbone = (runner.cfg.get('model') or {}).get('backbone') or {}
    parts = [f'{backbone.get("type", type(model).__name__)}']
    if 'depth' in backbone:
        parts[0] += f' {backbone["depth"]}'
    parts.append(f'{student_parameters(model) / 1e6:.2f} M parameters')
    branches = getattr(model.head, 'branches', [model.head])
    if keypoints := getattr(branches[0], 'out_channels', None):
        parts.append(f'{keypoints} keypoints')
    decoder = getattr(branches[0], 'decoder', None)
    if decoder is not None:
        parts.append('input {}x{}'.format(*decoder.input_size))
    return ', '.join(parts)


def student_parameters(model: BasePoseEstimator) -> int:
    """Return the number of parameters of branch 0 and the trunk, or of a stock model."""
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    if hasattr(model.head, 'branches'):
        parameters = student_tensors(parameters, 0)
    return sum(values.numel() for values in parameters.values())


def describe_steps(runner: Runner) -> str:
    """Return epochs, iterations and batch size, and where a resumed training continues."""
    loop, size = runner.train_loop, runner.train_dataloader.batch_size
    if isinstance(loop, IterBasedTrainLoop):
        text, now = f'{loop.max_iters} iterations', f'iteration {loop.iter + 1}'
    else:
        length = len(loop.dataloader)
        text = f'{loop.max_iters} = {loop.max_epochs} epochs x {length} iterations'
        now = f'epoch {loop.epoch + 1}'
    if isinstance(loop.dataloader.sampler, MixedSampler):
        sampler = loop.dataloader.sampler
        text += f', batch size {sampler.num_labeled} + {sampler.num_unlabeled} unlabeled'
    elif size:
        text += f', batch size {size}'
    return text + (f'; resumed, starts with {now}' if loop.iter else '')


def describe_device() -> str:
    """Return the device, and the number of processes if there are several."""
    device, processes = get_device(), get_world_size()
    if device == 'cuda':
        device += f' ({torch.cuda.get_device_name()})'
    return device + (f', {processes} processes' if processes > 1 else '')


def log_file(runner: Runner) -> str:
    """Return the file of mmengine's log, or else its folder."""
    handlers = runner.logger.handlers
    files = (each.baseFilename for each in handlers if isinstance(each, logging.FileHandler))
    return next(files, runner.log_dir)


def relative(path: str | Path) -> Path:
    """Return a path relative to the current folder if it lies there."""
    path = Path(path)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
