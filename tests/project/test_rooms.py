"""The rooms of the library import down the list of the README only."""

import ast
import re
from pathlib import Path

TOP = Path(__file__).parents[2]
LIBRARY = TOP / "lib" / "gradcam_report"
ROOMS = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", (TOP / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
FILES = [path for path in LIBRARY.rglob("*.py") if path.parent != LIBRARY or not path.name.startswith("__")]


def room(path: Path) -> str:
    return path.relative_to(LIBRARY).with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a file imports from, at its top or in a function."""
    package = ["gradcam_report", *path.relative_to(LIBRARY).parent.parts]
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            names += [".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names]
    parts = [name.split(".") for name in names]
    return {one[1] for one in parts if one[0] == "gradcam_report" and len(one) > 1} & set(ROOMS)


def test_the_readme_lists_every_room() -> None:
    assert sorted(ROOMS) == sorted({room(path) for path in FILES})


def test_no_room_imports_one_above_it() -> None:
    found = {path: imported_rooms(path) for path in FILES}
    upwards = [
        f"{path.relative_to(LIBRARY)} imports {other}"
        for path, others in found.items()
        for other in others
        if ROOMS.index(other) < ROOMS.index(room(path))
    ]
    assert not upwards
    assert {"model", "config", "data"} <= found[LIBRARY / "training" / "trainer.py"], "imports are found"
