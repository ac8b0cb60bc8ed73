"""The bodies that the API answers with about accounts."""

from datetime import datetime
from typing import Any

from services.scoring.account_reading import AccountNow, StoredAccount
from services.scoring.core.accounts import METHODS, account_score, describe, is_active, score_out
from services.scoring.core.evaluation import as_points
from services.scoring.core.lead import LiveModel
from services.scoring.core.profile import instant_out
from services.scoring.models import ModelsInForce

MOST_CONTACTS = 100


def account_in_list(stored: StoredAccount, models: ModelsInForce) -> dict[str, Any]:
    """An account as published last, under the primary model."""
    model = models.primary
    scored = stored.state.get("models", {}).get(model.name, {})
    return {
        "id": stored.id,
        "name": stored.state.get("name"),
        "domains": stored.state.get("domains", []),
        "score": scored.get("score"),
        "scores": scored.get("scores", dict.fromkeys(METHODS)),
        "method": model.compiled.model.accounts.score,
        "contacts_in_all": stored.contacts,
        "active_contacts": scored.get("active_contacts", 0),
        "version": stored.version,
        "model": _model(model),
    }


def account_out(found: AccountNow, models: ModelsInForce, at: datetime) -> dict[str, Any]:
    """An account and its people, the best hundred of them."""
    model, stored = models.primary, found.stored
    rules, contacts = model.compiled.model.accounts, [contact for _, contact in found.people]
    account = describe(contacts)
    scored = score_out(account_score(contacts, model.name, rules, at))
    best = sorted(found.people, key=lambda one: (-(one[1].scores[model.name] or 0), one[0].id))
    return {
        "id": stored.id,
        "name": account.name,
        "domains": list(account.domains),
        "score": scored["score"],
        "scores": scored["scores"],
        "method": rules.score,
        "contacts_in_all": len(contacts),
        "active_contacts": scored["active_contacts"],
        "version": stored.version,
        "model": _model(model),
        "given_id": account.given_id,
        "contacts": [
            {
                "lead_id": lead.id,
                "name": _text(lead.state.profile.attributes.get("name")),
                "email": lead.state.profile.identifiers_out()["email"],
                "score": as_points(contact.scores[model.name]),
                "active": is_active(contact, rules, at),
                "last_active_at": instant_out(contact.active_at),
            }
            for lead, contact in best[:MOST_CONTACTS]
        ],
    }


def _model(model: LiveModel) -> dict[str, Any]:
    return {"name": model.name, "version": model.version}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
