"""Judgements as HTML for notebooks: a table and a drawing, readable on light and on dark ground, as all colours are those of the text, more or
less opaque. Nothing is loaded."""

import html
import math

import numpy as np

#: Points of the drawing at most; the worst ones first.
_MOST_POINTS = 1500
#: Width and height of the drawing, and its margins.
_WIDTH, _HEIGHT, _LEFT, _BELOW = 420, 260, 46, 36

_STYLE = """<style>
.logitfuzz{font:13px/1.5 system-ui,sans-serif;color:inherit;max-width:60em;overflow-x:auto}
.logitfuzz .head{font-size:15px;margin:.3em 0}
.logitfuzz .verdict{display:inline-block;padding:0 .6em;border-radius:.3em;border:1.5px solid currentColor;font-weight:600}
.logitfuzz .fail{color:#d9412f}.logitfuzz .pass{color:#2f9e4a}
.logitfuzz table{border-collapse:collapse;background:transparent;color:inherit;margin:.5em 0;font:inherit}
.logitfuzz th,.logitfuzz td{padding:.15em .7em;text-align:right;border:0;border-bottom:1px solid rgba(128,128,128,.4);background:transparent;color:inherit;
font-variant-numeric:tabular-nums;white-space:nowrap}
.logitfuzz th{font-weight:600;opacity:.75}.logitfuzz td.word,.logitfuzz th.word{text-align:left}
.logitfuzz td.digits{max-width:16em;overflow:hidden;text-overflow:ellipsis}
.logitfuzz pre{white-space:pre-wrap;background:rgba(128,128,128,.12);color:inherit;padding:.5em .8em;border-radius:.3em}
.logitfuzz svg{color:inherit;display:block}.logitfuzz svg text{fill:currentColor;font:11px system-ui,sans-serif}
</style>"""


def _short(x):
    return "inf" if math.isinf(x) else "-" if math.isnan(x) else f"{x:.3g}"


def _digits(exact):
    """An exact value in as many digits as a float64 has; the whole of it is what `worst()` says."""
    mantissa, _, exponent = exact.partition("e")
    if not exponent:
        return exact
    return mantissa[:18] + ("" if exponent == "0" else f"e{exponent}")


def _head(verdict, passed, words):
    tone = "pass" if passed else "fail"
    return f'<div class="head"><span class="verdict {tone}">{html.escape(verdict)}</span> {html.escape(words)}</div>'


def _table(names, rows):
    head = "".join(f'<th class="{kind}">{html.escape(name)}</th>' for name, kind in names)
    body = "".join(
        "<tr>" + "".join(f'<td class="{kind}" title="{html.escape(str(cell), quote=True)}">{html.escape(str(cell))}</td>' for cell, (_, kind) in zip(row, names)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def judgement(judged):
    """A judgement: its verdict, the worst outputs, and error against bound."""
    rows = len(judged.verdicts)
    counts = {}
    for verdict in judged.verdicts:
        counts[verdict] = counts.get(verdict, 0) + 1
    words = f"{judged.op} {judged.dtype}, {rows} row{'' if rows == 1 else 's'}: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    words += f"; largest error {_short(judged.max_ulp)} ulp, largest ratio {_short(judged.max_ratio)}"
    names = [("row", ""), ("output", ""), ("verdict", "word"), ("got", "digits"), ("exact", "digits"), ("error (ulp)", ""), ("bound (ulp)", ""), ("ratio", "")]
    table = _table(
        names,
        [(o.row, o.index, o.verdict, o.got, _digits(o.exact), _short(abs(o.ulps)), _short(o.bound), _short(o.ratio)) for o in judged.worst()],
    )
    return f'<div class="logitfuzz">{_STYLE}{_head(judged.verdict, judged.passed, words)}{table}{_plot(judged)}</div>'


def _plot(judged):
    """Error against bound, both in ulps and logarithmic: what lies above the line fails."""
    error, bound, ratio = (array.reshape(-1) for array in (np.abs(judged.ulps), judged.bounds, judged.ratios))
    shown = np.flatnonzero(np.isfinite(error) & np.isfinite(bound) & (bound > 0))
    if not shown.size:
        return ""
    shown = shown[np.argsort(-ratio[shown], kind="stable")[:_MOST_POINTS]]
    # Errors far below a tenth of an ulp are all alike.
    x, y = np.log10(np.maximum(bound[shown], 0.1)), np.log10(np.maximum(error[shown], 0.01))
    low, high = math.floor(min(x.min(), y.min())), math.ceil(max(x.max(), y.max(), min(x.min(), y.min()) + 1))
    across, up = _WIDTH - _LEFT - 10, _HEIGHT - _BELOW - 10

    def place(value, size):
        return (value - low) / (high - low) * size

    parts = [f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="error against bound, in ulps">']
    step = max(1, (high - low) // 6)
    for tick in range(low, high + 1, step):
        px, py = _LEFT + place(tick, across), 10 + up - place(tick, up)
        parts.append(f'<path d="M{px:.1f} 10V{10 + up}M{_LEFT} {py:.1f}H{_LEFT + across}" stroke="currentColor" stroke-opacity=".15"/>')
        label = f"{10.0**tick:g}"
        parts.append(f'<text x="{px:.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{label}</text>')
        parts.append(f'<text x="{_LEFT - 5}" y="{py + 4:.1f}" text-anchor="end">{label}</text>')
    parts.append(f'<path d="M{_LEFT} {10 + up}L{_LEFT + across} 10" stroke="currentColor" stroke-opacity=".7" stroke-dasharray="4 3"/>')
    # One circle for what would be drawn on top of each other.
    drawn = set()
    for i in range(shown.size):
        point = (round(float(_LEFT + place(x[i], across)), 1), round(float(10 + up - place(y[i], up)), 1), bool(ratio[shown[i]] > 1))
        if point in drawn:
            continue
        drawn.add(point)
        colour = "#d33a2c" if point[2] else "currentColor"
        parts.append(f'<circle cx="{point[0]}" cy="{point[1]}" r="2.5" fill="{colour}" fill-opacity=".55"/>')
    parts.append(f'<text x="{_LEFT + across / 2}" y="{_HEIGHT - 4}" text-anchor="middle">bound (ulp)</text>')
    parts.append(f'<text transform="translate(11 {10 + up / 2}) rotate(-90)" text-anchor="middle">error (ulp)</text>')
    return "".join(parts) + "</svg>"


def check(found):
    """A check: its verdict, the families that fail, and the findings."""
    words = f"{found.cases} cases, {found.outputs} outputs, {len(found.findings)} distinct failures"
    rows = []
    for cell in found._failing():
        failing = ", ".join(f"{name} {count}" for name, count in cell["verdicts"].items() if name != "pass" and count)
        rows.append((cell["dtype"], cell["family"], cell["cases"], failing, cell["max_ulp"], cell["max_ratio"]))
    names = [("dtype", "word"), ("family", "word"), ("cases", ""), ("failing", "word"), ("largest error (ulp)", ""), ("largest ratio", "")]
    table = _table(names, [(*row[:4], *(_short(float(x)) for x in row[4:])) for row in rows]) if rows else ""
    texts = "".join(f"<pre>{html.escape(finding.text)}</pre>" for finding in found.findings[:8])
    gate = f"<pre>{html.escape(found.gate)}</pre>" if found.gate else ""
    return f'<div class="logitfuzz">{_STYLE}{_head(found.verdict, found.passed, words)}{gate}{table}{texts}</div>'
