"""Values that a user types or writes in a YAML file."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..config import ReportError


def yaml_file(path: Path) -> Any:
    """The value of a YAML file; raises `OSError`, or `ValueError` with the reason in a line."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:160]) from None


def assignments(pairs: Sequence[str]) -> dict[str, Any]:
    """["epochs=5", "layers=[layer4]"] -> {"epochs": 5, "layers": ["layer4"]}; values are YAML, 1e-3 is a number.

    Raises `ReportError` for what is no assignment.
    """
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise ReportError(f"{pair!r} gives no parameter a value; write -p NAME=VALUE, as in -p epochs=5.")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            value = text
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = float(value)  # YAML 1.1 takes 1e-3 for text
        values[name] = "" if value is None else value
    return values
