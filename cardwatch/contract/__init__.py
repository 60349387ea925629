"""The data contract: every delivered row is accepted, or set aside with a reason."""

from cardwatch.contract.check import check_contract
from cardwatch.contract.rules import RULES, Action, ReasonCode, Rule

__all__ = ["RULES", "Action", "ReasonCode", "Rule", "check_contract"]
