"""Ctrl-C as a wish: the first one asks all stages to come to an end with what they have, the second one ends at once.

The wish belongs to the process, as the signal does. Only the command line listens for it (`listening`); stages ask
`leave` wherever they could stop and name what they leave undone.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = threading.Event()
_left: list[str] = []


class StoppedError(Exception):
    """A piece of work that is worth nothing unfinished was given up because a stop was asked for."""


def leave(what: str) -> bool:
    """Whether to stop here; if so, `what` is remembered as left undone."""
    if _asked.is_set() and what not in _left:
        _left.append(what)
    return _asked.is_set()


def give_up(what: str) -> None:
    """Stop here if asked to, without a result.

    Raises:
        StoppedError: a stop was asked for.
    """
    if leave(what):
        raise StoppedError(what)


def left() -> tuple[str, ...]:
    """What was left undone so far."""
    return tuple(_left)


def ask() -> None:
    """Ask all stages to come to an end."""
    _asked.set()


def forget() -> None:
    """Nothing was asked for and nothing left undone."""
    _asked.clear()
    _left.clear()


@contextmanager
def listening(told: str) -> Iterator[None]:
    """In this block the first Ctrl-C says `told` and asks for a stop; the second one is a KeyboardInterrupt."""
    forget()
    deaf = (
        threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    )
    if deaf:
        yield
        return

    def answer(_signal: int, _frame: FrameType | None) -> None:
        if _asked.is_set():
            raise KeyboardInterrupt
        ask()
        os.write(2, f"\n{told}\n".encode())  # a handler may not enter the streams that it has interrupted

    before = signal.signal(signal.SIGINT, answer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        forget()
