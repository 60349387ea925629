"""What a notice looks like: as a mail's text and HTML, and in a chat."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from notices_examples import PICTURE, failure_notice, list_notice, listed

from cardwatch.notify.letter import HTML_LIMIT_BYTES, html, letter
from cardwatch.notify.message import Notice
from cardwatch.notify.text import WIDTH, chat_text, mail_text

NOON = datetime(2025, 11, 24, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'>\r\nBcc: x@y.example\r\n\u202ecba<img src=http://x.example>"
SHOWN_IN_MAILS = {
    *("html", "head", "meta", "title", "body", "div", "span", "table", "tr", "td", "th"),
    *("h1", "h2", "h3", "p", "ul", "li", "b", "br", "a", "img"),
}
"""Elements that mail clients show alike."""
UNSAFE_STYLES = re.compile(r"position|float|flex|grid|url\(|expression|@import|var\(", re.I)


class Elements(HTMLParser):
    """Every element with its attributes, and what text is shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def mail(notice: Notice) -> EmailMessage:
    raw = letter(notice, "cardwatch@bank.example", ["team@bank.example"], NOON).as_bytes()
    return message_from_bytes(raw, policy=policy.default)


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    content: str = found.get_content()
    return content.replace("\r\n", "\n")


@pytest.mark.parametrize("notice", [list_notice(), failure_notice()], ids=["list", "failure"])
def test_a_mail_has_a_text_part_and_then_html(notice: Notice) -> None:
    message = mail(notice)
    assert message["Subject"] == notice.subject
    assert message["Auto-Submitted"] == "auto-generated"
    assert part(message, "plain") == mail_text(notice)
    kinds = [each.get_content_type() for each in message.walk() if not each.is_multipart()]
    assert kinds[:2] == ["text/plain", "text/html"]


def test_the_text_part_tells_everything_in_lines_that_fit() -> None:
    text = mail_text(list_notice())
    assert max(map(len, text.splitlines())) <= WIDTH
    for said in (
        "7 customers are on the list. Since the week before: 3 new, 1 gone.",
        "Critical      1   (2 the week before)",
        "1. •••001",
        "high · concern · new on the list",
        "1,240 EUR in 4 transactions; usually 300",
        "- Made 4 purchases",
        "  7. •••007 · high · concern · new on the list · 1,240 EUR",
        "- •••044 (was 4): Rank 39 of 1,979 now; the list ends at 20",
        "- A week of the window is missing.",
        "Run 20251124T060000Z-abc123, Cardwatch 1.0.0, staging",
    ):
        assert said in text.splitlines(), said


def test_html_and_text_tell_the_same_customers_and_reasons() -> None:
    notice = list_notice()
    shown = Elements(html(notice)).text
    for row in notice.listed:
        assert row.name in shown
        assert row.reason in shown


def test_html_is_what_mail_clients_show_and_asks_nothing_of_the_network() -> None:
    for notice in (list_notice(link="https://files.bank.example/{label}.html"), failure_notice()):
        for tag, attributes in Elements(html(notice)).found:
            assert tag in SHOWN_IN_MAILS
            assert not UNSAFE_STYLES.search(attributes.get("style", ""))
            assert not [name for name in attributes if name.startswith("on")]
            assert attributes.get("src", "cid:").startswith("cid:")
            if tag == "a":
                assert attributes["href"] == "https://files.bank.example/2025-46.html"
            if tag == "img":
                assert attributes["alt"]
                assert attributes["width"]


def test_every_picture_of_the_html_is_inside_the_mail() -> None:
    message = mail(list_notice())
    wanted = re.findall(r'src="cid:([^"]+)"', part(message, "html"))
    inside = {
        str(each["Content-ID"]).strip("<>"): each.get_payload(decode=True)
        for each in message.walk()
        if each["Content-ID"]
    }
    assert inside == dict.fromkeys(wanted, PICTURE)
    assert len(wanted) == 2


def test_a_customer_without_a_chart_has_no_picture() -> None:
    notice = list_notice(listed=(listed(1, chart=b""), listed(2)))
    assert part(mail(notice), "html").count("<img") == 1


