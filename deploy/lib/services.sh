# The systemd units of this installation: those of deploy/systemd that are enabled, or DEPLOY_UNITS.
# shellcheck shell=bash

KNOWN_UNITS=(
    airflow-api-server.service airflow-scheduler.service airflow-dag-processor.service
    airflow-triggerer.service cardwatch.timer cardwatch-health.timer
)

# DEPLOY_SYSTEMCTL names another program than systemctl; sudo's drop-in allows these commands alone.
systemctl_as_root() {
    if [[ -n ${DEPLOY_SYSTEMCTL-} ]]; then
        "${DEPLOY_SYSTEMCTL}" "$@"
    elif ((EUID)); then
        sudo --non-interactive /usr/bin/systemctl "$@"
    else
        systemctl "$@"
    fi
}

ask_systemctl() { "${DEPLOY_SYSTEMCTL:-systemctl}" "$@"; }

has_systemd() { [[ -n ${DEPLOY_SYSTEMCTL-} || -d /run/systemd/system ]]; }

# Fills UNITS with what is to be restarted.
find_units() {
    local unit
    UNITS=()
    if [[ -n ${DEPLOY_UNITS+set} ]]; then
        read -r -a UNITS <<<"${DEPLOY_UNITS}"
    elif has_systemd; then
        for unit in "${KNOWN_UNITS[@]}"; do
            if ask_systemctl is-enabled --quiet "${unit}" 2>/dev/null; then UNITS+=("${unit}"); fi
        done
    fi
}

each_unit() {
    local unit
    find_units
    for unit in "${UNITS[@]}"; do
        run systemctl_as_root "$1" "${unit}" || return 1
    done
}

restart_services() {
    each_unit restart || return 1
    ((${#UNITS[@]})) || say "No service of deploy/systemd is enabled here: nothing to restart"
}

stop_services() { each_unit stop; }

all_active() {
    local unit
    for unit in "${UNITS[@]}"; do
        ask_systemctl is-active --quiet "${unit}" || return 1
    done
}

restarts() {
    local unit
    for unit in "${UNITS[@]}"; do ask_systemctl show --property=NRestarts "${unit}"; done
}

# Up within the limit, and then still up, without a restart in between: not a service that comes and goes.
services_are_well() {
    find_units
    ((${#UNITS[@]})) || return 0
    would "wait until these are active: ${UNITS[*]}" && return 0
    local until before
    until=$((SECONDS + WAIT_SECONDS))
    until all_active; do
        ((SECONDS < until)) || { warn "not active: journalctl -u ${UNITS[*]}" && return 1; }
        sleep 1
    done
    before=$(restarts)
    sleep "${SETTLE_SECONDS}"
    if ! all_active || [[ $(restarts) != "${before}" ]]; then
        warn "a service does not stay up: journalctl -u ${UNITS[*]}"
        return 1
    fi
}

# deploy.sh may not install units, which takes root; it says where that is due.
warn_of_other_units() {
    local unit installed
    find_units
    for unit in "${UNITS[@]}"; do
        installed=/etc/systemd/system/${unit}
        [[ ! -f ${installed} || ! -f current/deploy/systemd/${unit} ]] ||
            cmp --silent "${installed}" "current/deploy/systemd/${unit}" ||
            warn "${installed} is not this version's: docs/DEPLOYMENT.md#step-4-start-airflow-services"
    done
}
