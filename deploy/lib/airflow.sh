# Airflow, where this installation uses it: its folder airflow/ is there, or DEPLOY_AIRFLOW=yes.
# shellcheck shell=bash

uses_airflow() {
    case ${DEPLOY_AIRFLOW:-auto} in
        yes) return 0 ;;
        no) return 1 ;;
        *) [[ -d ${INSTALLATION}/airflow ]] ;;
    esac
}

has_airflow() { [[ -n $1 && -x $(release_of "$1")/venv/bin/airflow ]] && uses_airflow; }

# airflow_of VERSION ARGUMENTS…, with the variables of .env
airflow_of() {
    local release
    release=$(release_of "$1")
    shift
    (cd "${INSTALLATION}" && exec "${release}/venv/bin/python" "${LIB}/with_env.py" \
        "${release}/venv/bin/python" -m airflow "$@")
}

# Airflow has a database of its own, whose tables belong to one version of it.
# airflow_database FROM TO
airflow_database() {
    [[ $1 != "$2" ]] && has_airflow "$1" && has_airflow "$2" || return 0
    would "compare the versions of Airflow, and migrate its database where they differ" && return 0
    local from to
    from=$(airflow_of "$1" version | tail -n 1)
    to=$(airflow_of "$2" version | tail -n 1)
    [[ ${from} != "${to}" ]] || return 0
    stop_services
    if [[ $(printf '%s\n' "${from}" "${to}" | sort --version-sort | tail -n 1) == "${to}" ]]; then
        quietly airflow_of "$2" db migrate
    else
        # Only the newer version knows the way back.
        quietly airflow_of "$1" db downgrade --to-version "${to}" --yes
    fi
}

# The file loads, with the release's own Airflow; without one, it is at least Python.
check_dag() {
    local release
    release=$(release_of "$1")
    would "load dags/anomaly_detection_dag.py" && return 0
    [[ -f ${release}/dags/anomaly_detection_dag.py ]] || return 0
    if has_airflow "$1"; then
        quietly env --chdir="${INSTALLATION}" "${release}/venv/bin/python" "${LIB}/with_env.py" \
            "${release}/venv/bin/python" "${release}/dags/anomaly_detection_dag.py" ||
            fail "the DAG of $1 does not load"
    else
        "${release}/venv/bin/python" -m py_compile "${release}/dags/anomaly_detection_dag.py"
    fi
}

# lists_the_dag VERSION [--local]; Airflow 2 has no such option, and needs none.
lists_the_dag() {
    local said
    said=$(airflow_of "$1" dags list "${@:2}" 2>/dev/null) && [[ ${said} == *card_portfolio_anomaly_detection* ]]
}

dag_is_listed() {
    local version until
    version=$(deployed_version)
    has_airflow "${version}" || return 0
    until=$((SECONDS + WAIT_SECONDS))
    until lists_the_dag "${version}" --local || lists_the_dag "${version}"; do
        ((SECONDS < until)) || fail "Airflow does not list the DAG: docs/RUNBOOK.md#airflow-dag-not-appearing"
        sleep 2
    done
}
