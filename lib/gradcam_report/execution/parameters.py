"""Parameters that a user gives to the commands, from a file and as NAME=VALUE.

Values stay text here, and lists stay lists of text: the type of the parameter decides what a value means, not its look.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ..config import RETIRED, ReportError, hint, input_path, known_names, parse_params


def gather(file: str | None, pairs: Sequence[str]) -> dict[str, Any]:
    """The parameters of a YAML file, if one is named, and of NAME=VALUE pairs, which win; the last of two wins."""
    return (read_file(file) if file else {}) | assignments(pairs)


def read_file(name: str) -> dict[str, Any]:
    """Parameters from a YAML file, one flat mapping; raises `ReportError` when it is not one."""
    try:
        values = yaml.load(input_path(name).read_text(encoding="utf-8"), yaml.BaseLoader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ReportError(f"{name} cannot be read ({reason}); give a YAML file.") from None
    if not isinstance(values or {}, dict):
        raise ReportError(f"{name} is not a mapping of parameter names to values; see params/quick.yaml for one.")
    return values or {}


def assignments(pairs: Sequence[str]) -> dict[str, str]:
    """["epochs=5", "run_dir=007"] -> {"epochs": "5", "run_dir": "007"}; raises `ReportError` for what is no pair."""
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise ReportError(f"{pair!r} gives no parameter a value; write -p NAME=VALUE, as in -p epochs=5.")
        values[name] = text
    return values


def parameters_for(chapter: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The full, checked parameter set of a chapter: `values` where it has such a parameter, defaults elsewhere."""
    return parse_params(chapter, values).flat()


def check_names(values: Mapping[str, Any]) -> None:
    """Raise `ReportError` for a name that no chapter knows; print a line for one that none takes any more."""
    known = known_names()
    for name in values:
        if name in RETIRED:
            print(f"The parameter {name} is left aside: {RETIRED[name]}.", flush=True)
        elif name not in known:
            raise ReportError(f"No chapter has a parameter {name!r}; {hint(name, sorted(known))}")
