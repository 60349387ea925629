# What is said to the person who deploys, and how a step is only talked of in a dry run.
# shellcheck shell=bash

say() { printf '%s\n' "$*"; }

warn() { printf 'deploy: %s\n' "$*" >&2; }

# Ends the deployment: what is wrong, and what to do about it.
fail() {
    warn "$*"
    exit 1
}

usage() {
    printf 'deploy: %s\n\n%s\n' "$1" "${USAGE}" >&2
    exit 2
}

# Nothing has been touched yet, and nothing will be.
cannot_start() {
    warn "$*"
    exit 2
}

step() {
    STEP=$1
    say "=== ${STEP} ==="
}

# Runs a command that changes something, or shows it in a dry run.
run() {
    if [[ -n ${DRY_RUN-} ]]; then
        say "would run: $*"
    else
        "$@"
    fi
}

# In a dry run, says what would be done, and is true: `would "…" && return 0`.
would() {
    [[ -n ${DRY_RUN-} ]] || return 1
    say "would $*"
}

# Runs a command whose output matters only where it fails. Like all that runs on the way back, it names
# the status it returns: in a trap, a bare `return` gives the one from before.
quietly() {
    local said
    said=$("$@" 2>&1) && return 0
    printf '%s\n' "${said}" | tail -n 40 >&2
    return 1
}
