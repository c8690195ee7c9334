"""Nothing secret among the parameters: papermill writes every value that it is given into the notebook."""

import re
from collections.abc import Mapping
from typing import Any

from .checked import ReportError

_NAME = re.compile(r"token|passw|passphrase|secret|api_?key|access_?key|private_?key|credential|(^|_)auth(_|$)", re.I)
_ADDRESS = re.compile(r"\w+://[^/\s@]*:[^/\s@]+@")
WRITTEN = "papermill has written its value into the notebook it makes: delete that file and revoke the value"
NOT_YET = "papermill would write its value into the notebooks, so nothing was run"


def refuse(given: Mapping[str, Any], known: Mapping[str, Any] | set[str], where: str, state: str) -> None:
    """Raise `ReportError` for an unknown parameter that is named like a secret, and for an address with a password.

    `where` says what does not know the name, `state` (`WRITTEN` or `NOT_YET`) what has become of the value, which the
    sentence never repeats.
    """
    for name, value in given.items():
        if name not in known and _NAME.search(name):
            raise ReportError(
                f"{where} has no parameter {name!r}, and {state}; keep a secret in an environment variable, no chapter "
                "needs one."
            )
        if isinstance(value, str) and _ADDRESS.search(value):
            raise ReportError(
                f"{name} is an address with a password, and {state}; the report reads files and folders of this "
                "machine only."
            )
