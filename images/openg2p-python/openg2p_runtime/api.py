"""The HTTP services: a health path, and no route that skips the signature."""

from collections.abc import Collection

from fastapi import Request


def add_ping() -> None:
    """Adds ``GET /ping``, which the packages carry but no service switches on."""
    # Imported late: a service's own settings must be the first that this library sees, or it takes its defaults.
    from openg2p_fastapi_common.ping import PingInitializer

    PingInitializer()


def require_signatures(app, unsigned: Collection[str]) -> None:
    """Makes every route of ``app`` verify the caller's signature, except those named in ``unsigned``.

    Bridge API 1.1.0 declares ``Depends(JWTSignatureValidator)``, without the brackets, on some routes. FastAPI then calls the
    class instead of an object of it, gets something that is true, and lets everybody in. Here such a dependency is replaced
    by an object, and a route with no such dependency at all stops the service: a new version must not open a door silently.
    """
    from fastapi.dependencies.utils import get_dependant
    from fastapi.routing import APIRoute
    from openg2p_g2pconnect_common_lib.jwt_signature_validator import JWTSignatureValidator

    class Validator(JWTSignatureValidator):
        async def __call__(self, request: Request) -> bool:
            # Without a signature or a sender the package's own validator falls over, which answers 500: it is a plain refusal.
            body = await request.json()
            sender = body.get("header", {}).get("sender_id") if isinstance(body, dict) else None
            if not isinstance(sender, str) or "Signature" not in request.headers:
                return False
            return await super().__call__(request)

    naked = []
    for route in app.routes:
        if not isinstance(route, APIRoute) or route.path in unsigned:
            continue
        signed = False
        for index, dependency in enumerate(route.dependant.dependencies):
            call = dependency.call
            if call is JWTSignatureValidator or isinstance(call, JWTSignatureValidator):
                route.dependant.dependencies[index] = get_dependant(
                    path=route.path_format, call=Validator(), name=dependency.name
                )
                signed = True
        if not signed:
            naked.append(route.path)
    if naked:
        raise SystemExit(
            f"runtime::route-unsigned: {', '.join(sorted(naked))} would answer without checking a signature. "
            "The installed package differs from the one this image was made for; install the pinned version."
        )
