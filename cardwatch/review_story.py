"""What was learnt from verdicts, as people see it in a terminal."""

from __future__ import annotations

from rich.text import Text

from cardwatch.console import counted, out, show_notes
from cardwatch.schema import Learning


def show_learning(learning: Learning) -> None:
    """Print what was learnt from verdicts: the weight of each reason, and what the weights did."""
    if not learning.weights:
        show_notes(learning.notes)
        return
    verdicts, places = counted(learning.reviews, "verdict"), counted(learning.guards, "place")
    out.print(f"[bold]Learnt from {verdicts} on earlier lists[/bold]")
    for each in sorted(learning.weights, key=lambda weight: weight.weight):
        if each.is_moved:
            out.print(Text(f"  {each.sentence}"))
    moved = counted(learning.moved_off, "other customer")
    out.print(f"  without them {moved} would be listed; {places} at the end go by that score")
