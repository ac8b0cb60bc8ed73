"""Every tool that can be asked for what its webhooks leave out, written out."""

from services.ingest.sources import (
    eventbrite,
    eventbrite_fetch,
    hubspot,
    hubspot_fetch,
    linkedin,
    linkedin_fetch,
    meta,
    meta_fetch,
)
from services.ingest.sources.fetching import Fetcher

FETCHERS: dict[str, Fetcher] = {
    hubspot.NAME: hubspot_fetch.FETCHER,
    meta.NAME: meta_fetch.FETCHER,
    linkedin.NAME: linkedin_fetch.FETCHER,
    eventbrite.NAME: eventbrite_fetch.FETCHER,
}
