"""How the sandbox says no: to the client with WeCom's codes, to the people's script with an error.

Raised by the world's facets and the API; `api` turns a Refusal into a reply. Codes: WeCom 9.
"""

from __future__ import annotations

from sopd.errors import SopdError


class Refusal(SopdError):
    """An API call that WeCom answers with an errcode; nothing was changed."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errmsg)
        self.errcode = errcode


class ImpossibleDeed(SopdError):
    """A person was told to do what the world does not allow now; nothing was changed."""
