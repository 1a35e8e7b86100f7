"""The web of one process: which route is served by whom."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import Mount, Route, Router

from sopd import __version__
from sopd.web.api import PREFIX, Api
from sopd.web.callback import Callback
from sopd.web.health import Health

CALLBACK_PATH = "/wecom/callback"


def build(callback: Callback, health: Health, api: Api) -> Router:
    """All routes. The callback and the health checks are bare ones, outside the API's document.

    The callback stands before the application: its layers cost as much as a callback does, and all of a company's
    callbacks come within minutes.
    """
    app = FastAPI(
        title="sopd", version=__version__, docs_url=None, redoc_url=None, openapi_url=f"{PREFIX}/openapi.json"
    )
    api.add_to(app)
    app.router.routes.extend(
        [
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
        ]
    )
    return Router(
        [
            Route(CALLBACK_PATH, callback.push, methods=["POST"]),
            Route(CALLBACK_PATH, callback.check, methods=["GET"]),
            Mount("/", app),
        ]
    )
