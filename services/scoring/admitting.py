"""What of new activities may be stored at all: nothing of erased people, and, by policy, nothing without consent."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson

from services.scoring.core.consent import PROFILING, Profiling, history_of
from services.scoring.core.lead import LeadState, Models
from services.scoring.core.linking import LeadIdFor, place
from services.scoring.core.profile import identifiers_of
from services.scoring.erasures import Erasures
from services.scoring.repository import Key, ScoringRepository
from shared.activity import Activity, to_record


@dataclass(slots=True)
class Admitted:
    """The activities to be stored with their bodies, and the keys of those that are not: these stay taken."""

    fresh: dict[Key, Activity]
    bodies: dict[Key, str]
    refused: set[Key] = field(default_factory=set)


async def admit(
    repository: ScoringRepository,
    models: Models,
    erasures: Erasures,
    fresh: Mapping[Key, Activity],
    bodies: Mapping[Key, str],
) -> Admitted:
    """Choose. Under the policy `drop` of the primary model an activity without consent for profiling is not stored; one
    that itself says something about consent is, as the proof of that and nothing else.
    """
    forgotten = {key for key, activity in fresh.items() if erasures.forgets(activity)}
    admitted = Admitted({key: one for key, one in fresh.items() if key not in forgotten}, dict(bodies), forgotten)
    model = models.primary.compiled.model
    if model.needs_consent and model.consent.without == "drop":
        await _drop_without_consent(repository, admitted, erasures.lead_id_for)
    return admitted


async def _drop_without_consent(repository: ScoringRepository, admitted: Admitted, lead_id_for: LeadIdFor) -> None:
    """What a person has agreed to under any of their names counts: a browser's consent for the form that follows."""
    names = identifiers_of(admitted.fresh.values())
    known, packed = await repository.owners(names), await repository.states_of(names)
    states = {known.owners[name].lead_id: state for name, state in packed.items() if name in known.owners}
    placement = place(admitted.fresh.values(), known, lead_id_for)
    together = {lead_id: frozenset(cluster) for cluster in placement.clusters for lead_id in cluster}
    of_person: dict[frozenset[str], list[Activity]] = defaultdict(list)
    for key, activity in admitted.fresh.items():
        lead_id = placement.lead_of[key]
        of_person[together.get(lead_id, frozenset((lead_id,)))].append(activity)
    for lead_ids, activities in of_person.items():
        agreed = [word for one in lead_ids if one in states for word in LeadState.unpack(states[one]).agreed]
        said = [(word.at, word.granted) for word in history_of(activities) if word.purpose == PROFILING]
        profiling = Profiling(sorted([*agreed, *said], key=lambda word: word[0]))
        for activity in activities:
            if not profiling.allows(activity.occurred_at):
                _keep_the_proof(admitted, activity)


def _keep_the_proof(admitted: Admitted, activity: Activity) -> None:
    key = (activity.source, activity.id)
    if not activity.consent:
        admitted.refused.add(key)
        del admitted.fresh[key]
        return
    bare = replace(activity, attributes={}, properties={}, signals=None)
    admitted.fresh[key] = bare
    admitted.bodies[key] = orjson.dumps(to_record(bare)).decode()
