"""Branched backbone: a shared trunk and one top per branch, cut from stock backbones."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pickle import UnpicklingError
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmengine.model import BaseModule, ModuleList
from mmengine.runner import CheckpointLoader
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ...errors import UserError, as_user_error, check_choice
from ...io.config import init_entries
from ...structures import BranchFeatures, BranchViews
from .splits import Split, SplitFamily, find_split, run_steps

WHOLE = 'whole'
TRUNK_GRADS = ('sum', 'mean')
INITIALIZE_FROM_FILE = (
    'set model.backbone.init_cfg.checkpoint to the file, or train with --from-scratch'
)


@MODELS.register_module()
class BranchedBackbone(BaseModule):
    """Stock backbone with one copy of its upper part per branch.

    Trunk and tops are stock modules without the children that they do not own. So the student's
    state dict is the union of ``trunk.*`` and ``branches.m.*`` without these prefixes. Running
    trunk and top m one after the other equals the stock forward, bit for bit.

    Args:
        backbones: Config of every branch's stock backbone. They may differ above the split.
        split: Split point, e.g. 'stage3' of an HRNet. The branches are separate above it. 'whole'
            shares the whole backbone and works with any backbone.
        trunk_grad: Whether the trunk gets the 'sum' or the 'mean' of the branches' gradients.
            CL-ILR (Song & Chai, NeurIPS 2018, https://arxiv.org/abs/1805.11761) uses the mean.
        init_cfg: As in every mmengine module.

    Raises:
        UserError: If the backbone cannot be split there, the branches have different trunks, or
            ``trunk_grad`` is unknown.
    """

    def __init__(
        self,
        backbones: Sequence[ConfigDict],
        split: str = WHOLE,
        trunk_grad: str = 'sum',
        init_cfg=None,
    ):
        super().__init__(init_cfg)
        check_choice('trunk_grad', trunk_grad, TRUNK_GRADS)
        self.trunk_grad = trunk_grad
        # For each branch, the first with an equal config: equal configs give equal networks.
        self.alike = [backbones.index(config) for config in backbones]
        # Some backbones write into their config, so they get a copy.
        backbone = MODELS.build(copy.deepcopy(backbones[0]))
        if split == WHOLE:
            if set(self.alike) != {0}:
                raise UserError(
                    "split='whole' shares the backbone, but the branches have different backbones. "
                    'Choose another split, or use one backbone for all branches.'
                )
            self.split = None
            self.trunk = backbone
            self.branches = ModuleList(nn.Identity() for _ in backbones)
        else:
            first = self.split = find_split(backbone, split)
            self.trunk, top = first.cut(backbone)
            # Every branch has its own split: a deeper branch has more steps above the same point.
            self.splits, self.branches = [first], ModuleList([top])
            for m in range(1, len(backbones)):
                own_split, own_top = self._build_top(backbones, m, first)
                self.splits.append(own_split)
                self.branches.append(own_top)
        parts = (self.trunk, *self.branches)
        # A whole backbone loads its weights itself, because it may convert or resize them.
        self._pretrained = [None if split == WHOLE else pop_pretrained(part) for part in parts]

    def _build_top(
        self, backbones: Sequence[ConfigDict], index: int, first: Split
    ) -> tuple[Split, BaseModule]:
        """Return the split and the top of a branch after the first."""
        alike = self.alike[index]
        if alike < index:
            # A copy is made in less than half of the time.
            return self.splits[alike], redraw(copy.deepcopy(self.branches[alike]))
        other = MODELS.build(copy.deepcopy(backbones[index]))
        split = find_split(other, first.name)
        children = [child for step in first.lower for child in step.children]
        check_same(self.trunk, other, children, index)
        return split, split.cut(other)[1]

    def forward(
        self, images: Tensor | BranchViews, branches: Iterable[int] | None = None
    ) -> BranchFeatures:
        """Compute the features of the trunk and of the requested branches (all by default).

        Args:
            images: Normalized images, (B, 3, H, W); or one view per branch. The trunk then
                processes all views, and its shared feature is the mean over them.
            branches: Indices of the branches to compute.

        Raises:
            UserError: If the shape of the images is another.
        """
        indices = range(len(self.branches)) if branches is None else branches
        state, views = self._batch_of(images)
        if self.split is None:
            state = self.trunk(state)
            pixels = [feature.shape[-2:].numel() for feature in state]
            shared = state[pixels.index(max(pixels))]
            tops = {m: self._scaled(view_of(state, m, views)) for m in indices}
            return BranchFeatures(mean_view(shared, views), tops)
        family = self.split.family
        state = run_steps(self.split.lower, self.trunk, state)
        tops = {m: self._top(view_of(state, m, views), m, family) for m in indices}
        return BranchFeatures(
            mean_view(family.shared(state), views),
            {m: features for m, (features, _) in tops.items()},
            family.trunk_stages(state),
            {m: below for m, (_, below) in tops.items() if below is not None},
        )

    def example_features(self, images: Tensor) -> BranchFeatures:
        """Compute features to infer shapes from. Branches with equal configs share theirs."""
        features = self(images, branches=set(self.alike))
        branches, below = features.branches, features.head_features
        return replace(
            features,
            branches={m: branches[alike] for m, alike in enumerate(self.alike)},
            head_features={m: below[alike] for m, alike in enumerate(self.alike) if below},
        )

    def _batch_of(self, images: Tensor | BranchViews) -> tuple[Tensor, int]:
        """Return the images as one batch, and the number of views in it, 0 for plain images."""
        if not isinstance(images, BranchViews):
            if images.dim() != 4:
                raise UserError(
                    f'The backbone takes images (B, 3, H, W), not a tensor of shape '
                    f'{tuple(images.shape)}. Fold the frames of clips into the batch, and pass '
                    'one view for each branch as BranchViews.'
                )
            return images, 0
        shape = tuple(images.images.shape)
        if len(shape) != 5 or shape[0] != len(self.branches):
            raise UserError(
                f'BranchViews of shape {shape} do not have one view (M, B, 3, H, W) for each of '
                f'the {len(self.branches)} branches.'
            )
        return images.images.flatten(0, 1), shape[0]

    def _top(
        self, state: Any, index: int, family: SplitFamily
    ) -> tuple[tuple[Tensor, ...], Tensor | None]:
        """Return the stock backbone's output, and the feature map below its last heatmaps."""
        top = run_steps(self.splits[index].upper, self.branches[index], self._scaled(state))
        features = family.features(top)
        if done := family.trunk_stages(state):
            # Use the trunk's own heatmaps, because their gradients must not be scaled.
            features = (*family.features(state)[:done], *features[done:])
        return features, family.head_features(top)

    def _scaled(self, state: Any) -> Any:
        """Return the same state, with the branch's gradient scaled for the trunk."""
        if self.trunk_grad == 'sum' or not torch.is_grad_enabled():
            return state
        return tree_map_only(Tensor, lambda x: scale_gradient(x, 1 / len(self.branches)), state)

    def init_weights(self) -> None:
        """Initialize every part like the stock backbone.

        Raises:
            UserError: If the pretrained weights cannot be loaded, or do not fit a part at all.
        """
        if self.is_init:
            return
        if self.split is None:
            # Load the weights once before, so that all kinds of failures get the same message.
            for cfg in pretrained_entries(self.trunk):
                fetch_weights(cfg['checkpoint'])
        super().init_weights()
        checkpoints = {}
        for part, cfg in zip((self.trunk, *self.branches), self._pretrained, strict=True):
            if cfg is None:
                continue
            source = cfg['checkpoint']
            if source not in checkpoints:
                checkpoints[source] = fetch_weights(source)
            copy_weights(part, checkpoints[source], cfg.get('prefix', ''), source)


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, scale: float) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.scale = inputs[1]

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.scale, None


