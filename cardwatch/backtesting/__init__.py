"""What a configuration would have listed in past weeks, and how good that would have been."""

from cardwatch.backtesting.comparison import Contest, compare_trials
from cardwatch.backtesting.document import backtest_document
from cardwatch.backtesting.figures import Backtest, Found, Summary, WeekFigures, figures_of
from cardwatch.backtesting.past import Past, read_past
from cardwatch.backtesting.trial import FIRST, Refused, Sought, Trial, try_week
from cardwatch.backtesting.weeks import scorable_weeks

__all__ = [
    "FIRST",
    "Backtest",
    "Contest",
    "Found",
    "Past",
    "Refused",
    "Sought",
    "Summary",
    "Trial",
    "WeekFigures",
    "backtest_document",
    "compare_trials",
    "figures_of",
    "read_past",
    "scorable_weeks",
    "try_week",
]
