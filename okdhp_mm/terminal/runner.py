"""Runner that shows a training instead of its log."""

from __future__ import annotations

import logging

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop
from rich.console import Console
from torch import nn

from ..engine.runner import DurableRunner
from ..env.noise import silent_coco
from .hook import TerminalHook

NOISE = (
    'will be deprecated in future',
    'The prefix is not set in metric class',
    '`save_param_scheduler` is True but',
    '`resume_param_scheduler` is True but',
)
"""Parts of warnings of mmengine that concern its own code or ask for nothing."""


class TerminalRunner(DurableRunner):
    """:class:`DurableRunner` that shows what a user watches instead of mmengine's log.

    The terminal gets the lines of :class:`TerminalHook` and the warnings of the log. The log file
    is the same as that of :class:`DurableRunner`. Of several processes, the main one prints.
    """

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build mmengine's logger, and let it print only warnings."""
        logger = super().build_logger(*args, **kwargs)
        self.terminal = TerminalHook(Console(highlight=False))
        for stream in [each for each in logger.handlers if type(each) is logging.StreamHandler]:
            logger.handlers.remove(stream)
            logger.handlers.append(WarningPrinter(self.terminal.console, stream))
        return logger

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register the default hooks, and :class:`TerminalHook` in the main process."""
        super().register_default_hooks(hooks)
        if is_main_process():
            self.register_hook(self.terminal)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop without the messages of the COCO tools."""
        with silent_coco():
            return super().build_train_loop(loop)

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the validation loop without the messages of the COCO tools."""
        with silent_coco():
            return super().build_val_loop(loop)

    def train(self) -> nn.Module:
        """Train without the messages of the COCO tools."""
        try:
            with silent_coco():
                return super().train()
        finally:
            self.terminal.close()


class WarningPrinter(logging.Handler):
    """Log handler that prints warnings above the progress bar.

    Args:
        console: Console that shows the bar.
        replaced: Handler whose level and filters also apply.
    """

    def __init__(self, console: Console, replaced: logging.Handler):
        super().__init__(max(logging.WARNING, replaced.level))
        self.console = console
        for each in replaced.filters:
            self.addFilter(each)

    def emit(self, record: logging.LogRecord) -> None:
        """Print a warning, unless it is noise."""
        text = record.getMessage()
        if not any(part in text for part in NOISE):
            line = f'{record.levelname.lower()}: {text}'
            self.console.print(line, markup=False, soft_wrap=True)
