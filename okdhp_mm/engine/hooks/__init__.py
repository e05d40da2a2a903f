"""Hooks of the training."""

from .durable_checkpoint import DurableCheckpointHook
from .finite_loss import FiniteLossHook

__all__ = ['DurableCheckpointHook', 'FiniteLossHook']
