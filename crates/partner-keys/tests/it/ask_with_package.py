"""Asks partner-keys as SPAR and Bridge do, with their own code. usage: BODY SIGNATURE; prints True, False or an error."""
import asyncio
import sys

from openg2p_g2pconnect_common_lib.jwt_signature_validator import JWTSignatureValidator
from openg2p_g2pconnect_common_lib.oauth_token import OAuthTokenService

OAuthTokenService()


class Request:
    headers = {"Signature": sys.argv[2]}

    async def body(self):
        return sys.argv[1].encode()


try:
    print(asyncio.run(JWTSignatureValidator()(Request())))
except Exception as error:
    print(f"{type(error).__name__}: {error}")
