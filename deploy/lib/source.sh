# Which database the source is: the lines DB_… of .env, exchanged for those of another file.
# shellcheck shell=bash

DATABASE_LINE='^[[:space:]]*(export[[:space:]]+)?DB_[A-Z_]*='

# use_database NAME. Nothing stays changed where the new source cannot be read.
use_database() {
    local other=config/database.$1.env was
    [[ -f .env ]] || cannot_start "there is no .env"
    [[ -f ${other} ]] || cannot_start "there is no ${other}: write the lines DB_HOST, DB_PORT, … of that database into it (chmod 600)"
    grep --extended-regexp --quiet "${DATABASE_LINE}" "${other}" || cannot_start "${other} has no line DB_…"
    would "replace the lines DB_… of .env by those of ${other}, and read the source" && return 0
    umask 077
    was=$(mktemp ./.env.was.XXXXXX)
    cp .env "${was}"
    [[ -f config/database.primary.env ]] ||
        grep --extended-regexp "${DATABASE_LINE}" .env >config/database.primary.env || true
    chmod 600 config/database.*.env
    {
        grep --extended-regexp --invert-match "${DATABASE_LINE}" .env || true
        grep --extended-regexp "${DATABASE_LINE}" "${other}"
    } >.env.new
    mv .env.new .env
    if ! quietly cardwatch_of "$(deployed_version)" config check; then
        mv "${was}" .env
        cannot_start "the source cannot be read with ${other}; .env is as it was"
    fi
    rm -f "${was}"
}
