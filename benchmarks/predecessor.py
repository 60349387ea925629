"""The predecessor's method: plain features of the week and growth rates, and an isolation forest.

An earlier public system of the same purpose worked this way; it is what the method is measured by.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

RECENT_WEEKS = 4


def features(rows: pd.DataFrame, scored: pd.Timestamp) -> pd.DataFrame:
    """Return one row per customer with a row in the scored week.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``customer_id, week_start, mcc, spend_amount, transaction_count`` of the scored week and
        its reference weeks.
    scored : pandas.Timestamp
        Monday of the scored week.
    """
    rows = rows.assign(squared=rows["spend_amount"] ** 2)
    weekly = rows.groupby(["customer_id", "week_start"]).agg(
        spend=("spend_amount", "sum"),
        count=("transaction_count", "sum"),
        categories=("mcc", "nunique"),
        largest=("spend_amount", "max"),
        squared=("squared", "sum"),
    )
    weekly["ticket"] = weekly["spend"] / weekly["count"].clip(lower=1)
    weekly["top_share"] = weekly["largest"] / weekly["spend"].where(weekly["spend"] > 0)
    weekly["concentration"] = weekly["squared"] / weekly["spend"].where(weekly["spend"] > 0) ** 2
    weekly = weekly.reset_index().drop(columns="squared")
    now = weekly[weekly["week_start"] == scored].set_index("customer_id").drop(columns="week_start")
    history = weekly[weekly["week_start"] < scored]
    spans = {
        "1": history["week_start"] >= scored - pd.Timedelta(weeks=1),
        "4": history["week_start"] >= scored - pd.Timedelta(weeks=RECENT_WEEKS),
        "all": history["week_start"] < scored,
    }
    frame = now.copy()
    for name, chosen in spans.items():
        before = history[chosen].groupby("customer_id")[["spend", "count"]].mean()
        growth = now[["spend", "count"]] / before.reindex(now.index) - 1
        frame = frame.join(growth.add_prefix(f"growth_{name}_"))
    return frame.replace([np.inf, -np.inf], np.nan).fillna(0.0)


def scores(rows: pd.DataFrame, scored: pd.Timestamp) -> pd.Series:
    """Return every present customer's score; higher is more anomalous."""
    frame = features(rows, scored).sort_index()
    forest = IsolationForest(n_estimators=100, max_samples=256, random_state=42).fit(frame)
    return pd.Series(-forest.score_samples(frame), index=frame.index)
