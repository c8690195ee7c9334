"""What `-p` says in a sweep, `max_lr=0.1,0.2` or `seed=0..4`, and the names of the points that come of it."""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ...config import ReportError

MOST_POINTS = 10_000
RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")
Values = dict[str, Any]


def split(text: str) -> list[str]:
    """The values of `text` at its commas, except those within brackets, braces and quotes: "[a,b],c" -> ["[a,b]", "c"].

    With any of these marks, it is YAML that says where a value ends; what is no YAML is one value.
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


def expanded(name: str, text: str) -> tuple[list[str], bool]:
    """(the values that `text` stands for, whether it is an axis): several values are one, and so is a range "0..4".

    A range holds both of its ends. Raises `ReportError` for one that runs backwards or is too long.
    """
    found: list[str] = []
    parts = split(text)
    ranged = False
    for part in parts:
        ends = RANGE.fullmatch(part)
        if not ends:
            found.append(part)
            continue
        first, last = map(int, ends.groups())
        if not 0 <= last - first < MOST_POINTS:
            why = "runs backwards" if last < first else f"holds more than the {MOST_POINTS:,} points of a sweep"
            raise ReportError(f"{name} is {part}, which {why}; write a range as in -p {name}=0..4.")
        found += map(str, range(first, last + 1))
        ranged = True
    return found, ranged or len(parts) > 1


def points(axes: Mapping[str, Sequence[Any]]) -> list[Values]:
    """Every combination of the axes' values, the last axis fastest; raises `ReportError` for too many."""
    count = math.prod(map(len, axes.values()))
    if count > MOST_POINTS:
        sizes = " x ".join(f"{len(values)} of {name}" for name, values in axes.items())
        raise ReportError(f"{sizes} make {count:,} points; a sweep has at most {MOST_POINTS:,}, so give fewer values.")
    return [dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values())]


def canonical(value: object) -> str:
    """A value as JSON text that is the same for equal values and differs for others."""
    return json.dumps(value, sort_keys=True, default=str)


def digest(value: object) -> str:
    """Eight hexadecimal digits that stand for a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:8]


def slug(values: Mapping[str, Any]) -> str:
    """The name of a point's folder, made of the names and values of its axes: {"max_lr": 0.1, "seed": 3} ->
    "max_lr-0.1_seed-3".

    Safe on every file system whatever the values hold. Where a value cannot be written as it is, or the name would be
    long, it ends in a digest of the values, so that different points always have different names, also where
    capital letters do not count.
    """
    words = [f"{name}-{_plain(value)}" for name, value in values.items()]
    whole = "_".join(words)
    if whole == "_".join(f"{name}-{_exact(value)}" for name, value in values.items()) and len(whole) <= 80:
        return whole
    return f"{whole[:60].rstrip('.-_')}_{digest(dict(values))}"


def _exact(value: object) -> str:
    """Text that stands for this value alone; "?" where there is none that could be part of a file's name."""
    if isinstance(value, str):
        plain = re.fullmatch(r"[a-z][a-z0-9]*", value) and value not in ("true", "false", "none", "inf", "nan")
        return value if plain else "?"
    text = repr(value).lower()
    return text if isinstance(value, bool | int | float) and re.fullmatch(r"[a-z0-9.-]+", text) else "?"


def _plain(value: object) -> str:
    """A value as far as it can be part of a file's name."""
    exact = _exact(value)
    return exact if exact != "?" else re.sub(r"[^a-z0-9.]+", "-", str(value).lower()).strip("-.")[:24]
