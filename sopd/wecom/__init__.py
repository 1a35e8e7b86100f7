"""WeCom's room: callbacks in, calls out. It knows neither store nor SOPs; nothing else knows WeCom's wire format.

Instants are milliseconds everywhere outside this package; WeCom's unix seconds end at its doors.
"""

from sopd.wecom.client import WeCom

__all__ = ["WeCom"]
