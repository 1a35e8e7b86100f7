"""Keeps tokens and the secret out of the log lines that the HTTP library writes by itself.

WeCom takes both in the query string, and httpx logs every URL at INFO. `Calls` installs the filter once per process.
"""

from __future__ import annotations

import logging
import re

_SECRETS = re.compile(r"((?:access_token|corpsecret)=)[^&\s\"']+")


class RedactSecrets(logging.Filter):
    """Rewrites a record so that its text holds no token; it never drops one."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


def redacted(text: str) -> str:
    """`text` with the values of `access_token=` and `corpsecret=` replaced."""
    return _SECRETS.sub(r"\1***", text)


def redact_httpx_logs() -> None:
    """Put the filter on the library's logger; a second call changes nothing."""
    logger = logging.getLogger("httpx")
    if not any(isinstance(known, RedactSecrets) for known in logger.filters):
        logger.addFilter(RedactSecrets())
