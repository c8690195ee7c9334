"""Files that anybody may have written, read as plain data: nothing in them is run, and nothing is believed unchecked.

JSON and YAML without their traps (numbers that are none, anchors that swell, tags that build objects), and the forms
that the JSON files of a run folder must have. Every refusal is one sentence.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from .checked import ReportError

LONGEST = 10_000_000  # characters of a file of parameters or results; the longest of them has some ten thousand

_TEXT = {"type": "string", "maxLength": 300, "pattern": r"\A[^<>\x00-\x1f\x7f]*\Z"}  # it is shown on pages
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1e18}
_POSITIVES = {"type": "object", "additionalProperties": _POSITIVE}
_IMAGES = {"type": "integer", "minimum": 1, "maximum": 10**6}
_SPREAD = {
    "type": "object",
    "required": ["median", "low", "high"],
    "properties": dict.fromkeys(("median", "low", "high"), _POSITIVE),
}
_MADE = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("finished", "compute", "data", "system"), _TEXT),
        "seconds": {"type": "number", "minimum": 0, "maximum": 1e12},
        "versions": {"type": "object", "additionalProperties": _TEXT},
        "commit": {"anyOf": [_TEXT, {"type": "null"}]},
    },
}
# What the values must be where they are there; a key that is missing is missed by who asks for it, see `Found`.
RECORD = {
    "type": "object",
    "properties": {
        "parameters": {"type": "object"},
        "result": {
            "type": "object",
            "properties": {
                "suggestions": {"type": "object", "additionalProperties": {"anyOf": [_POSITIVE, {"type": "null"}]}},
                "ended": _TEXT,
                "lr_source": _TEXT,
                "classes": {"type": "array", "items": _TEXT},
            },
        },
        "provenance": _MADE,
    },
}
METRICS = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("train_images", "test_images"), _IMAGES),
        "training_seconds": {"type": "number", "minimum": 0, "maximum": 1e12},
    },
    "patternProperties": {"_accuracy": _SHARE},
    "additionalProperties": {"type": "number"},
}
SPEED = {
    "type": "object",
    "required": ["speed", "provenance"],
    "properties": {
        "speed": {
            "type": "object",
            "properties": {
                "settings": {
                    "type": "object",
                    "properties": {"device": _TEXT},
                    "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1e9},
                },
                "images_per_second": {"type": "object", "additionalProperties": _SPREAD},
                **dict.fromkeys(("ratio_train", "ratio_test", "ratio_explain"), _SPREAD),
                **dict.fromkeys(("test_set_seconds", "memory_gib"), _POSITIVES),
                **dict.fromkeys(("share_of_peak", "peak_flops"), _POSITIVE),
                "compile_seconds": {"type": ["number", "null"], "minimum": 0, "maximum": 1e12},
            },
        },
        "provenance": _MADE,
    },
}
COSTS = {
    "type": "object",
    "required": ["costs", "growth"],
    "properties": {
        "costs": {
            "type": "object",
            "required": [
                "augmentation", "ratio_augmentation", "ratio_range_test", "help_seconds", "python_seconds",
                "site_seconds", "chapters", "provenance",
            ],
            "properties": {
                "augmentation": {"type": "object", "required": ["ours"], "properties": {"ours": _SPREAD}},
                **dict.fromkeys(("ratio_augmentation", "ratio_range_test", "help_seconds", "python_seconds"), _SPREAD),
                "site_seconds": {"anyOf": [_POSITIVE, {"type": "null"}]},
                "chapters": {
                    "type": "object",
                    "propertyNames": _TEXT,
                    "additionalProperties": {
                        "type": "object",
                        "required": ["seconds", "papermill"],
                        "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1e9},
                    },
                },
                "provenance": {**_MADE, "required": ["compute"]},
            },
        },
        "growth": {
            "type": "object",
            "propertyNames": _TEXT,
            "minProperties": 1,
            "additionalProperties": {
                "type": "array",
                "minItems": 2,
                "items": {"type": "object", "required": ["seconds", "gib"], "additionalProperties": _POSITIVE},
            },
        },
    },
}  # fmt: skip
_SIZES = {"type": "object", "required": ["1"], "propertyNames": {"pattern": r"\A[1-9][0-9]{0,5}\Z"}}
SCALING = {
    "type": "object",
    "required": ["scaling"],
    "properties": {
        "scaling": {
            "type": "object",
            "required": ["shared", "side_by_side", "settings", "provenance"],
            "properties": {
                "shared": {
                    **_SIZES,
                    "additionalProperties": {
                        "type": "object",
                        "required": ["step", "part", "gradients", "few"],
                        "additionalProperties": _SPREAD,
                    },
                },
                "side_by_side": {**_SIZES, "additionalProperties": _POSITIVE},
                "settings": {
                    "type": "object",
                    "required": ["cores", "batch", "points"],
                    "properties": dict.fromkeys(("cores", "batch", "points"), _IMAGES),
                },
                "provenance": {**_MADE, "required": ["compute", "finished"]},
            },
        }
    },
}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**9}
STUDY = {
    "type": "object",
    "required": ["protocol", "recipe", "points", "provenance"],
    "properties": {
        "protocol": {
            "type": "object",
            "required": ["dataset", "train_size", "val_size", "epochs"],
            "properties": {
                "dataset": _TEXT,
                **dict.fromkeys(("train_size", "epochs"), _COUNT),
                "val_size": {**_COUNT, "minimum": 1},
            },
        },
        "recipe": {
            "type": "object",
            "required": ["optimizer", "batch_size"],
            "properties": {"optimizer": _TEXT, "batch_size": {**_COUNT, "minimum": 1}},
        },
        "points": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "changes", "val_accuracy"],
                "properties": {
                    "name": _TEXT,
                    "changes": {"type": "object", "properties": {"max_lr": _POSITIVE}},
                    "val_accuracy": {"anyOf": [_SHARE, {"type": "null"}]},
                },
            },
        },
        "provenance": {**_MADE, "required": ["compute"]},
    },
}
FORMS: dict[str, dict[str, Any]] = {"run.json": RECORD, "lr_find.json": RECORD, "metrics.json": METRICS}


def unreadable(path: Path, why: object) -> ReportError:
    """The error for a file of a run folder that is damaged; `why` in a few words."""
    reason = " ".join(str(why).split())[:200]
    return ReportError(f"{path} cannot be read ({reason}); delete it and run the chapter that makes it again.")


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
