"""Base class of teachers."""

from __future__ import annotations

from abc import abstractmethod

from mmengine.model import BaseModule
from mmpose.structures import PoseDataSample
from torch import Tensor

from ..heads.adapters import HeadAdapter


class Teacher(BaseModule):
    """Base class of modules that provide :attr:`BranchOutputs.teacher` in every training step.

    A teacher belongs to the training, not to the model. Checkpoints do not contain its weights. A
    model is built, loaded, tested and exported without the teacher's files. :meth:`init_weights`
    reads them. The runner also calls it when it resumes a training. Copies of a model share its
    teacher.

    To add a kind of teacher, add one file with one subclass.

    Attributes:
        name: Value of ``teacher`` in the terms that learn from it.
        on_any_image: Whether it teaches on any image, not only on training samples.
        student: Adapter of the student's head, which says what maps the student predicts; None
            before :meth:`attach`.
    """

    name: str
    on_any_image = True
    student: HeadAdapter | None = None

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self._register_state_dict_hook(skip_teacher)
        self._register_load_state_dict_pre_hook(self._keep_weights)

    def attach(self, student: HeadAdapter) -> None:
        """Store the adapter of the student's head. The estimator calls this once."""
        self.student = student

    @abstractmethod
    def forward(self, images: Tensor, data_samples: list[PoseDataSample]) -> Tensor:
        """Return heatmaps without gradients, (B, 3, H, W) -> (B, K, H', W').

        Args:
            images: Images from the data pipeline, without the augmentation per branch.
            data_samples: Samples of the batch.
        """

    def weights(self, data_samples: list[PoseDataSample]) -> Tensor | None:
        """Return the weights of the heatmaps, (B, K); None for those of the labels.

        Args:
            data_samples: Samples of the batch.
        """
        return None

    def train(self, mode: bool = True) -> Teacher:
        """Stay in eval mode."""
        return super().train(False)

    def __deepcopy__(self, memo: dict) -> Teacher:
        return self

    def _keep_weights(self, state_dict: dict, prefix: str, *args) -> None:
        # Checkpoints do not have these weights. Without this, loading would report them missing.
        for name, child in self.named_children():
            child.state_dict(destination=state_dict, prefix=f'{prefix}{name}.')


def skip_teacher(module: Teacher, state_dict: dict, prefix: str, *args) -> None:
    """Remove the weights of a teacher from the state of its model, in place."""
    for name in [name for name in state_dict if name.startswith(prefix)]:
        del state_dict[name]
