"""HTTP to addresses that others choose: where it may go, and a client that goes nowhere else."""

from shared.outgoing.client import Answer, Call, Outgoing, TooLong, Unanswered
from shared.outgoing.rules import AddressRefused, Rules, Target

__all__ = ["AddressRefused", "Answer", "Call", "Outgoing", "Rules", "Target", "TooLong", "Unanswered"]
