"""An explanation for people: the way from entries to the score, one line each."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.clock import from_rfc3339

MOST_ENTRIES = 20
WORDS = {"occurred": "as it happened", "recorded": "as it was known"}
WIDTH = 9


def lines_of(answer: Mapping[str, Any], called: str) -> Iterator[str]:
    """The lines to print for the body of `GET /v1/leads/{id}/explanation`; `called` is what the lead was asked by."""
    model = answer["model"]
    yield f"{called}  {_standing(answer)}"
    yield (
        f"{model['name']} version {model['version']} at {when(answer['at'])},"
        f" {answer['activities']} activities {WORDS[answer['knowledge']]}"
    )
    if answer["opening"]:
        opening = answer["opening"]
        yield f"{opening['activities']} of them, before {when(opening['until'])}, were removed for their age"
    yield ""
    yield from _engagement(answer)
    yield from _fit(answer["fit_sum"])
    for given in answer["manual_points"]:
        until = f", until {when(given['expires_at'])}" if given["expires_at"] else ""
        who = f"{given['author']}, {when(given['given_at'])}{until}"
        yield f"{points(given['points'])}  manual: {given['reason']} ({who})"
    yield from _next(answer)
    if answer["difference"]:
        yield from _difference(answer["difference"])


def points(value: float) -> str:
    """With two decimals, to the right of a column."""
    return f"{value:{WIDTH}.2f}"


def when(instant: str) -> str:
    """To the minute, in UTC."""
    return f"{from_rfc3339(instant):%Y-%m-%d %H:%M}Z"


def _standing(answer: Mapping[str, Any]) -> str:
    if answer["excluded"]:
        return "is excluded: the model does not score this lead; the sums say what it would have"
    stage = f", stage {answer['stage']}" if answer["stage"] else ""
    return f"{answer['score']:.2f} points, {answer['cell']}{stage}"


def _engagement(answer: Mapping[str, Any]) -> Iterator[str]:
    total = answer["engagement_sum"]
    yield f"{points(total['points'])}  engagement"
    for rule in answer["rules"]:
        if rule["entries"] or rule["denied"] or rule["points"] or rule["opening"]:
            yield from _rule(rule)
    for group in answer["groups"]:
        if group["clamp"]:
            yield f"  {points(group['clamp'])}  cap:{group['group']}, {_bounds(group)}"
    idle = total["inactivity"]
    if idle and idle["points"]:
        yield f"  {points(idle['points'])}  inactivity: {idle['periods']} × {idle['every']} without a sign of life"
    if total["clamp"]:
        yield f"  {points(total['clamp'])}  cap:engagement, {_bounds(total)}"
    if total["recycled"]:
        yield f"  {points(total['recycled'])}  recycled"


def _rule(rule: Mapping[str, Any]) -> Iterator[str]:
    group = f", group {rule['group']}" if rule["group"] else ""
    clamp = f", {points(rule['raw']).strip()} before its bounds ({_bounds(rule)})" if rule["clamp"] else ""
    yield f"  {points(rule['points'])}  {rule['rule']}{group}{_terms(rule)}{clamp}"
    shown = rule["entries"][-MOST_ENTRIES:]
    older = len(rule["entries"]) - len(shown) + (rule["older_entries"] or {}).get("count", 0)
    if opening := rule["opening"]:
        value = "counted" if rule["cells"] else f"{opening['points']:.2f}"
        yield f"    {value:>{WIDTH}}  {opening['count']} entries of removed activities"
    if older:
        yield f"    {'':{WIDTH}}  … {older} earlier entries"
    for entry in shown:
        faded = f" ({entry['points_at_start']:.2f} at first)" if entry["decay"] else ""
        value = "counted" if rule["cells"] else f"{entry['points']:.2f}"
        yield f"    {value:>{WIDTH}}  {_activity(entry['activity'])}{faded}"
    for denied in rule["denied"][-MOST_ENTRIES:]:
        yield f"    {'–':>{WIDTH}}  {_activity(denied['activity'])}: {_denial(denied)}"


def _terms(rule: Mapping[str, Any]) -> str:
    repeat, decay = rule["repeat"], rule["decay"]
    terms = [f"{name} {value}" for part in (repeat, decay) if isinstance(part, dict) for name, value in part.items()]
    if isinstance(repeat, str):
        terms.insert(0, repeat)
    terms += [
        f"{cell['count']} of {cell['at_least']} within {cell['within']}{' pays' if cell['pays'] else ''}"
        for cell in rule["cells"]
    ]
    return f" ({', '.join(terms)})" if terms else ""


def _denial(denied: Mapping[str, Any]) -> str:
    if denied["policy"] == "verdict":
        return f"not paid, the verdict is {denied['verdict']}"
    before = denied["paid_before"]
    paid = f", as {before['id']} of {when(before['occurred_at'])} was paid" if before else ""
    return f"not paid, {denied['policy']}{paid}"


def _activity(activity: Mapping[str, Any]) -> str:
    thing = f" {activity['object']}" if activity["object"] else ""
    return f"{when(activity['occurred_at'])}  {activity['type']}{thing}"


def _bounds(clamped: Mapping[str, Any]) -> str:
    named = [f"{name} {clamped[name]:.2f}" for name in ("min", "max") if clamped[name] is not None]
    return ", ".join(named)


def _fit(total: Mapping[str, Any]) -> Iterator[str]:
    yield f"{points(total['points'])}  fit"
    for rule in total["rules"]:
        if rule["holds"]:
            yield f"  {points(rule['points'])}  {rule['rule']}"
        else:
            yield f"  {'–':>{WIDTH}}  {rule['rule']} does not hold ({rule['points_if_it_holds']:+.2f})"
    if total["clamp"]:
        yield f"  {points(total['clamp'])}  cap:fit, {_bounds(total)}"


def _next(answer: Mapping[str, Any]) -> Iterator[str]:
    coming = answer["next_change"]
    yield ""
    if coming is None:
        yield "Time alone changes nothing any more."
        return
    score = "excluded" if coming["score"] is None else f"{coming['score']:.2f}"
    yield f"Next change by time alone: {when(coming['at'])}, then {score}"
    yield from _changes(coming["reasons"])


def _difference(found: Mapping[str, Any]) -> Iterator[str]:
    earlier, later = found["from"], found["to"]
    yield ""
    change = "" if found["change"] is None else f": {found['change']:+.2f}"
    yield f"From {when(earlier['at'])} ({_score(earlier)}) to {when(later['at'])} ({_score(later)}){change}"
    moved = {one["rule"]: one for one in found["entries"]}
    for line in found["reasons"]:
        parts = moved.get(line["rule"], {})
        why = [f"{name} {parts[name]:+.2f}" for name in ("earned", "lost", "faded") if parts.get(name)]
        because = f" ({', '.join(why)})" if why else ""
        yield f"  {line['change']:+{WIDTH}.2f}  {line['rule']}{because}"


def _score(standing: Mapping[str, Any]) -> str:
    return "excluded" if standing["score"] is None else f"{standing['score']:.2f}"


def _changes(lines: list[Mapping[str, Any]]) -> Iterator[str]:
    for line in lines:
        yield f"  {line['change']:+{WIDTH}.2f}  {line['rule']}"
