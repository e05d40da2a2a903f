"""Let a training learn from a teacher: a trained network, a foreign model, or pseudo-labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope

from ..data.files import check_data
from ..data.keypoint_mapping import map_keypoints
from ..data.pseudo_labels.added_persons import check_takes_persons, without_added_persons
from ..data.pseudo_labels.persons import persons_of
from ..data.unlabeled import unlabeled_dataset, with_pipeline
from ..deploy.inference.foreign.adapter import GRAPHS
from ..errors import UserError
from ..io.checkpoint import load_checkpoint
from ..io.config import read_config
from ..models.branch_configs import ESTIMATOR
from ..models.distillers.terms.distill import MADE_OF_BRANCHES
from ..models.teachers import FrozenTeacher, PseudoLabelTeacher
from ..student.config import dataset_meta
from ..student.files import CHECKPOINT, CONFIG, student_files
from ..student.load import names_and_skeleton
from .pseudo_labels import label_persons, use_pseudo_labels

if TYPE_CHECKING:
    from ..deploy.inference.engines import Engine

FORMS = (
    "CONFIG.py CHECKPOINT.pth, a student's folder, pseudo-labels in COCO format (.json), or "
    'MODEL.onnx or MODEL.tflite with its ADAPTER.json'
)
TERM = 'loss_teacher'
"""Name of the term that is added if the method has no teacher outside of its branches."""


def use_teacher(cfg: Config, files: Sequence[str], renamed: Mapping[str, str | None]) -> str:
    """Let a training learn from a teacher, in place; return a sentence about it.

    A model without branches learns from pseudo-labels of other pictures only.

    Args:
        cfg: Complete training config.
        files: As in :data:`FORMS`.
        renamed: Names of the teacher's keypoints by names of the student's, where they differ.

    Raises:
        UserError: If the teacher cannot be read, has other keypoints, or needs branches that the
            config does not train.
    """
    model = cfg.get('model') or {}
    branched = model.get('type') == ESTIMATOR
    if not branched and (len(files) > 1 or not files[0].endswith('.json')):
        raise UserError(
            f'--teacher {" ".join(files)} cannot teach model.type={model.get("type")!r}, which '
            'learns from pseudo-labels of other pictures only. Add such pictures by --unlabeled, '
            'or make a training config with branches by `python -m okdhp_mm convert`.'
        )
    names = student_keypoints(cfg)
    first = Path(files[0]).expanduser()
    folder = Path(cfg.work_dir) / 'teacher'
    if len(files) == 1 and first.is_dir():
        config, checkpoint = student_files(first, CONFIG, CHECKPOINT)
        return use_network(model, config, checkpoint, names, renamed)
    if len(files) == 2 and first.suffix == '.py':
        return use_network(model, first, Path(files[1]), names, renamed)
    told = ''
    if first.suffix in GRAPHS and len(files) <= 2:
        engine = open_teacher(files, names, renamed)
        persons = persons_of(cfg.train_dataloader.dataset)
        first = label_persons(persons, files, engine, folder, cfg.get('launcher', 'none'))
        told = f'{files[0]} labeled the training persons once, see {first}; '
    elif len(files) != 1 or first.suffix != '.json':
        raise UserError(f'--teacher {" ".join(files)} is not a teacher. Give {FORMS}.')
    teaches, sentence = use_pseudo_labels(cfg, first, names, renamed, folder, branched)
    if teaches:
        set_teacher(model, dict(type=PseudoLabelTeacher.__name__), PseudoLabelTeacher.name)
    return f'Teacher: {told}{sentence}.'


def labels_pictures(cfg: Config, files: Sequence[str]) -> bool:
    """Return whether a teacher labels the unlabeled pictures of a training.

    It does not if it is a file of labels, or if the method learns from such pictures or from a
    teacher by itself.
    """
    model = cfg.get('model') or {}
    by_itself = model.get('unlabeled') or model.get('teacher')
    return Path(files[0]).suffix != '.json' and not by_itself


def open_teacher(
    files: Sequence[str], names: Sequence[str], renamed: Mapping[str, str | None]
) -> Engine:
    """Open a model that labels persons.

    Args:
        files: As in :data:`FORMS`, but not a file of pseudo-labels.
        names: Names of the student's keypoints.
        renamed: See :func:`use_teacher`.

    Raises:
        UserError: If it does not run, or has other keypoints.
    """
    # mmpose's inferencers take seconds to import, and few trainings need them.
    from ..deploy.inference.foreign.build import build_engine

    engine = build_engine(files)
    map_keypoints(names, engine.keypoint_names, renamed, files[0])
    return engine


def open_teacher_of_pictures(
    cfg: Config, files: Sequence[str], renamed: Mapping[str, str | None]
) -> Engine:
    """Open a model that labels pictures for a training, see :func:`label_pictures`.

    Raises:
        UserError: As :func:`open_teacher`, or if the training cannot take more persons.
    """
    names = student_keypoints(cfg)
    check_takes_persons(without_added_persons(cfg.train_dataloader.dataset))
    return open_teacher(files, names, renamed)


def label_pictures(
    cfg: Config,
    files: Sequence[str],
    engine: Engine,
    renamed: Mapping[str, str | None],
    pictures: tuple[Path, Path],
    ratio: float = 1.0,
) -> str:
    """Let a teacher label pictures once, whose persons join a training; return a sentence about it.

    Args:
        cfg: Complete training config, of any model. It is changed in place.
        files: The teacher, as in :data:`FORMS`, but not a file of pseudo-labels.
        engine: The teacher, see :func:`open_teacher_of_pictures`.
        renamed: See :func:`use_teacher`.
        pictures: Persons without labels in COCO's layout, and the folder of their pictures.
        ratio: Persons of these pictures in an epoch for each training person, at most.

    Raises:
        UserError: If no person is left.
    """
    names = names_and_skeleton(dataset_meta(cfg, {}))[0]
    folder = Path(cfg.work_dir) / 'teacher'
    persons = persons_of(
        ConfigDict(unlabeled_dataset(with_pipeline(cfg.train_dataloader.dataset), *pictures))
    )
    file = label_persons(persons, files, engine, folder, cfg.get('launcher', 'none'))
    _, sentence = use_pseudo_labels(cfg, file, names, renamed, folder, False, ratio)
    return f'Teacher: {files[0]} labeled {len(persons)} persons once, see {file}; {sentence}.'


def student_keypoints(cfg: Config) -> list[str]:
    """Check the data of a training, and return the names of its keypoints.

    Raises:
        UserError: If the data cannot be used.
    """
    init_default_scope(cfg.get('default_scope') or 'mmpose')
    check_data(cfg, 'train', 'val')
    return names_and_skeleton(dataset_meta(cfg, {}))[0]


def use_network(
    model: ConfigDict,
    config: Path,
    checkpoint: Path,
    names: Sequence[str],
    renamed: Mapping[str, str | None],
) -> str:
    """Let a model learn from a trained network, in place; return a sentence about it.

    Args:
        model: Config of the model.
        config: Config of the network.
        checkpoint: Checkpoint of the network.
        names: Names of the student's keypoints.
        renamed: See :func:`use_teacher`.

    Raises:
        UserError: If it cannot be read, or has other keypoints.
    """
    teacher = dict(type=FrozenTeacher.__name__, config=str(config), checkpoint=str(checkpoint))
    theirs = network_keypoints(config, checkpoint)
    if theirs is None and renamed:
        raise UserError(
            f'--teacher-keypoints: neither {config} nor {checkpoint} names the keypoints of the '
            'network. Set model.teacher.keypoints to their indices by --cfg-options.'
        )
    sentence = f'Teacher: {checkpoint}'
    if theirs is not None:
        indices = map_keypoints(names, theirs, renamed, str(checkpoint))
        sentence += f', {sum(i is not None for i in indices)} of {len(names)} keypoints'
        if indices != list(range(len(theirs))):
            teacher['keypoints'] = indices
    earlier = model.get('teacher') or {}
    if earlier.get('type') == FrozenTeacher.__name__:
        teacher = earlier | teacher
    set_teacher(model, teacher, FrozenTeacher.name)
    return f'{sentence}.'


def network_keypoints(config: Path, checkpoint: Path) -> list[str] | None:
    """Return the names of a network's keypoints; None if neither file has them.

    Raises:
        UserError: If a file cannot be read.
    """
    cfg, meta = read_config(config), load_checkpoint(str(checkpoint)).get('meta') or {}
    if not meta.get('dataset_meta') and not cfg.get('train_dataloader'):
        return None
    return names_and_skeleton(dataset_meta(cfg, meta))[0]


def set_teacher(model: ConfigDict, teacher: dict, name: str) -> None:
    """Set the teacher of a model, and the terms that learn from it, in place.

    Terms that learn from another teacher outside of the branches learn from this one. Without
    such a term, one is added.

    Args:
        model: Config of the model.
        teacher: Config of the teacher.
        name: Its name in the terms.
    """
    model.teacher = ConfigDict(teacher)
    distiller = model.setdefault('distiller', ConfigDict())
    terms = distiller.setdefault('terms', ConfigDict())
    outside = [
        term
        for term in terms.values()
        if term and term.get('teacher') and term.teacher not in MADE_OF_BRANCHES
    ]
    for term in outside:
        term.teacher = name
    if not outside:
        # --cfg-options may have set its weight or loss.
        own = terms.get(TERM) or {}
        terms[TERM] = ConfigDict(dict(type='DistillTerm', teacher=name) | own)
