"""Heatmaps of every branch, the ensemble and the target, side by side."""

from collections.abc import Sequence

import cv2
import numpy as np

from .primitives import (
    GAP,
    TEXT_HEIGHT,
    WHITE,
    display_name,
    draw_outlined_text,
    draw_ring,
    draw_text,
    text_width,
)

WIDTH = 1000
"""Width of the picture in pixels."""


def heatmap_strip(
    image: np.ndarray,
    branch_heatmaps: np.ndarray,
    ensemble: np.ndarray,
    target: np.ndarray | None,
    keypoint_indices: Sequence[int],
    keypoint_names: Sequence[str],
    *,
    ensemble_title: str = 'ensemble',
) -> np.ndarray:
    """Draw heatmaps of an image: a row per keypoint; every branch, the ensemble and the target.

    All predictions of a row share one color scale, from 0 to their maximum. The target has its own
    scale, because predictions reach it late, if at all. The number in a corner is the maximum of
    that heatmap, and the ring shows its place.

    Args:
        image: (H, W, 3) uint8, BGR: the crop that the heatmaps cover.
        branch_heatmaps: (M, K, h, w).
        ensemble: (K, h, w).
        target: (K, h, w); None leaves its column out.
        keypoint_indices: the keypoints to show.
        keypoint_names: K names.
        ensemble_title: what to call the ensemble.

    Returns:
        The picture, uint8, BGR.
    """
    predictions = [*branch_heatmaps, ensemble]
    targets = [] if target is None else [target]
    columns = [*predictions, *targets]
    titles = [f'branch {m}' for m in range(len(branch_heatmaps))]
    titles += [ensemble_title, 'target'][: 1 + len(targets)]
    gutter = 24 + max(text_width(display_name(keypoint_names[k])) for k in keypoint_indices)
    cell_width = (WIDTH - gutter - GAP * (len(columns) + 1)) // len(columns)
    cell_height = round(cell_width * image.shape[0] / image.shape[1])
    cell = cv2.resize(image, (cell_width, cell_height), interpolation=cv2.INTER_CUBIC)

    sheet_height = TEXT_HEIGHT + GAP + (cell_height + GAP) * len(keypoint_indices)
    sheet = np.full((sheet_height, WIDTH, 3), WHITE, np.uint8)
    left_edges = [gutter + GAP + (cell_width + GAP) * c for c in range(len(columns))]
    for x, title in zip(left_edges, titles, strict=True):
        draw_text(sheet, title, (x + cell_width // 2, TEXT_HEIGHT - 5), centered=True)
    for row, k in enumerate(keypoint_indices):
        y = TEXT_HEIGHT + GAP // 2 + row * (cell_height + GAP)
        draw_text(sheet, display_name(keypoint_names[k]), (12, y + cell_height // 2))
        predicted = max(float(heatmaps[k].max()) for heatmaps in predictions)
        scales = [predicted] * len(predictions) + [float(maps[k].max()) for maps in targets]
        for x, heatmaps, scale in zip(left_edges, columns, scales, strict=True):
            blended = _blend_heatmap(cell, heatmaps[k], scale)
            sheet[y : y + cell_height, x : x + cell_width] = blended
    return sheet


def _blend_heatmap(image: np.ndarray, heatmap: np.ndarray, scale: float) -> np.ndarray:
    """Blend a heatmap over a pale copy of the image. Higher values are more opaque."""
    height, width = image.shape[:2]
    share = np.clip(np.asarray(heatmap, np.float32) / max(scale, 1e-6), 0, 1)
    share = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    colors = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
    pale = 0.55 * image + 0.25 * gray + 0.2 * 255
    # Opaque early: turbo's dark blue end would otherwise dirty the whole picture.
    alpha = np.minimum(1.0, 1.6 * share)[..., None] * 0.85
    blended = np.rint((1 - alpha) * pale + alpha * colors).astype(np.uint8)
    row, column = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    step = np.array([width / heatmap.shape[1], height / heatmap.shape[0]])
    peak = (np.array([column, row]) + 0.5) * step
    draw_ring(blended, peak, max(4.0, width / 30), WHITE)
    draw_outlined_text(blended, f'{float(np.max(heatmap)):.2f}', (5, height - 6))
    return blended
