"""Export a DKD estimator: the initializer as a stock student, and one graph per frame."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import mmpose
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...deploy.onnx.decoders import graph_decoder
from ...deploy.onnx.deconvolution import without_deconvolutions
from ...deploy.onnx.graph import DECODED, add_metadata, build_onnx, check_installed, to_onnx
from ...deploy.onnx.verify import MAP_TOLERANCE, check_parity, crops_of
from ...errors import UserError
from ...io.atomic import atomic_write_folder, write_bytes, write_text
from ...io.checkpoint import load_checkpoint, load_weights
from ...io.config import config_text, drop_pretrained, read_config, require_key
from ...student.config import dataset_meta, prepare_for_inferencer
from ...student.files import CHECKPOINT, CONFIG, check_no_student
from ...student.load import load_student
from ...student.state import check_finite
from .estimator import DKDPoseEstimator
from .graphs import INITIALIZER, INPUTS, OUTPUTS, STEP
from .state import PoseState

if TYPE_CHECKING:
    import onnx

FRAMES, TRACKS = 8, 2


class StepGraph(nn.Module):
    """Exported module: a frame and the last state to keypoints, scores and the next state.

    Args:
        model: The estimator.

    Raises:
        UserError: If the distillator needs the places of the crops, or the codec cannot be decoded
            in a graph.
    """

    def __init__(self, model: DKDPoseEstimator):
        super().__init__()
        if model.distillator.needs_warp:
            raise UserError(
                f'A {type(model.distillator).__name__} is a control of DKD and needs the places of '
                'the crops, which the graph does not get. Export a model with PoseKernels.'
            )
        self.model = model
        self.decoder = graph_decoder(model.codec)
        self.eval()

    def forward(self, images: Tensor, heatmaps: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Return keypoints (B, K, 2), scores (B, K), and the next heatmaps and features."""
        state = self.model.step(images, PoseState(heatmaps, features))
        keypoints, scores = self.decoder(state.heatmaps)
        return keypoints, scores, state.heatmaps, state.features


def export_dkd(
    cfg: Config, checkpoint: str, out_dir: str | Path, force: bool = False
) -> list[Path]:
    """Write a DKD estimator for use without this package.

    ``student.py`` and ``student.pth`` are the initializer, a stock student. ``initializer.onnx`` is
    its graph, with the heatmaps among its outputs. ``dkd_step.onnx`` turns a frame and the last
    state into poses and the next state. :class:`~okdhp_mm.video.dkd.onnx_video_pose.OnnxVideoPose`
    runs both graphs. Each graph is compared with PyTorch before it is written.

    Args:
        cfg: Config of the estimator.
        checkpoint: Its checkpoint.
        out_dir: Folder for the files.
        force: Whether to replace a student that is already there.

    Returns:
        The paths of the files.

    Raises:
        UserError: If the config is not of a DKD estimator, the checkpoint does not fit, packages
            are missing, or a student is already there.
    """
    if cfg.get('model', {}).get('type') != DKDPoseEstimator.__name__:
        raise UserError(
            f'The config trains a {cfg.get("model", {}).get("type")!r}, not a '
            f'{DKDPoseEstimator.__name__!r}.'
        )
    check_installed()
    out_dir = Path(out_dir)
    if not force:
        check_no_student(out_dir)
    require_key(cfg, 'test_dataloader', 'A student that predicts')
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    loaded = load_checkpoint(checkpoint)
    model = build_dkd(cfg, loaded['state_dict'], checkpoint)
    meta = dataset_meta(inner_config(cfg), loaded.get('meta', {}))
    with atomic_write_folder(out_dir) as staging:
        _write_student(staging, cfg, model.initializer, meta)
        student = load_student(staging)
        crops = crops_of(student, None)
        _, initializer = build_onnx(student, decode=True)
        found = check_parity(student, initializer.SerializeToString(), crops)
        if not found.passed:
            raise AssertionError(f'the graph is not the initializer: {found}')
        step = build_step(model)
        entries = {entry.key: entry.value for entry in initializer.metadata_props}
        every = model.reinitialize_every
        add_metadata(step, entries | dict(reinitialize_every='' if every is None else str(every)))
        for name, graph in ((INITIALIZER, initializer), (STEP, step)):
            write_bytes(staging / name, graph.SerializeToString())
        check_step(model, staging / STEP, crops)
    return [out_dir / name for name in (CONFIG, CHECKPOINT, INITIALIZER, STEP)]


