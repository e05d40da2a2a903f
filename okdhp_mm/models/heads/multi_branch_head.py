"""Multi-branch head: one stock head per branch, the aggregator and the distiller."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModule, ModuleList
from mmengine.structures import PixelData
from mmpose.models.heads import BaseHead
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn

from ...errors import UserError
from ...structures import (
    ENSEMBLE,
    BranchFeatures,
    BranchOutputs,
    BranchPredictions,
    NetworkSpec,
    Targets,
    branch_name,
    output_name,
)
from .adapters import HeadAdapter, find_adapter
from .check_loss import check_loss
from .infer_shapes import empty_image, eval_mode, infer_shapes, size_as_user_error


@MODELS.register_module()
class MultiBranchHead(BaseHead):
    """One stock neck and head per branch, combined by an aggregator and trained by a distiller.

    Args:
        heads: Config of each branch's stock head: one that predicts plain heatmaps
            (``HeatmapHead``, ``ViPNASHead``, ``CPMHead``) or SimCC distributions (``SimCCHead``,
            ``RTMCCHead``, ``RTMWHead``), a subclass that keeps the loss, or a head with a
            registered :class:`~okdhp_mm.models.heads.adapters.HeadAdapter`.
        necks: Config of each branch's stock neck, or None.
        aggregator: Config of the aggregator, without the sizes of the network.
        distiller: Config of the distiller.
        backbone: The built branched backbone, used to infer the shapes. It is not stored.
        ema: Whether the model keeps an EMA copy.
        teacher: Name of the model's teacher, None without one.
        unlabeled: Target on unlabeled images, see
            :class:`~okdhp_mm.models.unlabeled.UnlabeledTeaching`; None if it does not.
        init_cfg: As in every mmengine module.

    Raises:
        UserError: If a head is not supported, the branches predict different things or have no
            parameters, or the aggregator or a term does not fit the network.
    """

    def __init__(
        self,
        heads: Sequence[ConfigDict],
        necks: Sequence[ConfigDict | None],
        aggregator: ConfigDict,
        distiller: ConfigDict,
        backbone: BaseModule,
        ema: bool = False,
        teacher: str | None = None,
        unlabeled: str | None = None,
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        # This must be mmengine's ModuleList. With torch's, init_weights would not reach the heads.
        self.branches = ModuleList(MODELS.build(head) for head in heads)
        self.adapters = [find_adapter(head) for head in self.branches]
        keypoints = [head.out_channels for head in self.branches]
        if len(set(keypoints)) > 1:
            raise UserError(
                f'The branches predict {keypoints} keypoints; they must agree. Set one '
                'out_channels for all heads.'
            )
        signatures = [adapter.signature for adapter in self.adapters]
        if len(set(signatures)) > 1:
            raise UserError(
                f'The branches predict {"; ".join(signatures)}; they must agree. Use one kind of '
                'head and codec for all branches.'
            )
        self.necks = ModuleList(MODELS.build(neck) if neck else nn.Identity() for neck in necks)
        check_branches(backbone, self)
        with size_as_user_error(self), eval_mode(backbone, self):
            features = backbone.example_features(empty_image(self))
            results = [self.branch_forward(features, m) for m in range(len(heads))]
        spec = infer_shapes(features.shared, results, self.adapter)
        for adapter in self.adapters:
            check_loss(adapter)
        self.aggregator = build_aggregator(aggregator, spec)
        provided = {'head_features', *self.aggregator.provides}
        provided |= {'ema'} if ema else set()
        provided |= {'teacher'} if teacher else set()
        provided |= {'unlabeled'} if unlabeled else set()
        spec = replace(spec, provided=frozenset(provided), teacher=teacher, unlabeled=unlabeled)
        self.distiller = build_distiller(distiller, spec, self.aggregator)
        requires = self.aggregator.requires | self.distiller.requires
        self._keeps_features = 'head_features' in requires
        with eval_mode(self):
            outputs = self.aggregator.aggregate(self.collect(features, results))
            check_ensemble(self.aggregator, outputs)

    @property
    def decoder(self):
        """Codec that decodes heatmaps to keypoints. All branches share its settings."""
        return self.branches[0].decoder

    @property
    def adapter(self) -> HeadAdapter:
        """Adapter of the maps of any branch and of the ensemble."""
        return self.adapters[0]

    def branch_forward(
        self, feats: BranchFeatures, index: int
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Run one branch.

        Returns:
            The heatmaps of every stage, S x (B, K, H, W), and the feature map below the last
            heatmaps; None if neither the branch's adapter nor its backbone returns it.
        """
        neck, adapter = self.necks[index], self.adapters[index]
        maps, features = adapter.forward(neck(feats.branches[index]))
        if features is None and isinstance(neck, nn.Identity) and adapter.passed_stages[-1]:
            features = feats.head_features.get(index)
        return maps, features

    def outputs(self, feats: BranchFeatures) -> BranchOutputs:
        """Compute the heatmaps of every branch, of the trunk's stages, and of the ensemble."""
        return self.aggregator.aggregate(self.branch_outputs(feats))

    def branch_outputs(self, feats: BranchFeatures, **given: Any) -> BranchOutputs:
        """Compute the heatmaps of every branch and of the trunk's stages; add the given fields."""
        results = [self.branch_forward(feats, m) for m in range(len(self.branches))]
        return self.collect(feats, results, **given)

    def collect(
        self,
        feats: BranchFeatures,
        results: Sequence[tuple[tuple[Tensor, ...], Tensor | None]],
        **given: Any,
    ) -> BranchOutputs:
        """Collect the results of :meth:`branch_forward` of all branches, and the given fields."""
        shared = self._trunk_stages(feats)
        return BranchOutputs(
            heatmaps=tuple(stages[shared:] for stages, _ in results),
            features=feats,
            trunk=results[0][0][:shared],
            head_features=tuple(x for _, x in results if x is not None)
            if self._keeps_features
            else (),
            bins=self.adapter.bins,
            **given,
        )

    def _trunk_stages(self, feats: BranchFeatures) -> int:
        """Return the number of trunk stages whose heatmaps all heads return unchanged."""
        if not all(isinstance(neck, nn.Identity) for neck in self.necks):
            return 0
        # This is a plain loop because torch.compile cannot trace itertools.
        shared = 0
        for passed in zip(*(adapter.passed_stages for adapter in self.adapters), strict=False):
            if shared == feats.trunk_stages or not all(passed):
                break
            shared += 1
        return shared

    def forward(self, feats: BranchFeatures, output: int | str = 0) -> Any:
        """Return the last stage of one branch or of the ensemble, as the stock head returns it."""
        return self.adapter.to_output(self._final_heatmaps(feats, output))

    def _final_heatmaps(self, feats: BranchFeatures, output: int | str) -> Tensor:
        """Compute the final heatmaps of one branch or of the ensemble, (B, K, H, W)."""
        if isinstance(output, str):
            ensemble = self.outputs(feats).ensemble
            assert ensemble is not None  # the aggregator computed it
            return ensemble
        maps, _ = self.branch_forward(feats, output)
        return maps[-1]

    def loss(
        self,
        feats: BranchFeatures,
        batch_data_samples: list,
        train_cfg: ConfigDict | None = None,
        **given: Any,
    ) -> dict[str, Tensor]:
        """Compute every term of the distiller and the training accuracy of the deployed output.

        Args:
            feats: Features of every branch.
            batch_data_samples: Samples with their encoded targets.
            train_cfg: As in the stock heads.
            given: Fields of :class:`~okdhp_mm.structures.BranchOutputs` that other parts of the
                model compute: ``ema``, ``teacher``, ``teacher_weights``, ``unlabeled``.

        Raises:
            UserError: If the heatmaps and the encoded targets differ in shape.
        """
        train_cfg = train_cfg or {}
        outputs = self.branch_outputs(feats, **given)
        targets = self.targets(outputs, batch_data_samples)
        check_shapes(outputs, targets)
        outputs = self.aggregator.aggregate(outputs, targets)
        losses = self.distiller(outputs, targets)
        if outputs.unlabeled is not None:
            losses |= outputs.unlabeled.scalars
        if train_cfg.get('compute_acc', True):
            losses['acc_pose'] = self._accuracy(outputs, targets)
        return losses

    def targets(self, outputs: BranchOutputs, batch_data_samples: list) -> Targets:
        """Collect the batch's encoded ground truth and the stock loss of every stage."""
        shared = len(outputs.trunk)
        criteria = [
            adapter.criteria(shared + len(stages))
            for adapter, stages in zip(self.adapters, outputs.heatmaps, strict=True)
        ]
        return Targets(
            heatmaps=self.adapter.targets(batch_data_samples),
            weights=torch.cat(
                [sample.gt_instance_labels.keypoint_weights for sample in batch_data_samples]
            ),
            criteria=tuple(stages[shared:] for stages in criteria),
            trunk_criteria=criteria[0][:shared],
            difference=self.adapter.difference,
        )

    def predict(
        self, feats, batch_data_samples: list, test_cfg: ConfigDict | None = None
    ) -> BranchPredictions | tuple[BranchPredictions, list[PixelData]]:
        """Predict keypoints, in pixels of the input image, with the outputs set in ``test_cfg``.

        ``test_cfg.branch`` is the deployed output (an index or 'ensemble'). With
        ``test_cfg.report='all'``, every other output is decoded too.

        Args:
            feats: Features; for the flip test a list with those of the images and of the mirrored
                images.
            batch_data_samples: Samples with their flip indices.
            test_cfg: As in the stock heads, with the two entries above.

        Returns:
            Predictions of the batch. With ``output_heatmaps``, also the deployed heatmaps, as the
            stock head returns them.
        """
        test_cfg = test_cfg or {}
        heatmaps = self._heatmaps_to_decode(feats, batch_data_samples, test_cfg)
        by_name = {
            name: self.decode(self.adapter.to_output(maps)) for name, maps in heatmaps.items()
        }
        name = output_name(test_cfg.get('branch', 0))
        predictions = BranchPredictions(by_name.pop(name), by_name)
        if test_cfg.get('output_heatmaps', False):
            return predictions, self.adapter.fields(heatmaps[name], predictions.deployed)
        return predictions

    def _heatmaps_to_decode(self, feats, batch_data_samples, test_cfg) -> dict[str, Tensor]:
        views = feats if isinstance(feats, list) else [feats]
        maps = [self._named_heatmaps(view, test_cfg) for view in views]
        if test_cfg.get('flip_test', False):
            straight, mirrored = maps
            for name, flipped in mirrored.items():
                flip_indices = batch_data_samples[0].metainfo['flip_indices']
                flipped = self.adapter.flip(flipped, flip_indices, test_cfg)
                straight[name] = (straight[name] + flipped) * 0.5
        # The decoders use numpy, which does not support bfloat16.
        return {name: heatmap.float() for name, heatmap in maps[0].items()}

    def _named_heatmaps(self, feats: BranchFeatures, test_cfg) -> dict[str, Tensor]:
        """Return the final heatmaps of every reported output by name."""
        deployed = test_cfg.get('branch', 0)
        if test_cfg.get('report', 'all') == 'deployed':
            return {output_name(deployed): self._final_heatmaps(feats, deployed)}
        outputs = self.branch_outputs(feats)
        named = {branch_name(m): heatmaps for m, heatmaps in enumerate(outputs.final_heatmaps)}
        if len(named) > 1:
            named[ENSEMBLE] = self.aggregator.aggregate(outputs).ensemble
        return named

    def _accuracy(self, outputs: BranchOutputs, targets: Targets) -> Tensor:
        """Compute the accuracy of the deployed output, as the stock head logs it."""
        deployed = self.test_cfg.get('branch', 0)
        heatmaps = outputs.ensemble if deployed == ENSEMBLE else outputs.heatmaps[deployed][-1]
        labeled = to_numpy(targets.weights) > 0
        assert heatmaps is not None  # the aggregator computed the ensemble
        accuracy = self.adapter.accuracy(heatmaps.detach().float(), targets.heatmaps, labeled)
        return torch.tensor(accuracy, device=targets.heatmaps.device)


