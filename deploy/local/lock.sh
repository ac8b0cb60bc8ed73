#!/bin/sh
# Renews the hashed lock files. uv.lock itself stays out of the repository: it names the index it was made from.
set -eu
cd "$(dirname "$0")/../.."
uv=.venv/bin/uv
exported() { "$uv" export -q --frozen --format requirements-txt --no-emit-project --no-header --no-annotate "$@"; }

"$uv" lock -q "$@"
exported --no-default-groups --extra local >requirements.lock
exported --all-extras --all-groups >requirements-dev.lock
exported --no-default-groups >requirements-docker.lock
