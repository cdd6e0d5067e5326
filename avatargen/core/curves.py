"""What stages told of their steps, remembered beside their results."""

import json
import math
from pathlib import Path

from avatargen.core.files import write_whole
from avatargen.core.progress import Reporter

Curves = dict[str, dict[str, list[list[float]]]]
"""Stage -> name of a value -> rows of [step, value]."""


class Recording:
    """A reporter that passes everything on to another one and remembers the values of each step."""

    def __init__(self, inner: Reporter) -> None:
        self._inner = inner
        self._stage, self._done = "", 0
        self._curves: Curves = {}

    def start(self, stage: str, total: int) -> None:
        """Open a stage."""
        self._stage, self._done = stage, 0
        self._inner.start(stage, total)

    def step(self, n: int = 1, **values: float) -> None:
        """Remember `values` at the step that is now done."""
        self._done += n
        for name, value in values.items():
            if math.isfinite(value):
                rows = self._curves.setdefault(self._stage, {}).setdefault(name, [])
                rows.append([float(self._done), float(f"{value:.6g}")])
        self._inner.step(n, **values)

    def finish(self) -> None:
        """Close the stage."""
        self._inner.finish()

    def note(self, line: str) -> None:
        """Tell the user one line."""
        self._inner.note(line)

    def take(self) -> Curves:
        """What was told since the last call."""
        taken, self._curves = self._curves, {}
        return taken


def kept_curves(path: Path, key: str, told: Curves) -> Curves:
    """`told`, written to `path` under the key of the stage's result; or what was written there if nothing was told.

    Raises:
        OutputError: the file cannot be written.
    """
    if told:
        write_whole(path, json.dumps({"key": key, "curves": told}).encode())
        return told
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return stored["curves"] if stored["key"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # a page without curves is no harm