def build_aggregator(config: ConfigDict, spec: NetworkSpec) -> BaseModule:
    """Build the aggregator for the shapes of the network.

    Raises:
        UserError: If it does not fit the network.
    """
    given: dict[str, Any] = dict(
        in_channels=spec.shared_channels,
        num_branches=spec.branches,
        num_keypoints=spec.keypoints,
    )
    kind = MODELS.get(config['type'])
    if kind is not None and 'head_features' in kind.requires:
        check_head_features(spec, kind.__name__)
        given['branch_channels'] = spec.head_channels
    return MODELS.build(given | dict(config))


def build_distiller(config: ConfigDict, spec: NetworkSpec, aggregator: BaseModule) -> nn.Module:
    """Build the distiller for the shapes of the network.

    Raises:
        UserError: If a term does not fit the network, or no term trains the aggregator.
    """
    distiller = MODELS.build({**config, 'spec': spec})
    for term in distiller.terms.values():
        if 'head_features' in term.requires:
            check_head_features(spec, type(term).__name__)
    if any(True for _ in aggregator.parameters()) and not distiller.trains_aggregator:
        raise UserError(
            f'No term of the distiller ({", ".join(distiller.terms)}) trains the '
            f"{type(aggregator).__name__}. Add loss_ens=dict(type='SupervisedTerm', "
            "of='ensemble'), or use MeanAggregator, which has no parameters."
        )
    return distiller


