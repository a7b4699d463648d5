"""What kinds ask of the state that there will be when a request has been carried out: for what a plan says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from nsplane.kernel import Link, RouteKey
from nsplane.model.items import Interface, Namespace
from nsplane.plan.lent import Loan


class Outlook(Protocol):
    """What will be there when a request has been carried out."""

    def item(self, key: str) -> Interface | None:
        """The item that will be wanted."""

    def held(self, key: str) -> Interface | None:
        """The item that has its link now."""

    def has_link(self, key: str) -> bool:
        """Will this item have its link?"""

    def lacks_namespace(self, key: str, item: Interface) -> str:
        """What this item's namespace lacks, as users see it; empty where it will be there."""

    def refusal(self, namespace: Namespace | None) -> tuple[int, str] | None:
        """Why a namespace cannot be had."""

    def missing(self, namespace: Namespace | None) -> str:
        """The fact that there is no such namespace; empty where there is."""

    def holder(self, namespace: Namespace | None, name: str, key: str) -> str:
        """The item that will have a name in a namespace: this one where nobody else comes first."""

    def links_in(self, namespace: Namespace | None) -> Iterable[Link]:
        """The links that are in a namespace now."""

    def routes_over(self, namespace: Namespace | None, link: Link) -> list[RouteKey]:
        """The routes that others have made over a link that is in a namespace now."""

    def lent_from(self, namespace: Namespace | None) -> list[Loan]:
        """The links that came from a namespace and will still be lent."""
