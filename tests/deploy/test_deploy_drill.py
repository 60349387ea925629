"""The drill with the product itself: deploy, fail, roll back; real tags, a real PostgreSQL."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from postgres import Database
from product import INSTALL, make_product
from sandbox import ROOT, Installation, clone, executable, make_origin

pytestmark = pytest.mark.system

CONFIGURATION = """\
environment: production
data_source:
  path: datasamples
output:
  directory: {folder}/outputs
  database:
    enabled: true
logging:
  file: {folder}/logs/app.log
"""


def counted(database: Database, what: str) -> int:
    with database.connect() as connection:
        [count] = connection.execute(f"SELECT count(*) FROM {what}".encode()).fetchone() or [0]
    return int(count)


def columns(database: Database) -> int:
    return counted(database, "information_schema.columns WHERE table_schema = 'public'")


@pytest.fixture
def installation(tmp_path: Path, database: Database) -> Installation:
    make_product(tmp_path / "origin")
    made = clone(tmp_path / "origin", tmp_path / "anomaly-detection", tmp_path / "programs")
    executable(tmp_path / "programs" / "install", INSTALL)
    made.write("config/config.yaml", CONFIGURATION.format(folder=made.folder))
    made.write(".env", f"OUTPUT_DB_CONNECTION_STRING={database.url}\nLOG_LEVEL=WARNING\n")
    return made


@pytest.mark.takes(60)
def test_the_drill(installation: Installation, database: Database) -> None:
    """From an installation that the guide made: a failure after the switch, then the way back."""
    place = installation
    place.run("bash", place.variables["DEPLOY_INSTALL"], str(place.folder), "requirements.txt")
    cardwatch, python = (
        str(place.folder / "venv" / "bin" / name) for name in ("cardwatch", "python")
    )
    place.run(cardwatch, "db", "upgrade")
    place.run(cardwatch, "sample", "--customers", "300", "--weeks", "14")
    place.run(python, "main.py")
    columns_before = columns(database)

    # The services of this version do not stay up: it was switched to, and is left again. Its tables
    # stay, and the old version works on them.
    assert "not active" in place.deploy("v1.1.0-crashes", code=1)
    assert place.current == "v1.0.0"
    assert columns(database) > columns_before
    place.run(python, "main.py")
    assert counted(database, "anomaly_runs") > 0

    place.deploy("v1.1.0")
    assert place.current == "v1.1.0"
    where = "import src.config as s, os; print(os.path.realpath(s.__file__))"
    assert "/releases/v1.1.0/" in place.run(python, "-c", where)
    place.rollback()
    assert place.current == "v1.0.0"
    assert "/releases/v1.0.0/" in place.run(python, "-c", where)
    assert [entry[0] for entry in place.journal] == ["failed", "deployed", "rolled-back"]


WHEEL = """\
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as made:
    info = "tiny-1.0.dist-info"
    made.writestr("tiny.py", "")
    made.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
    kind = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    made.writestr(f"{info}/WHEEL", kind)
    made.writestr(f"{info}/RECORD", "")
"""


def test_the_installer_takes_what_has_the_hash_and_nothing_else(tmp_path: Path) -> None:
    """The default installer, with pip, offline: a wheel of the right and of another content."""
    origin = make_origin(tmp_path / "origin")
    installation = clone(origin, tmp_path / "place", tmp_path / "programs")
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "tiny-1.0-py3-none-any.whl"
    (tmp_path / "wheel.py").write_text(WHEEL, encoding="utf-8")
    python = installation.variables["PYTHON"]
    installation.run(python, str(tmp_path / "wheel.py"), str(wheel))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    small = tmp_path / "small"
    for name in ("cardwatch", "src"):
        (small / name).mkdir(parents=True)
        (small / name / "__init__.py").touch()
    backend = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    (small / "pyproject.toml").write_text(f"{backend}[project]\nname = 'small'\nversion = '1'\n")
    (small / "backend.py").write_text(
        "import shutil\n"
        "def build_editable(folder, *_):\n"
        "    name = 'tiny-1.0-py3-none-any.whl'\n"
        f"    return shutil.copy({str(wheel)!r}, folder + '/' + name) and name\n"
    )
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "DEPLOY_PYTHON": python}
    install = str(ROOT / "deploy" / "lib" / "install.sh")
    (small / "requirements.txt").write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    said = installation.run("bash", install, str(small), "requirements.txt", code=1, **offline)
    assert "DO NOT MATCH THE HASHES" in said
    (small / "requirements.txt").write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    installation.run("bash", install, str(small), "requirements.txt", code=0, **offline)
    assert list(small.glob("venv/lib/*/site-packages/tiny.py"))