def check_branches(backbone: BaseModule, head: MultiBranchHead) -> None:
    """Check that every branch has parameters of its own.

    Raises:
        UserError: If the branches share all parameters.
    """
    for parts in zip(backbone.branches, head.necks, head.branches, strict=True):
        if not any(True for part in parts for _ in part.parameters()):
            raise UserError(
                f'This split leaves a branch nothing of its own: its {type(parts[-1]).__name__} '
                'has no parameters. Split the backbone itself or, if it has no split points, '
                'choose another network.'
            )


def check_ensemble(aggregator: BaseModule, outputs: BranchOutputs) -> None:
    """Check that the ensemble and the branches have heatmaps of the same shape.

    Raises:
        UserError: If the shapes differ.
    """
    assert outputs.ensemble is not None  # the aggregator computed it
    ours, theirs = outputs.ensemble.shape[1:], outputs.heatmaps[0][-1].shape[1:]
    if ours != theirs:
        raise UserError(
            f'{type(aggregator).__name__} makes heatmaps of shape {tuple(ours)} (K, H, W), '
            f'the branches {tuple(theirs)}. Set the same keypoints and codec for both.'
        )


def check_head_features(spec: NetworkSpec, reader: str) -> None:
    """Check the feature maps below the heatmaps of the branches.

    Args:
        spec: Shapes of the network.
        reader: Name of the class that reads them.

    Raises:
        UserError: If a branch does not have such a feature map, or their sizes differ.
    """
    for m, shape in enumerate(spec.head_features):
        if shape is None or len(shape) != 3:
            raise UserError(
                f'{reader} needs the feature map that {branch_name(m)} computes its heatmaps from, '
                'but the head adapter of its head does not return one. Choose a student that ends '
                'in a convolution, such as one with a HeatmapHead.'
            )
    if len({shape[1:] for shape in spec.head_features if shape}) > 1:
        raise UserError(
            f'{reader} needs feature maps of one size, but those of the branches are '
            f'{list(spec.head_features)} (C, H, W). Change the branches so that H and W are equal.'
        )


def check_shapes(outputs: BranchOutputs, targets: Targets) -> None:
    """Check that the teacher and every branch have heatmaps of the targets' shape.

    Raises:
        UserError: If a shape differs.
    """
    expected = tuple(targets.heatmaps.shape)
    if outputs.teacher is not None and outputs.teacher.shape != expected:
        raise UserError(
            f'The teacher predicts heatmaps of shape {tuple(outputs.teacher.shape)} (B, K, H, W), '
            f'but the targets have {expected}. Choose a teacher with the same keypoints, codec and '
            'image size.'
        )
    for m, stages in enumerate(outputs.heatmaps):
        if stages[-1].shape != targets.heatmaps.shape:
            raise UserError(
                f'{branch_name(m)} predicts heatmaps of shape {tuple(stages[-1].shape)} '
                f'(B, K, H, W), but the targets have {tuple(targets.heatmaps.shape)}. Change the '
                "codec's sizes or the head's out_channels to fit the network."
            )
