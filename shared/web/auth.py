"""Keys at the door of a route."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.keys import ApiKey
from shared.web.edge import REQUEST
from shared.web.lean import LeanRequest

# Only for OpenAPI: the header itself is read by the key store, which knows the stable codes.
_bearer = HTTPBearer(auto_error=False, scheme_name="api_key", description="`kizashi keys create NAME --scope SCOPE`")


def require(scope: str) -> Callable[..., Awaitable[ApiKey]]:
    """A dependency that returns the key of the request if it has `scope`.

    Raises ProblemError 401, 403, 503 as `KeyStore.authorize`, 429 as `LeanRequest.admit`.
    Uses `app.state.keys` and `app.state.clock`.
    """

    async def checked(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> ApiKey:
        state = request.app.state
        key: ApiKey = state.keys.authorize(request.headers.get("authorization"), scope, state.clock())
        seen: LeanRequest = request.scope[REQUEST]
        seen.admit(key.id)
        return key

    return checked
