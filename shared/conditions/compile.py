"""Conditions as closures: everything that does not depend on the lead is worked out once."""

from collections.abc import Callable, Sequence
from typing import Any

from shared.conditions.fields import Getter, getter
from shared.conditions.operators import EXISTS, OPERATORS, Predicate
from shared.conditions.schema import Block, DidCondition, FieldCondition

Test = Callable[[Any], bool]
"""Takes the facts described at `Scope`, says whether the condition holds."""


def always(_: Any) -> bool:
    """The block without conditions."""
    return True


def compile_block(block: Block) -> Test:
    """`all`, `any` and `none` together."""
    parts: list[Test] = []
    if block.all:
        parts.extend(compile_condition(condition) for condition in block.all)
    if block.any:
        parts.append(any_of([compile_condition(condition) for condition in block.any]))
    if block.none:
        parts.append(_none_of([compile_condition(condition) for condition in block.none]))
    return _all_of(parts)


def compile_condition(condition: FieldCondition | DidCondition) -> Test:
    """One condition."""
    if isinstance(condition, DidCondition):
        return _did(condition)
    name, constant = condition.operator
    read = getter(condition.field)
    if name == EXISTS:
        return _exists(read, constant)
    return _known_and(read, OPERATORS[name](constant))


def _known_and(read: Getter, predicate: Predicate) -> Test:
    def holds(facts: Any) -> bool:
        value = read(facts)
        return value is not None and predicate(value)

    return holds


def _exists(read: Getter, wanted: bool) -> Test:
    return lambda facts: (read(facts) is not None) is wanted


def _did(condition: DidCondition) -> Test:
    activity_type, at_least, within = condition.did, condition.at_least, condition.within
    return lambda facts: bool(facts.did(activity_type, within) >= at_least)


def _all_of(tests: Sequence[Test]) -> Test:
    if not tests:
        return always
    if len(tests) == 1:
        return tests[0]

    # A loop costs half of what a generator in all() does, and rules ask this for every activity.
    def holds(facts: Any) -> bool:
        for test in tests:  # noqa: SIM110
            if not test(facts):
                return False
        return True

    return holds


def any_of(tests: Sequence[Test]) -> Test:
    """Whether one of them holds; never, if there is none."""
    if len(tests) == 1:
        return tests[0]

    def holds(facts: Any) -> bool:
        for test in tests:  # noqa: SIM110
            if test(facts):
                return True
        return False

    return holds


def _none_of(tests: Sequence[Test]) -> Test:
    some = any_of(tests)
    return lambda facts: not some(facts)
