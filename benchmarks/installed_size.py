"""What the core takes on disk, and what each extra adds (`python -m benchmarks.installed_size`).

It walks the requirements of the installed ptn-backtest, in an environment that has all extras, and
adds up the files of each package that it meets, in blocks, as `du` does. An extra's figure is what
comes on top of the core; what several extras share counts for each of them.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = "ptn-backtest"
_BLOCK = 512
_LARGEST = 3  # packages that are named


def packages(name: str, extras: frozenset[str] = frozenset()) -> dict[str, Distribution]:
    """{canonical name: distribution} of a package and all that it requires, with these extras.

    Raises:
        PackageNotFoundError: one of them is not installed.
    """
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    left = [(name, extras)]
    while left:
        each = left.pop()
        if each in seen:
            continue
        seen.add(each)
        found[_canonical(each[0])] = distribution(each[0])
        left += _required(*each)
    return found


def _required(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for text in distribution(name).requires or ():
        wanted = Requirement(text)
        environments = [{"extra": extra} for extra in ("", *extras)]
        if wanted.marker is None or any(wanted.marker.evaluate(each) for each in environments):
            yield wanted.name, frozenset(wanted.extras)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def megabytes(package: Distribution) -> float:
    """What the files of a package take on disk, in 10^6 bytes; files of an editable install do not count."""
    paths = {Path(str(package.locate_file(file))) for file in package.files or ()}
    return sum(path.stat().st_blocks * _BLOCK for path in paths if path.is_file()) / 1e6


def main() -> None:
    """Print a line for the core, and for each extra."""
    core = packages(ROOT)
    print(_line("core", core))
    for extra in sorted(distribution(ROOT).metadata.get_all("Provides-Extra") or ()):
        try:
            whole = packages(ROOT, frozenset({extra}))
        except PackageNotFoundError as lacking:
            print(f"{extra:12} not installed: {lacking.name}")
            continue
        added = {name: each for name, each in whole.items() if name not in core}
        print(_line(extra, added))


def _line(what: str, of: dict[str, Distribution]) -> str:
    sizes = sorted(((megabytes(each), name) for name, each in of.items()), reverse=True)
    largest = ", ".join(f"{name} {size:,.0f}" for size, name in sizes[:_LARGEST] if size >= 1)
    total = sum(size for size, _ in sizes)
    return f"{what:12} {total:7,.0f} MB in {len(of):3} packages: {largest}"


if __name__ == "__main__":
    main()
