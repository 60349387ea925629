"""Known cases, planted into a week that was checked, to see how many of them are found."""

from cardwatch.injection.plan import Plan, Planted, Wish, plan_cases
from cardwatch.injection.planting import plant

__all__ = ["Plan", "Planted", "Wish", "plan_cases", "plant"]
