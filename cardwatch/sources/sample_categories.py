"""The merchant categories of the generated portfolio, and who spends in them.

Each family of categories has a spread of ticket sizes, a season, whether purchases are returned,
and an affinity per customer segment. Each category has its median ticket (account currency) and
its weight: how much more often than its neighbours it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SEGMENTS = (
    "family",
    "student",
    "commuter",
    "business_traveller",
    "retiree",
    "affluent",
    "small_trader",
)
SEGMENT_SHARES = (0.27, 0.14, 0.20, 0.07, 0.17, 0.07, 0.08)
SEGMENT_ACTIVITY = (1.15, 0.9, 1.0, 1.15, 0.8, 1.25, 1.05)
"""Usual transactions a week of a segment, relative to the portfolio's."""
SEGMENT_TICKETS = (1.0, 0.65, 0.9, 1.6, 0.9, 2.2, 2.4)
"""Usual ticket size of a segment, relative to the portfolio's."""

# family: spread of log ticket | season: amplitude, peak month | refunds | affinity per segment
_FAMILIES = """
food        .50 .03 12 y | 1.2 0.8 1.0 0.5 1.3 0.9 0.7
dining      .45 .04  7 n | 0.8 1.5 1.2 1.6 0.6 1.5 0.8
fuel        .35 .05  7 n | 1.2 0.4 1.3 0.7 0.9 0.9 1.5
transit     .45 .03 10 n | 0.4 1.5 2.2 1.6 0.5 0.6 0.6
car         .60 .04  4 n | 1.2 0.3 1.1 0.4 0.8 1.0 1.4
general     .55 .10 12 y | 1.4 0.9 0.9 0.6 1.0 1.0 0.9
fashion     .50 .10 12 y | 1.1 1.3 0.9 0.7 0.6 1.6 0.5
home        .65 .08  5 y | 1.3 0.3 0.8 0.4 1.0 1.3 1.3
trade       .65 .05  5 n | 0.2 0.05 0.15 0.1 0.15 0.2 2.6
kids        .50 .06  9 n | 1.8 0.3 0.5 0.2 0.3 0.7 0.4
health      .55 .04  1 n | 1.0 0.6 0.8 0.6 1.9 1.1 0.7
care        .40 .03 12 n | 1.0 0.9 1.0 0.8 0.9 1.8 0.7
digital     .45 .03  1 n | 0.9 2.0 1.2 1.0 0.5 0.9 1.0
hobby       .55 .12 12 y | 1.0 1.2 0.8 0.4 1.0 1.2 0.5
leisure     .50 .08  7 n | 1.0 1.5 0.9 0.6 0.6 1.5 0.5
bills       .40 .03  1 n | 1.2 0.6 1.0 0.6 1.2 1.0 1.2
finance     .60 .02  4 n | 0.6 0.9 0.7 0.6 0.4 0.9 1.2
office      .60 .04  9 n | 0.2 0.2 0.3 0.9 0.1 0.6 2.6
learning    .60 .15  9 n | 0.7 2.0 0.5 0.4 0.2 0.6 0.4
state       .60 .06  4 n | 0.7 0.4 0.7 0.5 0.9 0.9 1.6
giving      .60 .10 12 n | 0.7 0.3 0.5 0.4 1.6 1.4 0.5
luxury      .70 .08 12 y | 0.3 0.1 0.2 0.6 0.4 2.6 0.3
travel      .55 .12  7 n | 0.6 0.7 0.5 3.0 0.7 1.6 0.5
airline     .50 .12  7 n | 0.3 0.4 0.3 4.0 0.4 1.4 0.3
lodging     .45 .12  7 n | 0.3 0.2 0.3 4.0 0.4 1.6 0.3
rental_car  .45 .10  7 n | 0.2 0.1 0.2 3.0 0.2 0.8 0.3
"""

