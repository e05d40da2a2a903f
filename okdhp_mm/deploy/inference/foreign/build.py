"""Make the engine that an option names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ....errors import UserError
from ..engines import BATCH, Engine, ModelEngine, OnnxEngine, TorchEngine
from .adapter import GRAPHS, read_adapter
from .blazepose import BlazePoseEngine
from .engine import ForeignEngine
from .runtimes import open_runtime

FORMS = (
    "a student's folder, CONFIG.py CHECKPOINT.pth, or MODEL.onnx or MODEL.tflite with its "
    'ADAPTER.json'
)


def build_engine(files: Sequence[str], device: str | None = None, batch: int = BATCH) -> Engine:
    """Make the engine of a pose model.

    Args:
        files: As in :data:`FORMS`. An adapter next to its model, with the same name, need not be
            named. Students exported with their decoder and BlazePose need none.
        device: As in torch; None takes a GPU if there is one. TFLite files run on the CPU.
        batch: Number of persons that the network takes at once.

    Raises:
        UserError: If the files are none of these, missing or wrong.
    """
    paths = [Path(file).expanduser() for file in files]
    if len(paths) == 1 and paths[0].is_dir():
        return TorchEngine(paths[0], device, batch)
    if paths[0].suffix in GRAPHS and len(paths) <= 2:
        return _graph_engine(paths[0], paths[1:], device, batch)
    if len(paths) == 2 and paths[0].suffix == '.py':
        return ModelEngine(files[0], paths[1], device, batch)
    raise UserError(f'{" ".join(files)} is not a pose model. Give {FORMS}.')


def _graph_engine(file: Path, adapters: list[Path], device: str | None, batch: int) -> Engine:
    if not file.is_file():
        raise UserError(f'{file} does not exist.')
    neighbor = file.with_suffix('.json')
    if not adapters and neighbor.is_file():
        adapters = [neighbor]
    if adapters:
        adapter = read_adapter(adapters[0])
        return ForeignEngine(file, open_runtime(file, device), adapter, batch)
    if file.name.startswith('pose_landmark') and file.suffix == '.tflite':
        return BlazePoseEngine(file)
    remedy = f'Describe a model of another program in {neighbor} (docs/how-to/teacher.md).'
    if file.suffix == '.tflite':
        raise UserError(f'{file} does not say what it takes and gives. {remedy}')
    try:
        return OnnxEngine(file.parent, file.name, device, batch)
    except UserError as error:
        raise UserError(f'{error} {remedy}') from None
