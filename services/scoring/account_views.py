"""Accounts as the API shows them, for its documents: the bodies themselves are made in `account_answers`."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.scoring.views import ModelView
from shared import schemas
from shared.events import ACCOUNT_CHANGED

_CHANGED = schemas.examples(ACCOUNT_CHANGED)["three-people"]
_SCORED = _CHANGED["models"]["b2b-standard"]
_ACCOUNT: dict[str, Any] = {
    "id": _CHANGED["account_id"],
    "name": _CHANGED["name"],
    "domains": _CHANGED["domains"],
    "score": _SCORED["score"],
    "scores": _SCORED["scores"],
    "method": "damped",
    "contacts_in_all": 3,
    "active_contacts": _SCORED["active_contacts"],
    "version": _CHANGED["version"],
    "model": {"name": "b2b-standard", "version": 3},
}
_CONTACT = {
    **_SCORED["contacts"][0],
    "name": "山田 太郎",
    "email": "taro.yamada@example.co.jp",
    "active": True,
    "last_active_at": "2026-11-20T01:15:00.000000Z",
}


class AccountScoresView(BaseModel):
    """The contacts' scores put together in each way. Null where no contact is scored."""

    damped: float | None = Field(description="The five best, each next one counting half as much as the one before.")
    max: float | None
    average: float | None = Field(description="Of active contacts; 0 where none is active.")
    sum: float | None


class AccountView(BaseModel):
    """An account in a list."""

    model_config = ConfigDict(json_schema_extra={"example": _ACCOUNT})

    id: str
    name: str | None = Field(description="The company name that most contacts give.")
    domains: list[str]
    score: float | None = Field(description="By the model's method.")
    scores: AccountScoresView
    method: Literal["damped", "max", "average", "sum"]
    contacts_in_all: int
    active_contacts: int = Field(description="Contacts with a sign of life within the model's `active_within`.")
    version: int = Field(description="Rises with every published change, for ever.")
    model: ModelView


class ContactView(BaseModel):
    """A lead of the account."""

    lead_id: str
    name: str | None
    email: str | None
    score: float | None
    active: bool
    last_active_at: datetime | None


class AccountWithContacts(AccountView):
    """An account with its people."""

    model_config = ConfigDict(json_schema_extra={"example": {**_ACCOUNT, "given_id": "A-17", "contacts": [_CONTACT]}})

    given_id: str | None = Field(description="`attributes.account_id`, where the account goes by it.")
    contacts: list[ContactView] = Field(description="The best hundred.")


class AccountPage(BaseModel):
    """A page of accounts; the next one stands in the `Link` header."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [_ACCOUNT]}})

    items: list[AccountView]
