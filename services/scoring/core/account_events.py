"""What scoring publishes of accounts: the whole state after a change, and tombstones."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from services.scoring.core.events import SOURCE
from shared.clock import to_rfc3339
from shared.events import ACCOUNT_CHANGED, OutboxRow, cloud_event_headers
from shared.topics import ACCOUNT_SCORES


def account_changed(account_id: str, version: int, state: Mapping[str, Any], cause: str, at: datetime) -> OutboxRow:
    """The `account-scores` record of an account; `state` is what `account_state` gave."""
    body = {
        "account_id": account_id,
        "version": version,
        **state,
        "cause": cause,
        "evaluated_at": to_rfc3339(at),
    }
    headers = cloud_event_headers(
        id_=f"{account_id}:{version}", source=SOURCE, type_=ACCOUNT_CHANGED, time=to_rfc3339(at), key=account_id
    )
    return OutboxRow(ACCOUNT_SCORES.name, account_id.encode(), orjson.dumps(body), headers)


def account_gone(account_id: str) -> OutboxRow:
    """Ends the key of an account that nobody belongs to any more."""
    return OutboxRow(ACCOUNT_SCORES.name, account_id.encode(), None)
