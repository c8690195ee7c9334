"""The forms of the JSON files that the report reads, as JSON Schemas: what the values must be where they are there.

A key that is missing is missed by who asks for it (see `plain.Found`), unless the form requires it.
"""

from typing import Any

Form = dict[str, Any]


def _object(properties: Form, *required: str) -> Form:
    """An object with these properties, of which the `required` ones must be there; others are not looked at."""
    return {"type": "object", "required": list(required), "properties": properties}


def _each(value: Form, **more: Any) -> Form:
    """An object whose values all have one form."""
    return {"type": "object", "additionalProperties": value, **more}


TEXT = {"type": "string", "maxLength": 300, "pattern": r"\A[^<>\x00-\x1f\x7f]*\Z"}  # it is shown on pages
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1e18}
_SECONDS = {"type": "number", "minimum": 0, "maximum": 1e12}
_SETTING = {"type": "number", "minimum": 0, "maximum": 1e9}
_IMAGES = {"type": "integer", "minimum": 1, "maximum": 10**6}
_COUNT = {"type": "integer", "minimum": 0, "maximum": 10**9}
_SOME = {**_COUNT, "minimum": 1}
_SPREAD = _object(dict.fromkeys(("median", "low", "high"), _POSITIVE), "median", "low", "high")
_MADE = _object(
    {
        **dict.fromkeys(("finished", "compute", "data", "system"), TEXT),
        **dict.fromkeys(("seconds", "wall_seconds"), _SECONDS),
        "versions": _each(TEXT),
        "commit": {"anyOf": [TEXT, {"type": "null"}]},
    }
)
RECORD = _object(
    {
        "parameters": {"type": "object"},
        "result": _object(
            {
                "suggestions": _each({"anyOf": [_POSITIVE, {"type": "null"}]}),
                "ended": TEXT,
                "lr_source": TEXT,
                "classes": {"type": "array", "items": TEXT},
            }
        ),
        "provenance": _MADE,
    }
)
METRICS = {
    **_object({**dict.fromkeys(("train_images", "test_images"), _IMAGES), "training_seconds": _SECONDS}),
    "patternProperties": {"_accuracy": _SHARE},
    "additionalProperties": {"type": "number"},
}
_SPEED = _object(
    {
        "settings": {**_object({"device": TEXT}), "additionalProperties": _SETTING},
        "images_per_second": _each(_SPREAD),
        **dict.fromkeys(("ratio_train", "ratio_test", "ratio_explain", "ratio_kept"), _SPREAD),
        **dict.fromkeys(("test_set_seconds", "memory_gib"), _each(_POSITIVE)),
        **dict.fromkeys(("share_of_peak", "peak_flops"), _POSITIVE),
        "compile_seconds": {**_SECONDS, "type": ["number", "null"]},
    }
)
SPEED = _object({"speed": _SPEED, "provenance": _MADE}, "speed", "provenance")
_CHAPTER = _each(_SETTING, required=["seconds", "papermill"])
_COSTS = _object(
    {
        "augmentation": _object({"ours": _SPREAD}, "ours"),
        **dict.fromkeys(("ratio_augmentation", "ratio_range_test", "help_seconds", "python_seconds"), _SPREAD),
        "site_seconds": {"anyOf": [_POSITIVE, {"type": "null"}]},
        "chapters": _each(_CHAPTER, propertyNames=TEXT),
        "provenance": {**_MADE, "required": ["compute"]},
    },
    "augmentation", "ratio_augmentation", "ratio_range_test", "help_seconds", "python_seconds",
    "site_seconds", "chapters", "provenance",
)  # fmt: skip
_POINTS = {"type": "array", "minItems": 2, "items": _each(_POSITIVE, required=["seconds", "gib"])}
COSTS = _object({"costs": _COSTS, "growth": _each(_POINTS, propertyNames=TEXT, minProperties=1)}, "costs", "growth")
_SIZES = {"required": ["1"], "propertyNames": {"pattern": r"\A[1-9][0-9]{0,5}\Z"}}
_SCALING = _object(
    {
        "shared": _each(_each(_SPREAD, required=["step", "part", "gradients", "few"]), **_SIZES),
        "side_by_side": _each(_POSITIVE, **_SIZES),
        "settings": _object(dict.fromkeys(("cores", "batch", "points"), _IMAGES), "cores", "batch", "points"),
        "provenance": {**_MADE, "required": ["compute", "finished"]},
    },
    "shared", "side_by_side", "settings", "provenance",
)  # fmt: skip
SCALING = _object({"scaling": _SCALING}, "scaling")
_PROTOCOL = {"dataset": TEXT, **dict.fromkeys(("train_size", "epochs"), _COUNT), "val_size": _SOME}
_POINT = _object(
    {
        "name": TEXT,
        "changes": _object({"max_lr": _POSITIVE}),
        "val_accuracy": {"anyOf": [_SHARE, {"type": "null"}]},
        "compute": TEXT,
    },
    "name", "changes", "val_accuracy", "compute",
)  # fmt: skip
STUDY = _object(
    {
        "protocol": _object(_PROTOCOL, *_PROTOCOL),
        "recipe": _object({"optimizer": TEXT, "batch_size": _SOME}, "optimizer", "batch_size"),
        "points": {"type": "array", "items": _POINT},
        "provenance": _MADE,
    },
    "protocol", "recipe", "points", "provenance",
)  # fmt: skip
FORMS: dict[str, Form] = {"run.json": RECORD, "lr_find.json": RECORD, "metrics.json": METRICS}
