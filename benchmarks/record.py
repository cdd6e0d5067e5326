"""What every benchmark writes beside its figures: which code, on which machine, with which versions and arguments."""

import json
import os
import resource
import subprocess
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avatargen.core.files import write_whole
from avatargen.core.here import machine, versions


def commit() -> str:
    """The checkout's commit, with a "+" where files differ from it; "unknown" outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
        ).stdout

    try:
        return git("rev-parse", "--short", "HEAD").strip() + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def told() -> str:
    """One line for the head of a table."""
    here = machine()
    return (
        f"{here['processor']}, {here['cores']} cores, {here['threads']} threads, load {os.getloadavg()[0]:.1f}, "
        f"torch {versions()['torch']}, commit {commit()}"
    )


def processor_seconds() -> float:
    """Spent by all threads so far, and by the children that have ended (ffmpeg, Blender): other work does not count."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def save(path: Path | None, figures: Mapping[str, Any], arguments: Namespace) -> None:
    """Write `figures` as JSON with where they come from; nothing where no path was given."""
    if path is None:
        return
    asked = json.loads(json.dumps(vars(arguments), default=str))  # paths as words, in lists too
    report = {
        "commit": commit(),
        "machine": machine() | {"load": round(os.getloadavg()[0], 1)},
        "versions": versions(),
        "arguments": asked,
        "figures": dict(figures),
    }
    write_whole(path, (json.dumps(report, indent=1) + "\n").encode())
