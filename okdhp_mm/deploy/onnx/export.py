"""Build, compare and write ``student.onnx`` of an exported student, also in 8 bits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import KEYPOINT_CODECS

from ...io.atomic import atomic_write_folder, write_bytes
from ...models.branch_configs import config_branches
from ...student.config import check_exportable
from ...student.export import Export, export_student
from ...student.files import (
    CHECKPOINT,
    CONFIG,
    GRAPH,
    GRAPHS,
    SMALL_GRAPH,
    check_no_student,
    student_files,
)
from ...student.load import load_student
from .accuracy_drop import AccuracyDrop, measure_drop
from .decoders import graph_decoder
from .graph import build_onnx, check_installed, map_names
from .quantize import quantize
from .verify import ParityReport, check_parity, check_pictures, crops_of


def check_export(cfg: Config, decode: bool, *folders: str | None) -> None:
    """Check that an export has everything it needs, before it starts.

    Args:
        cfg: Training config.
        decode: Whether to decode in the graph.
        folders: Folders of pictures; None for drawn figures.

    Raises:
        UserError: If packages are missing, no picture can be read, the config trains another
            network, or its codec cannot be decoded in a graph.
    """
    check_installed()
    for folder in folders:
        if folder is not None:
            next(check_pictures(Path(folder)))
    check_exportable(cfg)
    if decode:
        init_default_scope(cfg.get('default_scope', 'mmpose'))
        # All branches have the same.
        graph_decoder(KEYPOINT_CODECS.build(config_branches(cfg.model)[0].head.decoder))


def export_onnx(
    folder: Path, decode: bool = False, check_images: str | None = None
) -> ParityReport:
    """Write ``student.onnx`` next to an exported student, if its outputs equal PyTorch's.

    Args:
        folder: Folder with ``student.py`` and ``student.pth``.
        decode: Whether the graph gives keypoints and scores instead of maps.
        check_images: Folder of pictures to compare on; None draws figures.

    Raises:
        UserError: If the folder has no student, packages are missing, a graph cannot decode the
            codec, or no picture can be read.
    """
    student = load_student(folder)
    crops = crops_of(student, check_images)
    model, tapped = build_onnx(student, decode)
    found = check_parity(student, tapped.SerializeToString(), crops)
    if not found.passed:
        raise AssertionError(f'the ONNX graph is not the student: {found}')
    write_bytes(folder / GRAPH, model.SerializeToString())
    return found


def export_int8(
    folder: Path, calibration_images: str, check_images: str | None = None
) -> AccuracyDrop:
    """Write ``student_int8.onnx`` next to ``student.onnx``, and report the drop in accuracy.

    Args:
        folder: Folder with the student and its graph.
        calibration_images: Folder of pictures of single persons, to take the ranges of the
            activations from; the first 200.
        check_images: Folder of other pictures, to compare on; None draws figures.

    Raises:
        UserError: If the folder has no student, packages are missing, or no picture can be read.
    """
    check_installed()
    # Here, so that the tools start where it is missing, and say so.
    import onnx

    (file,) = student_files(folder, GRAPH)
    student = load_student(folder)
    crops = crops_of(student, calibration_images)
    small = quantize(onnx.load(str(file)), map_names(student), crops).SerializeToString()
    write_bytes(folder / SMALL_GRAPH, small)
    return measure_drop(student, file.read_bytes(), small, crops_of(student, check_images))


def find_graphs(folders: Iterable[Path]) -> list[Path]:
    """Return the graphs in the folders of some students."""
    return [file for folder in folders for name in GRAPHS if (file := folder / name).exists()]


def write_graphs(
    folder: Path,
    final: Path,
    onnx: bool,
    decode: bool,
    check_images: str | None,
    calibration_images: str | None,
) -> list[str]:
    """Write the graphs of an exported student.

    Args:
        folder: Folder of the student and of the graphs.
        final: Folder where users will find them.
        onnx: Whether to write ``student.onnx``.
        decode: See :func:`export_onnx`.
        check_images: See :func:`export_onnx`.
        calibration_images: See :func:`export_int8`; None writes no graph of 8 bits.

    Returns:
        A line about each graph.
    """
    lines = []
    if onnx:
        lines.append(f'{final / GRAPH}: {export_onnx(folder, decode, check_images)}')
    if calibration_images:
        lost = export_int8(folder, calibration_images, check_images)
        lines.append(f'{final / SMALL_GRAPH}: {lost}')
    return lines


def export_together(
    cfg: Config,
    checkpoint: str,
    out_dir: Path,
    branch: int | None,
    force: bool,
    *graphs: Any,
) -> tuple[Export, list[str]]:
    """Export a student with its graphs, and replace an old one only if all of them succeed.

    Args:
        cfg: Training config.
        checkpoint: Any checkpoint of it.
        out_dir: Folder of the student.
        branch: Index of the branch, or None for the deployed one.
        force: Whether to replace a student that is already there.
        graphs: Arguments of :func:`write_graphs` that follow the folders.

    Returns:
        The export, and a line about each graph.

    Raises:
        UserError: See :func:`~okdhp_mm.student.export.export_student` and :func:`export_onnx`.
    """
    if not force:
        check_no_student(out_dir)
    with atomic_write_folder(out_dir, obsolete=GRAPHS) as staging:
        export = export_student(cfg, checkpoint, staging, branch)
        lines = write_graphs(staging, out_dir, *graphs)
    return replace(export, config=out_dir / CONFIG, checkpoint=out_dir / CHECKPOINT), lines
