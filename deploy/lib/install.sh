#!/usr/bin/env bash
# install.sh RELEASE REQUIREMENTS… makes RELEASE/venv from files of pins with hashes, and installs the
# release itself into it. DEPLOY_INSTALL names a script to call in its place, with the same arguments;
# pip's own settings (PIP_FIND_LINKS, PIP_NO_INDEX, PIP_INDEX_URL) hold as well.
set -euo pipefail
cd "$1"
shift

newest_python() {
    local name
    for name in ${DEPLOY_PYTHON:-python3.13 python3.12 python3.11 python3}; do
        "${name}" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
            echo "${name}" && return 0
    done
    echo "deploy: no Python of 3.11 or later with the module venv: apt install python3.11-venv, or set DEPLOY_PYTHON" >&2
    return 1
}

python=$(newest_python)
"${python}" -m venv venv
pip=(venv/bin/python -m pip --disable-pip-version-check --no-input --quiet)
for file in "$@"; do
    "${pip[@]}" install --require-hashes --requirement "${file}"
done
"${pip[@]}" install --no-deps --no-build-isolation --editable .
"${pip[@]}" check
# The services may not write here, so what Python would keep is made now.
venv/bin/python -m compileall -q cardwatch src
