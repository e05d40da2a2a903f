"""Initial weights, teacher and unlabeled images of a training."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.config import Config

from ..data.keypoint_mapping import read_renamed
from ..data.unlabeled import folders_of
from ..deploy.inference.detectors.build import FORMS as DETECTORS
from ..deploy.inference.unlabeled import read_unlabeled
from ..errors import UserError
from ..io.config import drop_pretrained, require_key
from ..recipes.pretrained import start_from
from ..recipes.teachers import (
    FORMS,
    label_pictures,
    labeler_of_pictures,
    labels_pictures,
    use_teacher,
)
from ..recipes.unlabeled import check_branches, check_images, learn_from
from .arguments import above_zero
from .options import merge_options

PRETRAINED = (
    'start the backbone from a file with names of torchvision, timm or mmpose, or from the '
    'ImageNet weights of the named package'
)


def add_start_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose initial weights, teacher and unlabeled images."""
    start = parser.add_mutually_exclusive_group()
    start.add_argument('--from-scratch', action='store_true', help='drop pretrained weights')
    start.add_argument('--pretrained', metavar='FILE|torchvision|timm', help=PRETRAINED)
    parser.add_argument(
        '--force', action='store_true', help='replace the checkpoints of an earlier training'
    )
    parser.add_argument('--teacher', nargs='+', metavar='FILE', help=f'also learn from {FORMS}')
    parser.add_argument(
        '--teacher-keypoints',
        nargs='+',
        default=(),
        metavar='NAME=NAME',
        help="the teacher's name of a keypoint of the student, where they differ, or a JSON file "
        'of such pairs; keypoints that the teacher lacks are learned from the labels alone',
    )
    _add_unlabeled_arguments(parser)


def _add_unlabeled_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        '--unlabeled',
        type=Path,
        metavar='DIR|VIDEO|ANNOTATIONS.json',
        help='learn from the persons in these pictures too, without labels, or with those of '
        '--teacher',
    )
    add(
        '--boxes',
        type=Path,
        help='JSON with boxes around the persons in the unlabeled pictures, {"a.jpg": [[x1, y1, '
        'x2, y2], ...]} (default: from the detector)',
    )
    add(
        '--detector',
        help=f'finds the persons in the unlabeled pictures: {DETECTORS} (default: a picture is one '
        'person)',
    )
    add(
        '--unlabeled-ratio',
        type=above_zero,
        default=1.0,
        metavar='R',
        help='unlabeled persons for each labeled one in a batch, or with --teacher at most in an '
        'epoch (default: %(default)s)',
    )


def choose_start(cfg: Config, args: argparse.Namespace) -> None:
    """Choose the initial weights, and merge ``--cfg-options``, in place.

    Raises:
        UserError: If the weights do not exist or do not fit, an option cannot be merged, or a new
            training would replace an earlier one.
    """
    if args.from_scratch:
        drop_pretrained(cfg.model)
        if not cfg.get('resume'):
            cfg.load_from = None
    merge_options(cfg, args.cfg_options)
    if not (cfg.get('resume') or args.force):
        keep_checkpoints(cfg.work_dir)
    if args.pretrained:
        # After the options, which can change the backbone.
        file = Path(cfg.work_dir, 'pretrained.pth')
        # A resumed training has them already, and must not need the network for them.
        source = str(file) if cfg.get('resume') and file.is_file() else args.pretrained
        found = start_from(cfg.model, source, file)
        print(f'Pretrained weights from {args.pretrained}: {found}.')


def choose_teaching(cfg: Config, args: argparse.Namespace) -> None:
    """Add the teacher and the unlabeled images that the arguments name to a config, in place.

    The teacher labels the images, unless the method learns from them without labels.

    Raises:
        UserError: If they cannot be used, or the config lacks images that it should learn from.
    """
    if args.teacher_keypoints and not args.teacher:
        raise UserError('--teacher-keypoints names keypoints of a teacher. Add --teacher FILE.')
    renamed = read_renamed(args.teacher_keypoints)
    labels = bool(args.teacher) and labels_pictures(cfg, args.teacher)
    labeler = None
    # What cannot be used is refused before a detector looks for the persons.
    if args.unlabeled and labels:
        labeler = labeler_of_pictures(cfg, args.teacher, renamed)
    elif args.unlabeled:
        check_branches(cfg)
    pictures = find_unlabeled(cfg, args)
    if pictures and labeler:
        print(label_pictures(cfg, labeler, pictures, args.unlabeled_ratio))
    else:
        if args.teacher:
            print(use_teacher(cfg, args.teacher, renamed))
        if pictures:
            learn_from(cfg, *pictures, args.unlabeled_ratio)
    check_images(cfg)


def find_unlabeled(cfg: Config, args: argparse.Namespace) -> tuple[Path, Path] | None:
    """Return the file of the unlabeled persons and the folder of their pictures, if there are some.

    Raises:
        UserError: If there is no person, or an option has no pictures.
    """
    if args.unlabeled:
        folders = folders_of(require_key(cfg, 'train_dataloader.dataset', '--unlabeled'))
        work_dir = Path(cfg.work_dir)
        return read_unlabeled(args.unlabeled, args.boxes, work_dir, folders, args.detector)
    if args.boxes or args.detector:
        given = f'--boxes {args.boxes}' if args.boxes else f'--detector {args.detector}'
        raise UserError(f'{given} needs pictures. Name them by --unlabeled.')
    return None


def keep_checkpoints(work_dir: str) -> None:
    """Refuse to replace the checkpoints of an earlier training.

    Raises:
        UserError: If the folder has some.
    """
    patterns = ('epoch_*.pth', 'iter_*.pth', 'best_*.pth', 'latest.pth')
    if found := sorted(file.name for pattern in patterns for file in Path(work_dir).glob(pattern)):
        raise UserError(
            f'{work_dir} has checkpoints of an earlier training, such as {found[0]}. Continue it '
            'by --resume, name another --work-dir, or replace them by --force.'
        )
