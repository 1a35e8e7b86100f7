"""The one web application: which route is served by whom."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.routing import Route

from sopd import __version__
from sopd.web.api import PREFIX, Api
from sopd.web.callback import Callback
from sopd.web.health import Health

CALLBACK_PATH = "/wecom/callback"


def build(callback: Callback, health: Health, api: Api) -> FastAPI:
    """The application. The callback and the health checks are bare routes, outside the API's document."""
    app = FastAPI(
        title="sopd", version=__version__, docs_url=None, redoc_url=None, openapi_url=f"{PREFIX}/openapi.json"
    )
    api.add_to(app)
    app.router.routes.extend(
        [
            Route(CALLBACK_PATH, callback.check, methods=["GET"]),
            Route(CALLBACK_PATH, callback.push, methods=["POST"]),
            Route("/healthz", health.healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", health.metrics),
        ]
    )
    return app
