"""Log lines: one per unit of work, JSON under systemd, coloured text on a terminal.

`configure` is called once, at boot; modules take a logger with
`structlog.get_logger("sopd.planner")`. Names of people, message bodies, tokens and secrets never reach a line: what is
named like one is replaced, whoever logged it, and tracebacks show no locals.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN = "(hidden)"

# Keys whose values are secrets, contents of messages, or names of people (ARCHITECTURE 7).
HIDDEN_KEYS = frozenset(
    "access_token authorization body config_id content cookie corpsecret customer_name encoding_aes_key "
    "encrypt mobile msg_signature name nickname nonce password payload phone plaintext remark remark_mobiles secret "
    "suite_ticket text ticket token unionid welcome_code".split()
)
_SECRET_IN_TEXT = re.compile(
    r"(?i)\b(access_token|corpsecret|secret|password|token|welcome_code|msg_signature)(=|[\"']?:\s*[\"']?)[^&\s\"',}]+"
)
_PASSWORD_IN_URL = re.compile(r"(\w+://[^:@/\s]*):[^@/\s]+@")
# These write a line per request, message or transition; that is not a unit of work, and their lines hold addresses.
_CHATTY = ("httpx", "httpcore", "dramatiq", "uvicorn.access", "peewee", "transitions")


def configure(level: str = "info", *, stream: TextIO | None = None) -> None:
    """Send everything, also what libraries log through `logging`, to one stream (default: standard error).

    `level` is debug, info, warning or error. JSON lines unless the stream is a terminal. May be called again.
    """
    stream = sys.stderr if stream is None else stream
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(stream.isatty())],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _rendering(on_terminal: bool) -> list[Processor]:
    """Exceptions become text first (the plain kind, which shows no locals), so that `redact` sees them too."""
    if on_terminal:
        renderer: Processor = structlog.dev.ConsoleRenderer()
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    return [structlog.processors.format_exc_info, redact, renderer]


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be read in a log, at any depth: values of telling keys, secrets inside text."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: object, value: Any) -> Any:
    if isinstance(key, str) and key.lower() in HIDDEN_KEYS:
        return HIDDEN
    if isinstance(value, str):
        return _PASSWORD_IN_URL.sub(rf"\1:{HIDDEN}@", _SECRET_IN_TEXT.sub(rf"\1\2{HIDDEN}", value))
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, Mapping):
        return {inner: _clean(inner, content) for inner, content in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(None, content) for content in value]
    return value
