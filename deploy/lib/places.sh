# Where the installation is, who may deploy, and one deployment at a time.
# shellcheck shell=bash

# The folder is the one that holds deploy.sh, also where that is a link into a release. Settings
# for good stand in config/deploy.conf, as lines such as DEPLOY_KEEP=5.
find_installation() {
    local root
    root=$(dirname "$(dirname "${LIB}")")
    [[ $(basename "$(dirname "${root}")") != releases ]] || root=$(dirname "$(dirname "${root}")")
    INSTALLATION=$(readlink -f "${DEPLOY_HOME:-${root}}")
    [[ -d ${INSTALLATION}/.git ]] ||
        cannot_start "${INSTALLATION} is no clone of the repository: docs/DEPLOYMENT.md#step-3-clone-repository"
    cd "${INSTALLATION}" || exit 2
    # shellcheck source=/dev/null
    [[ ! -f config/deploy.conf ]] || source config/deploy.conf
    export KEEP=${DEPLOY_KEEP:-3}
    export WAIT_SECONDS=${DEPLOY_WAIT_SECONDS:-60}
    export SETTLE_SECONDS=${DEPLOY_SETTLE_SECONDS:-10}
    export INSTALL=${DEPLOY_INSTALL:-}
    export DEPLOY_PYTHON=${DEPLOY_PYTHON:-}
    # Nothing of the caller's own Python may leak into a release.
    unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
}

release_of() { printf '%s/releases/%s' "${INSTALLATION}" "$1"; }

# Files of root's would stop the services later, and git trusts a folder's owner alone.
check_user() {
    local owner
    owner=$(stat --format=%U "${INSTALLATION}")
    [[ $(id --user --name) == "${owner}" ]] ||
        cannot_start "${INSTALLATION} belongs to ${owner}: sudo -u ${owner} $0 …"
    [[ -w ${INSTALLATION} ]] || cannot_start "${INSTALLATION} cannot be written to"
}

take_lock() {
    [[ -z ${DRY_RUN-} ]] || return 0
    exec 9>"${INSTALLATION}/.deploy.lock"
    flock --nonblock 9 || cannot_start "another deployment is going on (${INSTALLATION}/.deploy.lock)"
}
