#!/bin/sh
# Sets up what is missing: `sh deploy/local/setup.sh run|dev`. Finds a Python and hands over to bootstrap.py.
set -eu
cd "$(dirname "$0")/../.."
level="${1:-run}"

# When all is there, this is the whole run.
if [ -x .venv/bin/python ] && .venv/bin/python -I deploy/local/bootstrap.py --check "$level" 2>/dev/null; then
    exit 0
fi

fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
    if fits "$candidate"; then
        exec "$candidate" -I deploy/local/bootstrap.py "$level"
    fi
done

found="$(python3 --version 2>/dev/null || echo none)"
cat >&2 <<MESSAGE
kizashi: Python 3.11 or newer is needed; found: $found
  Debian, Ubuntu: apt install python3 python3-venv   (Debian 12, Ubuntu 24.04 or newer)
  Fedora:         dnf install python3.12
  macOS:          install Python 3.12 with your package manager
  or name one:    make setup PYTHON=/path/to/python3.12
MESSAGE
exit 1