# code/median ticket/weight
_CODES = """
food 5411/38/110 5499/13/34 5462/9/18 5422/28/4 5441/11/3 5451/12/1.6 5300/92/13 5331/17/8
food 5921/27/11 5993/12/5
dining 5812/33/72 5814/12/80 5813/25/18 5811/75/.9
fuel 5541/41/58 5542/37/38 5552/17/2.4 5172/60/.3 5983/170/.6
transit 4111/4/34 4121/16/24 4131/13/5 4112/27/8 4784/6/8 7523/7/24 4789/14/2
car 7538/150/6 5533/42/6 5531/38/2.5 5532/200/2 7542/14/10 7549/105/.5 7531/400/.5 7534/110/.5
car 7535/280/.12 5511/360/1 5521/300/.4 5571/210/.3 5013/80/.4 7511/70/.3 5561/260/.12
car 5551/300/.06 8675/60/1.2
general 5310/23/16 5311/52/24 5399/30/6 5999/28/16 5964/40/4 5965/42/5 5969/35/4 5968/18/9
general 5963/40/.2 5262/34/16 5931/22/4 5943/19/3 5947/21/6 7278/30/.4
fashion 5651/52/15 5621/48/11 5691/58/7 5661/62/8 5699/38/5 5611/55/3 5641/36/5 5655/65/4
fashion 5631/34/4 5697/26/1 5698/70/.06 7296/85/.15 7251/18/.5
home 5200/72/15 5251/28/8 5211/85/4 5712/210/3 5719/44/5 5722/180/2 5231/48/1.2 5261/36/5
home 5713/260/.5 5714/140/.4 5718/220/.1 5198/45/.5 5996/90/.5 7641/180/.15 7629/95/.5
home 7623/160/.3 7622/85/.4 7217/110/.3 7342/95/.6 7349/85/1 0780/110/1.2 7394/80/.5
home 5998/120/.08 5950/60/.15
trade 5065/95/2.5 5072/60/2.5 5074/95/2 5085/110/2 5046/160/.8 5051/190/.6 5169/80/.6
trade 5193/70/1 1520/420/.6 1711/260/1.4 1731/240/1 1750/280/.4 1740/300/.2 1761/420/.2
trade 1771/380/.12 4214/170/.7 7692/120/.15 7513/75/1 2842/60/.3
trade 0763/90/.4
kids 5945/28/8 8351/120/4 8211/150/2 7996/55/1.5 7911/60/1.2 7998/45/.6 7032/160/.3 7933/28/1
health 5912/19/34 8011/70/10 8021/110/6 8043/130/2.5 8042/85/2 8062/140/2.5 8099/75/5 8071/60/1.5
health 8041/55/.8 8049/70/.5 8031/65/.3 8050/180/.3 5975/320/.15 5976/110/.3 4119/160/.15 5047/60/.5
health 5122/40/.6
care 7230/34/12 7298/68/4 5977/36/5 7210/22/2 7211/14/1.5 7216/20/3 7297/62/1.2 7299/45/2
care 7277/80/.2 7273/30/.2 0742/95/4 5995/38/8 7261/600/.06
digital 5815/11/16 5816/9/8 5817/7/12 5818/14/26 4899/45/12 5734/36/3 5735/17/1 7841/6/.8 4816/24/9
digital 4814/38/14 4812/65/4 4815/40/.5 7375/25/.4
hobby 5941/52/7 5942/19/7 5732/95/8 5045/160/4 5970/28/1.6 5940/85/1 5946/110/.5 5733/75/.6
hobby 5949/26/1 5973/25/.3 5972/60/.08 5192/16/.8 5994/8/3 7395/14/.3 5044/90/.25
leisure 7832/19/9 7922/68/6 7997/55/10 7941/58/3 7999/38/5 7991/32/2.5 7992/48/1 7994/18/1
leisure 7932/20/.3 7929/55/.4 4457/120/.08 4468/95/.2 7221/85/.4 7519/240/.08
bills 4900/95/20 6300/110/12 5960/45/2 6513/450/1 4225/85/1.2 7276/120/.4 7321/20/.6
finance 6012/120/3 6011/70/26 6010/140/.6 6051/80/.7 4829/150/1.6 6211/160/.7 7995/30/1.6 5933/90/.3
finance 6540/50/1.2 9406/12/2 7801/35/.2 7802/25/.15
office 5111/42/5 7311/130/5 7372/75/5 7399/85/5 7392/210/1 7333/140/.6 7338/32/2 7379/95/1
office 7361/220/.4 4215/24/6 5021/190/.6 2741/85/.8 7393/110/.2
office 8911/260/.3 8931/160/1.5 8999/120/2 8111/240/1.2 8244/150/.1
learning 8220/240/3 8299/85/4 8249/160/.6 8241/90/.4 8641/45/1.5 8699/50/2
state 9399/48/5 9311/280/1 9222/65/1.5 9402/14/9 9211/120/.3 9223/300/.04
giving 8398/35/8 8661/48/5 8651/40/.6 5992/52/4
luxury 5944/180/3 5094/260/.4 5948/120/1 5971/320/.3 5932/160/.4 5681/420/.08 5937/190/.05
luxury 7631/75/.3 5309/70/1.5 7012/340/.15
travel 4722/240/4 4511/190/4 7011/150/9 7512/120/2 4411/380/.6 4582/22/2 7033/48/.8 5962/110/.2
airline 3000/220/3 3001/215/3 3005/260/1.2 3007/250/.8 3008/260/1 3010/245/.7 3026/420/.5
airline 3058/225/3 3066/160/3 3174/165/1.2 3245/85/1.5 3246/70/1.5 3047/210/.5 3009/240/.6
airline 3075/460/.3 3260/95/1 3136/440/.3
lodging 3501/130/1.6 3504/185/2 3509/190/2 3512/230/.5 3502/120/1.2 3640/195/1 3665/140/1.4
lodging 3690/165/1 3750/160/.8 3533/95/.9 3642/115/.7 3649/150/.7 3700/75/.8 3715/135/.8 3710/380/.2
lodging 3543/420/.15 3779/290/.2 3692/165/.7
rental_car 3357/140/1.2 3366/115/.8 3389/135/1 3390/105/.5 3393/130/.7 3405/110/1.3 3395/95/.4
rental_car 3355/120/.6
"""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Categories:
    """The categories as arrays in the order of their code; M categories, 7 segments.

    Attributes
    ----------
    codes : tuple of str
        Four-digit codes, ascending.
    family : tuple of str
        The family of each.
    log_ticket, spread : float64, shape (M,)
        Median and standard deviation of the logarithm of one purchase (account currency).
    amplitude, peak_month : float64, shape (M,)
        The season: how much more is bought around the peak month, as a share.
    refundable : bool, shape (M,)
        Whether purchases are sometimes returned.
    weight : float64, shape (7, M)
        How often each segment uses each category, relative within the segment.
    """

    codes: tuple[str, ...]
    family: tuple[str, ...]
    log_ticket: Floats
    spread: Floats
    amplitude: Floats
    peak_month: Floats
    refundable: NDArray[np.bool_]
    weight: Floats

    def index(self, *codes: str) -> NDArray[np.int16]:
        """Return the positions of `codes`."""
        return np.array([self.codes.index(code) for code in codes], dtype=np.int16)

    def of_family(self, *families: str) -> NDArray[np.int16]:
        """Return the positions of every category of `families`."""
        chosen = [at for at, family in enumerate(self.family) if family in families]
        return np.array(chosen, dtype=np.int16)


@lru_cache(maxsize=1)
def categories() -> Categories:
    """Return the portfolio's merchant categories."""
    families = dict(_family(line) for line in _FAMILIES.strip().splitlines())
    entries = sorted(
        (*token.split("/"), line.split()[0])
        for line in _CODES.strip().splitlines()
        for token in line.split()[1:]
    )
    codes, tickets, weights, members = zip(*entries, strict=True)
    traits = np.array([families[name] for name in members], dtype=np.float64)
    return Categories(
        codes=codes,
        family=members,
        log_ticket=np.log(np.array(tickets, dtype=np.float64)),
        spread=traits[:, 0],
        amplitude=traits[:, 1],
        peak_month=traits[:, 2],
        refundable=traits[:, 3] > 0,
        weight=traits[:, 4:].T * np.array(weights, dtype=np.float64),
    )


def _family(line: str) -> tuple[str, list[float]]:
    traits, affinities = line.split("|")
    name, spread, amplitude, peak_month, refunds = traits.split()
    numbers = [float(spread), float(amplitude), float(peak_month), float(refunds == "y")]
    return name, numbers + [float(value) for value in affinities.split()]