def scale_gradient(x: Tensor, scale: float) -> Tensor:
    """Return ``x`` unchanged, and multiply its gradient by ``scale``."""
    return _ScaleGradient.apply(x, scale)


def redraw(part: BaseModule) -> BaseModule:
    """Draw new random weights for the layers of a copied part, as their constructors do.

    A parameter outside of a layer with ``reset_parameters``, such as a position embedding, keeps
    its value until ``init_weights``.
    """
    for layer in part.modules():
        if hasattr(layer, 'reset_parameters'):
            layer.reset_parameters()
    return part


def view_of(state: Any, index: int, views: int) -> Any:
    """Return the part of a state that belongs to one view, or the state if ``views`` is 0."""
    if not views:
        return state
    return tree_map_only(Tensor, lambda x: x.unflatten(0, (views, -1))[index], state)


def mean_view(feature: Tensor, views: int) -> Tensor:
    """Average a feature over the views stacked along its first axis, unless ``views`` is 0."""
    return feature.unflatten(0, (views, -1)).mean(0) if views else feature


def check_same(ours: nn.Module, theirs: nn.Module, children: Sequence[str], index: int) -> None:
    """Check that the children of the trunk equal those of another branch's backbone.

    Args:
        ours: The trunk.
        theirs: The backbone of the branch.
        children: Paths of submodules and parameters.
        index: Number of the branch.

    Raises:
        UserError: If their tensors or other settings, such as strides, differ.
    """
    below = tuple(f'{child}.' for child in children)
    shapes, others = (
        {
            name: tuple(value.shape)
            for name, value in part.state_dict().items()
            if f'{name}.'.startswith(below)
        }
        for part in (ours, theirs)
    )
    for name in [*shapes, *others]:
        if shapes.get(name) != others.get(name):
            raise UserError(
                f'branch {index} cannot share the trunk: its {name} has shape '
                f'{others.get(name, "none")}, that of branch 0 has {shapes.get(name, "none")}. '
                'Change branches only above the split.'
            )
    for child in children:
        if child in shapes:
            continue
        if repr(ours.get_submodule(child)) != repr(theirs.get_submodule(child)):
            raise UserError(
                f'branch {index} cannot share the trunk: its {child} has equal shapes but other '
                'settings than that of branch 0. Change branches only above the split.'
            )


