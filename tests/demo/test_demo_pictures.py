import subprocess
import sys

import numpy as np
import pytest

from okdhp_mm.datasets.synthetic import draw_figure
from okdhp_mm.demo import pictures


@pytest.fixture(scope='module')
def figures():
    return [draw_figure(np.random.default_rng([2, index])) for index in range(5)]


def test_sheet_holds_every_figure_in_rows_of_the_given_length(figures):
    truth = [figure.keypoints for figure in figures]
    flags = [figure.visibility for figure in figures]
    images = [figure.image for figure in figures]
    scores = [np.ones(17)] * 5
    sheets = [
        pictures.prediction_sheet(images, truth, flags, truth, scores, columns=columns, height=100)
        for columns in (5, 2)
    ]
    tile = (sheets[0].shape[0] - 8) / 1
    assert sheets[1].shape[0] == 3 * tile + 8
    assert sheets[1].shape[1] < sheets[0].shape[1]


def test_sheet_shows_truth_left_and_prediction_right(figures):
    figure = figures[0]
    nothing = np.zeros(17)
    common = ([figure.image], [figure.keypoints])
    full = pictures.prediction_sheet(
        *common, [figure.visibility], [figure.keypoints], [np.ones(17)]
    )
    no_prediction = pictures.prediction_sheet(
        *common, [figure.visibility], [figure.keypoints], [nothing]
    )
    no_truth = pictures.prediction_sheet(*common, [nothing], [figure.keypoints], [np.ones(17)])
    middle = full.shape[1] // 2
    changed = (full != no_prediction).any((0, 2))
    assert changed[middle:].any() and not changed[: middle - 2].any()
    changed = (full != no_truth).any((0, 2))
    assert changed[:middle].any() and not changed[middle + 2 :].any()


def test_longer_bars_for_higher_scores():
    sheet = pictures.score_bars({'branch 0': 0.3, 'ensemble': 0.6})
    blue = (sheet[..., 0].astype(int) - sheet[..., 2]) > 100
    first, second = blue[:38].any(0).sum(), blue[38:].any(0).sum()
    assert second == pytest.approx(2 * first, abs=2)


def test_pictures_do_not_load_torch():
    """Checked on the module's own imports: the package around it does load torch."""
    code = (
        'import sys, types\n'
        'package = types.ModuleType("okdhp_mm")\n'
        f'package.__path__ = [{str(pictures.__file__).rsplit("/", 2)[0]!r}]\n'
        'sys.modules["okdhp_mm"] = package\n'
        'import okdhp_mm.demo.pictures\n'
        'assert not {"torch", "mmpose", "matplotlib"} & set(sys.modules)\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)
