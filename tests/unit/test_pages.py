"""What the page of a week shows, and what it keeps out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pages import HOSTILE, PageReader
from published_pages import BEFORE, PAGE, edited, pages, read, two_weeks
from published_weeks import WEEK, listed_customer, publish, week_report

from cardwatch.engine import Engine
from cardwatch.outputs import INDEX, OutputFile
from cardwatch.publish.formats import list_document
from cardwatch.report import cards, render
from cardwatch.report.cards import Manner
from cardwatch.report.charts import Range
from cardwatch.report.document import CustomerPart, Document, read_document
from cardwatch.report.sections import not_listed, span


def test_the_page_says_first_what_changed_and_why(outputs: Path, engine: Engine) -> None:
    two_weeks(outputs, engine)
    text = read(outputs).text
    said = [
        "17–23 November 2025",
        "Active customers\n10\nlast week 9\n+11.1%",
        "On the list\n2\nlast week 2\nthe same",
        "Changes since last week: 1 new, 1 back, 1 gone",
        "comes",
        "2 weeks in a row, was 1",
        "leaves\nwas 2\nRank 77 of 3 now; the list ends at 2",
        "Customers on the list",
        "The portfolio over the window",
        "Data quality",
        "Drift",
        "How it was made",
        "run-1",
        "cd" * 32,
        "Limits of use",
    ]
    for each in said:
        assert each in text, f"{each!r}, or it comes too early"
        text = text.split(each, 1)[1]


def test_every_listed_customer_has_a_card(outputs: Path, engine: Engine) -> None:
    two_weeks(outputs, engine)
    page = read(outputs)
    assert page.elements["article"] == 2
    cards = page.text.split("Customers on the list")[1].split("The portfolio over")[0]
    for said in (
        "high",
        "concern",
        "Spent 1,200.00 this week",
        "Weekly spend",
        "Spend per merchant category",
        "5732 Electronics shops\n−3.00 · usual 40.12",
        "This week\nUsual week\nSimilar customers",
        "Per transaction",
    ):
        assert said in cards
    assert page.elements["svg"] == 2 * 2 + 3
    parts = {
        "customers",
        "portfolio",
        "quality",
        "groups",
        "drift",
        "made",
        "customer-1",
        "customer-2",
    }
    assert set(page.values("href")) == {INDEX, *(f"#{part}" for part in parts)}
    names = page.values("id")
    assert len(names) == len(set(names))
    assert {href[1:] for href in page.values("href") if href[0] == "#"} <= set(names)
    assert set(" ".join(page.values("aria-labelledby")).split()) <= set(names)


def test_a_card_says_why_a_guard_is_listed_and_whose_place_is_firm(
    outputs: Path, engine: Engine
) -> None:
    two_weeks(outputs, engine)
    edited(outputs, rank_stability=0.5, guard=True)
    text = PageReader.of(pages().published(outputs, WEEK)).text
    by_rank = text.split("Customers on the list")[1].split("Rank ")[1:]
    guarded, firm = (card.split("Weekly spend")[0] for card in by_rank)
    assert "Listed by its score without verdicts" in guarded
    assert "Stands without its strongest reason" not in guarded
    assert "Stands without its strongest reason" in firm
    assert "Listed by its score" not in firm


def test_a_page_asks_nobody_for_anything_and_runs_nothing(outputs: Path, engine: Engine) -> None:
    two_weeks(outputs, engine)
    for name in (PAGE, INDEX):
        page = read(outputs, name)
        assert page.problems == page.open == []
        loading = {
            "script",
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "form",
            "base",
            "image",
            "use",
        }
        assert loading.isdisjoint(page.elements)
        present = {name for _, name, _ in page.attributes}
        assert {each for each in present if each.startswith("on")} | present & {
            "src",
            "style",
        } == set()
        [policy] = [each for each in page.values("content") if each.startswith("default-src")]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert not re.search(rb"@import|url\(|https?:", (outputs / name).read_bytes())
        assert len((outputs / name).read_bytes()) < 200_000


@pytest.mark.parametrize("is_masked", [False, True])
def test_no_id_and_no_name_gets_markup_onto_a_page(
    outputs: Path, engine: Engine, is_masked: bool
) -> None:
    maker = pages(mask_ids=is_masked)
    hostile = [name.replace("\x00", "") for name in HOSTILE]
    ranks = {name: rank for rank, name in enumerate(hostile, 1)}
    publish(
        outputs, engine, {"harmless": 1, **{f"{n}-": r + 1 for n, r in ranks.items()}}, week=BEFORE
    )
    publish(outputs, engine, ranks, pages=maker)
    categories = [
        {"mcc": name[:9], "name": name, "spend": 5.0, "usual_spend": 1.0, "is_new": False}
        for name in HOSTILE
    ]
    edited(outputs, categories=categories, signal_rule=HOSTILE[0])
    written = maker.published(outputs, WEEK)
    page, plain = PageReader.of(written), read(outputs)
    assert page.problems == page.open == []
    added = page.elements - plain.elements
    assert set(added) <= {"path", "line", "li", "span"}, "a chart has more rows, and that is all"
    assert page.elements["style"] == 1
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b]", written.decode())
    assert len(written) < 300_000
    if is_masked:
        assert "alert" not in page.text.split("Customers on the list")[0]
        assert "•••9" in page.text or "•••999" in page.text


@pytest.mark.system
def test_a_page_never_weighs_more_than_a_megabyte(
    outputs: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(outputs, engine, {"C-0001": 1}, week=BEFORE)
    publish(outputs, engine, {f"C-{rank:04d}": rank for rank in range(1, 13)}, pages=pages())
    whole = (outputs / PAGE).read_bytes()
    assert read(outputs).elements["article"] == 12
    assert len(whole) < render.MOST_BYTES == 1_000_000
    monkeypatch.setattr(render, "MOST_BYTES", len(whole) - 1)
    fewer = pages().published(outputs, WEEK)
    assert len(fewer) < len(whole)
    page = PageReader.of(fewer)
    assert page.elements["article"] == 9
    assert "The list has 12 customers; the first 9 have a card here." in page.text
    targets = {href[1:] for href in page.values("href") if href.startswith("#customer-")}
    assert len(targets) == 9, "nothing links a card that is not there"
    assert targets <= set(page.values("id"))


@pytest.mark.parametrize(("weeks", "said"), [(13, "thirteen weeks"), (9, "the window")])
def test_the_portfolio_is_shown_over_the_weeks_that_there_are(weeks: int, said: str) -> None:
    shown = document_of()
    every = shown.portfolio[-1:] * weeks
    assert span(shown.model_copy(update={"portfolio": every})) == said


def test_a_long_list_has_charts_for_its_first_customers_only(
    outputs: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "CHARTED", 1)
    monkeypatch.setattr(cards, "CARDS", 2)
    publish(outputs, engine, {"a": 1, "b": 2, "c": 3}, pages=pages())
    page = read(outputs)
    assert (page.elements["article"], page.elements["svg"]) == (2, 2 + 3)
    assert "The list has 3 customers; the first 2 have a card here." in page.text


def test_ids_are_masked_where_that_is_set(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"C-104233": 1, "4711": 2}, week=BEFORE)
    publish(outputs, engine, {"C-104233": 1}, others={"4711": 9}, pages=pages(mask_ids=True))
    page = read(outputs)
    assert "104233" not in page.text
    assert "4711" not in page.text
    assert "•••233" in page.text
    assert "ids are masked" in page.text


def test_a_first_list_and_an_empty_one_have_pages(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"a": 1}, pages=pages())
    assert "There is no earlier list to compare this one with." in read(outputs).text
    assert "last week not known" in read(outputs).text
    publish(outputs, engine, {}, week=WEEK + 1, others={"a": 3}, pages=pages())
    text = read(outputs, OutputFile.REPORT.of(WEEK + 1)).text
    assert "0 new, 0 back, 1 gone" in text
    assert "Nobody is on the list this week." in text


def test_the_list_before_is_the_newest_there_is(outputs: Path, engine: Engine) -> None:
    publish(outputs, engine, {"a": 1}, week=WEEK - 3)
    publish(outputs, engine, {"a": 1}, pages=pages())
    assert (
        "Changes since the list of 27 October – 2 November 2025: 0 new, 1 back"
        in read(outputs).text
    )


def document_of(*customers: CustomerPart) -> Document:
    listed = week_report([listed_customer("C-1", 1)])
    document = read_document(list_document(listed), "here")
    return document.model_copy(update={"customers": customers or document.customers})


def customer(**changes: Any) -> CustomerPart:
    [listed] = document_of().customers
    return CustomerPart.model_validate({**listed.model_dump(), **changes})


def weeks(*spends: float | None) -> list[dict[str, Any]]:
    mondays = [week.monday for week in (*WEEK.window(len(spends) - 1), WEEK)]
    return [{"week_start": m, "spend": s} for m, s in zip(mondays, spends, strict=True)]


def test_the_usual_range_is_of_the_weeks_that_the_usual_spend_is_of() -> None:
    usual = {"spend": 50.0, "transaction_count": 3, "ticket": 9.0}
    full = customer(weeks=weeks(*range(10, 100, 10), 900, 900, 900, 5), usual=usual)
    assert cards.usual_range(full) == Range(18, 50, 82)
    late = [None, None, None, None, None, 10, 20, 30, 40, 50, 60, 70, 5]
    assert cards.usual_range(customer(weeks=weeks(*late), usual=usual), 5) == Range(13, 50, 37)
    assert cards.usual_range(customer(weeks=weeks(*[None] * 10, 1, 2, 3))) is None


def test_categories_that_reasons_name_are_drawn_however_small() -> None:
    shop = {"name": "Shop", "usual_spend": 1, "is_new": False}
    many = [{"mcc": f"{5000 + n}", "spend": 100.0 - n, **shop} for n in range(9)]
    reasons = [{"sentence": "Small", "contribution": 1.0, "mcc": "5008"}]
    listed = customer(categories=many, reasons=reasons)
    [card] = cards.cards(document_of(listed), {}, Manner("EUR", False))
    assert card.category_chart is not None
    assert len(card.category_chart["datasets"]["rows"]) == len(card.category_words) == 5
    assert card.category_words[-1] == ("5008 Shop", "92.00 · usual 1.00")
    assert card.other_categories.count("Shop") == 4


def test_a_reason_that_adds_little_is_not_said_to_add_nothing() -> None:
    reasons = [
        {"sentence": sentence, "contribution": share, "mcc": None}
        for sentence, share in (("Much", 9.98), ("Little", 0.02), ("Nothing", 0.0))
    ]
    listed = customer(reasons=reasons, surprise_total=10.0)
    [card] = cards.cards(document_of(listed), {}, Manner("EUR", False))
    assert [each.share for each in card.reasons] == ["100%", "<1%", "0%"]


def test_whom_a_policy_keeps_off_the_list_is_counted_on_its_page() -> None:
    kept = {"snoozed_customer": 1, "min_spend": 1_200, "min_transactions": 0, "peer_group_cap": 3}
    document = document_of().model_copy(update={"left_out_by_policy": kept})
    assert not_listed(document) == (
        "Not listed by a snooze of the customer: 1 customer, scored, ranked and counted all the "
        "same.",
        "Not listed by ranking.min_spend: 1,200 customers, scored, ranked and counted all the "
        "same.",
    )
