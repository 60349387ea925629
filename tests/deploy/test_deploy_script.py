"""deploy.sh and rollback.sh, on real git tags and with a stand-in for the product."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from sandbox import MAIN, Installation, clone, git, make_origin, put_back

pytestmark = pytest.mark.system

GUIDES_PATHS = ("main.py", "src", "deploy.sh", "deploy/rollback.sh", "requirements.txt", "docs",
                "venv/bin/python", "config/config.example.yaml")  # fmt: skip


def make_clone(folder: Path) -> Installation:
    """Make an installation as after the guide's steps 3 and 5, and its configuration."""
    made = clone(make_origin(folder / "origin"), folder / "anomaly detection", folder / "programs")
    made.write("config/config.yaml", "environment: production\n")
    made.write("config/monitoring_config.yaml", "alerts: {}\n")
    made.write(".env", "DB_HOST=db1\nDB_PASSWORD=s3 cret&$HOME\nSMTP_PORT=587\n")
    return made


@pytest.fixture
def cloned(tmp_path: Path) -> Installation:
    return make_clone(tmp_path)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with a copy of it, ``saved``, beside."""
    folder = tmp_path_factory.mktemp("first") / "place"
    made = make_clone(folder)
    made.deploy("v1.0.0")
    shutil.copytree(folder, folder.with_name("saved"), symlinks=True)
    return made


@pytest.fixture
def deployed(first: Installation) -> Installation:
    """The same installation for each test, as its first deployment left it."""
    folder = first.folder.parent
    put_back(folder.with_name("saved"), folder)
    return first


def test_a_clone_becomes_an_installation_in_which_every_path_of_the_guide_leads_to_the_version(
    cloned: Installation,
) -> None:
    said = cloned.deploy("v1.0.0")
    assert "=== v1.0.0 is deployed ===" in said
    for name in GUIDES_PATHS:
        assert (cloned.folder / name).resolve().is_relative_to(cloned.folder / "releases/v1.0.0")
        assert (cloned.folder / name).exists()
    assert cloned.folder.joinpath(".env").stat().st_mode & 0o777 == 0o600
    assert cloned.folder.joinpath("config").stat().st_mode & 0o777 == 0o700
    assert [line for line in cloned.calls if line.startswith("restart")] == [
        "restart airflow-scheduler.service",
        "restart cardwatch.timer",
    ]
    assert [entry[:3] for entry in cloned.journal] == [["deployed", "v1.0.0", "v1.0.0"]]
    cloned.run("git", "checkout", "v1.0.0", code=128)  # would overwrite the links


def test_deploying_again_changes_nothing_but_the_journal(deployed: Installation) -> None:
    before = deployed.state()
    assert "is installed already" in deployed.deploy("v1.0.0")
    after = deployed.state()
    changed = {Path(name).name for name in after if after[name] != before.get(name)}
    assert changed == {"deployments.log"}
    assert before.keys() == after.keys()


def test_a_new_version_takes_over_and_a_rollback_leads_back_and_forth(
    deployed: Installation,
) -> None:
    deployed.release("v1.1.0")
    deployed.deploy("v1.1.0")
    assert (deployed.folder / "version").exists() is False  # not one of the guide's paths
    assert deployed.current == "v1.1.0"
    deployed.rollback()
    assert deployed.current == "v1.0.0"
    deployed.rollback("code", "v1.1.0")
    assert deployed.current == deployed.running == "v1.1.0"
    assert "is in place already: its services are restarted" in deployed.rollback("code", "v1.1.0")
    assert [entry[:3] for entry in deployed.journal[1:4]] == [
        ["deployed", "v1.0.0", "v1.1.0"],
        ["rolled-back", "v1.1.0", "v1.0.0"],
        ["rolled-back", "v1.0.0", "v1.1.0"],
    ]


def test_a_dry_run_changes_nothing(cloned: Installation) -> None:
    before = cloned.state()
    said = cloned.deploy("--dry-run", "v1.0.0")
    assert "would install v1.0.0" in said
    assert cloned.state() == before
    assert not [line for line in cloned.calls if line.startswith("restart")]


WRITES_AND_FAILS = f"{MAIN}raise SystemExit(1)\n"
FAULTS = {
    "installing": ({"uninstallable": ""}, "no matching distribution"),
    "configuration": ({"behaviour": "config *"}, "does not accept the configuration"),
    "source": ({"behaviour": "config check"}, "cannot read the source, and v1.0.0 can"),
    "smoke test": ({"behaviour": "sample*"}, "does not score the sample portfolio"),
    "main.py": ({"main.py": "raise SystemExit(1)"}, "does not score the sample portfolio"),
    "exit code": ({"main.py": WRITES_AND_FAILS}, "does not score the sample portfolio"),
    "the DAG": ({"dags/anomaly_detection_dag.py": "def:"}, "SyntaxError"),
    "tables": ({"behaviour": "db *"}, "the tables could not be made"),
    "links": ({"README.md": ""}, "README.md is in the way"),
    "start": ({"unstartable": ""}, "step: Restarting the services"),
    "services": ({"crashes": ""}, "not active"),
    "a loop": ({"flaps": ""}, "does not stay up"),
}
AFTER_THE_SWITCH = {"links": 4, "start": 5, "services": 6, "a loop": 6}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_fails_the_old_version_is_in_place_and_runs(
    deployed: Installation, fault: str
) -> None:
    files, words = FAULTS[fault]
    if fault == "links":
        deployed.write("README.md", "somebody's own")
    deployed.release("v1.1.0", **files)
    said = deployed.deploy("v1.1.0", code=1)
    assert words in said
    assert "v1.0.0 is in place, as before" in said
    assert deployed.current == deployed.running == "v1.0.0"
    assert deployed.journal[-1][:3] == ["failed", "v1.0.0", "v1.1.0"]
    restarted = [line for line in deployed.calls if line.startswith("restart")]
    assert len(restarted) == AFTER_THE_SWITCH.get(fault, 2)
    assert not (deployed.folder / "previous").exists()
    deployed.deploy("v1.0.0")


def test_the_tests_of_a_version_can_be_a_step_as_well(deployed: Installation) -> None:
    deployed.release("v1.1.0", **{"requirements-dev.txt": ""})
    said = deployed.deploy("--with-tests", "v1.1.0", code=1)
    assert "No module named pytest" in said  # the stand-in has none
    assert deployed.current == "v1.0.0"


def test_what_the_new_version_lacks_is_there_again_after_going_back(
    deployed: Installation,
) -> None:
    git(deployed.origin, "rm", "-r", "--quiet", "src", "config/config.example.yaml")
    deployed.release("v1.1.0", crashes="")
    deployed.deploy("v1.1.0", code=1)
    for name in GUIDES_PATHS:
        assert (deployed.folder / name).exists(), name


def test_the_old_version_must_work_on_the_tables_of_the_new_one(deployed: Installation) -> None:
    # The old program refuses its check once the new one has been at the tables.
    (deployed.folder / "releases/v1.0.0/behaviour").write_text("db check")
    deployed.release("v1.1.0")
    assert "v1.0.0 does not work on the tables of v1.1.0" in deployed.deploy("v1.1.0", code=1)
    assert deployed.current == "v1.0.0"


def test_a_signal_in_the_middle_leads_back(deployed: Installation) -> None:
    deployed.release("v1.1.0")
    stops_itself = Path(deployed.variables["DEPLOY_INSTALL"]).with_name("stops")
    stops_itself.write_text('mkdir -p "$1/venv"; kill -TERM $PPID; sleep 0.1\n')
    said = deployed.deploy("v1.1.0", code=1, DEPLOY_INSTALL=str(stops_itself))
    assert "v1.0.0 is in place, as before" in said
    assert not (deployed.folder / "releases/v1.1.0").exists()
    deployed.deploy("v1.1.0")
    assert deployed.current == "v1.1.0"


def test_what_cannot_begin_touches_nothing(deployed: Installation) -> None:
    before = deployed.state()
    assert "there is no tag 'v9'" in deployed.deploy("v9", code=2)
    assert "Usage" in deployed.deploy(code=2)
    assert "is not a tag's name" in deployed.deploy("../v1", code=2)
    assert "no version was deployed before" in deployed.rollback(code=2)
    assert "releases/v7 is not there" in deployed.rollback("code", "v7", code=2)
    with subprocess.Popen(["flock", deployed.folder / ".deploy.lock", "cat"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:  # fmt: skip
        assert other.stdin is not None and other.stdout is not None
        other.stdin.write(b"x\n")
        other.stdin.flush()
        other.stdout.readline()
        assert "another deployment is going on" in deployed.deploy("v1.0.0", code=2)
        other.stdin.close()
    after = deployed.state()
    assert after == before


def test_a_dry_run_knows_the_tags_of_the_remote_repository(deployed: Installation) -> None:
    deployed.release("v1.1.0")
    before = deployed.state()
    assert "would install v1.1.0" in deployed.deploy("--dry-run", "v1.1.0")
    assert "there is no tag 'v9'" in deployed.deploy("--dry-run", "v9", code=2)
    assert deployed.state() == before
    deployed.run("git", "rev-parse", "--quiet", "--verify", "refs/tags/v1.1.0", code=1)


def test_a_tag_that_moved_in_the_remote_repository_is_refused(deployed: Installation) -> None:
    deployed.release("v1.1.0")
    git(deployed.origin, "tag", "--force", "v1.0.0", "v1.1.0")
    assert "the tag v1.0.0 has moved" in deployed.deploy("v1.0.0", code=2)
    assert "not all tags could be fetched" in deployed.deploy("v1.1.0")


def test_a_remote_repository_that_is_not_there_does_not_stop_a_version_that_is(
    deployed: Installation,
) -> None:
    deployed.origin.rename(deployed.origin.with_name("elsewhere"))
    assert "those that are here are used" in deployed.deploy("v1.0.0")


def test_a_release_is_what_its_tag_says(deployed: Installation) -> None:
    (deployed.folder / "releases/v1.0.0/main.py").write_text("changed by hand")
    assert "changed by hand" in deployed.deploy("v1.0.0", code=2)
    git(deployed.folder / "releases/v1.0.0", "checkout", ".")
    deployed.release("v1.1.0")
    git(deployed.folder, "fetch", "--quiet", "--tags")
    git(deployed.folder, "tag", "--force", "v1.0.0", "v1.1.0")
    assert "has moved" in deployed.deploy("v1.0.0", code=2)


def test_an_installation_made_by_the_guide_goes_on_running_and_is_the_way_back(
    cloned: Installation,
) -> None:
    cloned.run("bash", cloned.variables["DEPLOY_INSTALL"], str(cloned.folder))
    cloned.write("airflow/dags/anomaly_detection_dag.py", "")
    cloned.release("v1.1.0", uninstallable="")
    cloned.deploy("v1.1.0", code=1)
    cloned.run("venv/bin/cardwatch", "config", "show")
    assert cloned.current == "v1.0.0"
    (cloned.origin / "uninstallable").unlink()
    (cloned.origin / "dags").mkdir()
    (cloned.origin / "dags" / "anomaly_detection_dag.py").touch()
    cloned.release("v1.2.0")
    cloned.deploy("v1.2.0", DEPLOY_AIRFLOW="no")
    dag = cloned.folder / "airflow/dags/anomaly_detection_dag.py"
    assert dag.resolve() == cloned.folder / "releases/v1.2.0/dags/anomaly_detection_dag.py"
    cloned.rollback(DEPLOY_AIRFLOW="no")
    assert cloned.current == "v1.0.0"


def test_a_checkout_changed_by_hand_is_left_alone(cloned: Installation) -> None:
    cloned.write("main.py", "changed")
    assert "changed by hand: main.py" in cloned.deploy("v1.0.0", code=1)
    assert (cloned.folder / "main.py").read_text() == "changed"


def test_the_configuration_of_before_comes_back_and_what_it_replaced_is_kept(
    deployed: Installation,
) -> None:
    good = (deployed.folder / ".env").read_text()
    deployed.write(".env", "DB_HOST=mistaken\n")
    deployed.write("config/config.yaml", "mistake: 1\n")
    deployed.rollback("configuration")
    assert (deployed.folder / ".env").read_text() == good
    assert (deployed.folder / "config/config.yaml").read_text() == "environment: production\n"
    for name in (".env", ".env.backup", ".env.replaced"):
        assert (deployed.folder / name).stat().st_mode & 0o777 == 0o600
    assert (deployed.folder / ".env.replaced").read_text() == "DB_HOST=mistaken\n"
    deployed.rollback("configuration")


def test_an_older_version_that_does_not_know_the_configuration_brings_its_own(
    deployed: Installation,
) -> None:
    deployed.release("v1.1.0")
    deployed.deploy("v1.1.0")
    deployed.write("config/config.yaml", "new_key: not for v1.0.0\n")
    assert "add --with-configuration" in deployed.rollback(code=2)
    assert deployed.current == "v1.1.0"
    deployed.rollback("code", "--with-configuration")
    assert deployed.current == "v1.0.0"


def test_a_configuration_that_does_not_help_is_not_restored(deployed: Installation) -> None:
    deployed.write("config/config.yaml", "new_key: not for v1.0.0\n")
    deployed.release("v1.1.0")
    deployed.deploy("v1.1.0")
    deployed.write("config/config.yaml", "newer_key: not for v1.0.0\n")
    deployed.rollback("code", "--with-configuration", code=2)
    assert deployed.current == "v1.1.0"
    assert "newer_key" in (deployed.folder / "config/config.yaml").read_text()


def test_the_source_is_switched_in_env_and_back(deployed: Installation) -> None:
    before = set((deployed.folder / ".env").read_text().splitlines())
    deployed.write("config/database.backup.env", "DB_HOST=db2\nDB_PASSWORD=o'ther\nSECRET=x\n")
    deployed.rollback("source", "backup")
    now = (deployed.folder / ".env").read_text().splitlines()
    assert now == ["SMTP_PORT=587", "DB_HOST=db2", "DB_PASSWORD=o'ther"]
    deployed.rollback("source", "backup")
    assert (deployed.folder / ".env").read_text().splitlines() == now
    deployed.rollback("source", "primary")
    assert set((deployed.folder / ".env").read_text().splitlines()) == before
    for name in (".env", "config/database.primary.env", "config/database.backup.env"):
        assert (deployed.folder / name).stat().st_mode & 0o777 == 0o600


def test_a_source_that_cannot_be_read_is_not_switched_to(deployed: Installation) -> None:
    before = (deployed.folder / ".env").read_text()
    deployed.write("config/database.backup.env", "DB_HOST=db2\n")
    program = deployed.folder / "releases/v1.0.0/cardwatch/cli.py"
    program.write_text("def main(): raise SystemExit('db2' in open('.env').read())\n")
    said = deployed.rollback("source", "backup", code=2)
    assert ".env is as it was" in said
    assert (deployed.folder / ".env").read_text() == before
    assert not list(deployed.folder.glob(".env.*.??????"))


def test_old_releases_and_backups_are_removed(deployed: Installation) -> None:
    for minor in range(1, 4):
        deployed.write("config/config.yaml", f"comment: {minor}\n")
        deployed.release(f"v1.{minor}.0")
        deployed.deploy(f"v1.{minor}.0", DEPLOY_KEEP="1")
    kept = {path.name for path in (deployed.folder / "releases").iterdir()}
    assert kept == {"v1.1.0", "v1.2.0", "v1.3.0"}
    assert len(list((deployed.folder / "backups").glob("config.yaml.*"))) >= 1
