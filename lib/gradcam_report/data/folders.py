"""Where the files of a data set are looked for."""

import os
from pathlib import Path

from ..config import project_root, user_path


def data_folder(parameter: str, value: str, variable: str, default: str) -> tuple[Path, str]:
    """Return the folder that a user named and by what, the parameter or else the environment variable.

    Without either, return the `default` folder of the checkout and "". A folder that a user named is never created: it
    may be mistyped.
    """
    for name, text in ((parameter, value), (variable, os.environ.get(variable, ""))):
        if text:
            return user_path(text), name
    return project_root() / default, ""
