"""The grammar of `-p` in a sweep, `max_lr=0.1,0.2` or `seed=0..4`, and the names of the points' folders."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence

import yaml

from ...config import ReportError
from ...runs.sweep import Value, Values, digest

MAX_POINTS = 10_000
RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")


def split(text: str) -> list[str]:
    """Split `text` at its commas, except those within brackets, braces and quotes: "[a,b],c" -> ["[a,b]", "c"].

    YAML decides where a value with such marks ends; text that is not YAML is one value.
    """
    if not re.search(r"[\[\]{}'\"]", text):
        return [part.strip() for part in text.split(",")]
    try:
        whole = yaml.compose(f"[{text}]", yaml.SafeLoader)
    except yaml.YAMLError:
        return [text.strip()]
    assert isinstance(whole, yaml.SequenceNode)  # the brackets make it one
    spans = [(node.start_mark.index - 1, node.end_mark.index - 1) for node in whole.value]
    return [text[first:last].strip() for first, last in spans] or [text.strip()]


def expand(name: str, text: str) -> tuple[list[str], bool]:
    """Return the values that `text` stands for, and whether it makes the parameter an axis.

    Several values make an axis, and so does a range: "0..4" holds both of its ends. Raises `ReportError` for a range
    that runs backwards or is too long.
    """
    values: list[str] = []
    parts = split(text)
    has_range = False
    for part in parts:
        ends = RANGE.fullmatch(part)
        if not ends:
            values.append(part)
            continue
        first, last = map(int, ends.groups())
        if not 0 <= last - first < MAX_POINTS:
            why = "runs backwards" if last < first else f"holds more than the {MAX_POINTS:,} points of a sweep"
            raise ReportError(f"{name} is {part}, which {why}; write a range as in -p {name}=0..4.")
        values += map(str, range(first, last + 1))
        has_range = True
    return values, has_range or len(parts) > 1


def combinations(axes: Mapping[str, Sequence[Value]]) -> list[Values]:
    """Return every combination of the axes' values, the last axis fastest; raises `ReportError` for too many."""
    count = math.prod(map(len, axes.values()))
    if count > MAX_POINTS:
        sizes = " x ".join(f"{len(values)} of {name}" for name, values in axes.items())
        raise ReportError(f"{sizes} make {count:,} points; a sweep has at most {MAX_POINTS:,}, so give fewer values.")
    return [dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values())]


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
