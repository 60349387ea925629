#!/usr/bin/env bash
# Installs a version beside the one that runs, proves it, and only then lets it take over. Whatever
# fails on the way, the version that ran before runs afterwards. docs/DEPLOYMENT.md tells the story.
set -euo pipefail

LIB="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib"
# shellcheck source=lib/messages.sh
source "${LIB}/messages.sh"
# shellcheck source=lib/places.sh
source "${LIB}/places.sh"
# shellcheck source=lib/journal.sh
source "${LIB}/journal.sh"
# shellcheck source=lib/releases.sh
source "${LIB}/releases.sh"
# shellcheck source=lib/adoption.sh
source "${LIB}/adoption.sh"
# shellcheck source=lib/configuration.sh
source "${LIB}/configuration.sh"
# shellcheck source=lib/program.sh
source "${LIB}/program.sh"
# shellcheck source=lib/airflow.sh
source "${LIB}/airflow.sh"
# shellcheck source=lib/services.sh
source "${LIB}/services.sh"
# shellcheck source=lib/way_back.sh
source "${LIB}/way_back.sh"

USAGE="Usage: ./deploy.sh [--dry-run] [--no-fetch] [--with-tests] <version>

  <version>      a tag of the repository, such as v1.0.0
  --dry-run      say what would be done; change nothing
  --no-fetch     do not ask the remote repository for new tags
  --with-tests   also install requirements-dev.txt and run the tests before the switch

Exit codes: 0 deployed; 1 failed, and what ran before runs; 2 wrong usage or nothing to start from;
3 failed, and going back failed too: see docs/RUNBOOK.md#going-back-failed"

read_arguments() {
    DRY_RUN='' FETCH=yes WITH_TESTS='' VERSION=''
    while (($#)); do
        case $1 in
            --dry-run) DRY_RUN=yes ;;
            --no-fetch) FETCH='' ;;
            --with-tests) WITH_TESTS=yes ;;
            -h | --help) echo "${USAGE}" && exit 0 ;;
            -*) usage "unknown option $1" ;;
            *) [[ -z ${VERSION} ]] || usage "one version, please" && VERSION=$1 ;;
        esac
        shift
    done
    [[ -n ${VERSION} ]] || usage "which version?"
    [[ ${VERSION} =~ ^[A-Za-z0-9][A-Za-z0-9._+-]*$ ]] || usage "'${VERSION}' is not a tag's name"
}

# Runs at the end, however it came: a failed command, a signal, or success.
finish() {
    local code=$?
    trap - EXIT
    # A second signal is no reason to stop on the way back.
    trap '' INT TERM HUP
    [[ -n ${BEGUN-} ]] || exit "${code}"
    if [[ -n ${DONE-} ]]; then
        ((code == 0)) || warn "${VERSION} is deployed; removing old releases was interrupted"
        exit 0
    fi
    set +e
    echo >&2
    warn "deploying ${VERSION} failed in the step: ${STEP}"
    if undo; then
        record failed "${BEFORE:-none}" "${VERSION}" "${STEP}"
        warn "${BEFORE:-what was here before} is in place, as before"
        exit 1
    fi
    record went-back-failed "${BEFORE:-none}" "${VERSION}" "${STEP}"
    warn "going back failed as well: docs/RUNBOOK.md#going-back-failed"
    exit 3
}

undo() {
    local well=0
    if [[ -n ${SWITCHED-} ]]; then
        go_back "${VERSION}" "${BEFORE}" "${PREVIOUS_BEFORE}" && forget_the_way_back || well=1
    fi
    forget_unfinished "${VERSION}" "${BEFORE}"
    return "${well}"
}

went_back_badly() {
    warn "it could not be taken back: docs/RUNBOOK.md#going-back-failed"
    exit 3
}

deploy() {
    step "Checking the start"
    check_user
    take_lock
    take_back_killed || went_back_badly
    BEFORE=$(deployed_version)
    [[ -z ${FETCH} ]] || fetch_tags "${VERSION}"
    tag_exists "${VERSION}"
    is_repeatable "${VERSION}"
    BEGUN=yes

    step "Backing up the configuration"
    adopt_checkout
    BEFORE=$(deployed_version)
    PREVIOUS_BEFORE=$(previous_version)
    back_up_configuration

    step "Installing ${VERSION} beside ${BEFORE:-nothing}"
    make_release "${VERSION}"
    make_folders "${VERSION}"

    step "Checking the configuration with ${VERSION}"
    check_configuration "${VERSION}"

    step "Trying ${VERSION} on a sample portfolio"
    smoke_test "${VERSION}"
    check_dag "${VERSION}"
    [[ -z ${WITH_TESTS} ]] || run_tests "${VERSION}"

    step "Bringing the database up to date"
    upgrade_database "${VERSION}"
    works_on_the_new_tables "${BEFORE}"

    step "Switching from ${BEFORE:-nothing} to ${VERSION}"
    SWITCHED=$([[ -n ${DRY_RUN} ]] || echo yes)
    remember_the_way_back "${VERSION}" "${BEFORE}" "${PREVIOUS_BEFORE}"
    airflow_database "${BEFORE}" "${VERSION}"
    point_to "${VERSION}"
    [[ ${BEFORE} == "${VERSION}" ]] || previous_is "${BEFORE}"
    link_paths

    step "Restarting the services"
    restart_services

    step "Verifying"
    verify "${VERSION}"
    services_are_well
    forget_the_way_back
    record deployed "${BEFORE:-none}" "${VERSION}" ok
    DONE=yes

    prune_releases
    warn_of_other_units
    say "=== ${VERSION} is deployed ==="
    say "Go on with docs/DEPLOYMENT.md#post-deployment; the way back is deploy/rollback.sh"
}

read_arguments "$@"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
find_installation
deploy
