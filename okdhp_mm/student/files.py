"""Files of an exported student."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError

CONFIG, CHECKPOINT, CARD = 'student.py', 'student.pth', 'README.md'
GRAPH, SMALL_GRAPH = 'student.onnx', 'student_int8.onnx'
GRAPHS = (GRAPH, SMALL_GRAPH)


def check_no_student(folder: str | Path) -> None:
    """Check that a folder does not hold a student or another model card.

    Raises:
        UserError: If it does.
    """
    files = (Path(folder) / name for name in (CONFIG, CHECKPOINT, CARD))
    if present := [str(file) for file in files if file.exists()]:
        raise UserError(f'{" and ".join(present)} exist already; --force overwrites them.')


def student_files(folder: Path, *names: str) -> list[Path]:
    """Return paths of files in the folder of a student.

    Raises:
        UserError: If one is not there.
    """
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        how = ' with --onnx --decode' if any(name.endswith('.onnx') for name in missing) else ''
        how += ' --int8 PICTURES' if SMALL_GRAPH in missing else ''
        raise UserError(
            f'{folder} has no {" and no ".join(missing)}: name the folder that '
            f'`python -m okdhp_mm export CONFIG CHECKPOINT FOLDER{how}` wrote.'
        )
    return [folder / name for name in names]
