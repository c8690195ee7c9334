"""Files that anybody may have written, read as plain data: nothing in them is run, and nothing is believed unchecked.

JSON, YAML and the command line's NAME=VALUE without their traps (numbers that are none, anchors that swell, tags that
build objects). Every refusal is one sentence.
"""

import contextlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..config import ReportError
from .io import unreadable as unreadable

LONGEST = 10_000_000  # characters of a file of parameters or results; the longest of them has some ten thousand


class Found(dict[str, Any]):
    """What a file holds by name; asked for what is not there, it raises `ReportError` with the file."""

    def __init__(self, items: Iterable[tuple[str, Any]] | Mapping[str, Any], path: Path) -> None:
        super().__init__(items)
        self.path = path

    def __missing__(self, name: str) -> Any:
        raise unreadable(self.path, f"{name} is missing")


def json_object(path: Path, form: Mapping[str, Any] | None = None) -> Found:
    """Read a file that holds one JSON object; raises `ReportError` where it does not, or not of this JSON Schema."""
    try:
        text = _text(path)
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: Found(pairs, path),
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_finite,
        )
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair could be read, but never be shown
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from None
    if not isinstance(value, Found):
        raise unreadable(path, "not a JSON object")
    if form is not None and (fault := misfit(value, form)):
        raise unreadable(path, fault)
    return value


def misfit(value: object, form: Mapping[str, Any]) -> str:
    """Where and how `value` differs from a JSON Schema, in a few words; empty where it does not."""
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(form).iter_errors(value):
        place = ".".join(str(part) for part in error.absolute_path)
        return f"{place[:80] or 'the whole'} is not as it should be: {error.message[:100]}"
    return ""


class _Loader(yaml.SafeLoader):
    """Plain values only: an anchor, which a few lines of can swell to gigabytes, is no use in a list of parameters."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds an alias; write the value out")
        return super().compose_node(parent, index)


def yaml_value(text: str) -> Any:
    """The value of YAML text; raises `ValueError`, with the reason in a line, for what is none or more than plain."""
    try:
        return yaml.load(text, _Loader)
    except Exception as error:  # broken tags make PyYAML stumble in many ways
        raise ValueError(" ".join(str(error).split())[:160] or type(error).__name__) from None


def yaml_file(path: Path) -> Any:
    """The value of a YAML file; raises `OSError` or, see `yaml_value`, `ValueError`."""
    return yaml_value(_text(path))


def _text(path: Path) -> str:
    """The content of a file as UTF-8, read no further than it may be long."""
    with path.open(encoding="utf-8") as file:
        text = file.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise ValueError(f"longer than {LONGEST:,} characters")
    return text


def _whole(digits: str) -> int:
    if len(digits) > 18:
        raise ValueError(f"the number {digits[:20]}... is too large")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"the number {digits[:20]} is not finite")
    return value


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
            value = yaml_value(text)
        except ValueError:
            value = text
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = float(value)  # YAML 1.1 takes 1e-3 for text
        values[name] = "" if value is None else value
    return values
