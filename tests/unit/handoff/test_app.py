"""What a process of handoff holds from its start."""

import subprocess
import sys


def test_neither_ciphers_nor_holidays_are_loaded_before_they_are_needed() -> None:
    code = "import sys, services.handoff.app; print({'cryptography', 'holidays'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()"]
