"""Whether the web role lives (/healthz) and can serve (/readyz). Answers name states, never addresses or errors."""

import asyncio

import psycopg
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

DATABASE_TIMEOUT_S = 3


@require_safe
async def is_alive(_request: HttpRequest) -> JsonResponse:
    return _answer({"status": "ok"}, 200)


@require_safe
async def is_ready(_request: HttpRequest) -> JsonResponse:
    """200 if the directory database answers as the application's role within DATABASE_TIMEOUT_S, else 503."""
    try:
        async with asyncio.timeout(DATABASE_TIMEOUT_S):
            await _ask_database()
    except (psycopg.Error, TimeoutError):
        return _answer({"status": "unavailable", "database": "unavailable"}, 503)
    return _answer({"status": "ok", "database": "ok"}, 200)


async def _ask_database() -> None:
    connection = await psycopg.AsyncConnection.connect(settings.WAYPOST_WEB_DATABASE_URL, autocommit=True)
    async with connection:
        await connection.execute("SELECT")


def _answer(body: dict[str, str], status: int) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
