"""What is installed, by licence; and what of it is known to be vulnerable, where a database is in reach.

python requirements/check.py licences | audit
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from pathlib import Path

LOCK = Path(__file__).parent / "main.txt"
#: What a project under Apache-2.0 may depend on without becoming something else.
FREE = re.compile(
    r"apache|\bmit\b|\bbsd|\bisc\b|\bpsf|python software|mozilla|\bmpl|zlib|unlicense|public domain|cc0|hpnd"
    r"|cnri|\bzpl\b|0bsd|lgpl|lesser general public",
    re.IGNORECASE,
)
#: Looked at by hand, with what was found.
LOOKED_AT = {
    "asyncssh": "EPL-2.0; DVC's",
    "atheris": "Apache-2.0; only fuzzing uses it",
    "grandalf": "EPL-1.0 or GPL-2.0; DVC's, at arm's length",
    "huey": "MIT; MLflow's",
    "krippendorff": "GPL-3.0; only tests import it, to compare figures",
    "pygit2": "GPL-2.0 with an exception for linking; DVC's",
    "skops": "MIT",
    "zc.lockfile": "ZPL-2.1; DVC's",
}
#: A pinned release with a published vulnerability: an audit that does not report it has reached no database.
CANARY = "jinja2==2.4.1"


def licence(package: Distribution) -> str:
    """Return the licence that a package says it is under."""
    about = package.metadata
    of_classifiers = [
        one.rpartition(":: ")[2] for one in about.get_all("Classifier", []) if "License ::" in one
    ]
    first = (about.get("License") or "").strip().split("\n")[0][:60]
    return about.get("License-Expression") or ", ".join(sorted(of_classifiers)) or first or "unknown"


def licences() -> int:
    """Print the installed packages by licence; 1 where one is not among those that may be depended on."""
    found: dict[str, list[str]] = defaultdict(list)
    for package in distributions():
        found[licence(package)].append(package.metadata["Name"])
    odd = []
    for name, packages in sorted(found.items()):
        mark = " " if FREE.search(name) else "?"
        odd += packages if mark == "?" else []
        print(f"{mark} {name:<60} {', '.join(sorted(packages, key=str.lower))}")
    if new := sorted({*odd} - set(LOOKED_AT)):
        print(f"to be looked at, their licence is unknown or not free: {', '.join(new)}", file=sys.stderr)
    return int(bool(new))


def vulnerabilities(lock: Path) -> list[str]:
    """Return what pip-audit knows of the releases in a lock."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner=off"]
    done = subprocess.run([*command, "--format=json", "-r", str(lock)], capture_output=True, text=True)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(done.stderr.strip().split("\n")[-1], file=sys.stderr)
        return []
    return [
        f"{one['name']} {one.get('version')}: {v['id']}" for one in packages for v in one.get("vulns", [])
    ]


def audit() -> int:
    """Print known vulnerabilities of what is pinned, or that no database was in reach to look them up."""
    if find_spec("pip_audit") is None:
        print("not audited: make extra-audit installs pip-audit")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "canary.txt").write_text(f"{CANARY}\n")
        if not vulnerabilities(Path(folder) / "canary.txt"):
            print(f"not audited: no database of vulnerabilities is in reach ({CANARY} is not reported)")
            return 0
    found = vulnerabilities(LOCK)
    print("\n".join(found) or f"no known vulnerability in {LOCK}")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit({"licences": licences, "audit": audit}[sys.argv[1]]())
