"""Results in the formats that E2B's clients know beside those of IPython: the data of a table, of a chart, of JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from IPython.core.formatters import BaseFormatter, JSONFormatter
from traitlets import ObjectName, Unicode

TABLE_CELLS_MAX = 1_000_000
"""A table with more has no `data`; as text and HTML it is shown in part, as ever."""


class DataFormatter(BaseFormatter):
    format_type = Unicode("e2b/data")
    print_method = ObjectName("_repr_e2b_data_")
    _return_type = (dict, str)

    def __call__(self, shown: Any) -> Any:
        pandas = sys.modules.get("pandas")
        if pandas is None or not isinstance(shown, pandas.DataFrame):
            return super().__call__(shown)
        if shown.size > TABLE_CELLS_MAX:
            return None
        try:
            return {str(name): [cell(value) for value in column] for name, column in shown.to_dict("list").items()}
        # As text and HTML it is shown in any case.
        except Exception:
            return None


class ChartFormatter(BaseFormatter):
    format_type = Unicode("e2b/chart")
    print_method = ObjectName("_repr_e2b_chart_")
    _return_type = (dict, str)

    def __call__(self, shown: Any) -> Any:
        figures = sys.modules.get("matplotlib.figure")
        if figures is None or not isinstance(shown, figures.Figure):
            return super().__call__(shown)
        from _ramet_charts import chart_of  # type: ignore[import-not-found]

        try:
            return plain(chart_of(shown))
        # A picture of it is shown in any case.
        except Exception:
            return {}


class PlainJsonFormatter(JSONFormatter):
    """Lists and dictionaries are JSON too, where they can be."""

    def __call__(self, shown: Any) -> Any:
        if type(shown) not in (list, dict):
            return super().__call__(shown)
        try:
            return json.loads(json.dumps(plain(shown), allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            return None


def plain(value: Any) -> Any:
    """Without the types of numpy and pandas, and with moments of time as ISO 8601; what is none of these stays."""
    if hasattr(value, "isoformat"):
        return value.isoformat() if value == value else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if value - value == 0 else None
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.generic, numpy.ndarray)):
        return plain(value.tolist())
    return value


def cell(value: Any) -> Any:
    found = plain(value)
    return found if found is None or isinstance(found, (str, bool, int, float, list, dict)) else str(found)


def install(shell: Any) -> None:
    formatter = shell.display_formatter
    formatter.formatters["e2b/data"] = DataFormatter(parent=formatter)
    formatter.formatters["e2b/chart"] = ChartFormatter(parent=formatter)
    formatter.formatters["application/json"] = PlainJsonFormatter(parent=formatter)
