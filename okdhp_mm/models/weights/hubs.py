"""Get the weights of a backbone from a file, from torchvision or from timm."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from mmengine.config import ConfigDict
from torch import Tensor

from ...errors import UserError, as_user_error
from ...io.checkpoint import load_checkpoint

TORCHVISION, TIMM = 'torchvision', 'timm'
HUBS = (TORCHVISION, TIMM)
SHUFFLE_WIDTHS = {0.5: '0_5', 1.0: '1_0', 1.5: '1_5', 2.0: '2_0'}
MOBILE_WIDTHS = {0.5: '050', 1.0: '100', 1.1: '110d', 1.4: '140'}


def read_weights(source: str, backbone: ConfigDict) -> Mapping[str, Tensor]:
    """Return pretrained weights of a backbone, in the naming of their source.

    Args:
        source: A file, or 'torchvision' or 'timm' for the ImageNet weights of these packages.
        backbone: Config of the backbone.

    Raises:
        UserError: If the file cannot be read, or the package does not have the network or cannot
            be reached.
    """
    if source not in HUBS:
        return load_checkpoint(source)['state_dict']
    name = hub_name(source, backbone)
    if name is None:
        raise UserError(
            f'--pretrained {source}: the backbone {backbone.type} has no known counterpart in '
            f'{source}. Give a file of its weights.'
        )
    sentence = (
        f'--pretrained {source}: the weights of {name} cannot be fetched. Download them where '
        'there is a network, and name the file by --pretrained FILE'
    )
    with as_user_error(sentence, ImportError, OSError, RuntimeError, ValueError):
        if source == TIMM:
            return import_module('timm').create_model(name, pretrained=True).state_dict()
        weights = import_module('torchvision').models.get_model_weights(name)
        # The first weights, not the latest: their recipe is the one that papers report.
        return next(iter(weights)).get_state_dict(progress=False, check_hash=True)


def hub_name(source: str, backbone: ConfigDict) -> str | None:
    """Return the name that torchvision or timm has for a backbone, None if it has none."""
    width = backbone.get('widen_factor', 1.0)
    if backbone.type == 'ResNet':
        return f'resnet{backbone.depth}'
    if backbone.type == 'MobileNetV2' and source == TORCHVISION:
        return 'mobilenet_v2' if width == 1.0 else None
    if backbone.type == 'MobileNetV2':
        return f'mobilenetv2_{MOBILE_WIDTHS[width]}' if width in MOBILE_WIDTHS else None
    if backbone.type == 'ShuffleNetV2' and source == TORCHVISION:
        return f'shufflenet_v2_x{SHUFFLE_WIDTHS[width]}' if width in SHUFFLE_WIDTHS else None
    if backbone.type == 'HRNet' and source == TIMM:
        return f'hrnet_w{backbone.extra.stage2.num_channels[0]}'
    return None
