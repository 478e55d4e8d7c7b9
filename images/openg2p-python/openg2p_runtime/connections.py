"""Connections that outlive a restart or a slow moment of the other side. Import this before any OpenG2P package."""

import functools
import os

import httpx
import sqlalchemy
import sqlalchemy.ext.asyncio

# The packages pool connections without a test. After a restart of PostgreSQL each pooled connection then fails once: an HTTP
# 500, or a lost Celery task whose row stays "in progress" for ever.
sqlalchemy.create_engine = functools.partial(sqlalchemy.create_engine, pool_pre_ping=True)
sqlalchemy.ext.asyncio.create_async_engine = functools.partial(
    sqlalchemy.ext.asyncio.create_async_engine, pool_pre_ping=True
)

# httpx gives up after 5 s by default, and the packages set nothing else. A bank that takes 6 s for a batch has the payments,
# while the Bridge counts the batch as failed and sends it again.
_seconds = httpx.Timeout(float(os.environ.get("HTTP_TIMEOUT_SECONDS", "60")), connect=5.0)


class _Client(httpx.Client):
    def __init__(self, **settings):
        settings.setdefault("timeout", _seconds)
        super().__init__(**settings)


class _AsyncClient(httpx.AsyncClient):
    def __init__(self, **settings):
        settings.setdefault("timeout", _seconds)
        super().__init__(**settings)


httpx.Client = _Client
httpx.AsyncClient = _AsyncClient
