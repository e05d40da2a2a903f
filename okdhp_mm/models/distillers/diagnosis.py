"""Diagnosis of one training step: measure gradients and differences of the branches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...structures import BranchOutputs, Targets, branch_name, distributions, sum_of
from .terms.base import Term


@dataclass(frozen=True)
class Diagnosis:
    """Measures of one batch, detached, on its device.

    Attributes:
        grad_ratios: Share of the distillation terms in the gradient of each branch, (M,); None if
            the method has no distillation term.
        schedule: The largest schedule factor of a distillation term, a scalar; None if the method
            has no distillation term.
        error_correlation: Mean correlation between the errors of two branches, a scalar; None for
            one branch.
        peak_distance: Mean distance between the peaks of two branches, in heatmap pixels or SimCC
            bins, a scalar; None for one branch.
        weights: The aggregation weights, averaged over the batch, (M, K); None if the aggregator
            has no weights.
    """

    grad_ratios: Tensor | None
    schedule: Tensor | None
    error_correlation: Tensor | None
    peak_distance: Tensor | None
    weights: Tensor | None

    def scalars(self) -> dict[str, Tensor]:
        """Return the few measures that are logged in every line, by name."""
        named = {}
        if self.grad_ratios is not None:
            named['kd/grad_ratio'] = self.grad_ratios.mean()
        if self.error_correlation is not None and self.peak_distance is not None:
            named['branches/error_correlation'] = self.error_correlation
            named['branches/peak_distance'] = self.peak_distance
        if self.weights is not None:
            means = self.weights.mean(1)
            named |= {f'weights/{branch_name(m)}': value for m, value in enumerate(means)}
        return named

    def details(self) -> dict[str, Tensor]:
        """Return the other measures by name, without the weights of single keypoints."""
        if self.grad_ratios is None:
            return {}
        named = {
            f'kd/grad_ratio_{branch_name(m)}': ratio for m, ratio in enumerate(self.grad_ratios)
        }
        return named | {'kd/schedule': self.schedule}


def diagnose(
    terms: Mapping[str, Term],
    losses: Mapping[str, Tensor],
    outputs: BranchOutputs,
    targets: Targets,
    progress: Tensor,
) -> Diagnosis:
    """Measure a step after its forward pass and before its backward pass."""
    distilling = [name for name, term in terms.items() if term.is_distillation]
    ratios = schedule = correlation = distance = None
    if distilling:
        norms = {name: gradient_norms(loss, outputs) for name, loss in losses.items()}
        ratios = sum_of(norms[name] for name in distilling) / sum_of(norms.values())
        schedule = torch.stack([terms[name].factor(progress) for name in distilling]).max()
    # Full precision is needed: half precision rounds similar errors to equal ones.
    device = outputs.final_heatmaps.device.type
    with torch.no_grad(), torch.autocast(device, enabled=False):
        final_heatmaps = outputs.final_heatmaps.detach().float()
        if len(final_heatmaps) > 1:
            errors = correlations(targets.errors(final_heatmaps), outputs.bins)
            correlation = mean_of_pairs(errors, targets.weights)
            distance = mean_of_pairs(peak_distances(final_heatmaps, outputs.bins), targets.weights)
        weights = None if outputs.weights is None else outputs.weights.detach().float().mean(0)
    return Diagnosis(ratios, schedule, correlation, distance, weights)


def gradient_norms(loss: Tensor, outputs: BranchOutputs) -> Tensor:
    """Return the norm of a loss's gradient at the final heatmaps of every branch, (M,), scaled.

    The backward pass ends at the heatmaps. So it does not reach any parameter and costs almost
    nothing. The scale factor is the same for every loss. Without it, the gradients of a mean over
    millions of pixels would vanish in half precision.
    """
    final_heatmaps = [stages[-1] for stages in outputs.heatmaps]
    if not loss.requires_grad:
        return loss.new_zeros(len(final_heatmaps))
    gradients = torch.autograd.grad(
        loss * final_heatmaps[0].numel(), final_heatmaps, retain_graph=True, allow_unused=True
    )
    nothing = loss.new_zeros(())
    return torch.stack([nothing if g is None else g.float().norm() for g in gradients])


def correlations(maps: Tensor, bins: tuple[int, ...] = ()) -> Tensor:
    """Return the correlation over pixels of any two branches, (M, B, K, H, W) -> (M, M, B, K).

    If a map consists of several distributions, this is the mean over them.
    """
    found = []
    for part in distributions(maps, bins):
        pixels = part.flatten(-2)
        pixels = pixels - pixels.mean(-1, keepdim=True)
        pixels = torch.nn.functional.normalize(pixels, dim=-1)
        found.append(torch.einsum('mbkp,nbkp->mnbk', pixels, pixels))
    return sum_of(found) / len(found)


def peak_distances(maps: Tensor, bins: tuple[int, ...] = ()) -> Tensor:
    """Return the distance in pixels between peaks of two branches, (M, B, K, H, W) -> (M, M, B, K).

    If a map consists of several distributions, each gives one coordinate of the peak.
    """
    coordinates = []
    for part in distributions(maps, bins):
        width = part.shape[-1]
        peaks = part.flatten(-2).argmax(-1)
        coordinates += [peaks % width, peaks // width]
    places = torch.stack(coordinates, -1).float()
    return (places[:, None] - places[None]).norm(dim=-1)


def mean_of_pairs(values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over pairs of branches and labeled keypoints, (M, M, B, K) -> scalar.

    The result is NaN if all keypoints are unlabeled.
    """
    rows, columns = values.shape[:2]
    first, second = torch.triu_indices(rows, columns, offset=1, device=values.device)
    labeled = (weights > 0).float()
    return (values[first, second] * labeled).mean(0).sum() / labeled.sum()
