"""Ask pip-audit whether a known vulnerability concerns a version in requirements/hashed.txt.

    .venv/bin/python scripts/audit.py        # or make audit

Ends with status 1 where one does, and where pip-audit itself fails. Without a network, or where the service knows
nothing of any package, nothing was audited: that is said in a line, and is no failure.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = Path(__file__).parent.parent / "requirements" / "hashed.txt"
# What requests and urllib3 say when nobody answers; pip-audit ends with status 1 then, as for a vulnerability.
NOBODY_ANSWERS = ("ConnectionError", "Max retries exceeded", "ServiceError", "Timeout", "timed out", "NameResolution")


def ask() -> subprocess.CompletedProcess[str]:
    """Run pip-audit on the pins alone: nothing is resolved, downloaded or installed."""
    program = Path(sys.executable).with_name("pip-audit")
    command = [str(program), "--requirement", str(PINS), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    return subprocess.run(command, capture_output=True, text=True)


def verdict(answer: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """(exit status, what to print) for what pip-audit answered."""
    try:
        packages: list[dict[str, Any]] = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        if any(word in answer.stderr for word in NOBODY_ANSWERS):
            return 0, "audit: skipped, for the service that knows vulnerabilities cannot be reached."
        return 1, f"audit: pip-audit failed with status {answer.returncode}:\n{answer.stderr.strip()}"
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return 0, f"audit: skipped, for the service knows nothing of these {len(packages)} packages."
    found = [
        f"{package['name']} {package['version']}: {known['id']}, mended in {', '.join(known['fix_versions']) or 'none'}"
        for package in asked
        for known in package["vulns"]
    ]
    left = len(packages) - len(asked)
    unknown = f"; nothing is known of {left} others" if left else ""
    summary = f"audit: {len(found)} known vulnerabilities in {len(asked)} packages{unknown}."
    return int(bool(found)), "\n".join([*found, summary])


if __name__ == "__main__":
    status, words = verdict(ask())
    print(words)
    raise SystemExit(status)
