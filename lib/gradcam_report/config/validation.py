"""Validation of parameters by pydantic, with its errors told as the sentences of `ReportError`."""

import contextlib
import math
import os
from typing import Annotated, Any, ClassVar, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from .errors import ReportError, short


def _folder(path: str, info: ValidationInfo) -> str:
    if not path.strip():
        raise ReportError(f"{info.field_name} is empty; name a folder, as in -p {info.field_name} runs/mine.")
    return os.path.expanduser(path)


PathText = Annotated[str, AfterValidator(os.path.expanduser)]  # "~" is the home folder
FolderText = Annotated[str, AfterValidator(_folder)]  # likewise, and not empty
EXPECTED = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}


class Params(BaseModel):
    """Base of the parameter models: immutable, and a wrong value raises a `ReportError` that names it.

    The parameter's type decides what a value means: the text "5e-4" is a number where a number is asked for, "yes" is
    a bool where a bool is. What would lose something is refused: a bool as a number, 5.5 as an int, a number as text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    example: ClassVar[dict[str, str]] = {}  # of list parameters, for the sentence that asks for a list

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ReportError(_sentence(type(self), error.errors(include_url=False)[0])) from None

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.field_name or ""
        kind = cls.model_fields[name].annotation
        if get_origin(kind) is list:
            return _list(name, value, cls.example.get(name, "[3, 14, 159]"))
        if isinstance(value, bool) and kind is not bool:
            raise ReportError(_wrong_type(name, value, _plain(kind)))
        return value


def _list(name: str, value: Any, example: str) -> list[Any]:
    """A list, or the YAML or JSON text of one, whose items stay text."""
    items = value
    if isinstance(value, str):
        with contextlib.suppress(yaml.YAMLError, RecursionError):  # what is no YAML is quoted back below
            items = yaml.load(value, yaml.BaseLoader)
    if not isinstance(items, list | tuple):
        raise ReportError(f"{name} is {short(value)}, which is not a list; write it as '{example}'.")
    for item in items:
        if isinstance(item, bool):
            raise ReportError(_wrong_type(f"each of {name}", item, int))
    return list(items)


def _sentence(model: type[BaseModel], error: Any) -> str:
    """pydantic's first error as a sentence that names the parameter, its value and what is allowed."""
    place, kind, value, limits = error["loc"], error["type"], error["input"], error.get("ctx", {})
    name = str(place[0])
    if kind == "extra_forbidden":
        return f"{model.__name__} has no parameter {name!r}; it has {', '.join(model.model_fields)}."
    if kind == "literal_error":
        annotation = model.model_fields[name].annotation
        choices = get_args(get_args(annotation)[0] if get_origin(annotation) is list else annotation)
        return f"{name} is {short(value)}; choose one of {', '.join(map(repr, choices))}."
    bounds = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
    for key, words in bounds.items():
        if key in limits:
            shown = value if isinstance(value, str) else short(value)  # a number that came as text
            return f"{name} is {shown}; it must be {words} {limits[key]}."
    if kind == "finite_number" or (isinstance(value, float) and not math.isfinite(value)):
        return f"{name} is {short(value)}; it must be a finite number."
    annotation = model.model_fields[name].annotation
    if get_origin(annotation) is list:
        return _wrong_type(f"each of {name}", value, _plain(get_args(annotation)[0]))
    return _wrong_type(name, value, _plain(annotation))


def _plain(kind: Any) -> type:
    """The Python type that an annotation stands for: that of a Literal's choices is text."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind if kind in EXPECTED else str


def _wrong_type(name: str, value: Any, kind: type) -> str:
    remedy = ""
    if kind is str and isinstance(value, int | float) and not name.startswith("each of"):
        remedy = f"; papermill's -r keeps text as it is, as in -r {name} {value}"
    return f"{name} is {short(value)}, which is {type(value).__name__}; it must be {EXPECTED[kind]}{remedy}."
