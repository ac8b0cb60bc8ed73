"""Questions of commands to a running service."""

from collections.abc import Mapping

import httpx2

from deploy.cli.common import StackAddresses, fail
from shared.errors import reason

TIMEOUT_S = 60.0


def ask(stack: StackAddresses, service: str, path: str, asked: Mapping[str, str | None]) -> httpx2.Response:
    """GET; parameters that are None are left out. What the service refuses ends the command with its reasons."""
    parameters = {name: value for name, value in asked.items() if value is not None}
    url = f"{stack.url(service)}{path}"
    try:
        answer = httpx2.get(url, params=parameters, headers=stack.authorization, timeout=TIMEOUT_S, trust_env=False)
    except httpx2.HTTPError as error:
        name = reason(error)
        raise fail(f"the {service} service at {stack.url(service)} does not answer: {name}") from None
    if answer.is_success:
        return answer
    body = answer.json()
    faults = "; ".join(f"{fault['pointer']}: {fault['detail']}" for fault in body.get("errors", ()))
    raise fail(f"{body.get('detail', answer.status_code)}{f' ({faults})' if faults else ''}")
