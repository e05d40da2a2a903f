"""The contract of a teacher."""

from __future__ import annotations

from abc import abstractmethod

from mmengine.model import BaseModule
from mmpose.structures import PoseDataSample
from torch import Tensor


class Teacher(BaseModule):
    """Module whose heatmaps arrive as :attr:`BranchOutputs.teacher` in every training step.

    It belongs to the training, not to the model: no checkpoint has its weights, and a model is
    built, loaded, tested and exported without its files. They are read by :meth:`init_weights`,
    which the runner also calls when it resumes a training. Copies of a model share its teacher.

    A further kind of teacher is one more file with one more subclass.

    Attributes:
        name: The ``teacher`` of a term that learns from it.
    """

    name: str

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self._register_state_dict_hook(skip_teacher)
        self._register_load_state_dict_pre_hook(self._keep_weights)

    @abstractmethod
    def forward(self, images: Tensor, data_samples: list[PoseDataSample]) -> Tensor:
        """Return the heatmaps to learn from, constants, (B, 3, H, W) -> (B, K, H', W').

        Args:
            images: The batch as the data pipeline makes it, without the views of the branches.
            data_samples: The samples of the batch.
        """

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode."""
        return super().train(False)

    def __deepcopy__(self, memo: dict) -> Teacher:
        return self

    def _keep_weights(self, state_dict: dict, prefix: str, *args) -> None:
        # A checkpoint without these weights is complete.
        for name, child in self.named_children():
            child.state_dict(destination=state_dict, prefix=f'{prefix}{name}.')


def skip_teacher(module: Teacher, state_dict: dict, prefix: str, *args) -> None:
    """Remove the weights of a teacher from the state of its model, in place."""
    for name in [name for name in state_dict if name.startswith(prefix)]:
        del state_dict[name]
