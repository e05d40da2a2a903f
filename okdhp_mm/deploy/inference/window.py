"""A window that shows the drawings."""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np

from ...errors import UserError

TITLE = 'okdhp_mm: press q to stop'
ESCAPE = 27


class Window:
    """A window on the screen.

    Args:
        wait: Milliseconds that each drawing stays; 0 waits for a key.

    Raises:
        UserError: If the screen is missing, or OpenCV cannot open windows.
    """

    def __init__(self, wait: int):
        # Without a display OpenCV's window library ends the process.
        if sys.platform == 'linux' and not {'DISPLAY', 'WAYLAND_DISPLAY'} & os.environ.keys():
            raise UserError('--show needs a screen, and DISPLAY is not set: leave it out.')
        self.wait = wait
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL)
        except cv2.error as error:
            raise UserError(
                f'--show cannot open a window ({error.err}): pip install opencv-python instead of '
                'opencv-python-headless.'
            ) from error

    def show(self, picture: np.ndarray) -> bool:
        """Show a drawing; return whether the user wants to see more."""
        cv2.imshow(TITLE, picture)
        return cv2.waitKey(self.wait) & 0xFF not in (ord('q'), ESCAPE)

    def close(self) -> None:
        """Close the window."""
        cv2.destroyWindow(TITLE)
