"""Let a training learn from a teacher: a trained network, a foreign model, or pseudo-labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

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
from ..io.config import read_config, require_key
from ..models.branch_configs import ESTIMATOR
from ..models.distillers.terms.distill import MADE_OF_BRANCHES
from ..models.teachers import FrozenTeacher, PseudoLabelTeacher
from ..student.config import dataset_meta
from ..student.files import CHECKPOINT, CONFIG, student_files
from ..student.load import names_and_skeleton
from .labeler import Labeler
from .pseudo_labels import use_pseudo_labels

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
    folder = teacher_folder(cfg)
    if len(files) == 1 and first.is_dir():
        config, checkpoint = student_files(first, CONFIG, CHECKPOINT)
        return use_network(model, config, checkpoint, names, renamed)
    if len(files) == 2 and first.suffix == '.py':
        return use_network(model, first, Path(files[1]), names, renamed)
    told = ''
    if first.suffix in GRAPHS and len(files) <= 2:
        labeler = Labeler(files, names, renamed, folder, cfg.get('launcher', 'none'))
        first = labeler.label(persons_of(without_added_persons(cfg.train_dataloader.dataset)))
        told = f'{files[0]} labeled the training persons once, see {first}; '
    elif len(files) != 1 or first.suffix != '.json':
        raise UserError(f'--teacher {" ".join(files)} is not a teacher. Give {FORMS}.')
    teaches, sentence = use_pseudo_labels(cfg, first, names, renamed, folder, branched)
    if teaches:
        set_teacher(model, dict(type=PseudoLabelTeacher.__name__), PseudoLabelTeacher.name)
    elif (model.get('teacher') or {}).get('type') == PseudoLabelTeacher.__name__:
        raise UserError(
            f'The config learns from pseudo-labels of its training persons, but {first} has none '
            'of them. Start from the config before that training.'
        )
    return f'Teacher: {told}{sentence}.'


def labels_pictures(cfg: Config, files: Sequence[str]) -> bool:
    """Return whether a teacher labels the unlabeled pictures of a training.

    It does not if it is a file of labels, or if the method learns from such pictures or from a
    teacher by itself.
    """
    model = cfg.get('model') or {}
    by_itself = model.get('unlabeled') or model.get('teacher')
    return Path(files[0]).suffix != '.json' and not by_itself


def labeler_of_pictures(
    cfg: Config, files: Sequence[str], renamed: Mapping[str, str | None]
) -> Labeler:
    """Return a model that labels pictures for a training, after all checks that need no picture.

    Args:
        cfg: Complete training config, of any model.
        files: The teacher, as in :data:`FORMS`, but not a file of pseudo-labels.
        renamed: See :func:`use_teacher`.

    Raises:
        UserError: If the model or the training data cannot be used.
    """
    require_key(cfg, 'train_dataloader.dataset', '--unlabeled')
    names = student_keypoints(cfg)
    check_takes_persons(without_added_persons(cfg.train_dataloader.dataset))
    labeler = Labeler(files, names, renamed, teacher_folder(cfg), cfg.get('launcher', 'none'))
    labeler.check()
    return labeler


def label_pictures(
    cfg: Config, labeler: Labeler, pictures: tuple[Path, Path], ratio: float = 1.0
) -> str:
    """Let a teacher label pictures once, whose persons join a training; return a sentence about it.

    Args:
        cfg: Complete training config, of any model. It is changed in place.
        labeler: The teacher, see :func:`labeler_of_pictures`.
        pictures: Persons without labels in COCO's layout, and the folder of their pictures.
        ratio: Persons of these pictures in an epoch for each training person, at most.

    Raises:
        UserError: If no person is left.
    """
    source = with_pipeline(cfg.train_dataloader.dataset)
    persons = persons_of(ConfigDict(unlabeled_dataset(source, *pictures)))
    file = labeler.label(persons)
    _, sentence = use_pseudo_labels(
        cfg, file, labeler.names, labeler.renamed, labeler.folder, False, ratio
    )
    told = f'{labeler.files[0]} labeled {len(persons)} persons once, see {file}'
    return f'Teacher: {told}; {sentence}.'


def teacher_folder(cfg: Config) -> Path:
    """Return the folder for what a teacher labels for a training."""
    return Path(cfg.work_dir) / 'teacher'


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
