"""The error that a user can cause, and values as its sentence shows them."""

from typing import Any


class ReportError(Exception):
    """An error that a user can cause and mend: one sentence that names the value and the remedy."""

    def _render_traceback_(self) -> list[str]:
        """Shown by IPython in place of a traceback, which would only show the report's own code."""
        return [f"{type(self).__name__}: {self}"]


def short(value: Any) -> str:
    """A value as Python writes it, cut off after 120 characters."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
