"""What the page shows of orders that the network would not have taken as they were recorded."""

from collections.abc import Iterable
from dataclasses import dataclass

from ptn_backtest.positions.order_checks import OrderFinding


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """Findings of one rule."""

    rule: str
    n_orders: int
    n_refused: int
    n_traders: int
    example: str


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
