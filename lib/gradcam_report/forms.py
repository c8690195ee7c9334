"""The forms of the JSON files that the report reads, as JSON Schemas: what the values must be where they are there.

A key that is missing is missed by who asks for it (see `plain.Found`), unless the form requires it.
"""

from typing import Any

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
