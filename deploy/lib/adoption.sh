# The guide's own layout, a checkout with a venv in it, becomes the first release.
# shellcheck shell=bash

# Every tracked file moves into releases/<version>, and links take its place, so that whatever runs
# from here goes on. Safe to interrupt: what has moved already is not moved again.
adopt_checkout() {
    [[ ! -L current && $(git config --bool core.bare) != true ]] || return 0
    local version release path
    git diff --quiet --diff-filter=M HEAD ||
        fail "tracked files were changed by hand: $(git diff --name-only --diff-filter=M HEAD | tr '\n' ' ')"
    version=$(git describe --tags --exact-match 2>/dev/null || echo "checkout-$(git rev-parse --short HEAD)")
    would "move this checkout of ${version} to releases/${version} and link it back" && return
    release=$(release_of "${version}")
    say "This checkout of ${version} becomes releases/${version}"
    [[ -e ${release}/.git ]] || {
        git worktree prune
        git worktree add --quiet --no-checkout --detach "${release}" HEAD
    }
    move_tracked "${release}"
    if [[ -d venv && ! -L venv ]]; then
        mv venv "${release}/venv"
        git rev-parse HEAD >"${release}/venv/.complete"
    fi
    git -C "${release}" reset --quiet --mixed
    point_to "${version}"
    link_paths
    # From here on a checkout in this folder, which would overwrite the links, is refused by git.
    git config core.bare true
}

move_tracked() {
    local path
    while IFS= read -r -d '' path; do
        [[ ! -L ${path} && -e ${path} ]] || continue
        if [[ ${path} == config ]]; then
            move_examples "$1"
        else
            mv "${path}" "$1/${path}"
        fi
    done < <(git ls-tree -z --name-only HEAD)
}

# config/ itself stays: beside the examples it holds what was configured.
move_examples() {
    local path
    mkdir -p "$1/config"
    while IFS= read -r -d '' path; do
        [[ -L ${path} || ! -e ${path} ]] || mv "${path}" "$1/${path}"
    done < <(git ls-tree -z --name-only HEAD config/)
}
