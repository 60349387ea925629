"""Generated portfolios for the benchmarks, kept in a cache folder outside the repository.

python -m benchmarks.portfolios FOLDER CUSTOMERS WEEKS SEED
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path

import cardwatch
from cardwatch.week import ReportingWeek

LAST_WEEK = ReportingWeek.parse("2025-46")


def default_cache() -> Path:
    """Return where portfolios are kept between benchmarks unless told otherwise."""
    return Path(tempfile.gettempdir()) / "cardwatch-benchmarks"


def folder_of(
    cache: Path, customers: int, weeks: int, seed: int, last: ReportingWeek = LAST_WEEK
) -> Path:
    """Return the folder of one portfolio; its name changes with the generator's source."""
    digest = source_digest("sources/sample*.py")
    return cache / f"{customers}-customers-{weeks}-weeks-to-{last}-seed-{seed}-{digest}"


def source_digest(*patterns: str) -> str:
    """Return eight digits that change with the package's files of these names."""
    digest = hashlib.sha256()
    package = Path(cardwatch.__file__).parent
    for source in sorted(path for pattern in patterns for path in package.glob(pattern)):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:8]


def generate(
    folder: Path, customers: int, weeks: int, seed: int, last: ReportingWeek = LAST_WEEK
) -> None:
    """Write the portfolio to `folder`."""
    # Here, so that a benchmark that only measures children stays small itself.
    from cardwatch.sources.sample import SamplePortfolio, write_sample

    portfolio = SamplePortfolio(customers, weeks, seed, last_week=last)
    write_sample(portfolio, folder)


def main() -> None:
    """Read the command line and generate."""
    parser = argparse.ArgumentParser(description="Generate one portfolio.")
    parser.add_argument("folder", type=Path)
    for name in ("customers", "weeks", "seed"):
        parser.add_argument(name, type=int)
    options = parser.parse_args()
    generate(options.folder, options.customers, options.weeks, options.seed)


if __name__ == "__main__":
    main()
