"""``student.onnx`` beside an exported student, and the same in 8 bits: built, compared, written."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import KEYPOINT_CODECS

from ..export import branch_to_export
from ..models.student import config_branches
from .accuracy import Loss, loss
from .check import Agreement, agreement, check_pictures, crops_of
from .decode import graph_decoder
from .graph import build_onnx, check_installed, map_names
from .int8 import quantised
from .student import GRAPH, SMALL_GRAPH, load_student, student_files


def check_export(cfg: Config, decode: bool, *folders: str | None) -> None:
    """Look whether all that an export needs is there, before it takes its time.

    Args:
        cfg: Training config.
        decode: Whether the graph shall decode.
        folders: Of pictures; None is for drawn figures.

    Raises:
        UserError: If packages are missing, no picture can be read, the config is not an OKDHP one,
            or its codec cannot be decoded in a graph.
    """
    check_installed()
    for folder in folders:
        if folder is not None:
            next(check_pictures(Path(folder)))
    branch_to_export(cfg, 0)
    if decode:
        init_default_scope(cfg.get('default_scope', 'mmpose'))
        # All branches have the same.
        graph_decoder(KEYPOINT_CODECS.build(config_branches(cfg.model)[0].head.decoder))


def remove_graphs(folder: Path) -> list[Path]:
    """Remove the graphs of an earlier student, which would be taken for the new one's.

    Returns:
        What was there.
    """
    graphs = [path for name in (GRAPH, SMALL_GRAPH) if (path := folder / name).exists()]
    for path in graphs:
        path.unlink()
    return graphs


def export_onnx(folder: Path, decode: bool = False, check_images: str | None = None) -> Agreement:
    """Write ``student.onnx`` beside an exported student, if it gives what PyTorch gives.

    Args:
        folder: Where ``student.py`` and ``student.pth`` are.
        decode: Whether the graph gives keypoints and scores instead of maps.
        check_images: Folder of pictures to compare on; None draws figures.

    Raises:
        UserError: If there is no student, packages are missing, the codec cannot be decoded in a
            graph, or no picture can be read.
    """
    student = load_student(folder)
    crops = crops_of(student, check_images)
    model, tapped = build_onnx(student, decode)
    found = agreement(student, tapped.SerializeToString(), crops)
    if not found.holds:
        raise AssertionError(f'the ONNX graph is not the student: {found}')
    (folder / GRAPH).write_bytes(model.SerializeToString())
    return found


def export_int8(folder: Path, calibration_images: str, check_images: str | None = None) -> Loss:
    """Write ``student_int8.onnx`` beside ``student.onnx``, and tell what is lost.

    Args:
        folder: Where the student and its graph are.
        calibration_images: Folder of pictures of single persons, to take the ranges of the
            activations from; the first 200.
        check_images: Folder of other pictures, to compare on; None draws figures.

    Raises:
        UserError: If there is no student, packages are missing, or no picture can be read.
    """
    check_installed()
    # Here, so that the tools start where it is missing, and say so.
    import onnx

    (file,) = student_files(folder, GRAPH)
    student = load_student(folder)
    crops = crops_of(student, calibration_images)
    small = quantised(onnx.load(str(file)), map_names(student), crops).SerializeToString()
    (folder / SMALL_GRAPH).write_bytes(small)
    return loss(student, file.read_bytes(), small, crops_of(student, check_images))
