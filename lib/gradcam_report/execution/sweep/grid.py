"""The grammar of `-p` in a sweep, `max_lr=0.1,0.2` or `seed=0..4`, and the names of the points' folders."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from ...config import ReportError
from ...runs.io import digest
from ...runs.sweep import Value

MAX_POINTS = 10_000
RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")


def expand(name: str, text: str) -> tuple[list[Any], bool]:
    """Return the values that `text` stands for, and whether it makes the parameter an axis.

    "a,b" is two values, "[a,b]" is one, a list; quotes keep a comma. Several values make an axis, and so does a range:
    "0..4" holds both of its ends. Numbers stay text. Raises `ReportError` for a range that runs backwards or is too
    long.
    """
    try:
        parts = yaml.load(f"[{text}]", yaml.BaseLoader) or [""]
    except yaml.YAMLError:
        parts = [text]
    values: list[Any] = []
    for part in parts:
        ends = RANGE.fullmatch(part) if isinstance(part, str) else None
        if ends is None:
            values.append(part)
            continue
        first, last = map(int, ends.groups())
        if not 0 <= last - first < MAX_POINTS:
            why = "runs backwards" if last < first else f"holds more than the {MAX_POINTS:,} points of a sweep"
            raise ReportError(f"{name} is {part}, which {why}; write a range as in -p {name}=0..4.")
        values += map(str, range(first, last + 1))
    return values, len(parts) > 1 or values != parts


def slug(values: Mapping[str, Value]) -> str:
    """Return the name of a point's folder: {"max_lr": 0.1, "seed": 3} -> "max_lr-0.1_seed-3".

    A value that is no number or single lower-case word, or a long name, makes it end in a digest of the values, so that
    different points have different names on every file system.
    """
    words = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in values.items()}
    text = "_".join(f"{name}-{word}" for name, word in words.items())
    exact = all(re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?|[a-z][a-z0-9]*", word) for word in words.values())
    if exact and len(text) <= 80:
        return text
    safe = re.sub(r"[^a-z0-9_.]+", "-", text.lower())
    return f"{safe[:60].rstrip('.-_')}_{digest(dict(values))}"
