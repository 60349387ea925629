#!/usr/bin/env bash
# The three ways back of the guide: another version, the configuration of before, another database.
# docs/DEPLOYMENT.md tells when to take which.
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
# shellcheck source=lib/configuration.sh
source "${LIB}/configuration.sh"
# shellcheck source=lib/source.sh
source "${LIB}/source.sh"
# shellcheck source=lib/program.sh
source "${LIB}/program.sh"
# shellcheck source=lib/airflow.sh
source "${LIB}/airflow.sh"
# shellcheck source=lib/services.sh
source "${LIB}/services.sh"
# shellcheck source=lib/way_back.sh
source "${LIB}/way_back.sh"

USAGE="Usage: deploy/rollback.sh [--dry-run] [code [--with-configuration] [VERSION]]
       deploy/rollback.sh [--dry-run] configuration
       deploy/rollback.sh [--dry-run] source NAME

  code           the version before this one, or VERSION, of those in releases/ (the default)
  configuration  config/config.yaml, config/monitoring_config.yaml and .env from their *.backup
  source         the lines of config/database.NAME.env in .env; the first time, those that are
                 replaced are kept as config/database.primary.env, so 'source primary' leads back

Exit codes: 0 done; 1 done, but what was checked afterwards is not well; 2 nothing was changed"

read_arguments() {
    DRY_RUN='' WHAT='' NAME='' WITH_CONFIGURATION=''
    while (($#)); do
        case $1 in
            --dry-run) DRY_RUN=yes ;;
            --with-configuration) WITH_CONFIGURATION=yes ;;
            -h | --help) echo "${USAGE}" && exit 0 ;;
            -*) usage "unknown option $1" ;;
            code | configuration | source) [[ -z ${WHAT} ]] || usage "one thing at a time" && WHAT=$1 ;;
            *) [[ -z ${NAME} ]] || usage "one name, please" && NAME=$1 ;;
        esac
        shift
    done
    WHAT=${WHAT:-code}
    [[ ${WHAT} != configuration || -z ${NAME} ]] || usage "configuration takes no name"
    [[ ${WHAT} != source || ${NAME} =~ ^[A-Za-z0-9_-]+$ ]] || usage "which database: backup, primary?"
}

roll_back_code() {
    take_back_killed || warn "it could not be taken back: going on"
    BEFORE=$(deployed_version)
    if [[ -n ${TAKEN_BACK-} && -z ${NAME} ]]; then
        say "=== ${BEFORE} is in place ==="
        return 0
    fi
    local target=${NAME:-$(previous_version)}
    VERSION=${target}
    [[ -n ${target} ]] || cannot_start "no version was deployed before ${BEFORE:-any}: name one of $(installed)"
    is_complete "${target}" || cannot_start "releases/${target} is not there or not complete; there are $(installed)"
    accept_configuration "${target}"

    if [[ ${target} == "${BEFORE}" ]]; then
        say "${target} is in place already: its services are restarted, and checked"
    else
        step "Switching from ${BEFORE} to ${target}"
        airflow_database "${BEFORE}" "${target}"
        point_to "${target}"
    fi
    link_paths
    step "Restarting the services"
    restart_services
    # Not before: a rollback that was interrupted is the same rollback when it is called again.
    [[ ${target} == "${BEFORE}" ]] || previous_is "${BEFORE}"
    forget_the_way_back
    record rolled-back "${BEFORE}" "${target}" ok
    step "Verifying"
    verify "${target}"
    services_are_well
    say "=== ${target} is in place ==="
}

accept_configuration() {
    if [[ -n ${WITH_CONFIGURATION} ]]; then restore_configuration; fi
    would "check that $1 accepts the configuration" && return 0
    quietly cardwatch_of "$1" config show && return 0
    [[ -z ${WITH_CONFIGURATION} ]] || undo_restoring
    cannot_start "$1 does not accept the configuration${WITH_CONFIGURATION:+ of the last deployment}; nothing was changed." \
        "To restore that of the last deployment, add --with-configuration; older ones are in backups/"
}

installed() { find releases -mindepth 3 -maxdepth 3 -path '*/venv/.complete' -printf '%P\n' | cut -d/ -f1 | sort | tr '\n' ' '; }

roll_back_configuration() {
    BEFORE=$(deployed_version)
    step "Restoring the configuration"
    restore_configuration
    record configuration "${BEFORE:-none}" "${BEFORE:-none}" ok
    step "Restarting the services"
    restart_services
    step "Verifying"
    [[ -z ${BEFORE} ]] || VERSION=${BEFORE} check_configuration "${BEFORE}"
    services_are_well
    say "=== The configuration of before is in place; what it replaced is in *.replaced ==="
}

switch_source() {
    BEFORE=$(deployed_version)
    step "Switching the source database to ${NAME}"
    use_database "${NAME}"
    record "source-${NAME}" "${BEFORE:-none}" "${BEFORE:-none}" ok
    step "Restarting the services"
    restart_services
    services_are_well
    say "=== .env names the database '${NAME}': tell the database team, and look at the next run ==="
}

read_arguments "$@"
find_installation
check_user
take_lock
STEP=''
case ${WHAT} in
    code) roll_back_code ;;
    configuration) roll_back_configuration ;;
    source) switch_source ;;
esac
