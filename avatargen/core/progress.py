"""How stages tell what they are doing: a reporter is passed in; library code never prints."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable


@runtime_checkable
class Reporter(Protocol):
    """Receives progress. `start` opens a stage of `total` steps; `note` is a line for the user."""

    def start(self, stage: str, total: int) -> None:
        """Open a stage of `total` steps."""

    def step(self, n: int = 1, **values: float) -> None:
        """Say that `n` more steps are done, with the loss and other `values`."""

    def finish(self) -> None:
        """Close the stage."""

    def note(self, line: str) -> None:
        """Tell the user one line."""


class Silent:
    """Says nothing; the default of every library function."""

    def start(self, stage: str, total: int) -> None:
        """Ignore."""

    def step(self, n: int = 1, **values: float) -> None:
        """Ignore."""

    def finish(self) -> None:
        """Ignore."""

    def note(self, line: str) -> None:
        """Ignore."""


class Terminal:
    """A bar per stage with the loss and the time left, on stderr."""

    def __init__(self) -> None:
        self._bar = None

    def start(self, stage: str, total: int) -> None:
        """Open a bar of `total` steps."""
        from tqdm import tqdm

        self.finish()
        self._bar = tqdm(
            total=total,
            desc=f"{stage:<11}",
            file=sys.stderr,
            dynamic_ncols=True,
            bar_format="{desc} {bar:24} {n_fmt}/{total_fmt} [{elapsed} < {remaining}]{postfix}",
        )

    def step(self, n: int = 1, **values: float) -> None:
        """Move the bar on and show `values` behind it."""
        if self._bar is None:
            return
        if values:
            self._bar.set_postfix({key: f"{value:.4g}" for key, value in values.items()}, refresh=False)
        self._bar.update(n)

    def finish(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def note(self, line: str) -> None:
        """Print one line."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)  # noqa: T201  this is the one place that talks to the terminal


@contextmanager
def stage(reporter: Reporter, name: str, total: int) -> Iterator[None]:
    """Run a block as one stage of `total` steps, closing its bar whatever happens."""
    reporter.start(name, total)
    try:
        yield
    finally:
        reporter.finish()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds so far."""
        return time.perf_counter() - self._start
