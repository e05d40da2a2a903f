"""Clothes, hair and colours."""

from dataclasses import dataclass

import cv2
import numpy as np

# Blue, green, red from 0 to 255.
Colour = tuple[float, float, float]

_SKIN = (
    (190, 205, 240),
    (165, 190, 235),
    (135, 165, 220),
    (95, 135, 195),
    (65, 95, 150),
    (45, 65, 105),
)
_HAIR = ((30, 30, 35), (35, 50, 75), (45, 80, 125), (90, 160, 210), (40, 75, 170), (165, 165, 170))


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """The colour of a hue in OpenCV's half degrees (0 to 180), saturation and value (0 to 1)."""
    pixel = np.array([[[hue % 180, saturation * 255, value * 255]]]).astype(np.uint8)
    return tuple(float(c) for c in cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0])


def sample_colour(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> Colour:
    """A colour of any hue within (low, high) of saturation and value."""
    return hsv(rng.uniform(0, 180), rng.uniform(*saturation), rng.uniform(*value))


def shade(colour: Colour, factor: float) -> Colour:
    """A darker (factor below 1) or lighter colour."""
    return tuple(min(255.0, c * factor) for c in colour)


@dataclass(frozen=True)
class Look:
    """Clothes and colours.

    Attributes:
        skin: colour.
        hair: colour.
        shirt: colour.
        shirt_accent: colour of the shirt's pattern, and of a cap.
        trousers: colour, also of a skirt.
        shoes: colour.
        hair_style: 'short', 'long', 'tail', 'bun', 'cap' or 'bald'.
        shirt_pattern: 'plain', 'stripes', 'band', 'logo' or 'buttons'.
        sleeve: 0 none, 0.5 short, 1 long.
        leg_cloth: 0 bare, between 0 and 1 shorts, 1 long trousers.
        skirt: over bare legs.
        light: (2,) direction to the light in the image, of length 1.
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    shirt_accent: Colour
    trousers: Colour
    shoes: Colour
    hair_style: str
    shirt_pattern: str
    sleeve: float
    leg_cloth: float
    skirt: bool
    light: np.ndarray


def sample_look(rng: np.random.Generator) -> Look:
    """Draws a look; what is listed twice is twice as common."""
    skin = _SKIN[rng.integers(len(_SKIN))]
    skirt = rng.random() < 0.18
    angle = rng.uniform(-2.6, -0.5)
    return Look(
        skin=skin,
        hair=_HAIR[rng.integers(len(_HAIR))],
        shirt=sample_colour(rng, (0.15, 0.85), (0.45, 1.0)),
        shirt_accent=sample_colour(rng, (0.0, 0.9), (0.3, 1.0)),
        trousers=sample_colour(rng, (0.1, 0.7), (0.2, 0.8)),
        shoes=sample_colour(rng, (0.0, 0.8), (0.15, 0.95)),
        hair_style=str(rng.choice(['short', 'short', 'long', 'tail', 'bun', 'cap', 'bald'])),
        shirt_pattern=str(rng.choice(['plain', 'plain', 'stripes', 'band', 'logo', 'buttons'])),
        sleeve=float(rng.choice([0.0, 0.5, 0.5, 1.0, 1.0])),
        leg_cloth=0.0 if skirt else float(rng.choice([0.45, 1.0, 1.0])),
        skirt=skirt,
        light=np.array([np.cos(angle), np.sin(angle)]),
    )
