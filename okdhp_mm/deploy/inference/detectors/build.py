"""Make the detector that an option names."""

from __future__ import annotations

from pathlib import Path

from ....errors import UserError
from .darknet import DarknetDetector
from .detector import THRESHOLD, Detector
from .onnx import PIXELS, OnnxDetector

FORMS = (
    'FILE.onnx (or rtmdet:FILE.onnx, yolox:FILE.onnx), FILE.cfg:FILE.weights, a folder with these, '
    'or torchvision:NAME[:FILE]'
)


def build_detector(text: str, device: str | None = None, threshold: float = THRESHOLD) -> Detector:
    """Make a detector.

    Args:
        text: As in :data:`FORMS`.
        device: As in torch. Darknet's run on the CPU.
        threshold: Least score of a person.

    Raises:
        UserError: If the text has another form, or its files are missing or wrong.
    """
    kind, _, rest = text.partition(':')
    if kind == 'torchvision':
        from .torchvision import TorchvisionDetector

        name, _, file = rest.partition(':')
        return TorchvisionDetector(name, _existing(file) if file else None, device, threshold)
    if kind in PIXELS:
        return OnnxDetector(_existing(rest), kind, device, threshold)
    path = Path(text)
    if path.is_dir():
        return build_detector(_in_folder(path), device, threshold)
    if path.suffix == '.onnx':
        return OnnxDetector(_existing(text), None, device, threshold)
    if kind.endswith('.cfg') and rest:
        return DarknetDetector(_existing(kind), _existing(rest), threshold)
    raise UserError(f'--detector {text} is not a detector: give {FORMS}.')


def _in_folder(folder: Path) -> str:
    graphs, configs, weights = (
        sorted(map(str, folder.glob(f'*{suffix}'))) for suffix in ('.onnx', '.cfg', '.weights')
    )
    if len(configs) == len(weights) == 1 and not graphs:
        return f'{configs[0]}:{weights[0]}'
    if len(graphs) == 1 and not (configs or weights):
        return graphs[0]
    raise UserError(
        f'{folder} has to have one .onnx file, or one .cfg and one .weights file; it has '
        f'{len(graphs)}, {len(configs)} and {len(weights)}.'
    )


def _existing(file: str) -> Path:
    if not Path(file).expanduser().is_file():
        raise UserError(f'--detector: {file} does not exist.')
    return Path(file).expanduser()
