import subprocess
import sys

import numpy as np
import pytest

import okdhp_mm.visualization
from okdhp_mm.datasets.synthetic import KEYPOINTS, draw_figure
from okdhp_mm.visualization import heatmap_strip, strip
from okdhp_mm.visualization.strip import _blend_heatmap


def heatmaps_at(row, column, peak, height=32, width=24):
    heatmaps = np.zeros((17, height, width), np.float32)
    heatmaps[:, row, column] = peak
    return heatmaps


def test_strip_has_a_row_per_keypoint_and_readme_width():
    image = draw_figure(np.random.default_rng(2)).image
    branches = np.stack([heatmaps_at(5, 5, 1.0)] * 3)
    one, two = (
        heatmap_strip(image, branches, branches[0], branches[0], keypoints, KEYPOINTS)
        for keypoints in ([9], [9, 10])
    )
    assert one.shape[1] == two.shape[1] == 1000
    assert 1.7 < two.shape[0] / one.shape[0] < 2.0


def strip_of(branches, ensemble, target):
    image = np.full((64, 48, 3), 128, np.uint8)
    return heatmap_strip(image, np.stack(branches), ensemble, target, [0], KEYPOINTS)


def test_strip_colors_compare_among_the_predictions_of_a_row():
    """Half the value looks different from the full value, though each is its heatmap's peak."""
    full, half = heatmaps_at(8, 6, 1.0), heatmaps_at(8, 6, 0.5)
    strong, weak = strip_of([full, full], full, full), strip_of([half, full], full, full)
    changed = np.flatnonzero((strong != weak).any((0, 2)))
    # Only the branch's own column changes: the row's scale comes from the others.
    assert len(changed) > 5
    assert changed.max() < 1000 * 0.35


def test_faint_predictions_are_seen_beside_a_strong_target():
    full, faint = heatmaps_at(8, 6, 1.0), heatmaps_at(8, 6, 0.1)
    strong, weak = strip_of([full], full, full), strip_of([faint], faint, full)
    changed = np.flatnonzero((strong != weak).any((1, 2)))
    assert len(strong) - changed.min() < 40, 'only the numbers at the bottom differ'


def test_strip_marks_the_place_of_the_peak():
    image = np.full((64, 48, 3), 128, np.uint8)
    blended = _blend_heatmap(image.repeat(4, 0).repeat(4, 1), heatmaps_at(8, 6, 1)[0], 1.0)
    plain = _blend_heatmap(image.repeat(4, 0).repeat(4, 1), heatmaps_at(8, 6, 0)[0], 1.0)
    rows, columns = np.nonzero((blended != plain).any(-1)[:200])
    # Heatmap pixel (8, 6) of 32x24 over 256x192 has its middle at (68, 52).
    near = np.hypot(rows - 68, columns - 52) < 20
    assert near.sum() > 50


def test_the_ensembles_column_has_the_title_that_it_is_given(monkeypatch):
    full, titles = heatmaps_at(8, 6, 1.0), []
    monkeypatch.setattr(strip, 'draw_text', lambda canvas, text, *_, **__: titles.append(text))
    image = np.full((64, 48, 3), 128, np.uint8)
    heatmap_strip(image, full[None], full, full, [0], KEYPOINTS, ensemble_title='teacher')
    assert titles[:3] == ['branch 0', 'teacher', 'target']


def test_empty_heatmaps_can_be_shown():
    image = np.full((64, 48, 3), 128, np.uint8)
    nothing = np.zeros((17, 32, 24), np.float32)
    shown = heatmap_strip(image, nothing[None], nothing, nothing, [0], KEYPOINTS)
    assert shown.dtype == np.uint8


def test_without_a_target_its_column_is_left_out():
    full = heatmaps_at(8, 6, 1.0)
    two, three = strip_of([full], full, None), strip_of([full], full, full)
    assert two.shape[1] == three.shape[1] == 1000
    assert two.shape[0] > 1.3 * three.shape[0], 'the others are larger for it'
    assert np.array_equal(strip_of([full, full], full, None).shape, three.shape)


def test_drawing_does_not_load_torch():
    """Checked on the module's own imports: the package around it does load torch."""
    code = (
        'import sys, types\n'
        'package = types.ModuleType("okdhp_mm")\n'
        f'package.__path__ = [{str(okdhp_mm.visualization.__file__).rsplit("/", 2)[0]!r}]\n'
        'sys.modules["okdhp_mm"] = package\n'
        'import okdhp_mm.visualization\n'
        'assert not {"torch", "mmpose", "matplotlib"} & set(sys.modules)\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


@pytest.mark.parametrize('brightness', [0, 255])
def test_the_number_is_read_on_any_picture(brightness):
    image = np.full((170, 128, 3), brightness, np.uint8)
    corner = _blend_heatmap(image, heatmaps_at(8, 6, 0.5)[0], 1.0)[-20:, :40].astype(int)
    assert np.ptp(corner) > 150
