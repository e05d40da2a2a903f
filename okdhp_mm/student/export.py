"""Write a trained branch, or a student trained alone, as a stock student."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import mmpose
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from ..io.atomic import atomic_write_folder, write_bytes, write_text
from ..io.checkpoint import load_checkpoint
from ..io.config import config_text, require_key
from .card import model_card
from .complexity import Complexity, complexity
from .config import branch_to_export, dataset_meta, needs_package, stock_model, student_config
from .files import CARD, CHECKPOINT, CONFIG, GRAPHS, check_no_student
from .state import build_trained, check_equal, check_finite, student_state


@dataclass(frozen=True)
class Export:
    """Student that was written, and its cost compared with the stock network.

    Attributes:
        config: Path of ``student.py``.
        checkpoint: Path of ``student.pth``.
        branch: Index of the branch; None for a student that was trained alone.
        student: Cost of the student.
        stock: Cost of the network of the stock config that the training started from.
        needs_package: Whether the student runs only where this package is installed.
    """

    config: Path
    checkpoint: Path
    branch: int | None
    student: Complexity
    stock: Complexity
    needs_package: bool = False


def export_student(
    cfg: Config,
    checkpoint: str,
    out_dir: str | Path,
    branch: int | None = None,
    force: bool = False,
) -> Export:
    """Write one branch, or a student trained alone, as a stock config, a checkpoint and a card.

    Args:
        cfg: Training config.
        checkpoint: Any checkpoint of the training, also of an interrupted one. If the EMA copy is
            deployed, its weights are exported, because they were evaluated.
        out_dir: Folder for ``student.py``, ``student.pth`` and ``README.md``.
        branch: Index of the branch; by default the deployed one, ``model.test_cfg.branch``.
        force: Whether to replace a student that is already there. Its graphs are removed.

    Raises:
        UserError: If the config trains another network, the branch does not exist, the checkpoint
            does not fit, is unsafe or holds no numbers, the config names no data to test or
            validate on, or a student is already there.
    """
    files = Path(out_dir) / CONFIG, Path(out_dir) / CHECKPOINT
    if not force:
        check_no_student(out_dir)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    branch = branch_to_export(cfg, branch)
    loaded = load_checkpoint(checkpoint)
    trained = build_trained(cfg, loaded['state_dict'], checkpoint)

    config = student_config(cfg, branch)
    require_key(config, 'test_dataloader', 'A student that predicts')
    state = student_state(trained.state_dict(), branch)
    check_finite(state, checkpoint)
    student = MODELS.build(config.model)
    expected = student.state_dict().keys()
    if state.keys() != expected:
        raise AssertionError(f'The student differs in {sorted(state.keys() ^ expected)[:3]}.')
    student.load_state_dict(state, strict=True)
    if branch is not None:
        check_equal(trained, student, branch)

    config_file, checkpoint_file = files
    cost, dataset = complexity(student), dataset_meta(config, loaded.get('meta', {}))
    card = model_card(cfg, config, loaded, trained, branch, cost, dataset)
    text = config_text(config)
    meta = dict(
        cfg=text,
        dataset_meta=dataset,
        mmpose_version=mmpose.__version__,
    )
    saved = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=state), saved)
    with atomic_write_folder(out_dir, obsolete=GRAPHS) as staging:
        write_bytes(staging / CHECKPOINT, saved.getvalue())
        write_text(staging / CONFIG, text)
        write_text(staging / CARD, card)
    return Export(
        config=config_file,
        checkpoint=checkpoint_file,
        branch=branch,
        student=cost,
        stock=complexity(MODELS.build(stock_model(cfg.model))),
        needs_package=needs_package(config.model),
    )
