# The way back of a deployment that failed, and of one that was killed before it could take it.
# shellcheck shell=bash

# Before the switch: which version comes, which goes, and which one was before that.
remember_the_way_back() {
    [[ -z ${DRY_RUN-} ]] || return 0
    printf '%s\n' "$@" >"${INSTALLATION}/.deploying.new"
    mv --force "${INSTALLATION}/.deploying.new" "${INSTALLATION}/.deploying"
}

forget_the_way_back() { run rm -f "${INSTALLATION}/.deploying"; }

# go_back FROM TO PREVIOUS; every step is taken, whatever the one before it came to.
go_back() {
    local well=0
    say "Going back to ${2:-no version}"
    airflow_database "$1" "$2" || well=1
    point_to "$2" || well=1
    previous_is "$3" || well=1
    [[ -z $2 ]] || (link_paths) || well=1
    restart_services || well=1
    ! is_complete "$2" || services_are_well || well=1
    return "${well}"
}

# A machine that went down, or kill -9, leaves a switch that nobody has verified.
take_back_killed() {
    [[ -f ${INSTALLATION}/.deploying ]] || return 0
    local way
    mapfile -t way <"${INSTALLATION}/.deploying"
    warn "the deployment of ${way[0]} was killed after its switch had begun"
    would "put ${way[1]:-no version} back first" && return 0
    go_back "${way[0]}" "${way[1]}" "${way[2]}" || return 1
    export TAKEN_BACK=yes
    forget_the_way_back
    record killed "${way[1]:-none}" "${way[0]}" went-back
}
