# Releases: a git worktree per version in releases/, with an environment of its own, and the links
# through which every path of the guide leads to one of them.
# shellcheck shell=bash

LINKED=(
    .env.example README.md cardwatch dags deploy deploy.sh docs main.py requirements-airflow.txt
    requirements-dev.txt requirements.txt src venv
)

version_at() { [[ ! -L $1 ]] || basename "$(readlink "$1")"; }
deployed_version() { version_at "${INSTALLATION}/current"; }
previous_version() { version_at "${INSTALLATION}/previous"; }

# fetch_tags VERSION
fetch_tags() {
    local said
    if [[ -z $(git remote) ]]; then
        say "The repository has no remote: its tags are taken as they are"
    elif would "fetch the tags of the remote repository"; then
        return 0
    elif ! said=$(LC_ALL=C git fetch --tags 2>&1); then
        [[ ! ${said} =~ [[:space:]]"$1"[[:space:]].*"would clobber existing tag" ]] ||
            cannot_start "the tag $1 has moved in the remote repository: a release gets a new version number"
        warn "not all tags could be fetched; those that are here are used: ${said##*$'\n'}"
    fi
}

# In a dry run, a tag that would be fetched is known by the remote repository alone.
commit_of() {
    git rev-parse --quiet --verify "refs/tags/$1^{commit}" && return 0
    [[ -n ${DRY_RUN-} && -n ${FETCH-} && -n $(git remote) ]] || return 1
    git ls-remote --exit-code --quiet --tags "$(git remote | head -n 1)" "refs/tags/$1" | cut -f 1
}

tag_exists() {
    commit_of "$1" >/dev/null || cannot_start "there is no tag '$1'. The newest are:" \
        "$(git tag --sort=-creatordate | head -n 5 | tr '\n' ' ')"
}

# The mark says which commit an environment was completed for.
is_complete() { [[ -f $(release_of "$1")/venv/.complete ]]; }

# A version that is installed must be the one the tag names, as git has it.
is_repeatable() {
    is_complete "$1" || return 0
    local release changed
    release=$(release_of "$1")
    [[ $(<"${release}/venv/.complete") == "$(commit_of "$1")" ]] ||
        cannot_start "the tag $1 has moved since it was deployed: a release gets a new version number"
    changed=$(git -C "${release}" status --porcelain --untracked-files=no)
    [[ -z ${changed} ]] ||
        cannot_start "files of ${release} were changed by hand; 'git -C ${release} checkout .' undoes it: ${changed}"
}

make_release() {
    local release commit files
    release=$(release_of "$1")
    commit=$(commit_of "$1")
    if is_complete "$1"; then
        say "$1 is installed already"
        return 0
    fi
    files=(requirements.txt)
    if uses_airflow; then files+=(requirements-airflow.txt); fi
    if [[ -n ${WITH_TESTS-} ]]; then files+=(requirements-dev.txt); fi
    would "install $1 into ${release}, with ${files[*]}" && return 0
    mkdir -p "${INSTALLATION}/releases"
    git worktree prune
    if [[ $(git -C "${release}" rev-parse HEAD 2>/dev/null) != "${commit}" || ! -d ${release} ]]; then
        rm -rf "${release}"
        git worktree prune
        git worktree add --quiet --detach "${release}" "${commit}"
    fi
    rm -rf "${release}/venv"
    bash "${INSTALL:-${LIB}/install.sh}" "${release}" "${files[@]}"
    printf '%s\n' "${commit}" >"${release}/venv/.complete"
}

# What a failed deployment had half installed goes; a release that was complete may stay.
forget_unfinished() {
    local release
    release=$(release_of "$1")
    [[ -n ${DRY_RUN-} || ! -d ${release} ]] || is_complete "$1" || {
        rm -rf "${release}/venv"
        [[ $1 == "$2" ]] || git worktree remove --force "${release}" || true
    }
}

# Replaces a link in one step: at no moment is there none.
point() {
    run ln --symbolic --force --no-dereference "$2" "${INSTALLATION}/$1.new"
    run mv --no-target-directory --force "${INSTALLATION}/$1.new" "${INSTALLATION}/$1"
}

point_to() {
    if [[ -n $1 ]]; then point current "releases/$1"; else run rm -f "${INSTALLATION}/current"; fi
}

previous_is() {
    if [[ -n $1 ]]; then point previous "releases/$1"; else run rm -f "${INSTALLATION}/previous"; fi
}

# Links for what the version in place has, and none for what it lacks.
link_paths() {
    would "link ${LINKED[*]} to current/" && return 0
    local name file
    for name in "${LINKED[@]}"; do
        if [[ ! -e current/${name} ]]; then
            [[ ! -L ${name} ]] || rm -f "${name}"
        elif [[ -L ${name} || ! -e ${name} ]]; then
            [[ $(readlink "${name}") == "current/${name}" ]] || point "${name}" "current/${name}"
        else
            fail "${INSTALLATION}/${name} is in the way of a link to current/${name}: move it away"
        fi
    done
    for file in current/config/*.example.yaml; do
        name=config/${file##*/}
        [[ $(readlink "${name}") == "../${file}" ]] || point "${name}" "../${file}"
    done
    find config -maxdepth 1 -xtype l -lname '../current/config/*' -delete
    # The guide's copy of the DAG would stay behind; a link does not.
    if [[ -d airflow/dags && ! -L airflow/dags ]]; then
        for file in current/dags/*.py; do
            ln -sf "../../dags/${file##*/}" "airflow/dags/${file##*/}"
        done
    fi
}

# Keeps the newest few, and those that are in place or one step away.
prune_releases() {
    local release version kept=0
    while IFS= read -r release; do
        version=$(basename "${release}")
        [[ ${version} != "$(deployed_version)" && ${version} != "$(previous_version)" ]] || continue
        kept=$((kept + 1))
        ((kept > KEEP)) || continue
        say "Removing the old release ${version}"
        run git worktree remove --force "${release}" || warn "${release} could not be removed"
    done < <(ls --directory --sort=time "${INSTALLATION}"/releases/*/ 2>/dev/null)
}
