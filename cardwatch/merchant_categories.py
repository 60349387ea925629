"""Names of merchant category codes (MCC), short enough for a table and a sentence.

The names come from the `iso18245` library, which carries ISO 18245:2003 and the card networks'
lists; common categories whose official title is long or unclear have a short name here.
"""

from __future__ import annotations

import re
from functools import lru_cache

import iso18245

MAX_NAME_LENGTH = 48
"""Longest name returned, in characters, so that a table's column stays readable."""

_SHORT_NAMES = {
    "1711": "Heating, plumbing and air conditioning",
    "1740": "Masonry, stonework, tiling and plastering",
    "1761": "Roofing and sheet metal contractors",
    "2842": "Speciality cleaning and sanitation",
    "4111": "Local and suburban public transport",
    "4214": "Moving, freight and storage companies",
    "4215": "Courier services and freight forwarders",
    "4225": "Storage and warehousing",
    "4723": "Package tour operators",
    "4784": "Tolls and bridge fees",
    "4813": "Telephone calls by access number",
    "4814": "Telephone services",
    "4816": "Internet and network services",
    "4829": "Wire transfers and money orders",
    "4899": "Cable, satellite and other pay television",
    "4900": "Utilities (electric, gas, water, sanitary)",
    "5044": "Office and photographic equipment",
    "5045": "Computers and peripherals",
    "5047": "Medical, dental and optical supplies",
    "5094": "Precious stones and metals, watches, jewellery",
    "5111": "Stationery and office supplies",
    "5122": "Drugs and druggists' supplies",
    "5137": "Uniforms and commercial clothing",
    "5261": "Lawn and garden shops",
    "5399": "General merchandise (other)",
    "5411": "Grocery stores and supermarkets",
    "5499": "Convenience and speciality food shops",
    "5511": "Car and truck dealers (new and used)",
    "5521": "Car and truck dealers (used only)",
    "5541": "Service stations",
    "5542": "Fuel pumps (automated)",
    "5599": "Other vehicle dealers",
    "5699": "Clothing and accessories shops (other)",
    "5712": "Furniture and home furnishings shops",
    "5718": "Fireplaces and accessories shops",
    "5719": "Home furnishing speciality shops (other)",
    "5812": "Restaurants and eating places",
    "5813": "Bars, taverns and night-clubs",
    "5815": "Digital media (books, films, music)",
    "5816": "Digital games",
    "5817": "Digital applications",
    "5818": "Large digital goods merchants",
    "5832": "Antique shops and restoration",
    "5912": "Drug stores and pharmacies",
    "5921": "Beer, wine and liquor shops",
    "5961": "Mail order houses",
    "5962": "Travel telemarketing",
    "5965": "Catalogue and retail merchants",
    "5966": "Outbound telemarketing",
    "5967": "Inbound telemarketing",
    "5968": "Subscription merchants",
    "5969": "Direct marketing (other)",
    "5983": "Fuel dealers (oil, wood, coal, gas)",
    "5999": "Speciality retail (other)",
    "6010": "Cash withdrawals (counter)",
    "6011": "Cash withdrawals (machine)",
    "6012": "Financial institutions (goods and services)",
    "6051": "Quasi-cash (currency, money orders, crypto)",
    "6381": "Insurance premiums",
    "6399": "Insurance (other)",
    "6532": "Payment transaction: customer institution",
    "6540": "Stored value card loads",
    "7011": "Hotels, motels and resorts",
    "7251": "Shoe repair and shoe shine shops",
    "7277": "Debt, marriage and personal counselling",
    "7295": "Housekeeping services",
    "7299": "Personal services (other)",
    "7338": "Copying and blueprinting services",
    "7372": "Programming and data processing services",
    "7392": "Management and consulting services",
    "7393": "Detective and security services",
    "7394": "Equipment and appliance rentals",
    "7511": "Truck stops",
    "7699": "Repair shops (other)",
    "7922": "Theatre and ticket agencies",
    "7929": "Bands, orchestras and entertainers",
    "7941": "Sports clubs, fields and promoters",
    "7995": "Betting and casino gambling",
    "7996": "Amusement parks, circuses and carnivals",
    "7997": "Membership, country and golf clubs",
    "8099": "Medical services and practitioners (other)",
    "8220": "Colleges and universities",
    "8911": "Architects, engineers and surveyors",
}
_NATIONAL_TITLES = (
    "iso_description",
    "visa_description",
    "stripe_description",
    "mastercard_description",
    "usda_description",
    "amex_description",
    "alipay_description",
)
_BRAND_TITLES = ("mastercard_description", "usda_description", "visa_description")
_BRANDS = (
    (3000, 3350, "airline", ("air", "lufthansa")),
    (3351, 3500, "car rental", ("rent", "car")),
    (3501, 3999, "hotel", ("hotel", "inn", "resort", "suites", "motel", "lodge")),
)


@lru_cache(maxsize=10_000)
def mcc_name(code: str | int) -> str:
    """Return a short readable name of a merchant category.

    Parameters
    ----------
    code : str or int
        The four-digit code; an integer is padded with zeros.

    Returns
    -------
    str
        At most `MAX_NAME_LENGTH` characters; ``MCC 6543`` where the code has no known name.

    Examples
    --------
    >>> mcc_name("5411"), mcc_name(742), mcc_name("6543")
    ('Grocery stores and supermarkets', 'Veterinary services', 'MCC 6543')
    """
    text = f"{code:04d}" if isinstance(code, int) else code
    if text in _SHORT_NAMES:
        return _SHORT_NAMES[text]
    unknown = f"MCC {text}"
    if not re.fullmatch(r"[0-9]{4}", text):
        return unknown
    try:
        entry = iso18245.get_mcc(text)
    except (iso18245.MCCNotFound, RuntimeError):
        return unknown
    brand = 3000 <= int(text) <= 3999
    titles = (getattr(entry, field) for field in (_BRAND_TITLES if brand else _NATIONAL_TITLES))
    title = next((title for title in titles if title), "")
    if not title:
        return unknown
    if brand:
        return _branded(int(text), title)
    return _shortened(title if entry.iso_description else _sentence_case(title))


def _branded(code: int, title: str) -> str:
    """Say what kind of company a brand is, where its own name does not."""
    name = title.split(" (")[0].strip()
    name = name.title() if name.isupper() and len(name) > 4 else name
    for first, last, kind, hints in _BRANDS:
        if first <= code <= last and not any(hint in name.lower() for hint in hints):
            return f"{name[: MAX_NAME_LENGTH - len(kind) - 3]} ({kind})"
    return name[:MAX_NAME_LENGTH]


def _sentence_case(title: str) -> str:
    """Write a headline's capitals small, as the ISO titles are; acronyms stay."""
    first, *others = title.split(" ")
    return " ".join([first, *(word.lower() if word.istitle() else word for word in others)])


def _shortened(title: str) -> str:
    """Drop what an official title can do without: remarks, enumerations, cross-references."""
    name = re.sub(r" -- not elsewhere classified$", " (other)", title)
    name = name.replace(" -- ", ": ")
    name = re.sub(r"^Miscellaneous ([a-z].*?)(?: \(other\))?$", r"Other \1", name)
    for cut in (r" \((?!other).*$", r",? including .*$", r": .*$", r",? (?:except|such as) .*$"):
        if len(name) > MAX_NAME_LENGTH:
            name = re.sub(cut, "", name)
    while len(name) > MAX_NAME_LENGTH and re.search(r"(,| and ) ?(?!.*(,| and ))", name):
        name = re.sub(r"(,| and )(?!.*(,| and )).*$", "", name)
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1].rstrip() + "…"
