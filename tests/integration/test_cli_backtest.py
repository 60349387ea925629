"""Past weeks through the command line: what would have been listed, and that nothing is left."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import Outcome, cardwatch, contents, failure
from review_examples import review
from small_portfolio import WEEK, ScoredWeek, read_json

from cardwatch.outputs import OutputFile
from cardwatch.review.ledger import LEDGER_FILE, ledger_bytes

NOWHERE = "127.0.0.1:9"
"""A port that nobody listens on: whoever wrote to it would fail."""
LOUD = f"""
feature_engineering: {{use_cache: true, cache_dir: cache}}
output:
  directory: outputs
  database: {{enabled: true, connection_string: "postgresql://nobody@{NOWHERE}/none", attempts: 1}}
notify: {{email: {{enabled: true, to: [a@example.com], sender: b@example.com}}}}
"""


def backtest(folder: Path, source: Path, config: str, *words: str, code: int = 0) -> Outcome:
    """Try past weeks of a source in a folder."""
    given = ("backtest", "--source", source, "--config", config)
    return cardwatch(folder, *given, *words, code=code, SMTP_HOST="127.0.0.1", SMTP_PORT="9")


@dataclass(frozen=True)
class Tried:
    """Two weeks, and the last with planted cases too, in a folder with a list and verdicts."""

    folder: Path
    source: Path
    plain: dict[str, Any]
    planted: dict[str, Any]
    out: str
    before: dict[str, bytes]
    after: dict[str, bytes]

    def call(self, *words: str, config: str = "loud.yaml", code: int = 0) -> Outcome:
        """Try weeks, or say why not."""
        return backtest(self.folder, self.source, config, *words, code=code)


@pytest.fixture(scope="module")
def tried(portfolio: Path, scored: ScoredWeek, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    folder = tmp_path_factory.mktemp("backtest")
    outputs = folder / "outputs"
    outputs.mkdir()
    for file in (OutputFile.LIST_JSON, OutputFile.MANIFEST):
        (outputs / file.of(WEEK)).write_bytes(scored.path(file).read_bytes())
    verdicts = [
        review(row["customer_id"], WEEK.label, "expected" if number % 4 else "opportunity")
        for number, row in enumerate(scored.list_rows)
    ]
    (outputs / LEDGER_FILE).write_bytes(ledger_bytes(verdicts))
    (folder / "loud.yaml").write_text(LOUD)
    (folder / "quiet.yaml").write_text(f"{LOUD}model: {{decay: 0.9}}\n")
    given = (folder, portfolio, "loud.yaml")
    backtest(*given, "--weeks", "2", "--output", "plain.json")
    before = contents(outputs) | contents(folder / "cache")
    more = ("--inject", "--per-kind", "1", "--against", "quiet.yaml", "--show-customers")
    done = backtest(*given, "--weeks", "1", *more, "--output", "planted.json")
    after = contents(outputs) | contents(folder / "cache")
    plain, planted = (read_json(folder / name) for name in ("plain.json", "planted.json"))
    return Tried(folder, portfolio, plain, planted, done.out, before, after)


def test_a_past_week_gets_the_list_that_its_run_published(tried: Tried, scored: ScoredWeek) -> None:
    first, last = tried.plain["champion"]["weeks"]
    assert [each["reporting_week"] for each in (first, last)] == [(WEEK - 1).label, WEEK.label]
    assert last["listed"] == [row["customer_id"] for row in scored.list_rows]
    assert last["published"]["count"] == last["published"]["of"] == 20
    assert (last["hits"]["count"], last["hits"]["of"]) == (5, 20)
    assert first["kept"] is None
    assert last["kept"]["of"] == 20
    assert last["scored"] == scored.document["coverage"]["customers_scored"]
    assert tried.plain["planting"] is None


def test_what_is_planted_reaches_no_file_no_cache_no_list_no_database_and_no_mail(
    tried: Tried,
) -> None:
    # Database and mail are turned on and lead nowhere: an attempt would have failed the command.
    assert tried.before == tried.after
    assert set(tried.after) > {LEDGER_FILE, OutputFile.MANIFEST.of(WEEK)}
    plain, planted = tried.plain["champion"]["weeks"][-1], tried.planted["champion"]["weeks"][-1]
    own = ("recall", "places_taken", "kept")
    assert {k: v for k, v in planted.items() if k not in own} == {
        k: v for k, v in plain.items() if k not in own
    }


def test_the_cases_are_found_far_more_often_than_the_same_customers_without_them(
    tried: Tried,
) -> None:
    overall = tried.planted["champion"]["overall"]
    found = overall["planted"]
    assert (found["customers"], found["cases"]) == (15, 11)
    assert found["in_first"]["share"] > 0.5 > found["in_first_without_case"]["share"]
    assert set(overall["planted_by_kind"]) == set(tried.planted["planting"]["kinds"])
    assert 0 < overall["places_taken"]["share"] < 1
    assert "planted all at once they take" in tried.out


def test_champion_and_challenger_are_set_side_by_side_on_the_same_cases(tried: Tried) -> None:
    champion, challenger = (tried.planted[name] for name in ("champion", "challenger"))
    customers = [each["overall"]["planted"]["customers"] for each in (champion, challenger)]
    assert customers == [15, 15]
    for pair, one, other in zip(
        tried.planted["comparison"]["weeks"], champion["weeks"], challenger["weeks"], strict=True
    ):
        assert pair["shared"] == len(set(one["listed"]) & set(other["listed"]))
        assert set(pair["only_champion"]) == set(one["listed"]) - set(other["listed"])
        names = ", ".join(pair["only_challenger"])
        assert names in " ".join(tried.out.split())
    assert tried.planted["comparison"]["conclusion"] in " ".join(tried.out.split())


def test_a_week_that_a_run_would_refuse_is_named_and_gives_the_exit_code(tried: Tried) -> None:
    (tried.folder / "strict.yaml").write_text(f"{LOUD}contract: {{max_amount: 1}}\n")
    done = tried.call("--weeks", "1", config="strict.yaml", code=4)
    assert "None of the weeks can be scored" in done.errors[0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--weeks", "40"), 3, "too few weeks to try (--weeks 40): found 16 up to"),
        (("--weeks", "1", "--inject", "--kind", "theft"), 2, "(--kind): found 'theft', expected"),
        (("--weeks", "1", "--inject", "--strength", "huge"), 2, "expected weak, medium, strong"),
        (("--weeks", "1", "--kind", "drop"), 2, "Nothing is to be planted (--kind). Add --inject"),
        (("--weeks", "1", "--show-customers"), 2, "There is only one list"),
        (("--weeks", "1", "--against", "none.yaml"), 2, "(--against none.yaml)"),
        (("--weeks", "1", "--against", "other.yaml"), 2, "do not score the same rows"),
        (("--weeks", "1", "--reporting-week", "2099-01"), 3, "The last complete week is 2025-46"),
        (("--weeks", "1", "--output", "outputs"), 2, "The file to write is a folder (outputs)"),
    ],
)
def test_what_cannot_be_tried_is_said_on_one_line(
    tried: Tried, words: tuple[str, ...], code: int, said: str
) -> None:
    (tried.folder / "other.yaml").write_text("portfolio: {timezone: America/Chicago}\n")
    assert said in failure(tried.call(*words, code=code))


def test_json_goes_to_standard_output_and_the_same_week_gives_the_same_again(tried: Tried) -> None:
    told = json.loads(tried.call("--weeks", "1", "--format", "json").out)
    [week] = told["champion"]["weeks"]
    assert week == {**tried.plain["champion"]["weeks"][-1], "kept": None}
