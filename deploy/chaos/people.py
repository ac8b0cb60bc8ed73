"""The shipped sample as other people, so that it can be fed into one stack many times."""

import re
from typing import Any


def own(activity: dict[str, Any], seed: int) -> dict[str, Any]:
    """The activity as one of this seed alone: its own ids, its own people, their own browsers and telephones."""
    mark = f"k{seed}"
    lead = dict(activity["lead"])
    if "email" in lead:
        local, _, domain = lead["email"].partition("@")
        lead["email"] = f"{local}@{mark}.{domain}"
    if "anonymous_id" in lead:
        lead["anonymous_id"] = f"{mark}-{lead['anonymous_id']}"
    if "external_ids" in lead:
        lead["external_ids"] = {system: f"{mark}-{known}" for system, known in lead["external_ids"].items()}
    if "phone" in lead:
        lead["phone"] = re.sub("^(090-?)0000", rf"\g<1>{seed % 10_000:04d}", lead["phone"])
    return {**activity, "source": f"{activity['source']}-{mark}", "lead": lead}
