"""What is labelled was planted, and what was planted is labelled.

The portfolio is compared with its twin of strength 0: the same customers in the same ordinary
weeks, with the look-alikes and without the cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cardwatch.case_kinds import Kind, Strength
from cardwatch.sources.sample import SamplePortfolio
from cardwatch.sources.sample_lives import LIFE_KINDS
from cardwatch.sources.sample_lookalikes import LOOKALIKE_KINDS
from cardwatch.sources.sample_plan import FIRST_CASE_WEEK, RAMP_KIND
from cardwatch.week import ReportingWeek

LAST = ReportingWeek.parse("2025-46")
CUSTOMERS = 3_000
WEEKS = 17
HARMLESS = (*LOOKALIKE_KINDS, *LIFE_KINDS)


@dataclass(frozen=True)
class Case:
    """One label with the rows around it; `rows` and `twin` are indexed by week and category.

    `power` is how far the case is from an ordinary week: 1 for a medium one.
    """

    customer: str
    week: int
    power: float
    rows: pd.DataFrame
    twin: pd.DataFrame

    @cached_property
    def now(self) -> pd.DataFrame:
        return in_week(self.rows, self.week)

    @cached_property
    def ordinary(self) -> pd.DataFrame:
        return in_week(self.twin, self.week)

    @cached_property
    def extra(self) -> pd.DataFrame:
        """Spend and count beyond the twin's week, per category."""
        change = self.now.sub(self.ordinary, fill_value=0)
        return pd.DataFrame(change[change["count"] != 0])

    def used_before(self) -> set[str]:
        return {code for week, code in self.rows.index if week < self.week}

    def weeks_with_rows(self) -> set[int]:
        return {week for week, _ in self.rows.index}


def in_week(rows: pd.DataFrame, week: int) -> pd.DataFrame:
    return pd.DataFrame(rows[rows.index.get_level_values(0) == week]).droplevel(0)


def frame(portfolio: SamplePortfolio) -> pd.DataFrame:
    """Rows by customer, week position and category."""
    rows: pd.DataFrame = pa.concat_tables(list(portfolio.tables())).to_pandas()
    position = {week.label: at for at, week in enumerate(portfolio.weeks)}
    rows["week"] = rows["reporting_week"].map(position)
    rows = rows.rename(columns={"spend_amount": "spend", "transaction_count": "count"})
    return rows.set_index(["customer_id", "week", "mcc"])[["spend", "count"]]


def label_frame(portfolio: SamplePortfolio) -> pd.DataFrame:
    labels: pd.DataFrame = portfolio.labels().to_pandas()
    position = {week.monday: at for at, week in enumerate(portfolio.weeks)}
    labels["week"] = labels["week_start"].map(position)
    return labels


@pytest.fixture(scope="module")
def portfolio() -> SamplePortfolio:
    return SamplePortfolio(CUSTOMERS, WEEKS, 105, last_week=LAST)


@pytest.fixture(scope="module")
def twin() -> SamplePortfolio:
    return SamplePortfolio(CUSTOMERS, WEEKS, 105, last_week=LAST, strength=0)


@pytest.fixture(scope="module")
def rows(portfolio: SamplePortfolio) -> pd.DataFrame:
    return frame(portfolio)


@pytest.fixture(scope="module")
def twin_rows(twin: SamplePortfolio) -> pd.DataFrame:
    return frame(twin)


@pytest.fixture(scope="module")
def labels(portfolio: SamplePortfolio) -> pd.DataFrame:
    return label_frame(portfolio)


@pytest.fixture(scope="module")
def changed(rows: pd.DataFrame, twin_rows: pd.DataFrame) -> set[tuple[str, int]]:
    """Customer-weeks in which the portfolio differs from its twin."""
    both = rows.merge(
        twin_rows, how="outer", left_index=True, right_index=True, suffixes=("", "_twin")
    )
    differs = (both["spend"] != both["spend_twin"]) | (both["count"] != both["count_twin"])
    return {(str(customer), int(week)) for customer, week, _ in both.index[differs]}


def is_takeover(case: Case) -> bool:
    new = case.extra[~case.extra.index.isin(list(case.used_before()))]
    return (
        2 <= len(new) <= 4 and len(new) == len(case.extra) and new["spend"].min() > 40 * case.power
    )


def is_bust_out(case: Case) -> bool:
    usual = case.rows.groupby("week")["spend"].sum()
    before = usual[usual.index < case.week - 3].mean()
    ends = max(case.weeks_with_rows()) == case.week
    cash = {"6010", "6011", "6051", "4829"} & set(case.now.index)
    return ends and bool(cash) and float(case.now["spend"].sum()) > (1 + case.power) * float(before)


