# deployments.log: one line per deployment and rollback, oldest first.
# shellcheck shell=bash

# record WHAT FROM TO RESULT
record() {
    [[ -z ${DRY_RUN-} ]] || return 0
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$(date --utc +%FT%TZ)" "$1" "$2" "$3" \
        "${SUDO_USER:-$(id --user --name)}" "$4" >>"${INSTALLATION}/deployments.log"
}
