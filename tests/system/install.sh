#!/usr/bin/env bash
# Installs the Debian packages that the system tests need, where that asks nobody anything: as root,
# or by a sudo without a password. Only what is missing; no service is started, no cluster is made.
# Elsewhere it says what is missing and ends well, and the tests that need it are skipped.
set -euo pipefail

PACKAGES=(
    chromium
    libpostgresql-jdbc-java
    logrotate
    odbc-postgresql
    openjdk-17-jre-headless
    postgresql
    prometheus
    prometheus-alertmanager
    prometheus-node-exporter
    prometheus-pushgateway
    shellcheck
    sudo
    systemd
    unixodbc
)

NO_CLUSTER=/etc/postgresql-common/createcluster.d/cardwatch-tests.conf
NO_SERVICE=/usr/sbin/policy-rc.d

is_installed() {
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

say_skipped() {
    echo "Not installed: ${missing[*]}. $1 The tests that need them are skipped." >&2
}

clean_up() {
    rm -f "${made[@]}"
    rmdir --ignore-fail-on-non-empty "${NO_CLUSTER%/*}" 2>/dev/null || true
}

# Files that hold for this installation alone: an administrator's own are left as they are.
keep_quiet() {
    mkdir -p "${NO_CLUSTER%/*}"
    made+=("${NO_CLUSTER}")
    echo "create_main_cluster = false" >"${NO_CLUSTER}"
    if [[ ! -e ${NO_SERVICE} ]]; then
        made+=("${NO_SERVICE}")
        printf '#!/bin/sh\nexit 101\n' >"${NO_SERVICE}"
        chmod 755 "${NO_SERVICE}"
    fi
}

install_missing() {
    local options=(--quiet=2 --option=Acquire::Retries=3 --option=DPkg::Lock::Timeout=300)
    export DEBIAN_FRONTEND=noninteractive
    apt-get "${options[@]}" update &&
        apt-get "${options[@]}" install --yes --no-install-recommends "${missing[@]}"
}

missing=()
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    missing=("${PACKAGES[@]}")
    say_skipped "This system has no apt-get."
    exit 0
fi
for package in "${PACKAGES[@]}"; do
    is_installed "${package}" || missing+=("${package}")
done
((${#missing[@]})) || exit 0

if ((EUID)); then
    if sudo --non-interactive true 2>/dev/null; then
        exec sudo --non-interactive CI="${CI-}" bash "$0"
    fi
    say_skipped "That takes root: sudo $0"
    exit 0
fi

echo "Installing ${missing[*]}"
made=()
trap clean_up EXIT
keep_quiet
if ! said=$(install_missing 2>&1 </dev/null); then
    echo "${said}" >&2
    # Tests that are skipped unseen would be taken for tests that pass.
    [[ -z ${CI-} ]] || exit 1
    say_skipped "The installation failed."
fi
