"""The pins with their hashes, what is made of pip-audit's answer, and the list of what the report is made of."""

import json
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from packaging.markers import Marker
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[2]
PINS, HASHED = TOP / "constraints.txt", TOP / "requirements" / "hashed.txt"


def pinned() -> dict[str, str]:
    """Canonical name -> version, of constraints.txt, without what only Windows installs."""
    found = re.findall(r"^([\w.-]+)==(\S+)(?: ; (.*))?$", PINS.read_text(), re.MULTILINE)
    elsewhere = ({"sys_platform": "linux"}, {"sys_platform": "darwin"})
    return {
        canonicalize_name(name): version
        for name, version, marker in found
        if not marker or any(Marker(marker).evaluate(where) for where in elsewhere)
    }


def hashed() -> dict[str, tuple[str, str, int]]:
    """Canonical name -> (version, marker, number of hashes), of requirements/hashed.txt."""
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", HASHED.read_text(), flags=re.MULTILINE))
    found = {}
    for entry in entries:
        name, version, marker = re.fullmatch(r"([\w.-]+)==(\S+)(?: ; (.*?))? \\", entry.split("\n")[0]).groups()
        found[canonicalize_name(name)] = version, marker, len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry))
    return found


def test_what_is_hashed_is_what_is_pinned_and_nothing_else() -> None:
    assert {name: version for name, (version, _, _) in hashed().items()} == pinned()
    assert all(count for _, _, count in hashed().values())


def test_the_hashed_pins_are_for_every_python_and_system_of_the_project() -> None:
    for name in ("numpy", "torch", "jupyter-book", "pytest"):
        marker = Marker(hashed()[name][1])
        for system in ("linux", "darwin"):
            for python in ("3.11", "3.12", "3.13"):
                where = {"sys_platform": system, "python_version": python, "python_full_version": f"{python}.9"}
                assert marker.evaluate({**where, "implementation_name": "cpython"})


def test_no_host_is_named_and_nothing_comes_from_elsewhere() -> None:
    for path in (PINS, HASHED, *(TOP / "requirements").glob("*.txt")):
        text = path.read_text()
        assert "://" not in text and not re.search(r"^\s*(-i|-f|--\w*(index|find|host)\S*)\s", text, re.MULTILINE), path


# pip-audit's answers


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = spec_from_file_location("audit", TOP / "scripts" / "audit.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}
BAD = {"name": "jinja2", "version": "3.1.5", "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["3.1.6"]}]}
UNKNOWN = {"name": "tqdm", "skip_reason": "Dependency not found"}
OFFLINE = "requests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded with url: /x"


@pytest.mark.parametrize(
    ("packages", "stderr", "status", "words"),
    [
        ([SOUND], "", 0, "audit: 0 known vulnerabilities in 1 packages."),
        ([SOUND, UNKNOWN], "", 0, "audit: 0 known vulnerabilities in 1 packages; nothing is known of 1 others."),
        (
            [SOUND, BAD],
            "Found 1 known vulnerability",
            1,
            "jinja2 3.1.5: PYSEC-2026-1, mended in 3.1.6\naudit: 1 known ",
        ),
        ([UNKNOWN, UNKNOWN], "", 0, "audit: skipped, for the service knows nothing of these 2 packages."),
        (None, OFFLINE, 0, "audit: skipped, for the service that knows vulnerabilities cannot be reached."),
        (None, "ERROR: unexpected argument", 1, "audit: pip-audit failed with status 2:\nERROR: unexpected argument"),
    ],
    ids=["sound", "partly known", "vulnerable", "unknown", "offline", "broken"],
)
def test_an_audit_fails_for_a_vulnerability_and_says_when_there_was_none(
    audit: ModuleType, packages: list | None, stderr: str, status: int, words: str
) -> None:
    text = "" if packages is None else json.dumps({"dependencies": packages, "fixes": []})
    answer = subprocess.CompletedProcess([], 2 if packages is None else int(BAD in packages), text, stderr)
    found = audit.verdict(answer)
    assert found[0] == status and found[1].startswith(words)


def test_without_a_network_the_audit_is_skipped_in_one_line() -> None:
    if not Path(sys.executable).with_name("pip-audit").exists():
        pytest.skip("pip-audit is not installed: make audit installs it")
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin"}
    script = [sys.executable, str(TOP / "scripts" / "audit.py")]
    done = subprocess.run(script, env=nowhere, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert done.stdout.startswith("audit: skipped, for the service that knows vulnerabilities cannot be reached")


def test_the_list_of_parts_names_every_pin(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("cyclonedx-py")
    if not program.exists():
        pytest.skip("cyclonedx-bom is not installed: make sbom installs it")
    out = tmp_path / "sbom.json"
    subprocess.run([program, "requirements", "--of", "JSON", "-o", out, HASHED], check=True, capture_output=True)
    parts = {part["name"]: part["version"] for part in json.loads(out.read_text())["components"]}
    assert parts == pinned()
