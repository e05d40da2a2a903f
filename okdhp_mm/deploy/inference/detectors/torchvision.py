"""The detectors of torchvision."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from torchvision.models import detection, get_model, get_model_weights, list_models

from ....errors import UserError
from ....io.checkpoint import load_checkpoint, load_weights
from .detector import THRESHOLD, inside

PERSON = 1
"""Label of persons in torchvision's COCO weights."""


class TorchvisionDetector:
    """A detector of torchvision with COCO weights.

    Args:
        name: Its name, e.g. ``fasterrcnn_mobilenet_v3_large_320_fpn``.
        weights: File of the weights; None downloads them, or takes them from torch's cache.
        device: As in torch; None takes a GPU if there is one.
        threshold: Least score of a person.

    Raises:
        UserError: If torchvision has no such detector, or its weights are missing or do not fit.
    """

    def __init__(
        self,
        name: str,
        weights: Path | None = None,
        device: str | None = None,
        threshold: float = THRESHOLD,
    ):
        names = list_models(module=detection)
        if name not in names:
            raise UserError(f'torchvision has no detector {name!r}. Use one of {", ".join(names)}.')
        self.device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        self.threshold = threshold
        if weights is None:
            self.model = _downloaded(name)
        else:
            self.model = get_model(name, weights=None, weights_backbone=None)
            state = load_checkpoint(str(weights))['state_dict']
            load_weights(self.model, state, f'{weights} does not hold the weights of {name}')
        self.model.eval().to(self.device)

    @torch.inference_mode()
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Find the persons in an image, see :class:`Detector`."""
        pixels = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1) / 255
        (found,) = self.model([pixels.to(self.device)])
        kept = (found['labels'] == PERSON) & (found['scores'] >= self.threshold)
        return inside(
            found['boxes'][kept].cpu().numpy(), found['scores'][kept].cpu().numpy(), image
        )


def _downloaded(name: str) -> torch.nn.Module:
    weights = get_model_weights(name).DEFAULT
    try:
        return get_model(name, weights=weights, weights_backbone=None)
    except (URLError, OSError) as error:
        raise UserError(
            f'The weights of {name} cannot be downloaded ({error}). Get {weights.url} elsewhere, '
            f'and give torchvision:{name}:FILE.'
        ) from error
