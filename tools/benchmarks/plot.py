"""Draws comparisons as SVG: bars of ratios, and lines of speed over the context's length."""
import html

from . import models, report

WIDTH, BAR, GAP, LEFT, TOP = 760, 16, 6, 250, 46
OURS, PEER, INK, FAINT = "#2f6fde", "#9aa3af", "#1f2328", "#d0d7de"


def text(x, y, content, anchor="start", fill=INK, size=12):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" '
            f'font-size="{size}">{html.escape(content)}</text>')


def line(x1, y1, x2, y2, color=FAINT, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" '
            f'stroke-width="{width}"/>')


def bars(results, top):
    """How many times llama.cpp's speed each test runs at; returns the parts and the lower end."""
    rows = [(f"{name} {test}", report.ratio(result))
            for name, tests in results.items() for test, result in tests.items()]
    most = max([value for _, value in rows] + [1.5])
    scale = (WIDTH - LEFT - 60) / most
    parts = [text(16, top - 16, "Times the speed of llama.cpp (higher is better)", size=14)]
    y = top
    for label, value in rows:
        parts.append(text(LEFT - 8, y + BAR - 4, label, "end"))
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR}" '
                     f'fill="{OURS}"/>')
        parts.append(text(LEFT + value * scale + 6, y + BAR - 4, f"{value:.2f}"))
        y += BAR + GAP
    parts.append(line(LEFT + scale, top - 6, LEFT + scale, y, INK))
    return parts, y


def points_of(tests, kind):
    """[(tokens, ours, theirs)] of answers one at a time by what is in the context ("tg"), or of
    whole prompts by their length ("pp")."""
    points = []
    for test, result in tests.items():
        if not test.startswith(kind):
            continue
        _, tokens, depth, sequences = models.parse_test(test)
        if sequences == 1 and (kind == "tg" or depth == 0):
            points.append((depth if kind == "tg" else tokens, report.median(result["llmrun"]),
                           report.median(result["llama.cpp"])))
    return sorted(points)


def lines(title, points, top, height=200):
    """Speed over numbers of tokens."""
    left, right = 70, WIDTH - 120
    deepest, fastest = points[-1][0], max(max(p[1], p[2]) for p in points) * 1.1
    x = lambda depth: left + (right - left) * depth / deepest  # noqa: E731
    y = lambda speed: top + height * (1 - speed / fastest)  # noqa: E731
    parts = [text(16, top - 16, title, size=14),
             line(left, top + height, right, top + height, INK), line(left, top, left, top + height, INK)]
    for i in range(1, 5):
        speed = fastest * i / 5
        parts += [line(left, y(speed), right, y(speed)), text(left - 6, y(speed) + 4,
                                                              f"{speed:.0f}", "end")]
    for column, color, label in ((1, OURS, "llmrun"), (2, PEER, "llama.cpp")):
        path = " ".join(f"{x(p[0]):.1f},{y(p[column]):.1f}" for p in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x(p[0]):.1f}" cy="{y(p[column]):.1f}" r="3.5" fill="{color}"/>'
                  for p in points]
        parts.append(text(right + 8, y(points[-1][column]) + 4, label, fill=color))
    parts += [text(x(p[0]), top + height + 16, f"{p[0]:,}", "middle") for p in points]
    return parts, top + height + 30


TITLES = {"tg": "decoding, tok/s, by tokens in the context",
          "pp": "prompts, tok/s, by their length in tokens"}


def comparison(results, with_bars):
    parts, end = bars(results, TOP) if with_bars else ([], 0)
    for name, tests in results.items():
        for kind, title in TITLES.items():
            points = points_of(tests, kind)
            if len({point[0] for point in points}) > 1:
                more, end = lines(f"{name}: {title}", points, end + TOP)
                parts += more
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{end + 16:.0f}" '
        'font-family="DejaVu Sans, Helvetica, Arial, sans-serif">',
        '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])
