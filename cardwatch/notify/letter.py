"""The mail: a text part that reads well, the same as HTML, pictures inside, and an attachment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from cardwatch.notify.mail import envelope
from cardwatch.notify.message import FailureNotice, ListNotice, Notice, identity, plain
from cardwatch.notify.text import LIMITS, link_of, mail_text, shown_gone

HTML_LIMIT_BYTES = 100_000
"""Mail clients cut a larger HTML part off (Gmail at 102 kB)."""

_LONGEST_TABLE = 200


def letter(notice: Notice, sender: str, receivers: Sequence[str], moment: datetime) -> EmailMessage:
    """Return the mail of a notice, the same for the same notice but for its date."""
    message = envelope(
        sender, receivers, notice.subject, identifier=identity(notice), moment=moment
    )
    message.set_content(mail_text(notice), cte="quoted-printable")
    message.add_alternative(html(notice), subtype="html", cte="quoted-printable")
    if isinstance(notice, ListNotice):
        _add_pictures(message, notice)
        if notice.attachment:
            message.add_attachment(
                notice.attachment, maintype="text", subtype="csv", filename=notice.attachment_name
            )
    _name_the_boundaries(message, identity(notice))
    return message


def html(notice: Notice) -> str:
    """Return a notice as HTML of at most `HTML_LIMIT_BYTES`, the end of a long list left out."""
    if isinstance(notice, FailureNotice):
        return _template("failure.html.j2").render(notice=notice)
    rows = min(len(notice.listed), _LONGEST_TABLE)
    while True:
        text = _template("list.html.j2").render(**_list_view(notice, rows))
        if len(text.encode()) <= HTML_LIMIT_BYTES or rows == 0:
            return text
        rows = rows * 3 // 4


def picture_id(notice: ListNotice, rank: int) -> str:
    """Return the Content-ID of a customer's chart, without its angle brackets."""
    return f"chart-{rank}.{identity(notice)}@cardwatch"


def _list_view(notice: ListNotice, rows: int) -> dict[str, Any]:
    told = notice.listed[: min(notice.details, rows)]
    gone, more_gone = shown_gone(notice)
    return {
        "notice": notice,
        "detailed": [(each, picture_id(notice, each.rank)) for each in told],
        "others": notice.listed[len(told) : rows],
        "left_out": len(notice.listed) - rows,
        "gone": gone,
        "more_gone": more_gone,
        "link": link_of(notice),
        "limits": LIMITS,
    }


def _add_pictures(message: EmailMessage, notice: ListNotice) -> None:
    parts = message.get_payload()
    shown = parts[1] if isinstance(parts, list) else None
    if not isinstance(shown, EmailMessage):
        raise TypeError("a mail of two parts")
    for each in notice.listed[: notice.details]:
        if each.chart:
            shown.add_related(
                each.chart,
                maintype="image",
                subtype="png",
                cid=f"<{picture_id(notice, each.rank)}>",
                filename=f"chart-{each.rank}.png",
                disposition="inline",
            )


def _name_the_boundaries(message: EmailMessage, identifier: str) -> None:
    """Give the parts boundaries of their own, so that the same notice has the same bytes."""
    parts = [part for part in message.walk() if part.is_multipart()]
    for number, part in enumerate(parts):
        part.set_boundary(f"=_{identifier}_{number}")


def _plain(value: object) -> object:
    """Make text safe for a reader; what a template made is."""
    is_ours = hasattr(value, "__html__")
    return plain(value) if isinstance(value, str) and not is_ours else value


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("cardwatch.notify"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
