# What the program itself is asked before and after the switch, in the installation's folder and so
# with its configuration.
# shellcheck shell=bash

# cardwatch_of VERSION ARGUMENTS…, by the release's interpreter and from its own files: the scripts of
# an environment that the guide made name the path venv/, which leads to the version in place.
cardwatch_of() (
    release=$(release_of "$1")
    shift
    cd "${INSTALLATION}" || exit
    PYTHONPATH=${release} exec "${release}/venv/bin/python" -P -c 'from cardwatch.cli import main; main()' "$@"
)

# A source that the running version cannot reach either is no fault of the new one.
check_configuration() {
    would "load the configuration and reach the source: cardwatch config check" && return 0
    quietly cardwatch_of "$1" config check && return 0
    if cardwatch_of "$1" config show >/dev/null; then
        [[ -z ${BEFORE} || ${BEFORE} == "$1" ]] || ! quietly cardwatch_of "${BEFORE}" config check ||
            fail "$1 cannot read the source, and ${BEFORE} can"
        warn "the source cannot be read now, with ${BEFORE:-$1} as well: going on"
    else
        fail "$1 does not accept the configuration: change config/config.yaml or .env, then deploy again"
    fi
}

# A sample in a folder of its own, without .env and configuration: the whole run, and its files.
smoke_test() {
    would "make a sample portfolio, score its last week and check the files" && return 0
    local folder code=0
    folder=$(mktemp --directory)
    scores_a_sample "$(release_of "$1")" "${folder}" || code=1
    rm -rf "${folder}"
    ((code == 0)) || fail "$1 does not score the sample portfolio"
}

# scores_a_sample RELEASE FOLDER; called where set -e does not hold, hence every &&.
scores_a_sample() (
    cd "$2" &&
        quietly alone "$2" "$1/venv/bin/cardwatch" sample --customers 200 --weeks 14 &&
        quietly alone "$2" "$1/venv/bin/python" "$1/main.py" --output-dir outputs &&
        compgen -G 'outputs/anomalies_*.csv' >/dev/null &&
        compgen -G 'outputs/run_*.json' >/dev/null
)

# alone FOLDER COMMAND…, without the caller's variables.
alone() {
    local folder=$1
    shift
    env --ignore-environment PATH=/usr/local/bin:/usr/bin:/bin TMPDIR="${folder}" "$@"
}

run_tests() {
    would "run the tests of $1" && return 0
    (cd "$(release_of "$1")" && venv/bin/python -m pytest tests/ -m "not system" -q)
}

writes_to_database() {
    cardwatch_of "$1" config show output.database.enabled --format json |
        grep --quiet --extended-regexp '"value": "?true'
}

# Tables are only ever added to, so this comes before the switch and is not undone by a rollback.
upgrade_database() {
    would "make the tables that $1 needs and that are missing: cardwatch db upgrade" && return 0
    if ! writes_to_database "$1"; then
        say "Results go to files alone (output.database.enabled): nothing to do"
        return 0
    fi
    TABLES_WANTED=yes
    if quietly cardwatch_of "$1" db check; then
        say "The tables are those of $1"
        return 0
    fi
    quietly cardwatch_of "$1" db upgrade ||
        fail "the tables could not be made; an administrator can: cardwatch db upgrade --sql"
    quietly cardwatch_of "$1" db check || fail "the tables do not fit $1 after cardwatch db upgrade"
}

# Until the switch, and after a rollback, the old version works on the tables of the new one.
works_on_the_new_tables() {
    would "check that the version in place works on the new tables" && return 0
    if [[ -z $1 || $1 == "${VERSION}" ]] || ! is_complete "$1"; then return 0; fi
    [[ -n ${TABLES_WANTED-} ]] || return 0
    quietly cardwatch_of "$1" db check || fail "$1 does not work on the tables of ${VERSION}"
}

# The paths of the guide lead to this version.
verify() {
    would "check that the guide's paths lead to $1" && return 0
    local found
    found=$(venv/bin/python -c 'import cardwatch, os; print(os.path.realpath(cardwatch.__file__))')
    [[ ${found} == "$(release_of "$1")/"* ]] || fail "venv/bin/python imports ${found}"
    dag_is_listed
}
