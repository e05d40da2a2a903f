"""The gate of ONE."""

import pytest
import torch

from okdhp_mm.models.aggregators import Gate, MeanAggregator

B, M, K, C = 2, 3, 5, 8


@pytest.fixture
def gate():
    torch.manual_seed(0)
    return Gate(C, M, K)


def test_its_weights_are_the_papers_equation_and_the_same_for_every_keypoint(gate, outputs):
    gate.norm.running_mean.normal_(), gate.norm.running_var.uniform_(0.5, 1.5)
    gate.eval()
    expected = torch.zeros(B, M, K)
    for b in range(B):
        pooled = outputs.features.shared[b].mean((-2, -1))
        logits = gate.score.weight @ pooled + gate.score.bias
        logits = (logits - gate.norm.running_mean) / (gate.norm.running_var + 1e-5).sqrt()
        exponentials = logits.clamp(min=0).exp()
        for k in range(K):
            expected[b, :, k] = exponentials / exponentials.sum()
    filled = gate.aggregate(outputs)
    torch.testing.assert_close(filled.weights, expected)
    mixed = sum(expected[:, m, :, None, None] * outputs.final_heatmaps[m] for m in range(M))
    torch.testing.assert_close(filled.ensemble, mixed)


def test_equal_logits_give_the_mean_ensemble(gate, outputs):
    torch.nn.init.zeros_(gate.score.weight), torch.nn.init.zeros_(gate.score.bias)
    mean = MeanAggregator(C, M, K).aggregate(outputs).ensemble
    torch.testing.assert_close(gate.aggregate(outputs).ensemble, mean)


def test_every_parameter_learns(gate, outputs):
    torch.nn.init.constant_(gate.norm.bias, 3.0)  # above the ReLU's zero
    (gate.aggregate(outputs).ensemble * torch.randn(B, K, 16, 12)).sum().backward()
    assert all(parameter.grad.any() for parameter in gate.parameters())


def test_a_single_image_is_normalized_by_the_running_statistics(gate, outputs):
    one = outputs.features.shared[:1]
    assert torch.equal(gate.train()(one), gate.eval()(one))
