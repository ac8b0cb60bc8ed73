"""The language of conditions: one meaning in scoring rules, stages, signals, exclusions and gates."""

from shared.conditions.compile import Test, any_of, compile_block, compile_condition
from shared.conditions.faults import Fault, Path, distinct, faults_of, path_text
from shared.conditions.fields import (
    ACCOUNT,
    ACTIVITY,
    GATE,
    LEAD,
    STATE,
    Scope,
    block_faults,
    conditions_faults,
    keys_of,
    look_up,
)
from shared.conditions.schema import (
    ActivityType,
    Block,
    Condition,
    DidCondition,
    Duration,
    FieldCondition,
    Schema,
    activity_type,
)

__all__ = [
    "ACCOUNT",
    "ACTIVITY",
    "GATE",
    "LEAD",
    "STATE",
    "ActivityType",
    "Block",
    "Condition",
    "DidCondition",
    "Duration",
    "Fault",
    "FieldCondition",
    "Path",
    "Schema",
    "Scope",
    "Test",
    "activity_type",
    "any_of",
    "block_faults",
    "compile_block",
    "compile_condition",
    "conditions_faults",
    "distinct",
    "faults_of",
    "keys_of",
    "look_up",
    "path_text",
]
