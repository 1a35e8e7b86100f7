"""The HTTP API for integrators, `/api/v1`: bearer tokens with scopes, problem details, an OpenAPI document.

A route checks the token before it reads the body, hands what was read to a handler, and answers. Nothing that comes in
is written to a log: bodies, names, phone numbers and tokens least of all (SPEC 15.6).
"""

from sopd.web.api.routes import PREFIX, Api

__all__ = ["PREFIX", "Api"]
