"""Arms: the config that each is trained by. What no method changes is equal in all."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmpose.registry import MODELS

from okdhp_mm.errors import UserError
from okdhp_mm.io.config import drop_pretrained
from okdhp_mm.recipes.methods import (
    all_imports,
    apply_method_to_config,
    method_file,
    method_files,
    set_method,
)
from okdhp_mm.student.config import student_config

from .budgets import Budget, Student
from .data import Data, Split
from .variants import VARIANTS, variant_method

ALONE, ALONE_SAME_COST = 'alone', 'alone_same_cost'
TEACHER = 'teacher'
CONFIGS = Path(__file__).parents[2] / 'configs' / 'okdhp'
WARM_UP = 0.05


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        student: Name of the student.
        arm: 'alone', 'alone_same_cost', the name of a method or variant, or a method's file.
        seed: Of the initial weights, the order of the data, and the augmentation.
    """

    student: str
    arm: str
    seed: int

    @property
    def folder(self) -> Path:
        """Return its folder, relative to that of the benchmark."""
        return Path(self.student, self.arm_name, f'seed{self.seed}')

    @property
    def arm_name(self) -> str:
        """Return the name of the arm in the table."""
        return Path(self.arm).stem

    @property
    def has_branches(self) -> bool:
        """Return whether branches are trained."""
        return self.arm not in (ALONE, ALONE_SAME_COST)


def all_arms() -> list[str]:
    """Return both arms without branches, then every method, first the branches alone.

    A second stage, which starts from a trained student, is not an arm. Neither is a method that
    needs unlabeled images.
    """
    methods = sorted(method_files(), key=lambda name: (name != 'branches', name))
    stages = [Config.fromfile(method_file(name)).method for name in methods]
    first = [
        name
        for name, stage in zip(methods, stages, strict=True)
        if not (stage.get('freeze_backbone') or stage.get('unlabeled'))
    ]
    return [ALONE, ALONE_SAME_COST, *first]


def check_arm(arm: str) -> None:
    """Look whether there is such an arm.

    Raises:
        UserError: If there is none.
    """
    if arm in (ALONE, ALONE_SAME_COST, *VARIANTS):
        return
    try:
        method_file(arm)
    except UserError:
        known = ', '.join([*all_arms(), *VARIANTS])
        raise UserError(
            f'The arm {arm!r} does not exist. Use one of: {known}, or the file of a method.'
        ) from None


def training_config(run: Run, budget: Budget, data: Data, cost_ratio: float = 1.0) -> Config:
    """Return the config of a run: the user's own, at the budget's size.

    Args:
        run: The run.
        budget: The settings that all share.
        data: The splits.
        cost_ratio: Cost of a step of the branches, relative to one of the student alone.

    Raises:
        UserError: If the method does not exist.
    """
    cfg = branches_config(budget.students[run.student], budget)
    if weights := budget.pretrained.get(run.student):
        cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=weights)
    epochs = budget.epochs
    if run.arm == ALONE_SAME_COST:
        epochs = round(epochs * cost_ratio)
    if run.arm in VARIANTS:
        set_method(cfg.model, variant_method(run.arm))
        imports = [*all_imports(cfg), 'gain.ideas']
        cfg.custom_imports = dict(imports=imports, allow_failed_imports=False)
    elif run.has_branches:
        apply_method_to_config(cfg, run.arm)
    use_data(cfg, data, budget, run.seed)
    use_schedule(cfg, budget, epochs, data.train.persons)
    for key in ('val_evaluator', 'test_evaluator'):
        cfg[key] = dict(type='MultiOutputMetric', metric=dict(type='PckhCurve'))
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    cfg.randomness = dict(seed=run.seed)
    # The student alone starts from the same weights.
    return cfg if run.has_branches else student_config(cfg, 0, to_train=True)


def check_size(student: Student, budget: Budget) -> None:
    """Look whether a student fits the budget's input size, before anything is done.

    Raises:
        UserError: If it does not.
    """
    # The stock model alone would not say before its first loss.
    MODELS.build(branches_config(student, budget).model)


def needs_teacher(cfg: Config) -> bool:
    """Return whether a trained network must still be named."""
    teacher = cfg.model.get('teacher')
    return bool(teacher) and not teacher.get('checkpoint')


def check_fit(cfg: Config, teacher: Config) -> None:
    """Look whether a student can be trained by an arm, before it is.

    Args:
        cfg: Config of the run.
        teacher: Config of the network that teaches, if the method needs a trained one.

    Raises:
        UserError: If its model refuses the method, or the teacher predicts something else.
    """
    if not needs_teacher(cfg):
        MODELS.build(copy.deepcopy(cfg.model))
    elif cfg.codec != teacher.codec:
        raise UserError(
            f'The student predicts by {cfg.codec.type}, the teacher by {teacher.codec.type}; '
            'choose a student of the same codec.'
        )


