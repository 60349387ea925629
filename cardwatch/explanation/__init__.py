"""From attributions to reasons a person can say aloud.

A reason is one family's contribution to the score, told with the feature that spoke for the family:
the observed value, the usual one, whose usual it is, and a sentence from the catalogue.
"""

from cardwatch.explanation.numbers import amount, category, count, counted, share
from cardwatch.explanation.reasons import explain, reasons_for

__all__ = ["amount", "category", "count", "counted", "explain", "reasons_for", "share"]