def is_card_test(case: Case) -> bool:
    tiny = case.extra["spend"].sum() < 2.5 * case.extra["count"].sum()
    within = 10 * case.power - 1 <= case.extra["count"].sum() <= 35 * case.power + 1
    return tiny and within and 1 <= len(case.extra) <= 3


def is_gambling(case: Case) -> bool:
    place = set(case.extra.index) <= {"7995", "6051"}
    return (
        place
        and 5 <= case.extra["count"].sum() <= 20
        and case.extra["spend"].sum() > 50 * case.power
    )


def is_structured(case: Case) -> bool:
    each = case.extra["spend"].sum() / case.extra["count"].sum()
    place = set(case.extra.index) <= {"4829", "6012"}
    within = max(2, 3 * case.power - 1) <= case.extra["count"].sum() <= 9 * case.power + 1
    return place and within and 900 <= each <= 990


def is_refund(case: Case) -> bool:
    return case.extra["spend"].sum() < -50 * case.power and 2 <= case.extra["count"].sum() <= 7


def is_dormant(case: Case) -> bool:
    present = case.weeks_with_rows()
    silence = case.week - max(week for week in present if week < case.week) - 1
    return case.week in present and 8 <= silence <= 14 and min(present) <= case.week - 9


def is_drop(case: Case) -> bool:
    usual = case.rows.groupby("week")["count"].sum().median()
    left = 2 if case.power < 1 else 1
    return len(case.now) == 1 and case.now["count"].sum() == left and usual >= 8


def is_growth(case: Case) -> bool:
    spend = case.now["spend"].sum() / case.ordinary["spend"].sum()
    count = case.now["count"].sum() / case.ordinary["count"].sum()
    usual = case.twin.groupby("week")["count"].sum().median()
    quiet = case.ordinary["count"].sum() < 0.6 * usual  # raised to a fuller week before growing
    least, most = 1 + 1.4 * case.power, 1 + 6.5 * case.power
    return spend > least and count > 1.1 and (quiet or (spend < most and spend / count > 1.1))


def is_ticket(case: Case) -> bool:
    (code,) = case.extra.index
    before = case.twin[case.twin.index.get_level_values(1) == code]
    usual = (before["spend"] / before["count"]).median()
    return case.extra["count"].sum() == 1 and case.extra["spend"].sum() > 7 * case.power * usual


def is_collusion(case: Case) -> bool:
    (code,) = case.extra.index
    return code not in case.used_before() and case.extra["spend"].sum() > 20 * case.power


CHECKS: dict[str, Callable[[Case], bool]] = {
    "takeover": is_takeover,
    "bust_out": is_bust_out,
    "card_test": is_card_test,
    "gambling": is_gambling,
    "structured": is_structured,
    "refund": is_refund,
    "dormant": is_dormant,
    "drop": is_drop,
    "growth": is_growth,
    "ticket": is_ticket,
    "collusion": is_collusion,
}


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_labelled_was_planted(
    kind: str, rows: pd.DataFrame, twin_rows: pd.DataFrame, labels: pd.DataFrame
) -> None:
    chosen = labels[labels["kind"] == kind]
    cases = [
        Case(name, week, Strength(strength).factor, rows.loc[name], twin_rows.loc[name])
        for name, week, strength in zip(
            chosen["customer_id"], chosen["week"], chosen["strength"], strict=True
        )
    ]
    assert len(cases) >= WEEKS - FIRST_CASE_WEEK
    assert [case.customer for case in cases if not CHECKS[kind](case)] == []


def belongs_to(kind: str, weeks_later: int) -> bool:
    """Whether a case changes a week that lies `weeks_later` weeks after its label."""
    if kind == "bust_out":
        return weeks_later > 0  # silent for good
    if kind == "dormant":
        return -12 <= weeks_later < 0  # silent before the return
    return kind in ("takeover", "collusion") and weeks_later < 0  # categories not used before


def test_what_was_planted_is_labelled(changed: set[tuple[str, int]], labels: pd.DataFrame) -> None:
    kinds = labels[~labels["kind"].isin(HARMLESS)]
    labelled = set(zip(kinds["customer_id"], kinds["week"], strict=True))
    cases = {name: group for name, group in kinds.groupby("customer_id")}
    unexplained = [
        (name, week)
        for name, week in changed - labelled
        if name not in cases
        or not any(
            belongs_to(kind, week - labelled_week)
            for kind, labelled_week in zip(cases[name]["kind"], cases[name]["week"], strict=True)
        )
    ]
    assert labelled <= changed
    assert unexplained == []