def branches_config(student: Student, budget: Budget) -> Config:
    """Return the student's training config at the budget's input size, from scratch.

    Raises:
        UserError: If a SimCC head cannot have this size.
    """
    cfg = Config.fromfile(CONFIGS / f'{student.config}.py')
    cfg.merge_from_dict(dict(model=student.model))
    drop_pretrained(cfg.model)
    size = (budget.input_size, budget.input_size)
    codec = codec_at(cfg.model.head.decoder, budget)
    cfg.codec = cfg.model.head.decoder = codec
    if 'in_featuremap_size' in cfg.model.head:
        head = cfg.model.head
        sides = [side * budget.input_size for side in head.in_featuremap_size]
        if any(side % head.input_size[0] for side in sides):
            stride = head.input_size[0] // head.in_featuremap_size[0]
            raise UserError(
                f'input_size={budget.input_size} does not fit the SimCC head of '
                f'{student.config}; choose a multiple of {stride}.'
            )
        features = tuple(side // head.input_size[0] for side in sides)
        head.update(input_size=size, in_featuremap_size=features)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for step in loader.dataset.pipeline:
            if step.type == 'TopdownAffine':
                step.input_size = size
            elif step.type == 'GenerateTarget':
                step.encoder = codec
    # The accuracy of every training batch costs time on the CPU, and knows no bfloat16.
    cfg.model.train_cfg = dict(compute_acc=False)
    cfg.env_cfg.cudnn_benchmark = True  # all images have the same size
    cfg.model.test_cfg.flip_test = budget.flip_test
    return cfg


def codec_at(codec: ConfigDict, budget: Budget) -> ConfigDict:
    """Return the codec at the budget's input size."""
    size = (budget.input_size, budget.input_size)
    if 'heatmap_size' not in codec:
        # SimCC's sigma is in bins. A pixel has the same number of bins at every size.
        sigma = codec.sigma * budget.input_size / codec.input_size[0]
        return ConfigDict(codec, input_size=size, sigma=sigma)
    heatmap_size = (budget.input_size // 4, budget.input_size // 4)
    codec = ConfigDict(codec, input_size=size, heatmap_size=heatmap_size, sigma=budget.sigma)
    if budget.blur:
        codec.update(unbiased=True, blur_kernel_size=budget.blur)
    return codec


def use_data(cfg: Config, data: Data, budget: Budget, seed: int) -> None:
    """Let the config read the splits: 'val' is for choosing a branch, 'test' is reported."""
    splits = dict(train=data.train, val=data.selection, test=data.test)
    for name, split in splits.items():
        loader = cfg[f'{name}_dataloader']
        loader.update(
            batch_size=budget.batch_size,
            num_workers=budget.workers,
            # The others are read once.
            persistent_workers=name == 'train' and budget.workers > 0,
        )
        read(loader.dataset, split, data.images)
    # A batch's images go to a GPU at once, not one by one.
    cfg.train_dataloader.collate_fn = dict(type='default_collate')
    cfg.train_dataloader.dataset.update(
        type='PairedMpii', seed=seed, augmentations=budget.augmentations
    )


def read(dataset: ConfigDict, split: Split, images: str) -> None:
    """Let a dataset read a split."""
    dataset.update(data_root='', ann_file=split.annotations, data_prefix=dict(img=images))
    if split.headboxes:
        dataset.headbox_file = split.headboxes


def use_schedule(cfg: Config, budget: Budget, epochs: int, persons: int) -> None:
    """Use a warm-up and a cosine over the whole training, and evaluate only at its end.

    Raises:
        UserError: If no step is left for the cosine.
    """
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_begin=epochs + 1)
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=budget.lr))
    if in_bf16(budget, cfg.codec) and torch.cuda.is_available():
        cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16', loss_scale=1.0)
    steps = epochs * math.ceil(persons / budget.batch_size)
    warm_up = math.ceil(WARM_UP * steps)
    if steps == warm_up:
        raise UserError(
            f'epochs={epochs} of {persons} persons in batches of {budget.batch_size} are one step; '
            'train for two at least.'
        )
    cfg.param_scheduler = [
        dict(type='LinearLR', by_epoch=False, end=warm_up, start_factor=0.01),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=warm_up, T_max=steps - warm_up),
    ]
    # Two: the hook removes an old one before the new one is written.
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1, max_keep_ckpts=2)


def in_bf16(budget: Budget, codec: ConfigDict) -> bool:
    """Return whether a student is trained in mixed precision, in all arms."""
    # The accuracy of a stock SimCC head, which nothing turns off, knows no bfloat16.
    return budget.bf16 and 'heatmap_size' in codec
