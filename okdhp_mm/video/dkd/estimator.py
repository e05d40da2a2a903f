"""The DKD estimator: initializer, frame encoder, and what carries the pose to the next frame."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.models.pose_estimators.base import BasePoseEstimator
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from ...errors import UserError
from ...io.checkpoint import load_checkpoint, load_weights
from ...io.config import drop_pretrained, read_config
from ...models.branch_configs import ESTIMATOR
from ...models.heads.adapters import find_adapter
from ...models.heads.infer_shapes import empty_image, eval_mode, size_as_user_error
from ...models.weights.load_stock import check_state_dict
from ...structures import sum_of
from ..clips.structures import Clip, ClipBatch, Frame
from .crops import warp_between
from .state import PoseState


@MODELS.register_module()
class DKDPoseEstimator(TopdownPoseEstimator):
    """Estimator for videos: a large network finds the first pose, a small one follows it.

    Dynamic Kernel Distillation (DKD; Nie et al., ICCV 2019, https://arxiv.org/abs/1908.09216). The
    initializer predicts the heatmaps of a track's first frame. On every later frame only the small
    frame encoder runs; its features and the last frame's state give the heatmaps (see
    :class:`~okdhp_mm.video.dkd.kernels.PoseKernels`). State is kept per track and starts anew with
    each track. The loss is that of the heatmaps, averaged over the frames 2 to T of a clip, each
    computed from the predicted state of the frame before.

    Differences from the paper: the initializer is trained first and frozen by default; the frame
    encoder may have any architecture. The flip test is not possible, because it would need the
    state of a flipped video.

    Args:
        initializer: Any stock top-down heatmap model: its config, or the path of a config file,
            e.g. the ``student.py`` of an exported student. Its codec and normalization are also
            those of the small network.
        backbone: Frame encoder, any stock backbone. Its last features, or those of the neck, must
            have the size of the heatmaps.
        distillator: Config of the module that computes the next heatmaps. Without a ``type`` it
            changes the default, ``PoseKernels``.
        neck: Any stock neck. A ``HeatmapHead`` with ``final_layer=None`` is one too: its
            deconvolutions enlarge the features.
        initializer_checkpoint: Weights of the initializer. The training reads them.
        freeze_initializer: Whether its weights and statistics stay constant.
        reinitialize_every: Run the initializer on every so many frames of a track; None for the
            first one only. 1 evaluates the initializer alone.
        loss: Config of the loss of the heatmaps.
        discriminator: Settings of
            :class:`~okdhp_mm.video.dkd.discriminator.TemporalDiscriminator`, e.g. ``dict()``; None
            to train without it.
        train_cfg: As in the stock model.
        test_cfg: As in the stock model, without ``flip_test``.
        data_preprocessor: Settings of the stock preprocessor; by default those of the initializer.
        init_cfg: As in the stock model.
        metainfo: As in the stock model.

    Raises:
        UserError: If the parts do not fit together, or a file cannot be read.
    """

    def __init__(
        self,
        initializer: ConfigDict | str,
        backbone: ConfigDict,
        distillator: ConfigDict | None = None,
        neck: ConfigDict | None = None,
        initializer_checkpoint: str | None = None,
        freeze_initializer: bool = True,
        reinitialize_every: int | None = None,
        loss: ConfigDict | None = None,
        discriminator: ConfigDict | None = None,
        train_cfg: ConfigDict | None = None,
        test_cfg: ConfigDict | None = None,
        data_preprocessor: ConfigDict | None = None,
        init_cfg: dict | list[dict] | None = None,
        metainfo: dict | None = None,
    ):
        if reinitialize_every is not None and not reinitialize_every >= 1:
            raise UserError(
                f'reinitialize_every={reinitialize_every} must be a number above zero, or None.'
            )
        if (test_cfg or {}).get('flip_test'):
            raise UserError(
                'test_cfg.flip_test=True needs the state of a flipped video, which '
                'DKDPoseEstimator does not keep. Set it to False.'
            )
        large = initializer_config(initializer)
        if initializer_checkpoint:
            drop_pretrained(large)
        super().__init__(
            backbone=backbone,
            neck=neck,
            # The distillator takes its place. mmpose does not build an estimator without a head.
            head=dict(type=nn.Identity),
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=dict(
                data_preprocessor or large.get('data_preprocessor') or {},
                type='ClipDataPreprocessor',
            ),
            init_cfg=init_cfg,
            metainfo=metainfo,
        )
        self.initializer: BasePoseEstimator = MODELS.build(large)
        self.initializer_checkpoint = initializer_checkpoint
        self.freeze_initializer = freeze_initializer
        self.reinitialize_every = reinitialize_every
        self.codec = self.initializer.head.decoder
        self.adapter = find_adapter(self.initializer.head)
        if self.adapter.encoded != 'heatmaps':
            raise UserError(
                f'The initializer has a {type(self.initializer.head).__name__}, which predicts no '
                'heatmaps. Use a model with a HeatmapHead.'
            )
        features, heatmaps = self._infer_shapes()
        self.distillator = MODELS.build(
            dict(
                dict(type='PoseKernels') | dict(distillator or {}),
                in_channels=features.shape[1],
                num_keypoints=heatmaps.shape[1],
            )
        )
        self.loss_module = MODELS.build(
            loss or dict(type='KeypointMSELoss', use_target_weight=True)
        )
        self.discriminator = None
        if discriminator is not None:
            self.discriminator = MODELS.build(
                dict(type='TemporalDiscriminator', num_keypoints=heatmaps.shape[1]) | discriminator
            )
        if freeze_initializer:
            self.initializer.requires_grad_(False).eval()

    def _infer_shapes(self) -> tuple[Tensor, Tensor]:
        """Return features and heatmaps of an empty image.

        Raises:
            UserError: If their sizes differ, or the images are too small or of an odd size.
        """
        head = self.initializer.head
        with size_as_user_error(head), eval_mode(self):
            image = empty_image(head)
            features, heatmaps = self.features(image), self.initial_heatmaps(image)
        if features.shape[-2:] != heatmaps.shape[-2:]:
            raise UserError(
                f'The frame encoder makes features of {tuple(features.shape[-2:])} (H, W), the '
                f'initializer heatmaps of {tuple(heatmaps.shape[-2:])}. Add a neck that makes them '
                'equal, e.g. a HeatmapHead with final_layer=None and deconvolutions.'
            )
        return features, heatmaps

    def init_weights(self) -> None:
        """Initialize the small network and load the initializer.

        Raises:
            UserError: If the initializer is frozen without weights, or the checkpoint is of
                another network.
        """
        if self.freeze_initializer and not self.initializer_checkpoint:
            raise UserError(
                'freeze_initializer=True keeps random weights without initializer_checkpoint. Set '
                'model.initializer_checkpoint to the checkpoint of the trained initializer.'
            )
        super().init_weights()
        if self.initializer_checkpoint:
            state = load_checkpoint(self.initializer_checkpoint)['state_dict']
            load_weights(
                self.initializer,
                state,
                f'{self.initializer_checkpoint} is not a checkpoint of model.initializer',
            )

    def _load_state_dict_pre_hook(self, state_dict, prefix, local_meta, *args, **kwargs) -> None:
        """Refuse the checkpoint of another model, e.g. that of the initializer alone."""
        super()._load_state_dict_pre_hook(state_dict, prefix, local_meta, *args, **kwargs)
        check_state_dict(self, state_dict, prefix)

    def train(self, mode: bool = True) -> DKDPoseEstimator:
        """Set train mode; keep a frozen initializer in eval mode."""
        super().train(mode)
        if getattr(self, 'freeze_initializer', False):
            self.initializer.eval()
        return self

    def forward(self, clips: ClipBatch, mode: str = 'tensor') -> Any:
        """Run on clips, as the stock model does on images.

        Args:
            clips: The batch.
            mode: 'loss' returns the losses. 'predict' returns predicted clips. 'tensor' returns the
                heatmaps of every frame, T x (B, K, H, W).
        """
        if mode == 'loss':
            return self.loss(clips)
        if mode == 'predict':
            return self.predict(clips)
        return [state.heatmaps for state in self.states(clips.frames)]

    def features(self, images: Tensor) -> Tensor:
        """Return the features of the frame encoder, (B, 3, H', W') -> (B, C, H, W)."""
        features = self.extract_feat(images)
        return features if isinstance(features, Tensor) else features[-1]

    def initial_heatmaps(self, images: Tensor) -> Tensor:
        """Return the heatmaps of the initializer, (B, 3, H', W') -> (B, K, H, W)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_initializer):
            return self.adapter.to_maps(self.initializer(images, None, mode='tensor'))[-1]

    def initialize(self, images: Tensor) -> PoseState:
        """Return the state after a first frame."""
        return PoseState(self.initial_heatmaps(images), self.features(images))

    def step(self, images: Tensor, state: PoseState, warp: Tensor | None = None) -> PoseState:
        """Return the state after the next frame.

        Args:
            images: The next frame of the tracks, (B, 3, H', W').
            state: After the last frame.
            warp: How the crops moved, see :func:`~okdhp_mm.video.dkd.simple.move`; None if the
                distillator does not use it.
        """
        # Controls that do not look at the frame must not be measured with its cost.
        features = self.features(images) if self.distillator.needs_features else state.features
        return PoseState(self.distillator(state, features, warp), features)

    def states(self, frames: list[Frame]) -> Iterator[PoseState]:
        """Yield the state after every frame of a batch of clips."""
        every = self.reinitialize_every
        for t, frame in enumerate(frames):
            if t == 0 or (every is not None and t % every == 0):
                state = self.initialize(frame.inputs)
            else:
                tracks = len(frame.data_samples)
                warp = self._warp(frames[t - 1].data_samples[:tracks], frame.data_samples)
                state = self.step(frame.inputs, state.first(tracks), warp)
            yield state

    def _warp(self, last: list, current: list) -> Tensor | None:
        return warp_between(last, current) if self.distillator.needs_warp else None

    def loss(self, clips: ClipBatch) -> dict[str, Tensor]:
        """Compute the losses of a batch of clips of equal length.

        Raises:
            UserError: If the clips have one frame, or different lengths.
        """
        frames = clips.frames
        if len(frames) < 2 or len({len(frame.data_samples) for frame in frames}) > 1:
            raise UserError(
                'DKDPoseEstimator trains on clips of equal length with at least two frames. Set '
                'frames=4 in the ClipDataset of train_dataloader.'
            )
        images = torch.stack([frame.inputs for frame in frames])
        # All frames at once, so that batch norm sees the whole batch.
        features = self.features(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        state = PoseState(self.initial_heatmaps(images[0]), features[0])
        heatmaps = [state.heatmaps]
        for t in range(1, len(frames)):
            warp = self._warp(frames[t - 1].data_samples, frames[t].data_samples)
            state = PoseState(self.distillator(state, features[t], warp), features[t])
            heatmaps.append(state.heatmaps)
        targets = [self.adapter.targets(frame.data_samples) for frame in frames]
        first = 1 if self.freeze_initializer else 0
        losses = [
            self.loss_module(heatmaps[t], targets[t], keypoint_weights(frames[t]))
            for t in range(first, len(frames))
        ]
        found = dict(loss_kpt=sum_of(losses) / len(losses))
        if self.discriminator is not None:
            found |= self.discriminator.losses(torch.stack(heatmaps), torch.stack(targets), images)
        return found

    def predict(self, clips: ClipBatch) -> list[Clip]:
        """Predict the poses of whole tracks; return them in the order of the data loader."""
        found: list[list[PoseDataSample]] = [[] for _ in clips.order]
        for frame, state in zip(clips.frames, self.states(clips.frames), strict=True):
            if self.metainfo is not None:
                for sample in frame.data_samples:
                    sample.set_metainfo(self.metainfo)
            instances: list[InstanceData] = self.initializer.head.decode(state.heatmaps)
            samples = self.add_pred_to_datasample(instances, None, frame.data_samples)
            for index, sample in zip(clips.order, samples, strict=False):
                found[index].append(sample)
        return [Clip((), samples) for samples in found]


def initializer_config(initializer: ConfigDict | str) -> ConfigDict:
    """Return the config of the initializer's model.

    Raises:
        UserError: If the file cannot be read, or is not the config of a model with a head.
    """
    given = read_config(initializer).get('model') if isinstance(initializer, str) else initializer
    if not given or not given.get('head'):
        raise UserError(
            f'initializer={initializer!r} is not the config of a model with a head. Name the '
            'config of a stock heatmap model, e.g. student/student.py.'
        )
    if given.get('type') == ESTIMATOR:
        raise UserError(
            f'The initializer is an {ESTIMATOR}, which trains several branches. Export a student '
            'and name its student.py.'
        )
    return ConfigDict(copy.deepcopy(given))


def keypoint_weights(frame: Frame) -> Tensor:
    """Return the weights of the keypoints of a frame, (B, K)."""
    return torch.cat([s.gt_instance_labels.keypoint_weights for s in frame.data_samples])
