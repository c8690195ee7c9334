"""What a choice must be: types and ranges of dataclass fields, checked where they are made."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints


class ReportError(Exception):
    """An error that a user can cause and mend: one sentence that names the value and the remedy."""

    def _render_traceback_(self) -> list[str]:
        """Shown by IPython in place of a traceback, which would only show the report's own code."""
        return [f"{type(self).__name__}: {self}"]


def short(value: Any) -> str:
    """A value as Python writes it, but never more than a line of it."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def option(default: Any, **limits: Any) -> Any:
    """A dataclass field with its limits: `low` and `high` (inclusive), `above` (exclusive), `choices`."""
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=limits)
    return dataclasses.field(default=default, metadata=limits)


class Checked:
    """Base of the configuration dataclasses: checks type and range of every field on construction.

    Raises `ReportError` naming the field, the value and what is allowed.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            value = checked_type(f.name, getattr(self, f.name), hints[f.name])
            object.__setattr__(self, f.name, value)
            check_range(f.name, value, f.metadata)


def checked_type(name: str, value: Any, kind: Any) -> Any:
    """Return `value` as `kind` where that loses nothing (3 for 3.0, JSON text for a list), else raise `ReportError`."""
    if get_origin(kind) is list:
        if isinstance(value, str):
            with contextlib.suppress(ValueError, RecursionError):  # what is no JSON is quoted back below
                value = json.loads(value)
        items = get_args(kind)[0]
        if isinstance(value, list | tuple):
            return [checked_type(f"each of {name}", item, items) for item in value]
        example = "[3, 14, 159]" if items is int else '["layer3", "layer4"]'
        raise ReportError(f"{name} is {short(value)}, which is not a list; write it as '{example}'.")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e300 else math.inf  # a larger one may not fit
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not kind:
        word = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}[kind]
        raise ReportError(f"{name} is {short(value)}, which is {type(value).__name__}; it must be {word}.")
    return value


def check_range(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    """Raise `ReportError` when `value` (or an item of a list) is outside `limits`, see `option`."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, float) and not math.isfinite(item):
            raise ReportError(f"{name} is {item}; it must be a finite number.")
        if "choices" in limits and item not in limits["choices"]:
            raise ReportError(f"{name} is {short(item)}; choose one of {', '.join(map(repr, limits['choices']))}.")
        if "low" in limits and item < limits["low"]:
            raise ReportError(f"{name} is {item}; it must be at least {limits['low']}.")
        if "above" in limits and item <= limits["above"]:
            raise ReportError(f"{name} is {item}; it must be greater than {limits['above']}.")
        if "high" in limits and item > limits["high"]:
            raise ReportError(f"{name} is {item}; it must be at most {limits['high']}.")