def test_every_kind_is_planted_in_every_week_from_the_thirteenth(labels: pd.DataFrame) -> None:
    cases = labels[labels["kind"].isin(list(Kind))]
    found = set(zip(cases["kind"], cases["week"], strict=True))
    assert found == {(kind, week) for kind in list(Kind) for week in range(FIRST_CASE_WEEK, WEEKS)}
    assert 20 <= len(cases) / (WEEKS - FIRST_CASE_WEEK) <= 30


def test_a_bust_out_has_three_rising_weeks_before_it(labels: pd.DataFrame) -> None:
    peaks = labels[labels["kind"] == "bust_out"]
    ramp = labels[labels["kind"] == RAMP_KIND]
    found = set(zip(ramp["customer_id"], ramp["week"], strict=True))
    expected = {
        (name, week - back)
        for name, week in zip(peaks["customer_id"], peaks["week"], strict=True)
        for back in (1, 2, 3)
    }
    assert found == expected


def test_a_collusion_is_five_customers_at_one_rare_category(
    rows: pd.DataFrame, twin_rows: pd.DataFrame, labels: pd.DataFrame
) -> None:
    cases = labels[labels["kind"] == "collusion"]
    for week, group in cases.groupby("week"):
        names = list(group["customer_id"])
        shared = set.intersection(*(set(rows.loc[name].loc[week].index) for name in names))
        users = twin_rows.groupby("mcc").size()
        assert len(names) == 5
        assert min(users.get(code, 0) for code in shared) < 0.002 * users.sum()


def test_a_customer_has_at_most_one_case_in_13_weeks(labels: pd.DataFrame) -> None:
    cases = labels[labels["kind"].isin(list(Kind))]
    assert cases["customer_id"].is_unique


def test_cases_fall_on_customers_with_enough_history(
    rows: pd.DataFrame, labels: pd.DataFrame
) -> None:
    cases = labels[labels["kind"].isin(set(Kind) - {"dormant"})]
    active = rows.groupby(["customer_id", "week"]).size().reset_index()
    joined = cases.merge(active, on="customer_id", suffixes=("", "_active"))
    before = joined[joined["week_active"].between(joined["week"] - 12, joined["week"] - 1)]
    assert before.groupby("customer_id").size().min() >= 8


def test_three_in_a_hundred_customers_have_a_harmless_unusual_week(
    rows: pd.DataFrame, labels: pd.DataFrame
) -> None:
    extras = labels[labels["kind"].isin(LOOKALIKE_KINDS)]
    assert set(extras["kind"]) == set(LOOKALIKE_KINDS)
    assert set(extras.groupby("week").size()) == {round(0.03 * CUSTOMERS)}
    present = set(rows.groupby(["customer_id", "week"]).size().index)
    assert set(zip(extras["customer_id"], extras["week"], strict=True)) <= present


def test_no_customer_is_both_a_case_and_a_look_alike(labels: pd.DataFrame) -> None:
    extras = labels["kind"].isin(HARMLESS)
    assert not set(labels[extras]["customer_id"]) & set(labels[~extras]["customer_id"])


def test_strength_0_plants_look_alikes_only(twin: SamplePortfolio, labels: pd.DataFrame) -> None:
    extras = labels[labels["kind"].isin(HARMLESS)]
    assert label_frame(twin).equals(extras.reset_index(drop=True))


def test_cases_are_weak_medium_and_strong_and_look_alikes_have_no_strength(
    labels: pd.DataFrame,
) -> None:
    harmless = labels["kind"].isin(HARMLESS)
    assert labels["strength"][harmless].isna().all()
    shares = labels["strength"][~harmless].value_counts(normalize=True)
    assert set(shares.index) == set(Strength)
    assert shares.min() > 0.2


def test_a_greater_strength_moves_cases_further() -> None:
    spend = [
        np.abs(
            frame(SamplePortfolio(600, 13, 106, last_week=LAST, strength=strength))["spend"]
        ).sum()
        for strength in (0.0, 1.0, 3.0)
    ]
    assert spend[0] < spend[1] < spend[2]


def test_a_small_portfolio_plants_some_kind_every_week() -> None:
    labels = label_frame(SamplePortfolio(200, 23, 107, last_week=LAST))
    cases = labels[labels["kind"].isin(list(Kind))]
    assert set(cases["week"]) == set(range(FIRST_CASE_WEEK, 23))
    assert set(cases["kind"]) == set(Kind) - {"collusion"}
