from __future__ import annotations

from pathlib import Path

import pytest

from cardwatch.errors import SourceError
from cardwatch.sources.discovery import find_files, hive_values


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"PAR1" if name.endswith("parquet") else b"a,b\n")


def names(path: Path) -> list[str]:
    return [file.name for file in find_files(path)]


def test_a_folder_is_searched_through_all_its_folders_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b.csv", "a/z.CSV", "a/b/c.csv.gz", "readme.txt", "a.tsv")
    assert names(tmp_path) == ["a.tsv", "a/b/c.csv.gz", "a/z.CSV", "b.csv"]


def test_results_of_runs_are_no_data_even_in_the_same_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "anomalies_2025-46.csv", "out/scores_2025-46.parquet", "runs_2025.csv")
    assert names(tmp_path) == ["a.csv", "runs_2025.csv"]
    assert names(tmp_path / "*.csv") == ["a.csv", "runs_2025.csv"]
    assert names(tmp_path / "anomalies_2025-46.csv") == ["anomalies_2025-46.csv"]


def test_names_that_begin_with_underscore_or_dot_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "_labels.csv", ".a.csv", "_tmp/b.csv", ".git/c.csv", "x/_y/d.csv")
    assert names(tmp_path) == ["a.csv"]


def test_a_file_named_outright_is_read_whatever_its_name(tmp_path: Path) -> None:
    make(tmp_path, "_labels.csv", "export")
    assert names(tmp_path / "_labels.csv") == ["_labels.csv"]
    assert find_files(tmp_path / "export")[0].kind == "csv"


def test_a_file_without_a_known_ending_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "export").write_bytes(b"PAR1....PAR1")
    assert find_files(tmp_path / "export")[0].kind == "parquet"


def test_a_glob_matches_files_and_folders(tmp_path: Path) -> None:
    make(tmp_path, "2025/a.csv", "2025/b.csv", "2026/a.csv", "2025/_c.csv", "other/a.csv")
    assert names(tmp_path / "20*" / "a.csv") == ["2025/a.csv", "2026/a.csv"]
    assert names(tmp_path / "202?") == ["2025/a.csv", "2025/b.csv", "2026/a.csv"]
    assert names(tmp_path / "**" / "*.csv") == [
        "2025/a.csv",
        "2025/b.csv",
        "2026/a.csv",
        "other/a.csv",
    ]


def test_a_path_that_exists_is_no_glob(tmp_path: Path) -> None:
    make(tmp_path, "week[1].csv", "week1.csv", "all*/a.csv", "allow/b.csv")
    assert names(tmp_path / "week[1].csv") == ["week[1].csv"]
    assert names(tmp_path / "all*") == ["a.csv"]


def test_a_link_back_to_a_folder_above_ends_the_search(tmp_path: Path) -> None:
    make(tmp_path, "a/b.csv")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert names(tmp_path) == ["a/b.csv"]


def test_a_linked_folder_is_searched(tmp_path: Path) -> None:
    make(tmp_path, "store/b.csv", "data/a.csv")
    (tmp_path / "data" / "more").symlink_to(tmp_path / "store")
    assert names(tmp_path / "data") == ["a.csv", "more/b.csv"]


def test_a_mixed_folder_is_an_error_that_names_one_of_each(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "b.parquet")
    with pytest.raises(SourceError, match=r"a\.csv and .*b\.parquet"):
        find_files(tmp_path)


@pytest.mark.parametrize("path", ["nothing", "nothing/*.csv", "no[thing"])
def test_a_path_that_is_not_there_says_what_to_do(tmp_path: Path, path: str) -> None:
    with pytest.raises(SourceError, match="`cardwatch sample`.*data_source.path"):
        find_files(tmp_path / path)


def test_a_folder_without_data_says_what_was_expected(tmp_path: Path) -> None:
    make(tmp_path, "readme.txt", "_labels.csv")
    with pytest.raises(SourceError, match=r"no data files.*expected files named \*\.csv"):
        find_files(tmp_path)


def test_a_link_to_nothing_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(SourceError, match=r"a\.csv"):
        find_files(tmp_path)


def test_hive_values_are_decoded_and_nothing_is_none() -> None:
    path = Path("/data/week=2025%2D46/mcc=__HIVE_DEFAULT_PARTITION__/a=b=c/=x/part.csv")
    assert hive_values(path) == {"week": "2025-46", "mcc": None}
