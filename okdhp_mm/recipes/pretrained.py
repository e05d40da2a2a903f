"""Let a training start from pretrained weights of its backbone."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from ..io.atomic import atomic_write
from ..models.weights.hubs import read_weights
from ..models.weights.pretrained import PretrainedWeights, match_weights


def find_pretrained(source: str, backbone: ConfigDict) -> PretrainedWeights:
    """Return pretrained weights with the names of a backbone.

    Args:
        source: A file, 'torchvision' or 'timm'.
        backbone: Config of the backbone.

    Raises:
        UserError: If there are no such weights, or they are of another network.
    """
    weights = read_weights(source, backbone)
    return match_weights(MODELS.build(dict(backbone) | dict(init_cfg=None)), weights)


def write_pretrained(weights: PretrainedWeights, file: Path) -> Path:
    """Write the weights as a checkpoint that a config can name; return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as temporary:
        torch.save(dict(state_dict=weights.state_dict, meta={}), temporary)
    return file


def start_from(model: ConfigDict, source: str, file: Path) -> PretrainedWeights:
    """Let the backbone of a model start from pretrained weights, in place.

    Args:
        model: Config of the model.
        source: A file, 'torchvision' or 'timm'.
        file: File for the weights, renamed to fit the backbone.

    Returns:
        The weights, which tell how many were found.

    Raises:
        UserError: If there are no such weights, or they are of another network.
    """
    init_default_scope('mmpose')
    found = find_pretrained(source, model.backbone)
    checkpoint = str(write_pretrained(found, file).resolve())
    model.backbone.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    return found
