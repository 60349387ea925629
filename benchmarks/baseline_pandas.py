"""The yardstick: the weekly job as an analyst would write it with pandas and scikit-learn.

It reads the scored week and the twelve before it, checks the rows, builds features of the same six
families, fits an isolation forest, and writes the top 20 with reasons and everybody's score.
Grouped and vectorised throughout; nothing is slow on purpose. With ``--per-customer`` the own
medians and MADs come from a function applied to each customer's weeks, as is often written.

    python -m benchmarks.baseline_pandas FOLDER 2025-11-17 OUTPUT_FOLDER [--per-customer]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import nbinom
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest

REFERENCE_WEEKS = 12
PEER_GROUPS = 10
RISKY_MCCS = ["7995", "6051", "4829", "6010", "6011"]
REASONS = {
    "spend_z": "Spent {spend:,.2f}; the usual week is {usual_spend:,.2f}",
    "count_z": "Made {count:,.0f} transactions; usually {usual_count:,.0f}",
    "growth": "Spends more and more often: {spend:,.2f} in {count:,.0f} transactions",
    "growth_ticket": "More purchases, and larger ones: {count:,.0f} of {ticket:,.2f}",
    "growth_usual": "Spends more in the usual places: {spend:,.2f}",
    "growth_four_weeks": "Rising for four weeks; spent {spend:,.2f} this week",
    "new_share": "{new_share:.0%} of the week's spend is in new merchant categories",
    "new_amount": "Spent {new_spend:,.2f} in new merchant categories",
    "mix_spend": "Spends in other places than usual",
    "mix_count": "Buys in other places than usual",
    "unusual_category": "A large amount in a category unusual for this customer",
    "newcomers": "One of many customers new to the same category",
    "ticket_max": "A ticket far above what is usual in its category",
    "ticket_max_weighted": "A large ticket, far above what is usual in its category",
    "ticket_small_many": "Many tickets far below what is usual in their category",
    "ticket_mean": "Tickets unlike those usual in their categories",
    "refund": "Refunds of {refund:,.2f}",
    "return": "Back after {silent:,.0f} weeks without a transaction, with {spend:,.2f}",
    "risky": "Spent {risky:,.2f} in risky categories",
    "absent": "No transaction this week",
    "peer_spend": "Spent {spend:,.2f}, unlike similar customers",
    "peer_count": "Made {count:,.0f} transactions, unlike similar customers",
    "peer_ticket": "Spent {ticket:,.2f} a transaction, unlike similar customers",
    "peer_categories": "Spent in {categories:,.0f} categories, unlike similar customers",
    "peer_concentration": "Spend is concentrated unlike that of similar customers",
}


def read(folder: Path, scored: pd.Timestamp) -> pd.DataFrame:
    """Return the rows of the scored week and its reference weeks."""
    files = sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("_"))
    columns = ["customer_id", "reporting_week", "mcc", "spend_amount", "transaction_count"]
    rows = pd.concat([pd.read_parquet(path, columns=columns) for path in files], ignore_index=True)
    labels = rows["reporting_week"].astype(str)
    mondays = {label: pd.to_datetime(f"{label}-1", format="%Y-%W-%w") for label in labels.unique()}
    rows["week_start"] = labels.map(mondays)
    first = scored - pd.Timedelta(weeks=REFERENCE_WEEKS)
    rows = rows[rows["week_start"].between(first, scored)]
    return rows.astype({"mcc": str, "spend_amount": float}).drop(columns="reporting_week")


def check(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split the rows into those fit for scoring and those set aside with a reason."""
    stop_at_card_numbers(rows["customer_id"])
    count, amount = rows["transaction_count"], rows["spend_amount"]
    reason = pd.Series("", index=rows.index)
    reason[rows["customer_id"].isna() | rows["mcc"].isna()] = "missing key"
    reason[~rows["mcc"].str.fullmatch(r"\d{4}", na=False)] = "malformed MCC"
    reason[~np.isfinite(amount) | (amount.abs() > 1e7)] = "amount"
    reason[count.isna() | (count <= 0)] = "count"
    exact = rows.duplicated()
    key = rows.duplicated(["customer_id", "week_start", "mcc"], keep=False)
    reason[key & ~exact & (reason == "")] = "conflicting duplicate"
    ticket = amount.abs() / count
    own = ticket / ticket.groupby([rows["customer_id"], rows["mcc"]]).transform("median")
    norm = ticket / ticket.groupby(rows["mcc"]).transform("median")
    reason[own.between(60, 160) & norm.between(60, 160)] = "unit error"
    rejected = rows[reason != ""].assign(reason=reason[reason != ""])
    if len(rejected) > 0.05 * len(rows):
        raise SystemExit(f"{len(rejected)} of {len(rows)} rows are not fit for scoring")
    return rows[(reason == "") & ~exact], rejected


