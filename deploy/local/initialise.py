"""What a container setup needs once before its services: `python -m deploy.local.initialise`.

Makes the secrets and the topics that are missing, and looks whether the database belongs to the secret and to what
Kafka holds; leaves everything else as it is.
"""

import asyncio
import os
import sys

from deploy.local.beforehand import check_database
from deploy.local.credentials import ensure_cli_key, ensure_identity_secret
from deploy.local.paths import DataFolder
from shared.errors import KizashiError
from shared.kafka.admin import ensure_topics
from shared.settings import Settings, load


def main() -> int:
    """Returns the exit code; a failure is worth another try."""
    try:
        # The secret's file is a setting of the services; here it is still to be made.
        before = load(Settings, _without_secret_file())
        data = DataFolder.at(before.data_dir)
        data.create()
        if not data.identity_secret.exists():
            # A volume that was emptied or exchanged: its new secret would not be that of the leads.
            asyncio.run(check_database(before))
        ensure_identity_secret(data, _given(before))
        settings = load(Settings)
        ensure_cli_key(data, settings.key_store_path)
        asyncio.run(ensure_topics(settings.kafka))
        asyncio.run(check_database(settings))
    except (KizashiError, OSError) as error:
        print(f"kizashi: {error}", file=sys.stderr)
        return 1
    return 0


def _given(settings: Settings) -> str | None:
    secret = settings.identity_secret
    return (secret.get_secret_value().strip() or None) if secret else None


def _without_secret_file() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name != "KIZASHI_IDENTITY_SECRET_FILE"}


if __name__ == "__main__":
    raise SystemExit(main())
