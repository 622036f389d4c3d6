"""What a figure of matplotlib shows, as data, in the shapes that E2B's clients know."""

from __future__ import annotations

import re
from typing import Any, Iterable

from matplotlib import category, dates
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle, Wedge
from matplotlib.text import Text

Chart = dict[str, Any]

_UNIT = re.compile(r"\s\((.*?)\)|\[(.*?)\]")


def chart_of(figure: Figure) -> Chart:
    """Of several axes together where there are several; empty where nothing is drawn."""
    axes = figure.get_axes()
    if not any(one.has_data() for one in axes):
        return {}
    if len(axes) == 1:
        return _chart(axes[0])
    title = getattr(figure, "_suptitle", None)
    return {
        "type": "superchart",
        "title": title.get_text() if title is not None else None,
        "elements": [_chart(one) for one in axes],
    }


def _chart(ax: Axes) -> Chart:
    kind = _kind(ax)
    chart = {"type": kind, "title": ax.get_title() or None, "elements": []}
    match kind:
        case "line":
            chart |= _labels(ax) | _scales(ax) | {"elements": _lines(ax)}
        case "scatter":
            chart |= _labels(ax) | _scales(ax) | {"elements": _scatters(ax)}
        case "bar":
            chart |= _bars(ax)
        case "pie":
            chart |= {"elements": [_wedge(patch) for patch in ax.patches]}
        case "box_and_whisker":
            chart |= _boxes(ax)
    return chart


def _kind(ax: Axes) -> str:
    drawn = _own(ax)
    if all(isinstance(one, Line2D) for one in drawn):
        return "line"
    if all(isinstance(one, (PathPatch, Line2D)) for one in drawn):
        return "box_and_whisker"
    drawn = [one for one in drawn if not _is_rule(one)]
    for kind, artist in (("scatter", PathCollection), ("pie", Wedge), ("bar", Rectangle)):
        if all(isinstance(one, artist) for one in drawn):
            return kind
    return "unknown"


def _own(ax: Axes) -> list[Any]:
    """What was drawn on it, without what belongs to the axes themselves, and without text."""
    lists = (ax.lines, ax.patches, ax.collections, ax.images, ax.tables, ax.artists)
    return [one for artists in lists for one in artists if not isinstance(one, Text)]


def _is_rule(artist: Any) -> bool:
    """A line straight across, such as one of a grid."""
    if not isinstance(artist, Line2D):
        return False
    x, y = list(artist.get_xdata()), list(artist.get_ydata())
    return len(x) == len(y) == 2 and (x[0] == x[1] or y[0] == y[1])


def _labels(ax: Axes) -> Chart:
    x, y = ax.get_xlabel() or None, ax.get_ylabel() or None
    return {"x_label": x, "y_label": y, "x_unit": _unit(x), "y_unit": _unit(y)}


def _turned(labels: Chart) -> Chart:
    """Of a chart that lies on its side."""
    return {("y" if name[0] == "x" else "x") + name[1:]: value for name, value in labels.items()}


def _unit(label: str | None) -> str | None:
    found = _UNIT.search(label or "")
    return (found[1] or found[2]) if found else None


def _scales(ax: Axes) -> Chart:
    chart: Chart = {}
    for name, axis, scale in (("x", ax.xaxis, ax.get_xscale()), ("y", ax.yaxis, ax.get_yscale())):
        converter = axis.converter
        is_time = "DateConverter" in type(converter).__name__ or isinstance(converter, dates.DateConverter)
        ticks = axis.get_ticklocs()
        if is_time:
            scale = "datetime"
        elif isinstance(converter, category.StrCategoryConverter):
            scale = "categorical"
        chart[f"{name}_ticks"] = [dates.num2date(tick).isoformat() if is_time else float(tick) for tick in ticks]
        chart[f"{name}_tick_labels"] = [label.get_text() for label in axis.get_ticklabels()]
        chart[f"{name}_scale"] = scale
    return chart


