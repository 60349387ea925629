#!/usr/bin/env bash
# The deployment guide's command: ./deploy.sh <version>. The work is in deploy/.
set -euo pipefail
exec bash "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/deploy/deploy.sh" "$@"