def stop_at_card_numbers(ids: pd.Series) -> None:
    """End the program if ids look like card numbers: 13 to 19 digits that pass Luhn's check."""
    digits = pd.Series(ids.dropna().unique()).astype(str).str.replace(r"[ -]", "", regex=True)
    digits = digits[digits.str.fullmatch(r"\d{13,19}")]
    passed = sum(
        sum(sum(divmod(int(d) * (1 + i % 2), 10)) for i, d in enumerate(reversed(text))) % 10 == 0
        for text in digits
    )
    if passed > 0.5 * max(len(digits), 1):
        raise SystemExit("The ids look like card numbers")


def weekly_totals(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row per customer and week: spend, count, ticket, categories, concentration."""
    rows = rows.assign(
        positive=rows["spend_amount"].clip(lower=0),
        squared=rows["spend_amount"].clip(lower=0) ** 2,
        refund=-rows["spend_amount"].clip(upper=0),
        risky=rows["spend_amount"].abs().where(rows["mcc"].isin(RISKY_MCCS), 0.0),
        weight=np.sqrt(rows["transaction_count"].clip(upper=9)),
    )
    rows["weighted_z"] = rows["weight"] * rows["ticket_z"].clip(-3, 3)
    totals = rows.groupby(["customer_id", "week_start"]).agg(
        spend=("spend_amount", "sum"),
        count=("transaction_count", "sum"),
        categories=("mcc", "size"),
        positive=("positive", "sum"),
        squared=("squared", "sum"),
        refund=("refund", "sum"),
        risky=("risky", "sum"),
        weight=("weight", "sum"),
        weighted_z=("weighted_z", "sum"),
    )
    totals["concentration"] = totals["squared"] / (totals["positive"] ** 2).clip(lower=1e-9)
    totals["ticket"] = totals["spend"] / totals["count"]
    totals["ticket_level"] = totals["weighted_z"] / totals["weight"]
    for name in ("spend", "ticket", "categories"):
        totals[f"log_{name}"] = np.log1p(totals[name].clip(lower=0))
    totals["root_count"] = 2 * np.sqrt(totals["count"] + 0.375)
    return totals.reset_index()


def with_ticket_z(rows: pd.DataFrame, scored: pd.Timestamp) -> pd.DataFrame:
    """Add each row's log ticket against the median and MAD of its merchant category."""
    ticket = rows["spend_amount"].abs().clip(lower=0.01) / rows["transaction_count"]
    log_ticket = pd.Series(np.log(ticket), index=rows.index)
    history = rows["week_start"] < scored
    mcc, past = rows.loc[history, "mcc"], log_ticket[history]
    median = past.groupby(mcc).median()
    spread = 1.4826 * (past - mcc.map(median)).abs().groupby(mcc).median()
    spread = spread.clip(lower=0.25)
    return rows.assign(ticket_z=(log_ticket - rows["mcc"].map(median)) / rows["mcc"].map(spread))


Typical = Callable[[pd.DataFrame, pd.Series], tuple[pd.DataFrame, pd.DataFrame]]


def typical_grouped(values: pd.DataFrame, by: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return each customer's medians and 1.4826 MADs, by grouped operations."""
    median = values.groupby(by).median()
    deviation = (values - values.groupby(by).transform("median")).abs()
    return median, 1.4826 * deviation.groupby(by).median()


def typical_applied(values: pd.DataFrame, by: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the same by a function applied to each customer's weeks."""

    def describe(weeks: pd.DataFrame) -> pd.Series:
        median = weeks.median()
        mad = 1.4826 * (weeks - median).abs().median()
        return pd.Series(pd.concat([median, mad.add_prefix("mad_")]))

    described = pd.DataFrame(values.groupby(by).apply(describe))
    median = described[list(values.columns)]
    mad = described[[f"mad_{name}" for name in values.columns]].set_axis(values.columns, axis=1)
    return median, mad


def own_history(
    totals: pd.DataFrame, scored: pd.Timestamp, new_share: pd.Series, typical: Typical
) -> pd.DataFrame:
    """Return robust z-scores against the customer's own weeks t-12 to t-4, and their growth."""
    names = ["log_spend", "root_count", "ticket_level"]
    past = totals[totals["week_start"] < scored - pd.Timedelta(weeks=3)]
    median, mad = typical(past[names], past["customer_id"])
    weeks = past["customer_id"].value_counts().reindex(median.index)
    variance = (mad**2).mul(weeks, axis=0).add(6 * mad.median() ** 2).div(weeks + 6, axis=0)
    spread = (variance**0.5).where(weeks >= 3)
    customer = totals["customer_id"]
    z = totals[names].sub(median.reindex(customer).to_numpy())
    z = z.div(spread.reindex(customer).to_numpy())
    z -= z.groupby(totals["week_start"]).transform("median")
    z = z.set_axis(["spend_z", "count_z", "ticket_z"], axis=1)
    clipped = z.clip(-2, 5).fillna(0)
    joint = clipped.sum(axis=1) / np.sqrt(3)
    recent = totals["week_start"] >= scored - pd.Timedelta(weeks=3)
    now = totals["week_start"] == scored
    frame = z.loc[now, ["spend_z", "count_z"]].set_index(customer[now])
    clipped = clipped[now].set_index(customer[now])
    frame["growth"] = (clipped["spend_z"] + clipped["count_z"]) / np.sqrt(2)
    frame["growth_ticket"] = (clipped["count_z"] + clipped["ticket_z"]) / np.sqrt(2)
    frame["growth_usual"] = clipped.sum(axis=1) / np.sqrt(3) * (1 - new_share)
    frame["growth_four_weeks"] = joint[recent].groupby(customer[recent]).sum() / 2
    return pd.DataFrame(frame)


def usual_values(totals: pd.DataFrame, scored: pd.Timestamp) -> pd.DataFrame:
    """Return the customer's median week, the level that amounts are set against, and the gap."""
    history = totals[totals["week_start"] < scored].groupby("customer_id")
    usual = history[["spend", "count", "refund", "risky"]].median().add_prefix("usual_")
    usual["silent"] = (scored - history["week_start"].max()).dt.days / 7 - 1
    usual = usual.reindex(totals["customer_id"].unique())
    usual["level"] = usual["usual_spend"].fillna(usual["usual_spend"].median()).clip(lower=0) + 20
    return usual


def novelty(rows: pd.DataFrame, usual: pd.DataFrame, scored: pd.Timestamp) -> pd.DataFrame:
    """Return how much of the week is in categories that the customer did not use before."""
    history = rows[rows["week_start"] < scored]
    before = history.groupby(["customer_id", "mcc"])["transaction_count"].sum().rename("before")
    now = rows[rows["week_start"] == scored].merge(
        before.reset_index(), on=["customer_id", "mcc"], how="left"
    )
    by = now["customer_id"]
    now["amount"] = now["spend_amount"].abs()
    now["new_spend"] = now["amount"].where(now["before"].isna(), 0.0)
    share = now["amount"] / now["amount"].groupby(by).transform("sum").clip(lower=1e-9)
    count = by.map(now.groupby("customer_id")["transaction_count"].sum())
    portfolio = history.groupby("mcc")["transaction_count"].sum()
    expected = now["mcc"].map(portfolio / portfolio.sum()).fillna(1e-5)
    total_before = by.map(before.groupby("customer_id").sum()).fillna(0)
    profile = (now["before"].fillna(0) + 8 * expected) / (total_before + 8)
    share_of_count = now["transaction_count"] / count
    now["mix_spend"] = share * np.log(share.clip(lower=1e-9) / profile)
    now["mix_count"] = share_of_count * np.log(share_of_count / profile)
    size = np.log1p(now["amount"] / by.map(usual["level"]))
    now["unusual_category"] = -np.log(profile) * size
    now["newcomers"] = size * newcomer_surprise(rows, now, scored)
    grouped = now.groupby("customer_id")
    frame = grouped[["amount", "new_spend", "mix_spend", "mix_count"]].sum()
    frame["new_share"] = frame["new_spend"] / frame["amount"].clip(lower=1e-9)
    frame["new_amount"] = np.log1p(frame["new_spend"] / usual["level"].reindex(frame.index))
    total = grouped["transaction_count"].sum()
    frame["mix_count"] *= total / np.sqrt(total + 10)
    return frame.join(grouped[["unusual_category", "newcomers"]].max())


def newcomer_surprise(rows: pd.DataFrame, now: pd.DataFrame, scored: pd.Timestamp) -> pd.Series:
    """Return how unusual this week's number of customers new to the row's category is."""
    used = rows[["customer_id", "mcc", "week_start"]].sort_values("week_start")
    since = used["week_start"] - used.groupby(["customer_id", "mcc"])["week_start"].shift()
    used["new"] = since.isna() | (since > pd.Timedelta(weeks=8))
    counts = used[used["new"]].groupby(["mcc", "week_start"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=pd.date_range(end=scored, periods=5, freq="7D"), fill_value=0)
    earlier = counts.drop(columns=scored)
    mean = earlier.mean(axis=1) + 0.1
    dispersion = ((earlier.var(axis=1) / mean + 4) / 5).clip(lower=1.01)
    tail = nbinom.logsf(counts[scored] - 2, mean / (dispersion - 1), 1 / dispersion)
    surprise = pd.Series(-tail / np.log(10), index=counts.index).clip(lower=0)
    keys = used.loc[used["new"] & (used["week_start"] == scored), ["customer_id", "mcc"]]
    is_new = now[["customer_id", "mcc"]].merge(keys, how="left", indicator=True)["_merge"]
    return now["mcc"].map(surprise).fillna(0).where(is_new == "both", 0.0)


def tickets(rows: pd.DataFrame, usual: pd.DataFrame, scored: pd.Timestamp) -> pd.DataFrame:
    """Return the week's tickets against what is usual in their categories, own tilt removed."""
    history = rows["week_start"] < scored
    tilt = rows[history].groupby("customer_id")["ticket_z"].median()
    now = rows[rows["week_start"] == scored].copy()
    z = (now["ticket_z"] - now["customer_id"].map(tilt).fillna(0)).fillna(0)
    amount = now["spend_amount"].abs()
    size = np.log1p(amount / now["customer_id"].map(usual["level"]))
    now["ticket_max"] = z
    now["ticket_max_weighted"] = z.clip(lower=0) * size
    now["ticket_small_many"] = -z.clip(upper=0) * np.log1p(now["transaction_count"])
    now["amount"], now["ticket_mean"] = amount, z * amount
    grouped = now.groupby("customer_id")
    frame = grouped[["ticket_max", "ticket_max_weighted", "ticket_small_many"]].max()
    sums = grouped[["ticket_mean", "amount"]].sum()
    frame["ticket_mean"] = sums["ticket_mean"] / sums["amount"].clip(lower=1e-9)
    return frame


def events(now: pd.DataFrame, usual: pd.DataFrame) -> pd.DataFrame:
    """Return refunds and risky spend beyond the usual, the size of a return, and absence."""
    frame = pd.DataFrame(index=usual.index)
    for name in ("refund", "risky"):
        beyond = now[name] - usual[f"usual_{name}"].fillna(0)
        frame[name] = np.log1p(beyond.clip(lower=0) / usual["level"])
    frame["return"] = usual["silent"] * np.log1p(now["spend"].clip(lower=0) / usual["level"])
    frame["absent"] = (usual["silent"] + 1).where(~usual.index.isin(now.index))
    return frame


def peers(
    rows: pd.DataFrame, totals: pd.DataFrame, now: pd.DataFrame, scored: pd.Timestamp
) -> pd.DataFrame:
    """Return robust z-scores inside groups of customers who spend in similar categories."""
    history = rows[rows["week_start"] < scored]
    history = history.assign(amount=history["spend_amount"].clip(lower=0))
    common = history.groupby("mcc")["amount"].sum().nlargest(40).index
    spend = history[history["mcc"].isin(common)].pivot_table(
        index="customer_id", columns="mcc", values="amount", aggfunc="sum", fill_value=0.0
    )
    shares = spend.div(spend.sum(axis=1).clip(lower=1e-9), axis=0) ** 0.5
    usual = totals[totals["week_start"] < scored].groupby("customer_id")
    profile = shares.join(0.25 * usual[["log_spend", "root_count"]].median(), how="left")
    model = KMeans(PEER_GROUPS, random_state=42).fit(profile)
    group = pd.Series(model.labels_, index=profile.index).reindex(now.index).fillna(-1)
    names = {
        "log_spend": "peer_spend",
        "root_count": "peer_count",
        "log_ticket": "peer_ticket",
        "log_categories": "peer_categories",
        "concentration": "peer_concentration",
    }
    centred = now[list(names)] - now[list(names)].groupby(group).transform("median")
    spread = 1.4826 * centred.abs().groupby(group).transform("median") + 0.05
    return (centred / spread).rename(columns=names)


def features(
    rows: pd.DataFrame, scored: pd.Timestamp, typical: Typical = typical_grouped
) -> pd.DataFrame:
    """Return one row per customer: every feature, missing ones as NaN, and what reasons quote."""
    rows = with_ticket_z(rows, scored)
    totals = weekly_totals(rows)
    usual = usual_values(totals, scored)
    now = totals[totals["week_start"] == scored].set_index("customer_id")
    new = novelty(rows, usual, scored)
    frame = usual.drop(columns=["usual_refund", "usual_risky"])
    frame = frame.join(now[["spend", "count", "ticket", "categories"]])
    for part in (
        new.drop(columns="amount"),
        own_history(totals, scored, new["new_share"], typical),
        tickets(rows, usual, scored),
        peers(rows, totals, now, scored),
        events(now, usual),
    ):
        frame = frame.join(part, how="left")
    return frame.sort_index()


def reasons(frame: pd.DataFrame, listed: pd.Index) -> list[str]:
    """Return, per listed customer, sentences of the three most extreme features."""
    values = frame[list(REASONS)]
    centred = values - values.median()
    z = (centred.loc[listed] / (1.4826 * centred.abs().median() + values.std() + 1e-9)).abs()
    sentences = []
    for facts, row in zip(frame.loc[listed].to_dict("records"), z.to_dict("records"), strict=True):
        known = {str(name): value for name, value in row.items() if value == value}
        chosen = sorted(known, key=lambda name: -known[name])[:3]
        sentences.append("; ".join(REASONS[name].format_map(facts) for name in chosen))
    return sentences


def run(folder: Path, scored: pd.Timestamp, output: Path, typical: Typical) -> pd.DataFrame:
    """Score one week, write the list and everybody's score, and return the list."""
    rows, rejected = check(read(folder, scored))
    frame = features(rows, scored, typical)
    values = frame[list(REASONS)]
    forest = IsolationForest(n_estimators=200, max_samples=256, random_state=42, n_jobs=2)
    scores = pd.Series(-forest.fit(values).score_samples(values), index=frame.index)
    top = scores.sort_values(ascending=False, kind="stable").head(20)
    listed = pd.DataFrame({"anomaly_score": top.round(6), "anomaly_rank": range(1, len(top) + 1)})
    listed = listed.join(frame[["spend", "count", "categories"]])
    listed["reasons"] = reasons(frame, top.index)
    output.mkdir(parents=True, exist_ok=True)
    listed.to_csv(output / "anomalies.csv", index_label="customer_id")
    listed.reset_index().to_json(output / "anomalies.json", orient="records")
    scores.rename("anomaly_score").to_frame().to_parquet(output / "scores.parquet")
    rejected.to_csv(output / "rejected.csv", index=False)
    return listed


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("week_start", type=pd.Timestamp, help="Monday of the scored week")
    parser.add_argument("output", type=Path)
    parser.add_argument("--per-customer", action="store_true", help="apply a function per customer")
    options = parser.parse_args()
    typical = typical_applied if options.per_customer else typical_grouped
    print(run(options.folder, options.week_start, options.output, typical).to_string())


if __name__ == "__main__":
    main()
