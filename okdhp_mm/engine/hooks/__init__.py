"""Hooks of the training."""

from .durable_checkpoint import DurableCheckpointHook
from .durable_logger import DurableLoggerHook
from .ema import EMAUpdateHook
from .finite_loss import FiniteLossHook

__all__ = ['DurableCheckpointHook', 'DurableLoggerHook', 'EMAUpdateHook', 'FiniteLossHook']
