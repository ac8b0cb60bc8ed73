"""What a process of ingest holds from its start."""

import subprocess
import sys


def test_no_cipher_is_loaded_before_one_is_needed() -> None:
    code = "import sys, services.ingest.run, services.ingest.helping; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
