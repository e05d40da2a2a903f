"""The folder that ``tools/export_student.py`` wrote, and the student in it."""

from __future__ import annotations

from pathlib import Path

from mmpose.apis import init_model
from torch import nn

from ..checkpoint import safe_loader
from ..errors import UserError
from ..export import CHECKPOINT, CONFIG, SMALL_GRAPH


def student_files(folder: Path, *names: str) -> list[Path]:
    """Paths of files in the folder of a student.

    Raises:
        UserError: If one is not there.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        how = ' with --onnx --decode' if any(name.endswith('.onnx') for name in missing) else ''
        how += ' --int8 PICTURES' if SMALL_GRAPH in missing else ''
        raise UserError(
            f'{folder} has no {" and no ".join(missing)}: name the folder that '
            f'tools/export_student.py CONFIG CHECKPOINT FOLDER{how} wrote.'
        )
    return [folder / name for name in names]


def load_student(folder: Path) -> nn.Module:
    """The stock estimator in a folder, on the CPU.

    Raises:
        UserError: If there is none.
    """
    files = student_files(folder, CONFIG, CHECKPOINT)
    with safe_loader():
        return init_model(*map(str, files), device='cpu')
