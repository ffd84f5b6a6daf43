"""Streams must end before the server does: it waits for open responses before it tells the app."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def before_shutdown(stop: Callable[[], None]) -> Iterator[None]:
    """Have ``stop`` called in the running loop at a signal to end, before the server's own handler is.

    Only a main thread learns of signals: elsewhere the server that ends closes its streams by other means.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    earlier = {number: signal.getsignal(number) for number in SIGNALS}

    def handle(number: int, at: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        handler = earlier[signal.Signals(number)]
        if callable(handler):
            handler(number, at)
        elif handler == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for number in SIGNALS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
