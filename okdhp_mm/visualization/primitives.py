"""Draw lines, dots, rings and text in BGR pictures."""

import colorsys

import cv2
import numpy as np

Color = tuple[int, int, int]

DARK: Color = (50, 45, 45)
GRAY: Color = (150, 145, 145)
WHITE: Color = (255, 255, 255)
ORANGE: Color = (40, 120, 255)
BLUE: Color = (240, 150, 30)
GREEN: Color = (90, 200, 70)
TURN = 0.618034
"""Share of the circle of hues between one color and the next: neighbors differ clearly."""
SHADES = ((0.9, 0.95), (0.45, 1.0), (0.9, 0.6))
"""Saturation and value of one color and the next, because hues alone do not tell many apart."""
FAR = 2.0**15
"""Coordinate from which OpenCV cannot draw."""
GAP = 8
TEXT_HEIGHT = 22
_FONT = cv2.FONT_HERSHEY_DUPLEX


def display_name(name: str) -> str:
    """Return the name of a keypoint as it is shown."""
    return name.replace('_', ' ')


def distinct_color(number: int) -> Color:
    """Return one of many colors that are easy to tell apart."""
    shade = SHADES[number % len(SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(number * TURN % 1, *shade)
    return round(255 * blue), round(255 * green), round(255 * red)


def draw_line(canvas: np.ndarray, start, end, color: Color, thickness: int) -> None:
    """Draw a line between two points, (x, y) in pixels."""
    cv2.line(canvas, _fixed(start), _fixed(end), color, thickness, cv2.LINE_AA, 4)


def draw_disc(canvas: np.ndarray, point, radius: float, color: Color) -> None:
    """Draw a disc."""
    # OpenCV's own small discs come out as diamonds.
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    outline = np.asarray(point) + radius * np.stack((np.cos(angles), np.sin(angles)), 1)
    cv2.fillConvexPoly(canvas, np.rint(outline * 16).astype(np.int32), color, cv2.LINE_AA, 4)


def draw_ring(canvas: np.ndarray, point, radius: float, color: Color) -> None:
    """Draw a dark ring around a colored one, visible on any background."""
    cv2.circle(canvas, _fixed(point), round(radius * 16), DARK, 2, cv2.LINE_AA, 4)
    cv2.circle(canvas, _fixed(point), round(radius * 16), color, 1, cv2.LINE_AA, 4)


def text_width(text: str) -> int:
    """Return the width of a text in pixels."""
    return cv2.getTextSize(text, _FONT, 0.45, 1)[0][0]


def draw_text(
    canvas, text: str, corner: tuple[int, int], color=DARK, centered: bool = False
) -> None:
    """Draw text at its lower left corner or, if ``centered``, at the middle of its lower edge."""
    x = corner[0] - text_width(text) // 2 if centered else corner[0]
    cv2.putText(canvas, text, (x, corner[1]), _FONT, 0.45, color, 1, cv2.LINE_AA)


def draw_outlined_text(canvas: np.ndarray, text: str, corner: tuple[int, int]) -> None:
    """Draw dark text with a light outline, readable on any background."""
    cv2.putText(canvas, text, corner, _FONT, 0.45, WHITE, 3, cv2.LINE_AA)
    draw_text(canvas, text, corner)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """Return OpenCV's fixed-point coordinates with 4 fractional bits."""
    x, y = np.rint(np.asarray(point) * 16).astype(int)
    return int(x), int(y)
