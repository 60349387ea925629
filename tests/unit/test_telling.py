"""At most once, in every order in which lists and troubles come."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from notices_examples import WEEK, failure_notice, list_notice

from cardwatch.notify.base import SENT, HandingOver, Outcome
from cardwatch.notify.message import ListNotice, Notice
from cardwatch.notify.telling import Teller, Told

OLD, NEW = list_notice(list_digest="aa" * 32), list_notice(list_digest="bb" * 32)
DOWN = Outcome("failed", "nothing answers there")
SILENT = Outcome("unsure", "no answer")


@dataclass
class Fake:
    """Takes what it is given, and answers as it is told."""

    answers: list[Outcome] = field(default_factory=list)
    took: list[Notice] = field(default_factory=list)
    name: str = "fake"
    place: str = "nowhere"

    def receivers(self, notice: Notice) -> tuple[str, ...]:
        return ("somebody",)

    def send(
        self,
        notice: Notice,
        receivers: Sequence[str],
        *,
        handing_over: HandingOver,
        timeout: float,
    ) -> Mapping[str, Outcome]:
        answer = self.answers.pop(0) if self.answers else SENT
        if answer.status != "failed":
            handing_over(receivers)
            self.took.append(notice)
        return dict.fromkeys(receivers, answer)


class Late(Fake):
    """Hands over only when it is let."""

    let: threading.Event

    def send(
        self,
        notice: Notice,
        receivers: Sequence[str],
        *,
        handing_over: HandingOver,
        timeout: float,
    ) -> Mapping[str, Outcome]:
        try:
            self.let.wait(10)
            handing_over(receivers)
            self.took.append(notice)
            return dict.fromkeys(receivers, SENT)
        finally:
            self.done.set()

    done: threading.Event


def tell(
    folder: Path, notice: Notice, *fakes: Fake, again: bool = False, attempts: int = 1
) -> Told:
    teller = Teller(folder, fakes, attempts, timeout_seconds=0.2, again=again)
    return teller.tell(lambda: notice)[0]


def test_a_list_that_could_not_be_sent_does_not_make_the_one_before_forgotten(
    tmp_path: Path,
) -> None:
    fake = Fake([SENT, DOWN])
    assert tell(tmp_path, OLD, fake).sent == 1
    assert tell(tmp_path, NEW, fake).problems == (DOWN.problem,)
    assert tell(tmp_path, OLD, fake).already == ("somebody",)
    assert tell(tmp_path, NEW, fake).sent == 1
    revisions = [each.is_revision for each in fake.took if isinstance(each, ListNotice)]
    assert revisions == [False, True]


def test_what_nobody_knows_stays_unknown_until_somebody_asks(tmp_path: Path) -> None:
    fake = Fake([SILENT])
    assert not tell(tmp_path, OLD, fake).is_certain
    assert tell(tmp_path, OLD, fake).unsure_before == ("somebody",)
    assert tell(tmp_path, OLD, fake, again=True).is_done
    assert tell(tmp_path, OLD, fake).is_done
    assert len(fake.took) == 2


def test_another_list_is_told_whatever_became_of_the_one_before(tmp_path: Path) -> None:
    fake = Fake([SILENT])
    tell(tmp_path, OLD, fake)
    assert tell(tmp_path, NEW, fake).sent == 1


def test_what_may_pass_is_tried_again_in_time_and_nothing_else_is(tmp_path: Path) -> None:
    teller = Teller(tmp_path, [Fake([Outcome("failed", "busy", may_pass=True)])], 2, 5)
    assert teller.tell(lambda: OLD)[0].sent == 1
    fake = Fake([DOWN])
    assert Teller(tmp_path, [fake], 2, 5).tell(lambda: NEW)[0].sent == 0


def test_a_failure_is_told_once_for_each_kind_and_again_after_a_list(tmp_path: Path) -> None:
    fake = Fake()
    for notice in (failure_notice(), failure_notice(run_id="another"), failure_notice(step="rank")):
        tell(tmp_path, notice, fake)
    assert len(fake.took) == 2
    tell(tmp_path, OLD, fake)
    tell(tmp_path, failure_notice(step="rank"), fake)
    assert len(fake.took) == 4


def test_what_hands_over_too_late_hands_nothing_over_and_keeps_nobody_waiting(
    tmp_path: Path,
) -> None:
    late, quick = Late(name="late"), Fake(name="quick")
    late.let, late.done = threading.Event(), threading.Event()
    begun = monotonic()
    first, second = Teller(tmp_path, (late, quick), 1, 0.2).tell(lambda: OLD)
    assert monotonic() - begun < 5
    assert (first.problems, second.sent) == (("no answer within 0.2 seconds",), 1)
    late.let.set()
    assert late.done.wait(10)
    assert late.took == []
    content = json.loads((tmp_path / f"notices_{WEEK.label}.json").read_bytes())
    statuses = {each["channel"]: each["status"] for each in content["notices"]}
    assert statuses == {"late": "failed", "quick": "sent"}


def test_whatever_goes_wrong_is_said_and_never_raised(tmp_path: Path) -> None:
    def broken() -> Notice:
        raise ZeroDivisionError

    [told] = Teller(tmp_path, [Fake()], 1, 1).tell(broken)
    assert told.problem == "the notice could not be made (ZeroDivisionError)"
    assert Teller(tmp_path, [], 1, 1).tell(broken) == ()
    (tmp_path / "file").write_text("")
    [told] = Teller(tmp_path / "file", [fake := Fake()], 1, 1).tell(lambda: OLD)
    assert "nothing was sent" in told.problem or told.problem
    assert fake.took == []


def test_the_record_is_there_before_the_text_is_handed_over(tmp_path: Path) -> None:
    seen: list[str] = []

    class Watching(Fake):
        def send(
            self,
            notice: Notice,
            receivers: Sequence[str],
            *,
            handing_over: HandingOver,
            timeout: float,
        ) -> Mapping[str, Outcome]:
            handing_over(receivers)
            content = json.loads((tmp_path / f"notices_{WEEK.label}.json").read_bytes())
            seen.extend(each["status"] for each in content["notices"])
            return dict.fromkeys(receivers, SENT)

    tell(tmp_path, OLD, Watching())
    assert seen == ["unsure"]
