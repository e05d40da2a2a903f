"""Export a student to ONNX, optionally with its decoder, with metadata.

Names are mmdeploy's: ``input`` is the normalized crop, ``output`` the heatmaps, ``simcc_x`` and
``simcc_y`` the vectors of SimCC. The flip test is not a part of the graph: to use it, run the
graph twice.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import logging
from collections import Counter
from typing import TYPE_CHECKING

import torch
from mmengine.logging import print_log
from mmpose.models.pose_estimators.base import BasePoseEstimator
from torch import Tensor, nn

from ...env.versions import check_torch
from ...errors import UserError
from ...models.heads.adapters import find_adapter
from ...student.load import names_and_skeleton
from .decoders import graph_decoder
from .deconvolution import without_deconvolutions

if TYPE_CHECKING:
    import onnx

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
# Written by torch's exporter itself; another version would be converted.
OPSET = 18
# The first that knows this opset: older runtimes refuse files of newer versions.
IR_VERSION = 8
DECODED = ('keypoints', 'scores')
CONVOLUTIONS = ('Conv', 'ConvTranspose')


class StudentGraph(nn.Module):
    """Exported module: normalized images to maps, and to keypoints with a decoder.

    Args:
        student: A stock estimator in evaluation mode.
        decode: Whether to decode in the graph.

    Attributes:
        map_names: The names of what the head gives.

    Raises:
        UserError: If the student's codec cannot be decoded in a graph.
    """

    def __init__(self, student: BasePoseEstimator, decode: bool):
        super().__init__()
        self.student: BasePoseEstimator = student
        self.adapter = find_adapter(student.head)
        self.map_names = self.adapter.map_names
        self.decoder = graph_decoder(student.head.decoder) if decode else None
        self.eval()

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors of the last stage of the head."""
        return self.adapter.tensors(self.student(images, None, mode='tensor'))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return keypoints and scores, if they are decoded, and the maps."""
        maps = self.maps(images)
        return maps if self.decoder is None else (*self.decoder(*maps), *maps)


def map_names(student: BasePoseEstimator) -> tuple[str, ...]:
    """Return the names of the maps of a student."""
    return find_adapter(student.head).map_names


def check_installed() -> None:
    """Check that the packages of ONNX and a torch that exports to them are installed.

    Raises:
        UserError: If one is not.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f'ONNX needs {", ".join(missing)}: pip install {" ".join(PACKAGES)}')
    # torch.onnx.export(dynamo=True) with dynamic shapes requires it.
    check_torch('ONNX', (2, 6))


def build_onnx(
    student: BasePoseEstimator, decode: bool = False
) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Turn a student into a graph.

    Args:
        student: A stock estimator, as :func:`~okdhp_mm.student.load.load_student` gives it.
        decode: Whether the graph gives keypoints and scores instead of maps.

    Returns:
        The model, and the same with the maps among its outputs in any case.

    Raises:
        UserError: If packages are missing, or the codec cannot be decoded in a graph.
    """
    check_installed()
    graph = StudentGraph(without_deconvolutions(student), decode)
    width, height = map(int, student.head.decoder.input_size)
    # One image would make the exporter take the batch for a constant.
    names = [*(DECODED if decode else ()), *graph.map_names]
    tapped = to_onnx(graph, dict(input=torch.zeros(2, 3, height, width)), names)
    add_metadata(tapped, metadata(graph))
    model = copy.deepcopy(tapped)
    if decode:
        del model.graph.output[len(DECODED) :]
    return model, tapped


def add_metadata(model: onnx.ModelProto, entries: dict[str, str]) -> None:
    """Add entries to the metadata of a file."""
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)


def metadata(graph: StudentGraph) -> dict[str, str]:
    """Return the metadata of the file, in words and, for programs, as JSON."""
    student = graph.student
    codec, preprocessor = student.head.decoder, student.cfg.model.data_preprocessor
    width, height = map(int, codec.input_size)
    transforms = student.cfg.test_dataloader.dataset.pipeline
    settings = {transform['type']: transform for transform in transforms}
    # Either flag swaps the first channel and the last: pictures are read as BGR.
    swaps = preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr')
    channels = 'RGB' if swaps else 'BGR'
    pixels = dict(
        channels=channels,
        mean=preprocessor.get('mean') or [0, 0, 0],
        std=preprocessor.get('std') or [1, 1, 1],
    )
    crop = dict(
        input_size=[width, height],
        padding=settings['GetBBoxCenterScale'].get('padding', 1.25),
        use_udp=settings['TopdownAffine'].get('use_udp', False),
    )
    names, skeleton = names_and_skeleton(student.dataset_meta)
    outputs = graph.adapter.map_doc.format(codec=type(codec).__name__, keypoints=len(names))
    if graph.decoder is not None:
        outputs = (
            f'keypoints (batch, {len(names)}, 2) in pixels of the input, x before y, and scores '
            f'(batch, {len(names)}), decoded as {type(codec).__name__} does'
        )
    return dict(
        input=f'float32 (batch, 3, {height}, {width}), {channels}, (value of 0..255 - mean) / std',
        outputs=outputs,
        flip_test='not in the graph',
        pixels=json.dumps(pixels),
        crop=json.dumps(crop),
        keypoint_names=json.dumps(names),
        skeleton=json.dumps(skeleton),
    )


def to_onnx(
    module: nn.Module, inputs: dict[str, Tensor], output_names: list[str]
) -> onnx.ModelProto:
    """Turn a module into a graph for any batch size, without metadata.

    Args:
        module: In evaluation mode.
        inputs: Example of its positional arguments by the names that they get, with batch size 2.
        output_names: Names of its outputs.
    """
    batch = torch.export.Dim('batch')
    program = torch.onnx.export(
        module,
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=output_names,
        dynamo=True,
        dynamic_shapes=tuple({0: batch} for _ in inputs),
        opset_version=OPSET,
        verbose=False,
    )
    assert program is not None  # from this exporter
    # Once more: only at its end the exporter merges layers that a network applies twice to the same
    # features (LiteHRNet), and a batch norm is folded only into weights that are used once.
    program.optimize()
    model = program.model_proto
    model.ir_version = IR_VERSION
    _warn_unfolded(model)
    for node in model.graph.node:
        # Places of the operator in the source: paths and lines of this machine.
        del node.metadata_props[:]
    del model.metadata_props[:]
    return model


def _warn_unfolded(model: onnx.ModelProto) -> None:
    """Tell of convolutions that are followed by a batch norm that they could have taken in."""
    users = Counter(name for node in model.graph.node for name in node.input)
    foldable = {
        node.output[0]
        for node in model.graph.node
        if node.op_type in CONVOLUTIONS and users[node.output[0]] == 1
    }
    left = [
        node.name
        for node in model.graph.node
        if node.op_type == 'BatchNormalization' and node.input[0] in foldable
    ]
    if left:
        print_log(
            f'{len(left)} batch norms are not folded into their convolutions, e.g. {left[0]}: the '
            'graph is right, but slower than it could be.',
            'current',
            logging.WARNING,
        )
