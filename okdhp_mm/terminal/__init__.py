"""Show a training on the terminal; mmengine's complete log goes to its file."""

from .commands import train_to_end
from .runner import TerminalRunner

__all__ = ['TerminalRunner', 'train_to_end']
