"""Whether everything a run needs and left behind is as it should be."""

from cardwatch.checkup.places import check_up
from cardwatch.checkup.results import CheckResult, Status, document, exit_code

__all__ = ["CheckResult", "Status", "check_up", "document", "exit_code"]
