# The guide's own layout, a checkout with a venv in it, becomes the first release.
# shellcheck shell=bash

# Every tracked file moves into releases/<version>, and a link takes its place at once, so that
# whatever runs from here goes on. Safe to interrupt: what has moved already is not moved again, and
# git's own setting, which comes last, says that all has.
adopt_checkout() {
    [[ $(git config --bool core.bare) != true ]] || return 0
    local version release
    git diff --quiet --diff-filter=M HEAD ||
        fail "tracked files were changed by hand: $(git diff --name-only --diff-filter=M HEAD | tr '\n' ' ')"
    version=$(git describe --tags --exact-match 2>/dev/null || echo "checkout-$(git rev-parse --short HEAD)")
    would "move this checkout of ${version} to releases/${version} and link it back" && return 0
    release=$(release_of "${version}")
    say "This checkout of ${version} becomes releases/${version}"
    [[ -e ${release}/.git ]] || {
        rm -rf "${release}"
        git worktree prune
        git worktree add --quiet --no-checkout --detach "${release}" HEAD
    }
    point_to "${version}"
    move_tracked "${release}"
    git -C "${release}" reset --quiet --mixed
    move_environment "${release}"
    link_paths
    # From here on a checkout in this folder, which would overwrite the links, is refused by git.
    git config core.bare true
    export LIB=${release}/deploy/lib
}

move_tracked() {
    local path
    while IFS= read -r -d '' path; do
        [[ ! -L ${path} && -e ${path} ]] || continue
        if [[ ${path} == config ]]; then
            move_examples "$1"
        else
            mv "${path}" "$1/${path}"
            [[ " ${LINKED[*]} " != *" ${path} "* ]] || ln --symbolic "current/${path}" "${path}"
        fi
    done < <(git ls-tree -z --name-only HEAD)
}

move_environment() {
    [[ -d venv && ! -L venv ]] || return 0
    git rev-parse HEAD >venv/.complete
    mv venv "$1/venv"
    ln --symbolic current/venv venv
}

# config/ itself stays: beside the examples it holds what was configured.
move_examples() {
    local path
    mkdir -p "$1/config"
    while IFS= read -r -d '' path; do
        [[ -L ${path} || ! -e ${path} ]] || mv "${path}" "$1/${path}"
    done < <(git ls-tree -z --name-only HEAD config/)
}