def test_no_markup_line_or_header_gets_through() -> None:
    reasons = (HOSTILE, "second")
    hostile = listed(1, name=HOSTILE, reasons=reasons, standing=HOSTILE, chart_text=HOSTILE)
    for notice in (
        list_notice(listed=(hostile, listed(2, name=HOSTILE), listed(3, name=HOSTILE))),
        list_notice(remarks=(HOSTILE,), coverage=HOSTILE),
        failure_notice(error=HOSTILE, step="read", log=HOSTILE),
    ):
        elements = Elements(html(notice))
        assert {tag for tag, _ in elements.found} <= SHOWN_IN_MAILS
        assert all("x.example" not in each.get("src", "") for _, each in elements.found)
        message = mail(notice)
        assert message["Bcc"] is None
        assert message.keys().count("To") == 1
        assert "<script>" not in part(message, "html")
        for text in (part(message, "plain"), chat_text(notice)):
            assert not re.search("^Bcc", text, re.M)
            assert "\u202e" not in text


def test_the_html_stays_under_the_limit_of_mail_clients_and_says_what_is_left_out() -> None:
    long = tuple(
        listed(rank, reasons=("Spent much more than in a usual week, again and again " * 30,))
        for rank in range(1, 301)
    )
    text = html(list_notice(listed=long, details=20))
    assert len(text.encode()) <= HTML_LIMIT_BYTES
    told = len(re.findall(r">•••\d{3}<", text)) - 1  # one of them is gone
    assert f"{300 - told} more are on the list" in text
    assert 20 < told < 300


def test_the_same_notice_is_the_same_message() -> None:
    sent = [
        letter(list_notice(), "cardwatch@bank.example", ["team@bank.example"], NOON).as_bytes()
        for _ in range(2)
    ]
    assert sent[0] == sent[1]
    other = mail(list_notice(list_digest="cd" * 32))["Message-ID"]
    assert other != mail(list_notice())["Message-ID"]


def test_a_list_is_attached_by_its_name() -> None:
    notice = list_notice(attachment=b"customer_id\n1\n", attachment_name="anomalies_2025-46.csv")
    [attached] = mail(notice).iter_attachments()
    assert attached.get_filename() == "anomalies_2025-46.csv"
    assert attached.get_content_type() == "text/csv"
    assert attached.get_payload(decode=True) == b"customer_id\n1\n"


def test_nobody_on_the_list_is_told_in_words() -> None:
    notice = list_notice(listed=(), gone=(), new=0, before=None)
    assert "Nobody is on the list; there is no list of the week before" in html(notice)
    assert notice.subject.endswith("nobody is listed")


def test_a_list_that_replaces_one_that_was_told_says_so() -> None:
    notice = list_notice(is_revision=True)
    assert notice.subject.startswith("[staging] revised: Card anomalies, week 2025-46")
    assert "replaces one of the same week" in " ".join(mail_text(notice).split())
    assert "replaces one of the same week" in html(notice)


def test_a_failure_tells_the_step_the_error_the_run_and_where_the_log_is() -> None:
    text = mail_text(failure_notice())
    assert max(map(len, text.splitlines())) <= WIDTH
    for shown in (text, html(failure_notice()), chat_text(failure_notice())):
        flat = " ".join(Elements(shown).text.split())
        for said in (
            "cardwatch run, exit code 3",
            "The database does not answer (db.bank.example:5432). Try again later",
            "20251124T060000Z-abc123",
            "/opt/cardwatch/logs/app.log on batch-1",
            "2025-45 (10–16 November 2025)",
        ):
            assert said in flat, said
    assert failure_notice().subject == (
        "[staging] Card anomalies, week 2025-46 (17–23 November 2025): failed in step read"
    )


def test_a_chat_gets_few_lines_that_call_nobody() -> None:
    calls = "<!channel> @here <@U123> *b* `c` &amp;"
    text = chat_text(list_notice(listed=(listed(1, name=calls), *list_notice().listed)))
    assert len(text.splitlines()) <= 6
    assert not re.search(r"[<>&*`]|@\w", text)
    assert text.splitlines()[-1] == "and 5 more"


def test_a_chat_gets_the_link_as_it_is() -> None:
    notice = list_notice(link="https://files.bank.example/{label}?a=1&b=2")
    assert chat_text(notice).endswith("\nhttps://files.bank.example/2025-46?a=1&b=2")


def test_card_numbers_are_masked_wherever_they_turn_up() -> None:
    notice = failure_notice(error="row of 4111 1111 1111 1111 refused")
    for text in (mail_text(notice), html(notice), chat_text(notice)):
        assert "4111" not in text
        assert "[card number]" in text
