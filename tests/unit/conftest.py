"""Unit tests reach no network: a socket is an error (event loops keep their own pair of local ones)."""

import pytest_socket


def pytest_runtest_setup() -> None:
    pytest_socket.disable_socket(allow_unix_socket=True)
