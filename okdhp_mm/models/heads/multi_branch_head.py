"""A stock head per branch, the ensemble above them, and the distiller that trains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.model import ModuleList
from mmengine.structures import InstanceData, PixelData
from mmpose.models.heads import BaseHead
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor, nn

from ...errors import UserError
from ...structures import (
    ENSEMBLE,
    BranchFeatures,
    BranchOutputs,
    Sizes,
    Targets,
    branch_name,
    output_name,
)
from ..readouts import Readout, readout_of
from ..taps import Tap


@MODELS.register_module()
class MultiBranchHead(BaseHead):
    """One stock neck and head per branch, combined by an aggregator and trained by a distiller.

    Args:
        heads: Config of each branch's stock head: one that predicts plain heatmaps
            (``HeatmapHead``, ``ViPNASHead``, ``CPMHead``) or SimCC distributions (``SimCCHead``,
            ``RTMCCHead``, ``RTMWHead``), see :mod:`~okdhp_mm.models.readouts`; or a subclass that
            keeps the loss.
        necks: Config of each branch's stock neck, or None.
        distiller: Config of the distiller.
        init_cfg: As in every mmengine module.

    Raises:
        UserError: If a head predicts anything else, or the branches differ in what they predict.
    """

    def __init__(
        self,
        heads: Sequence[ConfigDict],
        necks: Sequence[ConfigDict | None],
        distiller: ConfigDict,
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        # mmengine's ModuleList: torch's would keep init_weights from reaching the heads.
        self.branches = ModuleList(MODELS.build(head) for head in heads)
        self.readouts = [readout_of(head) for head in self.branches]
        keypoints = [head.out_channels for head in self.branches]
        if len(set(keypoints)) > 1:
            raise UserError(f'The branches predict {keypoints} keypoints; they must agree.')
        forms = [readout.form for readout in self.readouts]
        if len(set(forms)) > 1:
            raise UserError(f'The branches predict {"; ".join(forms)}; they must agree.')
        self.necks = ModuleList(MODELS.build(neck) if neck else nn.Identity() for neck in necks)
        self.distiller = MODELS.build(distiller)
        self._taps: list[Tap] = []

    def build_training(
        self, aggregator: ConfigDict, sizes: Sizes, last_layers: Sequence[nn.Module | None]
    ) -> None:
        """Build what depends on the sizes of the whole network.

        Args:
            aggregator: Config of the aggregator, without the sizes that are known here.
            sizes: Those of the network.
            last_layers: The layer that makes the final heatmaps of each branch, if one does.

        Raises:
            UserError: If the aggregator or a term does not fit the network or the other.
        """
        given = dict(
            in_channels=sizes.shared_channels,
            num_branches=sizes.branches,
            num_keypoints=sizes.keypoints,
        )
        kinds = [MODELS.get(aggregator['type']), *map(type, self.distiller.terms.values())]
        asking = [kind for kind in kinds if getattr(kind, 'needs_penultimate', False)]
        for kind in asking:
            check_penultimate(sizes, kind.__name__)
        if asking:
            self._taps = [Tap(layer) for layer in last_layers]
        if kinds[0] in asking:
            given['branch_channels'] = [channels for channels, _, _ in sizes.penultimate]
        self.aggregator = MODELS.build(given | dict(aggregator))
        self.distiller.setup(sizes, self.aggregator.makes_mixtures)
        if any(True for _ in self.aggregator.parameters()) and not self.distiller.trains_aggregator:
            raise UserError(
                f'No term of the distiller ({", ".join(self.distiller.terms)}) trains the '
                f"{type(self.aggregator).__name__}; add loss_ens=dict(type='Supervise', "
                "of='ensemble'), or use MeanAggregator, which has no parameters."
            )

    @property
    def decoder(self):
        """The codec that turns heatmaps into keypoints; all branches share its settings."""
        return self.branches[0].decoder

    @property
    def readout(self) -> Readout:
        """What the maps of any branch and of the ensemble mean."""
        return self.readouts[0]

    def branch_forward(self, feats: BranchFeatures, index: int) -> tuple[Tensor, ...]:
        """Heatmaps of every stage of one branch, S x (B, K, H, W)."""
        output = self.branches[index](self.necks[index](feats.branches[index]))
        return self.readouts[index].stages(output)

    def outputs(self, feats: BranchFeatures) -> BranchOutputs:
        """Heatmaps of every branch, of the trunk's stages once, and of the ensemble."""
        return self.aggregator.aggregate(self.branch_outputs(feats))

    def branch_outputs(
        self, feats: BranchFeatures, averaged: Tensor | None = None
    ) -> BranchOutputs:
        """Heatmaps of every branch, and of the trunk's stages once; with those given."""
        heatmaps = tuple(self.branch_forward(feats, m) for m in range(len(self.branches)))
        shared = self._trunk_stages(feats)
        return BranchOutputs(
            heatmaps=tuple(stages[shared:] for stages in heatmaps),
            features=feats,
            trunk=heatmaps[0][:shared],
            penultimate=tuple(tap.take() for tap in self._taps),
            averaged=averaged,
            bins=self.readout.bins,
        )

    def _trunk_stages(self, feats: BranchFeatures) -> int:
        """How many leading stages no branch's head changes: those are the trunk's, and alike."""
        if not all(isinstance(neck, nn.Identity) for neck in self.necks):
            return 0
        # Written for torch.compile, which cannot follow itertools.
        shared = 0
        for passed in zip(*(readout.passed_stages for readout in self.readouts), strict=False):
            if shared == feats.trunk_stages or not all(passed):
                break
            shared += 1
        return shared

    def forward(self, feats: BranchFeatures, output: int | str = 0) -> Any:
        """What the stock head gives, of the last stage, for one branch or for the ensemble."""
        return self.readout.output(self._finals(feats, output))

    def _finals(self, feats: BranchFeatures, output: int | str) -> Tensor:
        """Final heatmaps of one branch, or of the ensemble, (B, K, H, W)."""
        if output == ENSEMBLE:
            return self.outputs(feats).ensemble
        final = self.branch_forward(feats, output)[-1]
        for tap in self._taps:
            tap.take()  # nobody asks for the features here
        return final

    def loss(
        self,
        feats: BranchFeatures,
        batch_data_samples: list,
        train_cfg: ConfigDict | None = None,
        averaged: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Every term of the distiller, and the training accuracy of the deployed branch.

        Args:
            feats: Features of every branch.
            batch_data_samples: The samples with their encoded targets.
            train_cfg: As in the stock heads.
            averaged: Final heatmaps of the branches with averaged weights, (M, B, K, H, W).

        Raises:
            UserError: If the heatmaps and the encoded targets differ in shape.
        """
        train_cfg = train_cfg or {}
        outputs = self.branch_outputs(feats, averaged)
        targets = self.targets(outputs, batch_data_samples)
        check_shapes(outputs, targets)
        outputs = self.aggregator.aggregate(outputs, targets)
        losses = self.distiller(outputs, targets)
        if train_cfg.get('compute_acc', True):
            losses['acc_pose'] = self._accuracy(outputs, targets)
        return losses

    def targets(self, outputs: BranchOutputs, batch_data_samples: list) -> Targets:
        """The batch's encoded ground truth, and the stock loss of every stage."""
        shared = len(outputs.trunk)
        criteria = [
            readout.criteria(shared + len(stages))
            for readout, stages in zip(self.readouts, outputs.heatmaps, strict=True)
        ]
        return Targets(
            heatmaps=self.readout.targets(batch_data_samples),
            weights=torch.cat(
                [sample.gt_instance_labels.keypoint_weights for sample in batch_data_samples]
            ),
            criteria=tuple(stages[shared:] for stages in criteria),
            trunk_criteria=criteria[0][:shared],
            difference=self.readout.difference,
        )

    def predict(
        self, feats, batch_data_samples: list, test_cfg: ConfigDict | None = None
    ) -> dict[str, list[InstanceData]] | tuple[dict[str, list[InstanceData]], list[PixelData]]:
        """Keypoints in input space, in pixels, of the outputs that ``test_cfg`` asks for.

        ``test_cfg.branch`` is what is deployed (an index or 'ensemble'); with
        ``test_cfg.report='all'`` every other output is decoded as well.

        Args:
            feats: Features, or those of the image and of its mirror image for the flip test.
            batch_data_samples: The samples, for their flip indices.
            test_cfg: As in the stock heads, plus the two entries above.

        Returns:
            Predictions of the batch by output name, the deployed one last; with
            ``output_heatmaps`` also the deployed heatmaps, as the stock head gives them.
        """
        test_cfg = test_cfg or {}
        heatmaps = self._heatmaps_to_decode(feats, batch_data_samples, test_cfg)
        predictions = {
            name: self.decode(self.readout.output(maps)) for name, maps in heatmaps.items()
        }
        if test_cfg.get('output_heatmaps', False):
            deployed = output_name(test_cfg.get('branch', 0))
            return predictions, self.readout.fields(heatmaps[deployed], predictions[deployed])
        return predictions

    def _heatmaps_to_decode(self, feats, batch_data_samples, test_cfg) -> dict[str, Tensor]:
        views = feats if isinstance(feats, list) else [feats]
        maps = [self._named_heatmaps(view, test_cfg) for view in views]
        if test_cfg.get('flip_test', False):
            straight, mirrored = maps
            for name, flipped in mirrored.items():
                flip_indices = batch_data_samples[0].metainfo['flip_indices']
                flipped = self.readout.flipped(flipped, flip_indices, test_cfg)
                straight[name] = (straight[name] + flipped) * 0.5
        # numpy, which the decoders work in, knows no bfloat16.
        return {name: heatmap.float() for name, heatmap in maps[0].items()}

    def _named_heatmaps(self, feats: BranchFeatures, test_cfg) -> dict[str, Tensor]:
        """Final heatmaps by output name, the deployed one last."""
        deployed = test_cfg.get('branch', 0)
        if test_cfg.get('report', 'all') == 'deployed':
            return {output_name(deployed): self._finals(feats, deployed)}
        outputs = self.branch_outputs(feats)
        named = {branch_name(m): heatmaps for m, heatmaps in enumerate(outputs.finals)}
        if not self.aggregator.only_teaches:
            named[ENSEMBLE] = self.aggregator.aggregate(outputs).ensemble
        named[output_name(deployed)] = named.pop(output_name(deployed))
        return named

    def _accuracy(self, outputs: BranchOutputs, targets: Targets) -> Tensor:
        """That of the deployed output, as the stock head logs it."""
        deployed = self.test_cfg.get('branch', 0)
        heatmaps = outputs.ensemble if deployed == ENSEMBLE else outputs.heatmaps[deployed][-1]
        labelled = to_numpy(targets.weights) > 0
        accuracy = self.readout.accuracy(heatmaps.detach().float(), targets.heatmaps, labelled)
        return torch.tensor(accuracy, device=targets.heatmaps.device)


def check_penultimate(sizes: Sizes, asking: str) -> None:
    """Compare the features that the branches' heatmaps are made from with each other.

    Raises:
        UserError: If a branch has none, or they differ in size.
    """
    for m, shape in enumerate(sizes.penultimate):
        if shape is None or len(shape) != 3:
            raise UserError(
                f'{asking} needs the feature map that {branch_name(m)} makes its heatmaps from, '
                'but no single layer of it makes them; choose a student that ends in a '
                'convolution, such as one with a HeatmapHead.'
            )
    if len({shape[1:] for shape in sizes.penultimate}) > 1:
        raise UserError(
            f'{asking} needs feature maps of one size, but those of the branches are '
            f'{list(sizes.penultimate)} (C, H, W).'
        )


def check_shapes(outputs: BranchOutputs, targets: Targets) -> None:
    """Compare the heatmaps of every branch with the targets.

    Raises:
        UserError: If a branch's heatmaps have another shape than the targets.
    """
    for m, stages in enumerate(outputs.heatmaps):
        if stages[-1].shape != targets.heatmaps.shape:
            raise UserError(
                f'{branch_name(m)} predicts heatmaps of shape {tuple(stages[-1].shape)} '
                f'(B, K, H, W), but the targets have {tuple(targets.heatmaps.shape)}; the '
                "codec's sizes and the head's out_channels must fit the network."
            )
