"""Hooks of the training."""

from .durable_checkpoint import DurableCheckpointHook
from .ema import EMAUpdateHook
from .finite_loss import FiniteLossHook

__all__ = ['DurableCheckpointHook', 'EMAUpdateHook', 'FiniteLossHook']
