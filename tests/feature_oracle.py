"""Every feature recomputed plainly on dense arrays: customers × weeks × categories."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import nbinom

Floats = npt.NDArray[np.float64]

WEEKS, SCORED, BASELINE = 13, 12, slice(0, 9)
RISKY = (7995, 6051, 4829, 6010, 6011)


def slog(x: Floats) -> Floats:
    return np.asarray(np.sign(x) * np.log1p(np.abs(x)))


def mad(x: Floats, axis: int = 0) -> Floats:
    centre = np.nanmedian(x, axis=axis, keepdims=True)
    return np.asarray(1.4826 * np.nanmedian(np.abs(x - centre), axis=axis))


@dataclass(frozen=True)
class Oracle:
    """The whole portfolio at once; spend S and count C, NaN-free, amounts in currency units."""

    S: Floats
    C: Floats
    mccs: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]

    @property
    def n(self) -> Floats:
        return np.asarray(self.C.sum(axis=2))

    @property
    def active(self) -> npt.NDArray[np.bool_]:
        return self.n > 0

    @property
    def here(self) -> npt.NDArray[np.bool_]:
        return self.active[:, SCORED]

    @property
    def active_weeks(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.active[:, :SCORED].sum(axis=1))

    @property
    def level(self) -> Floats:
        own = np.nanmedian(np.where(self.active, self.S.sum(axis=2), np.nan)[:, :SCORED], axis=1)
        peers = np.expm1(np.maximum(self.peer_norms()[0][self.group, 0], 0))
        return np.asarray(np.where(self.active_weeks > 0, np.maximum(own, 0), peers) + 20)

    @property
    def size(self) -> Floats:
        return np.log1p(np.abs(self.S[:, SCORED]) / self.level[:, None])

    @property
    def used(self) -> npt.NDArray[np.bool_]:
        return self.C[:, SCORED] > 0

    # own history and growth ----------------------------------------------------------------------

    def own_z(self, x: Floats, anscombe: bool) -> Floats:
        base = x[:, BASELINE]
        weeks = (~np.isnan(base)).sum(axis=1)
        centre, variance = np.nanmedian(base, axis=1), mad(base, axis=1) ** 2
        mu = np.nanmedian(np.where(self.active, self.n, np.nan)[:, BASELINE], axis=1)
        mu = np.maximum(np.nan_to_num(mu, nan=1.0), 0.5)
        fit = weeks >= 5
        assert fit.sum() > 50
        if anscombe:
            s2 = max(np.median((variance[fit] - 1) / mu[fit]), 0.005)
            prior, floor = 1 + 1.3 * s2 * mu, np.ones_like(mu)
        else:
            design = np.column_stack([np.ones(fit.sum()), 1 / mu[fit]])
            capped = np.minimum(variance[fit], np.quantile(variance[fit], 0.95))
            a, b = np.maximum(np.linalg.lstsq(design, capped)[0], 0.01)
            prior = a + b / mu
            floor = prior / 2
        shrunk = (np.nan_to_num(variance) * weeks + 6 * prior) / (weeks + 6)
        z = (x - centre[:, None]) / np.sqrt(np.maximum(shrunk, floor))[:, None]
        z = z - np.nan_to_num(np.nanmedian(np.where(fit[:, None], z, np.nan), axis=0))
        return np.where((weeks >= 3)[:, None], z, np.nan)

    def own_and_growth(self) -> dict[str, Floats]:
        def inactive(x: Floats) -> Floats:
            return np.where(self.active, x, np.nan)

        count = self.own_z(inactive(2 * np.sqrt(self.n + 3 / 8)), anscombe=True)
        spend = self.own_z(inactive(np.log1p(np.maximum(self.S.sum(axis=2), 0))), anscombe=False)
        ticket = self.own_z(self.mean_ticket(), anscombe=False)
        cs, cc, ct = (np.clip(np.nan_to_num(z), -2, 5) for z in (spend, count, ticket))
        joint = (cs + cc + ct) / np.sqrt(3)
        now = SCORED
        both = (np.nan_to_num(count[:, now]) + self.usual_purchases()) / 2
        usual_places = np.clip(both, -2, 5)
        usual_places += np.clip(self.usual_tickets(), -2, 5)
        growth = {
            "growth_spend_count": (cs + cc)[:, now] / np.sqrt(2),
            "growth_count_ticket": (cc + ct)[:, now] / np.sqrt(2),
            "growth_usual_categories": usual_places
            / np.sqrt(2)
            * (1 - self.novelty()["new_share"]),
            "growth_four_weeks": joint[:, -4:].sum(axis=1) / 2,
        }
        known = ~np.isnan(count[:, now])
        growth = {name: np.where(known, value, np.nan) for name, value in growth.items()}
        return {"own_spend": spend[:, now], "own_count": count[:, now], **growth}

    # tickets -------------------------------------------------------------------------------------

    @property
    def log_ticket(self) -> Floats:
        paid = np.maximum(np.abs(self.S), 0.01) / np.maximum(self.C, 1)
        return np.where(self.C > 0, np.log(paid), np.nan)

    def ticket_norms(self) -> tuple[Floats, Floats]:
        seen = self.log_ticket[:, SCORED - 6 : SCORED]
        everywhere, spread = np.nanmedian(seen), mad(seen.ravel())
        known = (~np.isnan(seen)).any(axis=1).sum(axis=0) >= 30
        seen = seen.reshape(-1, len(self.mccs))
        middle = np.where(known, np.nanmedian(seen, axis=0), everywhere)
        return middle, np.maximum(np.where(known, mad(seen), spread), 0.25)

    def mean_ticket(self) -> Floats:
        middle, spread = self.ticket_norms()
        weight = np.sqrt(np.minimum(self.C, 9))
        z = np.nan_to_num(np.clip((self.log_ticket - middle) / spread, -3, 3))
        total = weight.sum(axis=2)
        return np.where(total > 0, (weight * z).sum(axis=2) / np.maximum(total, 1), np.nan)

    def away(self) -> Floats:
        """Log tickets of every week over the category's norm, own tilt removed."""
        distance = self.log_ticket - self.ticket_norms()[0]
        tilt = np.nanmedian(np.nanmean(distance, axis=2)[:, :SCORED], axis=1)
        tilt = np.nan_to_num(tilt) * np.minimum(1, self.active_weeks / 4)
        return np.asarray(distance - tilt[:, None, None])

    def ticket_z(self) -> Floats:
        return np.asarray(self.away()[:, SCORED] / self.ticket_norms()[1])

    def own_tickets(self) -> tuple[Floats, Floats, Floats]:
        """The z of the ticket, of their mean and of the largest one, to the own norm; 0 unpaid."""
        away = self.away()
        recent = np.abs(away[:, SCORED - 6 : SCORED])
        spread = np.array(
            [
                1.4826 * np.nanmedian(x if (~np.isnan(x)).sum() >= 30 else recent)
                for x in np.moveaxis(recent, 2, 0)
            ]
        )
        spread = np.maximum(spread, 0.2)
        paid = np.maximum(self.S[:, :SCORED], 0).sum(axis=1)
        bought = np.where(paid > 0, self.C[:, :SCORED].sum(axis=1), 0)
        norm = self.log_ticket[:, SCORED] - away[:, SCORED]
        usual = np.log(np.where(bought > 0, paid, 1) / np.maximum(bought, 1))
        beyond = away[:, SCORED] - (usual - norm) * bought / (bought + 4)
        n = self.C[:, SCORED]
        ticket = beyond / spread
        mean = ticket * np.minimum(n, 9) ** 0.25
        root = np.sqrt(np.minimum(n, 9)) * (bought > 0) * (self.S[:, SCORED] > 0)
        alone = beyond.copy()
        for c in range(n.shape[1]):
            rest = root.copy()
            rest[:, c] = 0
            dearer = (rest * np.clip(np.nan_to_num(beyond), -1, 1)).sum(axis=1)
            alone[:, c] -= np.maximum(dearer / (rest.sum(axis=1) + 1), 0)
        left = n * np.exp(alone) - (n - 1) * np.exp(spread**2 / 4)
        all_larger = alone / spread * np.minimum(n, 9) ** 0.25
        largest = np.maximum(np.log(np.maximum(left, 0.05)) / spread, all_larger)
        largest = largest * np.sqrt(bought / (bought + 8)) * np.sqrt(spread / np.median(spread))
        spent = self.S[:, SCORED] > 0
        return np.where(spent, ticket, 0), np.where(spent, mean, 0), np.where(spent, largest, 0)

    def usual_purchases(self) -> Floats:
        before = self.C[:, :SCORED].sum(axis=1)
        usual = (before > 0) & (self.C[:, SCORED] > 0) & (self.S[:, SCORED] > 0)
        rate = before / np.maximum(self.active_weeks, 1)[:, None]
        once_there = rate / (1 - np.exp(-np.where(usual, rate, 1)))
        bought, expected = ((usual * x).sum(axis=1) for x in (self.C[:, SCORED], once_there))
        return np.asarray(2 * (np.sqrt(bought + 3 / 8) - np.sqrt(expected + 3 / 8)))

    def usual_tickets(self) -> Floats:
        n = np.minimum(self.C[:, SCORED], 9)
        usual = (self.C[:, :SCORED].sum(axis=1) > 0) & (self.S[:, SCORED] > 0)
        z = np.clip(self.own_tickets()[0], -3, 3)
        total = (np.sqrt(n) * z * usual).sum(axis=1)
        weight = (np.sqrt(n) * usual).sum(axis=1)
        return np.where(weight > 0, total / np.sqrt(np.maximum(weight, 1)), 0)

    def tickets(self) -> dict[str, Floats]:
        z, used = self.ticket_z(), self.used
        z0 = np.nan_to_num(z)
        _, mean, largest = self.own_tickets()
        return {
            "ticket_max": np.where(used, z, -np.inf).max(axis=1),
            "ticket_largest": np.where(used, largest, -np.inf).max(axis=1),
            "small_tickets": np.where(
                self.S[:, SCORED] > 0, np.maximum(-z0, 0) * np.log1p(self.C[:, SCORED]), 0
            ).max(axis=1),
            "ticket_mean": np.clip(mean, -3, 5).sum(axis=1)
            / np.sqrt(np.maximum(used.sum(axis=1), 1)),
        }

    # peers ---------------------------------------------------------------------------------------

    def peer_measures(self) -> Floats:
        s, c = self.S[:, SCORED], self.C[:, SCORED]
        spend, number = np.maximum(s.sum(axis=1), 0), c.sum(axis=1)
        paid = np.maximum(s, 0)
        share = paid / paid.sum(axis=1, keepdims=True)
        measures = np.column_stack(
            [
                slog(spend),
                np.log1p(number),
                slog(np.where(spend > 0, spend, np.nan) / number),
                np.log1p((c > 0).sum(axis=1)),
                (share**2).sum(axis=1),
            ]
        )
        return np.where(self.here[:, None], measures, np.nan)

    def peer_norms(self) -> tuple[Floats, Floats]:
        x, k = self.peer_measures(), self.group.max() + 1
        centre, spread = np.zeros((k, 5)), np.zeros((k, 5))
        for g in range(k):
            members = self.here & (self.group == g)
            rows = x[members if members.sum() >= 30 else self.here]
            centre[g], spread[g] = np.nanmedian(rows, axis=0), mad(rows)
        return centre, np.maximum(np.maximum(spread, np.median(spread, axis=0) / 2), 0.05)

    def peers(self) -> dict[str, Floats]:
        centre, spread = self.peer_norms()
        z = (self.peer_measures() - centre[self.group]) / spread[self.group]
        names = ("spend", "count", "ticket", "categories", "concentration")
        return {f"peer_{name}": z[:, i] for i, name in enumerate(names)}

    # novelty -------------------------------------------------------------------------------------

    def spend_share(self) -> Floats:
        amount = np.abs(self.S[:, SCORED])
        return np.asarray(amount / np.maximum(amount.sum(axis=1, keepdims=True), 1e-9))

    def expected_share(self) -> Floats:
        history = self.C[:, :SCORED].sum(axis=1)
        groups = np.array(
            [history[self.group == g].sum(axis=0) + 0.5 for g in np.unique(self.group)]
        )
        groups = groups / groups.sum(axis=1, keepdims=True)
        everybody = history.sum(axis=0) + 0.5
        prior = 0.8 * groups[self.group] + 0.2 * everybody / everybody.sum()
        return np.asarray((history + 8 * prior) / (history.sum(axis=1, keepdims=True) + 8))

    def novelty(self) -> dict[str, Floats]:
        c, used, expected = self.C[:, SCORED], self.used, self.expected_share()
        history = self.C[:, :SCORED].sum(axis=1)
        new = used & (history == 0) & np.asarray(self.active_weeks > 0)[:, None]
        amount, share = np.abs(self.S[:, SCORED]), self.spend_share()
        n = c.sum(axis=1)
        share_n = c / np.maximum(n, 1)[:, None]
        kl = (share * np.log(np.maximum(share, 1e-12) / expected)).sum(axis=1)
        kl_n = np.where(used, share_n * np.log(np.maximum(share_n, 1e-12) / expected), 0).sum(
            axis=1
        )
        rarity = (history > 0).sum(axis=0) / (self.active_weeks > 0).sum()
        rarity = -np.log(rarity * 0.999 + 0.0005)
        z = np.nan_to_num(self.ticket_z()) * np.minimum(c, 9) ** 0.25
        dear = np.maximum(0.5 + np.clip(z, -1, 4), 0)
        known = new & (self.S[:, SCORED] > 0) & (self.active_weeks >= 3)[:, None]
        often = 1 + np.log(np.clip(c, 1, 9))
        once, done = (history == 1).sum(axis=1), history.sum(axis=1)
        everybody = (once.sum() + 0.5) / (done.sum() + 1)
        rate = (once + 20 * everybody) / (done + 20) / everybody
        dear_and_rare = (rarity * dear * often * known).sum(axis=1) / np.sqrt(rate)
        return {
            "new_dear_categories": dear_and_rare,
            "new_share": (share * new).sum(axis=1),
            "new_amount": np.log1p((amount * new).sum(axis=1) / self.level),
            "mix_spend": kl,
            "mix_count": n * kl_n / np.sqrt(n + 10),
            "unusual_category": (self.size * -np.log(expected) * used).max(axis=1),
            "rare_category": (self.size * rarity * used).max(axis=1),
        }

    def newcomers(self) -> dict[str, Floats]:
        heavy = np.abs(self.S) > 0.4 * self.level[:, None, None]
        weeks = [*range(8, SCORED), SCORED]  # the first with eight weeks behind it
        big = []
        for w in weeks:
            before = slice(w - 8, w)
            fresh = (self.C[:, w] > 0) & (self.C[:, before].sum(axis=1) == 0)
            fresh &= np.asarray(self.active[:, before].any(axis=1))[:, None]
            big.append(fresh & heavy[:, w])
        counts = np.sum(big, axis=1)
        used = (self.C[:, :SCORED].sum(axis=1) > 0).sum(axis=0) / (self.active_weeks > 0).sum()
        beyond = self.tail(counts) - np.log10(used * 0.999 + 0.0005) - 2.5
        members = -np.log10(np.maximum(counts[-1], 1) / self.here.sum())
        crowd = np.clip(np.where(self.tail(counts) > 0, beyond, 0), 0, 1 + members)
        return {"heavy_newcomers": (big[-1] * crowd).max(axis=1)}

    @staticmethod
    def tail(counts: npt.NDArray[np.int64]) -> Floats:
        """-log10 P(X >= others) of a negative binomial with the given mean and dispersion."""
        before, now = counts[:-1], counts[-1]
        k = len(before)
        mean = (before.sum(axis=0) + 0.5) / (k + 0.5)
        mean = mean * np.clip(now.sum() / max(before.sum(axis=1).mean(), 1), 0.7, 1.5)
        phi = ((before - mean) ** 2 / np.maximum(mean, 0.5)).mean(axis=0)
        phi = np.maximum((phi * k + 4 * np.median(phi)) / (k + 4), 1.001)
        others = np.maximum(now - 1, 0)
        surprise = -nbinom.logsf(others - 1, mean / (phi - 1), 1 / phi) / np.log(10)
        return np.asarray(np.maximum(surprise, 0))

    # events --------------------------------------------------------------------------------------

    def events(self) -> dict[str, Floats]:
        weeks = np.maximum(self.active_weeks, 1)
        refunded = np.maximum(-self.S, 0).sum(axis=2)
        risky = np.abs(self.S[:, :, np.isin(self.mccs, RISKY)]).sum(axis=2)
        beyond = (
            np.maximum(x[:, SCORED] - x[:, :SCORED].sum(axis=1) / weeks, 0)
            for x in (refunded, risky)
        )
        back, watched = (np.log1p(amount / self.level) for amount in beyond)
        spend = np.maximum(self.S[:, SCORED].sum(axis=1), 0)
        return {
            "refunds": back,
            "risky_categories": watched,
            "return_after_silence": self.gap() * np.minimum(np.log1p(spend / self.level), 1),
        }

    def gap(self) -> Floats:
        silent = np.cumsum(self.active[:, :SCORED][:, ::-1], axis=1) == 0
        return np.where(self.active_weeks > 0, silent.sum(axis=1), 0).astype(np.float64)

    def absence(self) -> Floats:
        first = self.active.argmax(axis=1)
        last = SCORED - 1 - self.gap()
        share = (self.active_weeks + 0.5) / (last - first + 2)
        surprise = -(self.gap() + 1) * np.log10(np.maximum(1 - share, 1e-3))
        return np.where(self.here, np.nan, surprise)

    def all(self) -> dict[str, Floats]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            week = {
                **self.own_and_growth(),
                **self.peers(),
                **self.novelty(),
                **self.newcomers(),
                **self.tickets(),
                **self.events(),
            }
            found = {name: np.where(self.here, value, np.nan) for name, value in week.items()}
            return found | {"absence": self.absence()}
