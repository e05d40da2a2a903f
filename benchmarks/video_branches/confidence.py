"""Measure how well a confidence tells wrong keypoints from right ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from .tracks import ENSEMBLE, PEER, SMALL, THRESHOLD, Track


def disagreement(track: Track) -> np.ndarray:
    """Return the mean distance of the branches' keypoints from their mean, (T, K)."""
    branches = track.poses[:, :ENSEMBLE]
    center = branches.mean(1)
    return np.mean([track.distance(pose, center) for pose in branches.swapaxes(0, 1)], 0)


def measures(track: Track, output: int) -> dict[str, np.ndarray]:
    """Return confidences of an output, (T, K) each; a high value should mean a wrong keypoint."""
    found = dict(
        maximum=-track.maxima[:, output],
        ensemble_maximum=-track.maxima[:, ENSEMBLE],
        divergence=track.divergence.mean(1),
        distance=disagreement(track),
    )
    if output != ENSEMBLE:
        found['from_ensemble'] = track.distance(track.poses[:, output], track.poses[:, ENSEMBLE])
    if output == SMALL:
        found['from_peer'] = track.distance(track.poses[:, SMALL], track.poses[:, PEER])
        found |= dict(distilled=track.disagreement, learned_error=track.error)
    return found


COMBINED = ('maximum', 'distance', 'divergence')


def auroc(scores: np.ndarray, wrong: np.ndarray) -> float:
    """Return the probability that a wrong keypoint scores higher than a right one, in percent."""
    ranks, positives = rankdata(scores), wrong.sum()
    negatives = len(wrong) - positives
    return 100 * (ranks[wrong].sum() - positives * (positives + 1) / 2) / (positives * negatives)


def within_keypoints(scores: np.ndarray, wrong: np.ndarray, keypoint: np.ndarray) -> float:
    """Return the mean AUROC of the keypoints that are sometimes wrong and sometimes right."""
    groups = [keypoint == k for k in np.unique(keypoint)]
    return float(np.mean([auroc(scores[g], wrong[g]) for g in groups if 0 < wrong[g].mean() < 1]))


class Logistic:
    """Logistic regression on standardized features.

    Args:
        features: (N, F).
        wrong: (N,) bool.
    """

    def __init__(self, features: np.ndarray, wrong: np.ndarray):
        self.mean, self.std = features.mean(0), features.std(0)
        self.std[self.std == 0] = 1  # a constant feature tells nothing
        x = self._inputs(features)

        def loss(weights: np.ndarray) -> float:
            logits = x @ weights
            return np.mean(np.logaddexp(0, logits) - wrong * logits) + 1e-4 * weights @ weights

        self.weights = minimize(loss, np.zeros(x.shape[1])).x

    def _inputs(self, features: np.ndarray) -> np.ndarray:
        return np.column_stack([(features - self.mean) / self.std, np.ones(len(features))])

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the logit of a wrong keypoint, (N,)."""
        return self._inputs(features) @ self.weights


def labeled(tracks: Sequence[Track], output: int) -> dict[str, np.ndarray]:
    """Return the measures of all labeled keypoints, with their errors and numbers, (N,) each."""
    found: dict[str, list[np.ndarray]] = {}
    for track in tracks:
        number = np.broadcast_to(np.arange(track.seen.shape[1]), track.seen.shape)
        parts = measures(track, output) | dict(error=track.errors(output), keypoint=number)
        for name, values in parts.items():
            found.setdefault(name, []).append(values[track.seen])
    return {name: np.concatenate(values) for name, values in found.items()}


def logarithms(values: dict[str, np.ndarray]) -> np.ndarray:
    """Return the features of the combination, (N, 3); distances and divergences as logarithms."""
    return np.column_stack(
        [values[name] if name == 'maximum' else np.log(values[name] + 1e-3) for name in COMBINED]
    )


def calibrated(learned: dict[str, np.ndarray], values: dict[str, np.ndarray]) -> np.ndarray:
    """Return the logit of a wrong keypoint by its maximum, with one logistic per keypoint, (N,)."""
    found = np.zeros(len(values['error']))
    for k in np.unique(values['keypoint']):
        known, asked = learned['keypoint'] == k, values['keypoint'] == k
        logistic = Logistic(learned['maximum'][known, None], learned['error'][known] > THRESHOLD)
        found[asked] = logistic(values['maximum'][asked, None])
    return found


def compare(select: Sequence[Track], test: Sequence[Track], output: int) -> dict[str, dict]:
    """Return the AUROC of each measure on the test tracks.

    The combination and the calibration learn on the held-out tracks.
    """
    learned, values = labeled(select, output), labeled(test, output)
    wrong = values['error'] > THRESHOLD
    combine = Logistic(logarithms(learned), learned['error'] > THRESHOLD)
    scores = {name: values[name] for name in measures(test[0], output)}
    scores['combined'] = combine(logarithms(values))
    scores['calibrated'] = calibrated(learned, values)
    return {
        name: dict(
            auroc=auroc(score, wrong),
            within=within_keypoints(score, wrong, values['keypoint']),
        )
        for name, score in scores.items()
    }