def build_dkd(cfg: Config, state_dict: dict[str, Tensor], source: str) -> DKDPoseEstimator:
    """Return the estimator of a config with the weights of a checkpoint, in evaluation mode.

    Raises:
        UserError: If the checkpoint is of another model or holds no numbers.
    """
    settings = ConfigDict(cfg.model.to_dict())
    drop_pretrained(settings)
    model = MODELS.build(settings)
    load_weights(model, state_dict, f'{source} is not a checkpoint of this config')
    check_finite(state_dict, source)
    return model.eval()


def inner_config(cfg: Config) -> Config:
    """Return the config with the stock datasets and metrics instead of those of clips."""
    inner = Config(cfg.to_dict())
    for split in ('train', 'val', 'test'):
        loader, evaluator = inner.get(f'{split}_dataloader'), inner.get(f'{split}_evaluator')
        if loader and 'dataset' in loader.dataset:
            loader.dataset = loader.dataset.dataset
            # That of clips. mmpose's inferencer does not read it as a config.
            loader.pop('collate_fn', None)
        if isinstance(evaluator, dict) and 'metric' in evaluator:
            inner[f'{split}_evaluator'] = evaluator['metric']
    return inner


def _write_student(folder: Path, cfg: Config, initializer: BasePoseEstimator, meta: dict) -> None:
    """Write the initializer as a stock student."""
    inner = inner_config(cfg)
    model = inner.model.initializer
    model = read_config(model).model if isinstance(model, str) else model
    drop_pretrained(model)
    student = Config(
        dict(
            default_scope=inner.get('default_scope', 'mmpose'),
            model=model,
            test_dataloader=inner.test_dataloader,
            test_evaluator=inner.get('test_evaluator'),
            test_cfg=dict(),
        )
    )
    prepare_for_inferencer(student)
    saved, text = io.BytesIO(), config_text(student)
    about = dict(cfg=text, dataset_meta=meta, mmpose_version=mmpose.__version__)
    torch.save(dict(meta=about, state_dict=initializer.state_dict()), saved)
    write_bytes(folder / CHECKPOINT, saved.getvalue())
    write_text(folder / CONFIG, text)


def build_step(model: DKDPoseEstimator) -> onnx.ModelProto:
    """Turn the step of an estimator into a graph for any number of tracks."""
    graph = StepGraph(without_deconvolutions(model))
    width, height = map(int, model.codec.input_size)
    with torch.no_grad():
        state = model.initialize(torch.zeros(2, 3, height, width))
    example = (torch.zeros(2, 3, height, width), state.heatmaps, state.features)
    return to_onnx(graph, dict(zip(INPUTS, example, strict=True)), list(OUTPUTS))


@torch.no_grad()
def torch_steps(
    model: DKDPoseEstimator, frames: Iterator[Tensor] | list[Tensor]
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield keypoints, scores, heatmaps and features of every frame, decoded as in the graph."""
    decoder, state = graph_decoder(model.codec), None
    for images in frames:
        state = model.step(images, state) if state else model.initialize(images)
        outputs = *decoder(state.heatmaps), state.heatmaps, state.features
        yield tuple(output.numpy() for output in outputs)


def check_step(model: DKDPoseEstimator, file: Path, crops: Tensor) -> None:
    """Compare the graph of the step with PyTorch over several frames of several tracks.

    Args:
        model: The estimator.
        file: The graph.
        crops: At least 16 normalized crops.
    """
    # Here, so that the tools start where onnxruntime is missing, and say so.
    from ...deploy.onnx_pose import open_graph

    session = open_graph(file, 1, ['CPUExecutionProvider'])
    frames = list(crops[: FRAMES * TRACKS].unflatten(0, (FRAMES, TRACKS)))
    first, *expected = torch_steps(model, frames)
    state = first[len(DECODED) :]
    for images, outputs in zip(frames[1:], expected, strict=True):
        found = session.run(list(OUTPUTS), dict(zip(INPUTS, (images.numpy(), *state), strict=True)))
        state = found[len(DECODED) :]
        for name, ours, theirs in zip(OUTPUTS[2:], state, outputs[2:], strict=True):
            if abs(ours - theirs).max() > MAP_TOLERANCE * max(abs(theirs).max(), 1e-6):
                raise AssertionError(f'the graph of the step differs from PyTorch in {name}')
