"""What of new activities may be stored at all: nothing of erased people, and, by policy, nothing without consent."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson

from services.scoring.core.consent import PROFILING, Profiling, history_of
from services.scoring.core.lead import LeadState, Models
from services.scoring.erasures import Erasures
from services.scoring.repository import Key, ScoringRepository
from shared.activity import Activity, to_record
from shared.identity import Identifier


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
        await _drop_without_consent(repository, admitted)
    return admitted


async def _drop_without_consent(repository: ScoringRepository, admitted: Admitted) -> None:
    of_person: dict[Identifier, list[Activity]] = defaultdict(list)
    for activity in admitted.fresh.values():
        of_person[activity.identifiers[0]].append(activity)
    packed = await repository.states_of(of_person)
    for identifier, activities in of_person.items():
        agreed = list(LeadState.unpack(packed[identifier]).agreed) if identifier in packed else []
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
