"""What one step does to the branches: measured beside its losses, and changing nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...structures import BranchOutputs, Targets, branch_name, distributions
from .terms import Term


@dataclass(frozen=True)
class Diagnosis:
    """Detached measures of one batch, on its device.

    Attributes:
        shares: Share of the distilling terms in the gradient of each branch, (M,); None if the
            method has none.
        schedule: The greatest factor by which a schedule lets a distilling term count, a scalar;
            None as well.
        agreement: Mean correlation of what two branches get wrong, a scalar; None for one branch.
        peak_distance: Mean distance between the peaks of two branches in heatmap pixels, or in
            SimCC's bins, a scalar; None as well.
        weights: The aggregation weights, averaged over the batch, (M, K), if there are any.
    """

    shares: Tensor | None
    schedule: Tensor | None
    agreement: Tensor | None
    peak_distance: Tensor | None
    weights: Tensor | None

    def scalars(self) -> dict[str, Tensor]:
        """The measures that a line of the log has room for, by name."""
        named = {}
        if self.shares is not None:
            named['kd/share'] = self.shares.mean()
        if self.agreement is not None:
            named['branches/agreement'] = self.agreement
            named['branches/peak_distance'] = self.peak_distance
        if self.weights is not None:
            means = self.weights.mean(1)
            named |= {f'weights/{branch_name(m)}': value for m, value in enumerate(means)}
        return named

    def details(self) -> dict[str, Tensor]:
        """The others, but for the weights of single keypoints."""
        if self.shares is None:
            return {}
        named = {f'kd/share_{branch_name(m)}': share for m, share in enumerate(self.shares)}
        return named | {'kd/schedule': self.schedule}


def diagnose(
    terms: Mapping[str, Term],
    losses: Mapping[str, Tensor],
    outputs: BranchOutputs,
    targets: Targets,
    progress: Tensor,
) -> Diagnosis:
    """Measure a step whose losses have been computed and not been sent backwards yet."""
    distilling = [name for name, term in terms.items() if term.distils]
    shares = schedule = agreement = distance = None
    if distilling:
        norms = {name: gradient_norms(loss, outputs) for name, loss in losses.items()}
        shares = sum(norms[name] for name in distilling) / sum(norms.values())
        schedule = torch.stack([terms[name].factor(progress) for name in distilling]).max()
    # In full precision: half of it rounds errors that are alike to errors that are the same.
    device = outputs.finals.device.type
    with torch.no_grad(), torch.autocast(device, enabled=False):
        finals = outputs.finals.detach().float()
        if len(finals) > 1:
            errors = correlations(targets.errors(finals), outputs.bins)
            agreement = mean_of_pairs(errors, targets.weights)
            distance = mean_of_pairs(peak_distances(finals, outputs.bins), targets.weights)
        weights = None if outputs.weights is None else outputs.weights.detach().float().mean(0)
    return Diagnosis(shares, schedule, agreement, distance, weights)


def gradient_norms(loss: Tensor, outputs: BranchOutputs) -> Tensor:
    """Norm of a loss's gradient by the final heatmaps of every branch, (M,), up to a factor.

    The backward pass ends at the heatmaps, so that it touches no parameter, and costs next to
    nothing. The factor is the same for every loss; without it, the gradients of a mean over
    millions of pixels would vanish in half precision.
    """
    finals = [stages[-1] for stages in outputs.heatmaps]
    if not loss.requires_grad:
        return loss.new_zeros(len(finals))
    gradients = torch.autograd.grad(
        loss * finals[0].numel(), finals, retain_graph=True, allow_unused=True
    )
    nothing = loss.new_zeros(())
    return torch.stack([nothing if g is None else g.float().norm() for g in gradients])


def correlations(maps: Tensor, bins: tuple[int, ...] = ()) -> Tensor:
    """Correlation over the pixels of any two branches, (M, B, K, H, W) -> (M, M, B, K).

    The mean over the distributions, where a map consists of several.
    """
    found = []
    for part in distributions(maps, bins):
        pixels = part.flatten(-2)
        pixels = pixels - pixels.mean(-1, keepdim=True)
        pixels = torch.nn.functional.normalize(pixels, dim=-1)
        found.append(torch.einsum('mbkp,nbkp->mnbk', pixels, pixels))
    return sum(found) / len(found)


def peak_distances(maps: Tensor, bins: tuple[int, ...] = ()) -> Tensor:
    """Distance between the peaks of any two branches, (M, B, K, H, W) -> (M, M, B, K), pixels.

    Where a map consists of several distributions, each gives a coordinate of the peak.
    """
    places = []
    for part in distributions(maps, bins):
        width = part.shape[-1]
        peaks = part.flatten(-2).argmax(-1)
        places += [peaks % width, peaks // width]
    places = torch.stack(places, -1).float()
    return (places[:, None] - places[None]).norm(dim=-1)


def mean_of_pairs(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over pairs of different branches and labelled keypoints, (M, M, B, K) -> scalar.

    Not a number if no keypoint is labelled.
    """
    first, second = torch.triu_indices(*values.shape[:2], offset=1, device=values.device)
    labelled = (weights > 0).float()
    return (values[first, second] * labelled).mean(0).sum() / labelled.sum()
