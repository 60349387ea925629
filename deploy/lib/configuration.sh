# Configuration and secrets: saved before anything else, given back by rollback.sh.
# shellcheck shell=bash

CONFIGURED=(config/config.yaml config/monitoring_config.yaml .env)

make_folders() {
    would "make logs, outputs, cache and datasamples where missing, and the configuration files" && return 0
    local release name
    release=$(release_of "$1")
    mkdir -p logs outputs cache datasamples config
    chmod 755 logs outputs
    chmod 700 config
    for name in config monitoring_config; do
        if [[ ! -e config/${name}.yaml && -e ${release}/config/${name}.example.yaml ]]; then
            say "config/${name}.yaml is made from the example: edit it"
            install -m 600 "${release}/config/${name}.example.yaml" "config/${name}.yaml"
        fi
    done
    if [[ -d airflow && ! -e airflow/dags ]]; then ln -s ../dags airflow/dags; fi
}

# A file's last backup is the guide's *.backup; older ones are in backups/.
back_up_configuration() {
    local file
    for file in "${CONFIGURED[@]}"; do
        [[ -f ${file} ]] || continue
        [[ ${file} != .env ]] || run chmod 600 .env
        cmp --silent "${file}" "${file}.backup" || save "${file}"
        [[ ! -f ${file}.backup ]] || run chmod 600 "${file}.backup"
    done
}

save() {
    say "Saving $1 as $1.backup"
    would "save $1" && return 0
    if [[ -f $1.backup ]]; then
        mkdir -p backups && chmod 700 backups
        mv "$1.backup" "backups/$(basename "$1").$(date --utc --reference="$1.backup" +%Y%m%dT%H%M%SZ)"
        forget_old_backups "$(basename "$1")"
    fi
    install -m 600 "$1" "$1.backup.new"
    mv "$1.backup.new" "$1.backup"
}

forget_old_backups() {
    find backups -maxdepth 1 -name "$1.*" -printf '%f\n' | sort --reverse | tail -n +21 |
        while IFS= read -r name; do rm -f "backups/${name}"; done
}

# What is replaced is kept as *.replaced, so that this can be undone as well.
restore_configuration() {
    local file found=''
    RESTORED=()
    for file in "${CONFIGURED[@]}"; do
        [[ -f ${file}.backup ]] || continue
        found=yes
        cmp --silent "${file}" "${file}.backup" && say "${file} is as in its backup" && continue
        say "Restoring ${file}"
        would "replace ${file}" && continue
        [[ ! -f ${file} ]] || install -m 600 "${file}" "${file}.replaced"
        put_in_place "${file}.backup" "${file}"
        RESTORED+=("${file}")
    done
    [[ -n ${found} ]] || cannot_start "there is no backup: config/config.yaml.backup, .env.backup"
}

undo_restoring() {
    local file
    for file in "${RESTORED[@]}"; do
        [[ ! -f ${file}.replaced ]] || put_in_place "${file}.replaced" "${file}"
    done
}

put_in_place() {
    install -m 600 "$1" "$2.new"
    mv --force "$2.new" "$2"
}
