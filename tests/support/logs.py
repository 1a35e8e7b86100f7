"""Logging for tests: what sets it up, sets it up for a process of its own and for good."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog


@contextmanager
def own_logging() -> Iterator[None]:
    """Logging is afterwards as it was before, whatever is set up inside.

    No logger keeps that set-up either, or a later test that listens to it would hear nothing.
    """
    root, configure = logging.getLogger(), structlog.configure
    handlers, levels = root.handlers[:], {logger.name: logger.level for logger in _loggers()}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(structlog, "configure", lambda **how: configure(**how | {"cache_logger_on_first_use": False}))
            yield
    finally:
        root.handlers[:] = handlers
        for logger in _loggers():
            logger.setLevel(levels.get(logger.name, logging.NOTSET))
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()


def _loggers() -> list[logging.Logger]:
    known = logging.getLogger().manager.loggerDict.values()
    return [logging.getLogger(), *(one for one in known if isinstance(one, logging.Logger))]
