"""What the page shows of orders that the network would not have taken as they were recorded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ptn_backtest.positions.order_checks import OrderFinding

MOST_FINDINGS = 50
"""First findings listed per trader; order_findings.parquet has them all."""


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings of one rule."""

    rule: str
    n_orders: int
    n_refused: int
    n_traders: int
    example: str


@dataclass(frozen=True, slots=True)
class TraderFindings:
    """One trader's findings: the first, and how many there are."""

    miner_hotkey: str
    first: Sequence[OrderFinding]
    n_orders: int


def finding_groups(findings: Iterable[OrderFinding]) -> list[FindingGroup]:
    """Findings by rule, most first."""
    groups: dict[str, list[OrderFinding]] = {}
    for finding in findings:
        groups.setdefault(finding.rule.value, []).append(finding)
    return [
        FindingGroup(
            rule=rule.replace("_", " "),
            n_orders=len(group),
            n_refused=sum(one.allowed_leverage is None for one in group),
            n_traders=len({one.miner_hotkey for one in group}),
            example=group[0].sentence,
        )
        for rule, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def trader_findings(findings: Iterable[OrderFinding], most: int) -> list[TraderFindings]:
    """The first findings of each trader."""
    traders: dict[str, list[OrderFinding]] = {}
    for finding in findings:
        traders.setdefault(finding.miner_hotkey, []).append(finding)
    return [TraderFindings(hotkey, own[:most], len(own)) for hotkey, own in traders.items()]
