"""Draw lines, dots, rings and text in BGR pictures."""

import cv2
import numpy as np

Colour = tuple[int, int, int]

INK: Colour = (50, 45, 45)
FAINT: Colour = (150, 145, 145)
PAPER: Colour = (255, 255, 255)
ORANGE: Colour = (40, 120, 255)
BLUE: Colour = (240, 150, 30)
GREEN: Colour = (90, 200, 70)
GAP = 8
TEXT_HEIGHT = 22
_FONT = cv2.FONT_HERSHEY_DUPLEX


def words(name: str) -> str:
    """Return a keypoint's name for people."""
    return name.replace('_', ' ')


def line(canvas: np.ndarray, start, end, colour: Colour, thickness: int) -> None:
    """Draw a line between two points, (x, y) in pixels."""
    cv2.line(canvas, _fixed(start), _fixed(end), colour, thickness, cv2.LINE_AA, 4)


def dot(canvas: np.ndarray, point, radius: float, colour: Colour) -> None:
    """Draw a disc."""
    # OpenCV's own small discs come out as diamonds.
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    outline = np.asarray(point) + radius * np.stack((np.cos(angles), np.sin(angles)), 1)
    cv2.fillConvexPoly(canvas, np.rint(outline * 16).astype(np.int32), colour, cv2.LINE_AA, 4)


def ring(canvas: np.ndarray, point, radius: float, colour: Colour) -> None:
    """Draw a dark ring around a colored one, visible on any background."""
    cv2.circle(canvas, _fixed(point), round(radius * 16), INK, 2, cv2.LINE_AA, 4)
    cv2.circle(canvas, _fixed(point), round(radius * 16), colour, 1, cv2.LINE_AA, 4)


def text_width(text: str) -> int:
    """Width in pixels."""
    return cv2.getTextSize(text, _FONT, 0.45, 1)[0][0]


def write(canvas, text: str, corner: tuple[int, int], colour=INK, centred: bool = False) -> None:
    """Text, its lower left corner given, or the middle of its lower edge."""
    x = corner[0] - text_width(text) // 2 if centred else corner[0]
    cv2.putText(canvas, text, (x, corner[1]), _FONT, 0.45, colour, 1, cv2.LINE_AA)


def write_on_picture(canvas: np.ndarray, text: str, corner: tuple[int, int]) -> None:
    """Dark text with a light rim, to be read on anything."""
    cv2.putText(canvas, text, corner, _FONT, 0.45, PAPER, 3, cv2.LINE_AA)
    write(canvas, text, corner)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """OpenCV's fixed-point coordinates with 4 fractional bits."""
    x, y = np.rint(np.asarray(point) * 16).astype(int)
    return int(x), int(y)