def _lines(ax: Axes) -> list[Chart]:
    shown = [line for line in ax.get_lines() if not _is_rule(line)]
    return [_points(_label(line, "_child", "Line"), zip(line.get_xdata(), line.get_ydata())) for line in shown]


def _scatters(ax: Axes) -> list[Chart]:
    return [_points(_label(one, "_child", "Dataset"), one.get_offsets()) for one in ax.collections]


def _points(label: str, points: Iterable[Any]) -> Chart:
    return {"label": label, "points": [[_value(x), _value(y)] for x, y in points]}


def _label(artist: Any, unnamed: str, word: str) -> str:
    """One that the program gave none has one of matplotlib's own, with a number."""
    label = str(artist.get_label())
    return f"{word} {label.removeprefix(unnamed)}" if label.startswith(unnamed) else label


def _value(value: Any) -> str | float:
    """A number, or a text for a moment of time or a category."""
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if getattr(value, "dtype", None) is not None and value.dtype.kind == "M":
        return str(value.astype("datetime64[s]"))
    return str(value) if isinstance(value, str) else float(value)


def _round(value: Any, digits: int = 9) -> float:
    """Without what computing with binary fractions adds."""
    return float(f"{float(value):.{digits}g}")


def _bars(ax: Axes) -> Chart:
    labels, elements = _labels(ax), []
    for container in ax.containers:
        group = _label(container, "_container", "Group")
        lies = getattr(container, "orientation", "vertical") == "horizontal"
        axis = ax.yaxis if lies else ax.xaxis
        names = [label.get_text() for label in axis.get_ticklabels()]
        for name, bar in zip(names, container):
            length = bar.get_width() if lies else bar.get_height()
            elements.append({"label": name, "group": group, "value": _round(length)})
        if lies and len(elements) == len(list(container)):
            labels = _turned(labels)
    return labels | {"elements": elements}


def _wedge(wedge: Any) -> Chart:
    # matplotlib computes angles of a pie with few digits.
    angle = _round(abs(wedge.theta2 - wedge.theta1), 6)
    return {"label": wedge.get_label(), "angle": angle, "radius": float(wedge.r)}


def _boxes(ax: Axes) -> Chart:
    """Boxes are patches; whiskers, caps, medians and what lies outside are lines."""
    lines = [([_round(x) for x in line.get_xdata()], [_round(y) for y in line.get_ydata()]) for line in ax.lines]
    lies = _lie(lines)
    if lies:
        lines = [(y, x) for x, y in lines]
    axis = ax.yaxis if lies else ax.xaxis
    names = [label.get_text() for label in axis.get_ticklabels()]
    elements = [_box(name, patch, lines, lies) for name, patch in zip(names, ax.patches)]
    labels = _labels(ax)
    return (_turned(labels) if lies else labels) | {"elements": elements}


def _lie(lines: list[tuple[list[float], list[float]]]) -> bool:
    """The first line that is one is a whisker."""
    for x, y in lines:
        if len(x) == 2 and (x[0] == x[1]) != (y[0] == y[1]):
            return y[0] == y[1]
    return False


def _box(name: str, patch: Any, lines: list[tuple[list[float], list[float]]], lies: bool) -> Chart:
    vertices = patch.get_path().vertices
    across, along = (1, 0) if lies else (0, 1)
    left, right = _round(vertices[:, across].min()), _round(vertices[:, across].max())
    low, high = _round(vertices[:, along].min()), _round(vertices[:, along].max())
    box: Chart = {"label": name, "min": low, "first_quartile": low, "median": low}
    box |= {"third_quartile": high, "max": high, "outliers": []}
    for x, y in lines:
        if not x or min(x) < left or max(x) > right:
            continue
        if len(x) == 2 and (min(x), max(x)) == (left, right) and y[0] == y[1]:
            box["median"] = y[0]
        elif len(x) == 2 and x[0] == x[1] and max(y) == low:
            box["min"] = min(y)
        elif len(x) == 2 and x[0] == x[1] and min(y) == high:
            box["max"] = max(y)
        elif y and all(value < box["min"] or value > box["max"] for value in y):
            box["outliers"] += y
    return box