def pretrained_entries(part: BaseModule) -> list[ConfigDict]:
    """Return the 'Pretrained' entries of a part's ``init_cfg``."""
    entries = init_entries(getattr(part, 'init_cfg', None))
    return [cfg for cfg in entries if cfg['type'] == 'Pretrained']


def pop_pretrained(part: BaseModule) -> ConfigDict | None:
    """Remove the 'Pretrained' entry from a part's ``init_cfg`` and return it."""
    pretrained = pretrained_entries(part)
    if not pretrained:
        return None
    part.init_cfg = [cfg for cfg in init_entries(part.init_cfg) if cfg['type'] != 'Pretrained']
    return pretrained[-1]


def fetch_weights(source: str, remedy: str = INITIALIZE_FROM_FILE) -> dict[str, Tensor]:
    """Load the state dict at a path or URL with mmengine's loaders.

    Args:
        source: The path or URL.
        remedy: Text for the error message: how to use a file that was downloaded elsewhere.

    Raises:
        UserError: If it cannot be loaded.
    """
    sentence = (
        f'Cannot get the pretrained weights {source}: download them where there is a network and '
        f'{remedy}'
    )
    kinds = (ImportError, OSError, LookupError, RuntimeError, ValueError, EOFError)
    with as_user_error(sentence, *kinds, UnpicklingError):
        # Check before the loader does: the UserError of the safe loader lacks this advice.
        if '://' not in source and not os.path.isfile(os.path.expanduser(source)):
            raise FileNotFoundError('the file does not exist')
        try:
            checkpoint = CheckpointLoader.load_checkpoint(source, map_location='cpu')
        except KeyError as error:
            raise LookupError(f'the model {error} does not exist') from error
    return checkpoint.get('state_dict', checkpoint)


def adapt_weights(part: nn.Module, weights: dict[str, Tensor]) -> None:
    """Let a part adapt weights in place as its ``load_state_dict`` would.

    A vision transformer resizes its position embedding for images of another size.
    """
    for name, module in part.named_modules():
        for hook in module._load_state_dict_pre_hooks.values():
            hook(weights, f'{name}.' if name else '', {}, False, [], [], [])


def copy_weights(part: nn.Module, weights: dict[str, Tensor], prefix: str, source: str) -> None:
    """Copy the weights that fit into a part, and log their number.

    Raises:
        UserError: If no weights fit.
    """
    own = part.state_dict()
    if not own:
        return
    prefix = f'{prefix.rstrip(".")}.' if prefix else ''
    weights = {name.removeprefix('module.').removeprefix(prefix): v for name, v in weights.items()}
    present = {name: weights[name] for name in own if name in weights}
    adapt_weights(part, present)
    fitting = {name: value for name, value in present.items() if value.shape == own[name].shape}
    if not fitting:
        raise UserError(
            f'None of the weights in {source} fits a {type(part).__name__}: it has e.g. '
            f'{next(iter(weights), None)!r}, needed is e.g. {next(iter(own))!r}. Set '
            'model.backbone.init_cfg.checkpoint to weights of this backbone.'
        )
    part.load_state_dict(fitting, strict=False)
    missing = sorted(own.keys() - fitting.keys())
    missing = [name for name in missing if not name.endswith('num_batches_tracked')]
    note = f'; kept as initialized: {", ".join(missing)}' if missing else ''
    print_log(f'{len(fitting)} of {len(own)} tensors from {source}{note}', logger='current')
