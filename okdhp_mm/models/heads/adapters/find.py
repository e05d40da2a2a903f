"""Find the adapter of a head."""

from __future__ import annotations

from mmpose.models.heads import BaseHead, VisPredictHead

from ....errors import UserError
from ....registry import HEAD_ADAPTERS, find_match
from .base import HeadAdapter


def find_adapter(head: BaseHead) -> HeadAdapter:
    """Return the adapter of a built stock head.

    Raises:
        UserError: If no adapter handles the head, or its codec does not encode the field that the
            adapter requires.
    """
    name = type(head).__name__
    adapter = find_match(HEAD_ADAPTERS, head)
    if adapter is None and isinstance(head, VisPredictHead):
        raise UserError(
            f'The head {name} also predicts visibility, with a loss that cannot be distilled. '
            f'Use its pose_cfg ({type(head.pose_head).__name__}) as the head.'
        )
    if adapter is None:
        raise UserError(
            f'The head {name} does not predict heatmaps or SimCC distributions that are trained '
            'by one loss each. Use a student with HeatmapHead, ViPNASHead, CPMHead, SimCCHead, '
            'RTMCCHead or RTMWHead, or register a head adapter (docs/extending.md).'
        )
    codec = head.decoder
    if codec is None:
        raise UserError(
            f'The head {name} has no decoder. Set model.head.decoder to the codec, as every '
            'stock config does.'
        )
    if adapter.encoded not in (*codec.field_mapping_table, *codec.label_mapping_table):
        raise UserError(
            f'The codec {type(codec).__name__} encodes no {adapter.encoded}, which the head '
            f'{name} is trained on. Choose another decoder.'
        )
    return adapter(head)
