"""Parts of an HTML page that needs no other file. All text is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np

CSS = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1160px; padding: 20px 16px 48px; background: #fff; color: #222;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 25px; line-height: 1.25; margin: 8px 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; margin: 36px 0 8px; padding-top: 12px; border-top: 1px solid #ddd; }
h3 { font-size: 15px; margin: 0 0 4px; }
p { margin: 4px 0 10px; max-width: 72ch; overflow-wrap: anywhere; }
.note { color: #555; font-size: 14px; }
.tiles { display: grid; gap: 10px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  margin: 14px 0; }
.tile { border: 1px solid #ddd; border-radius: 8px; padding: 8px 12px; overflow-wrap: anywhere; }
.tile b { display: block; font-size: 20px; line-height: 1.3; }
.tile span { color: #555; font-size: 13px; }
.grid { display: grid; gap: 24px; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); }
.grid.pictures { grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); }
figure { margin: 0; min-width: 0; }
figure svg { width: 100%; max-width: 520px; height: auto; }
figure img { display: block; width: 100%; max-width: 420px; height: auto; border-radius: 4px; }
figcaption { color: #555; font-size: 13px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 12px 5px 0; text-align: right; border-bottom: 1px solid #e4e4e4;
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { color: #555; font-weight: 600; vertical-align: bottom; }
pre { overflow-x: auto; background: #f6f6f6; border-radius: 6px; padding: 10px; margin: 4px 0 10px;
  font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; }
pre.wrap { white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; }
""".strip()


def page(title: str, *parts: str) -> str:
    """Return a complete page.

    Args:
        title: Title as plain text.
        parts: HTML of the other functions.
    """
    body = '\n'.join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<style>\n{CSS}\n</style>\n</head>\n'
        f'<body>\n<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n'
    )


def section(title: str, *parts: str) -> str:
    """Return a section with its heading."""
    return '\n'.join([f'<section>\n<h2>{escape(title)}</h2>', *parts, '</section>'])


def text(sentence: str) -> str:
    """Return a paragraph."""
    return f'<p>{escape(sentence)}</p>'


def note(sentence: str) -> str:
    """Return an explanatory paragraph."""
    return f'<p class="note">{escape(sentence)}</p>'


def code(source: str, wrap: bool = False) -> str:
    """Return a block of code."""
    return f'<pre{" class=wrap" if wrap else ""}>{escape(source)}</pre>'


def details(summary: str, content: str) -> str:
    """Return HTML that a click opens."""
    return f'<details>\n<summary>{escape(summary)}</summary>\n{content}\n</details>'


def tiles(values: dict[str, str]) -> str:
    """Return tiles with values by their labels."""
    cells = (
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span></div>'
        for label, value in values.items()
    )
    return f'<div class="tiles">\n{"".join(cells)}\n</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, whose first column names the rows."""
    titles = ''.join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = (f'<tr>{"".join(f"<td>{escape(cell)}</td>" for cell in row)}</tr>' for row in rows)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{titles}</tr></thead>\n<tbody>\n'
        + '\n'.join(lines)
        + '\n</tbody>\n</table></div>'
    )


def chart(title: str, svg: str, explanation: str = '') -> str:
    """Return a chart with its title and explanation.

    Args:
        title: Title as plain text.
        svg: An ``<svg>`` element.
        explanation: A sentence as plain text.
    """
    labeled = svg.replace('<svg', f'<svg role="img" aria-label="{escape(title)}"', 1)
    caption = f'<figcaption>{escape(explanation)}</figcaption>' if explanation else ''
    return f'<figure>\n<h3>{escape(title)}</h3>\n{labeled}\n{caption}</figure>'


def picture(image: np.ndarray, caption: str) -> str:
    """Return a BGR picture with its caption."""
    done, content = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done, 'OpenCV always has its own JPEG encoder'
    source = f'data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode()}'
    return (
        f'<figure><img src="{source}" alt="{escape(caption)}">'
        f'<figcaption>{escape(caption)}</figcaption></figure>'
    )


def grid(figures: Iterable[str], kind: str = '') -> str:
    """Return figures side by side, as many as fit."""
    name = f'grid {kind}'.strip()
    return f'<div class="{name}">\n{"".join(figures)}\n</div>'
