"""Small plots as inline SVG: intervals by slice, a reliability curve, points of speed against accuracy.

Colours and fonts come from the page (``currentColor`` and CSS classes). Knows nothing of runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, ROW, LEFT, RIGHT = 640, 24, 210, 90


def interval_plot(title: str, rows: Sequence[tuple[str, float, float | None, float | None, str]]) -> str:
    """Draw one line per row: label, value, low, high (percent) and a note at the end."""
    if not rows:
        return ""
    top = max([high if high is not None else value for _, value, _, high, _ in rows] + [1e-9])
    scale = (WIDTH - LEFT - RIGHT) / (top * 1.05)
    height = ROW * len(rows) + 24
    parts = [_open(height, title)]
    for at, (label, value, low, high, note) in enumerate(rows):
        y = ROW * at + ROW / 2 + 4
        x = LEFT + value * scale
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(label[:32])}</text>')
        if low is not None and high is not None:
            parts.append(
                f'<line class="range" x1="{LEFT + low * scale:.1f}" x2="{LEFT + high * scale:.1f}" y1="{y}" y2="{y}"/>'
            )
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y}" r="4"/>')
        parts.append(f'<text class="note" x="{WIDTH - RIGHT + 6}" y="{y + 4}">{escape(note)}</text>')
    parts.append(_axis(LEFT, LEFT + top * scale, height - 18, 0.0, top, " %"))
    return "".join(parts) + "</svg>"


def reliability_plot(curve: Sequence[tuple[float, float, int]]) -> str:
    """Draw mean confidence against the share of right words; the diagonal is honest, dots grow with their words."""
    if not curve:
        return ""
    size, pad = 300, 36
    most = max(words for _, _, words in curve)
    parts = [_open(size, "Confidence against share of words right", size)]
    parts.append(f'<line class="guide" x1="{pad}" y1="{size - pad}" x2="{size - 10}" y2="10"/>')
    span = size - pad - 10
    places = [(pad + c * span, size - pad - r * span, w) for c, r, w in curve]
    parts.append('<polyline class="curve" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places) + '"/>')
    for x, y, words in places:
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{2 + 6 * (words / most) ** 0.5:.1f}"/>')
    parts.append(
        f'<text class="note" x="{size / 2}" y="{size - 6}" text-anchor="middle">mean confidence, 0 to 1</text>'
    )
    parts.append(
        f'<text class="note" transform="translate(14 {size / 2}) rotate(-90)" text-anchor="middle">share right</text>'
    )
    return "".join(parts) + "</svg>"


def scatter_plot(title: str, points: Sequence[tuple[str, float, float]], x_name: str, y_name: str) -> str:
    """Draw labelled points; both axes begin at zero."""
    if not points:
        return ""
    width, height, pad = 480, 280, 40
    most_x = max(x for _, x, _ in points) * 1.25 or 1.0
    most_y = max(y for _, _, y in points) * 1.25 or 1.0
    parts = [_open(height, title, width)]
    parts.append(f'<path class="guide" d="M{pad} 10 V{height - pad} H{width - 10}"/>')
    for label, x, y in points:
        left = pad + x / most_x * (width - pad - 10)
        top = height - pad - y / most_y * (height - pad - 10)
        anchor = "end" if left > width * 0.7 else "start"
        shift = -8 if anchor == "end" else 8
        parts.append(f'<circle class="dot" cx="{left:.1f}" cy="{top:.1f}" r="5"/>')
        parts.append(
            f'<text x="{left + shift:.1f}" y="{top + 4:.1f}" text-anchor="{anchor}">{escape(label[:28])}</text>'
        )
    parts.append(f'<text class="note" x="{width / 2}" y="{height - 8}" text-anchor="middle">{escape(x_name)}</text>')
    parts.append(
        f'<text class="note" transform="translate(14 {height / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_name)}</text>"
    )
    return "".join(parts) + "</svg>"


def _open(height: float, title: str, width: int = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>"
    )


def _axis(left: float, right: float, y: float, low: float, high: float, unit: str) -> str:
    return (
        f'<line class="guide" x1="{left}" x2="{right:.1f}" y1="{y}" y2="{y}"/>'
        f'<text class="note" x="{left}" y="{y + 14}">{low:g}{unit}</text>'
        f'<text class="note" x="{right:.1f}" y="{y + 14}" text-anchor="end">{high:.1f}{unit}</text>'
    )
