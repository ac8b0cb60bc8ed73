"""The other side of `helper.py`: what runs in a helper's process.

It reads questions from its standard input and writes an answer to each to its standard output, in the order in which
they came: pickles, each behind its length. A question is a folding, packed models and packed leads; the answer is what
the folding gave, or the error that it raised. The first answer, None, is to no question: the process is up.
"""

import fcntl
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import BinaryIO

from services.scoring.core.lead import Models
from services.scoring.packing import Packed
from shared.activity import names_of
from shared.garbage import settle

STEPS_BACK = 10
"""How far (`nice(2)`) a helper lets others go first: its service and PostgreSQL, so that live scoring waits less."""
Folding = Callable[..., Packed]
"""A function that another process can import, of models and packed leads."""
LENGTH = struct.Struct(">Q")
"""Of the pickle that follows, in bytes."""
PIPE = 1_048_576
"""Bytes that a pipe to or from a helper holds."""


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until no more questions come."""
    _write(answers, None)  # up and running
    while head := questions.read(LENGTH.size):
        (length,) = LENGTH.unpack(head)
        _write(answers, _answer(questions.read(length)))


def _answer(question: bytes) -> object:
    """What is written back. Nothing else is left when the next question is read, which finds its room in the caches."""
    folding, models, piece = pickle.loads(question)  # noqa: S301 - written by our parent
    try:
        return folding(_models(models), piece)
    except Exception as error:
        return error
    finally:
        names_of.cache_clear()  # every lead comes once


@lru_cache(maxsize=1)
def _models(packed: bytes) -> Models:
    """Compiled once: the same ones come with every chunk."""
    models: Models = pickle.loads(packed)  # noqa: S301 - written by our parent
    return models


def _write(answers: BinaryIO, answer: object) -> None:
    packed = pickle.dumps(answer)
    answers.write(LENGTH.pack(len(packed)))
    answers.write(packed)
    answers.flush()


def main() -> None:
    """`python -m services.scoring.helping`, as the service starts it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the service decides when the helper ends
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    for pipe in (sys.stdin, answers):
        with suppress(OSError):  # others have used up what this user may have
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
    os.nice(STEPS_BACK)
    settle()
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
