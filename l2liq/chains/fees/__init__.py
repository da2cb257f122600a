"""What a transaction costs on a rollup, by dated scheme: L2 execution and L1 data, exact integers (DOMAIN §5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from l2liq.chains.fees.arbitrum import Arbitrum
from l2liq.chains.fees.bedrock import Bedrock
from l2liq.chains.fees.ecotone import Ecotone
from l2liq.chains.fees.fjord import Fjord
from l2liq.chains.fees.interface import Cost, FeeScheme, Prices, Size
from l2liq.chains.fees.isthmus import Isthmus
from l2liq.chains.fees.jovian import Jovian
from l2liq.chains.fees.ovm import Ovm
from l2liq.chains.fees.plain import Plain
from l2liq.chains.fees.scroll import ScrollBernoulli, ScrollCurie, ScrollFeynman, ScrollGalileo
from l2liq.chains.fees.zksync import ZkSync
from l2liq.errors import InputError

__all__ = ["SCHEMES", "Cost", "FeeRule", "FeeScheme", "Prices", "Size", "scalars_of"]

SCHEMES: Mapping[str, Any] = MappingProxyType(
    {
        "plain": Plain,
        "ovm": Ovm,
        "bedrock": Bedrock,
        "ecotone": Ecotone,
        "fjord": Fjord,
        "isthmus": Isthmus,
        "jovian": Jovian,
        "arbitrum": Arbitrum,
        "zksync": ZkSync,
        "scroll-bernoulli": ScrollBernoulli,
        "scroll-curie": ScrollCurie,
        "scroll-feynman": ScrollFeynman,
        "scroll-galileo": ScrollGalileo,
    }
)
"""Fee schemes by the name that a chain's entry gives."""


def scalars_of(scheme: str) -> tuple[str, ...]:
    """Names of what the chain's operator sets in a scheme."""
    return tuple(one.name for one in fields(SCHEMES[scheme]))


@dataclass(frozen=True, slots=True)
class FeeRule:
    """A scheme and as much of what the operator set in it as is known.

    Attributes
    ----------
    scheme : key of :data:`SCHEMES`
    scalars : field of the scheme to its value
    """

    scheme: str
    scalars: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def made(self, given: Mapping[str, int]) -> FeeScheme:
        """The scheme, with ``given`` scalars instead of the known ones.

        Raises InputError naming scalars that the scheme does not have, or needs and nobody gave.
        """
        names = scalars_of(self.scheme)
        if strange := sorted(set(given) - set(names)):
            have = f"has {', '.join(names)}" if names else "has none"
            raise InputError(f"the fee scheme {self.scheme} has no {', '.join(strange)}. It {have}.")
        try:
            made: FeeScheme = SCHEMES[self.scheme](**{**self.scalars, **given})
        except TypeError:
            missing = ", ".join(sorted(set(names) - set(self.scalars) - set(given)))
            raise InputError(
                f"what the operator set for the fee scheme {self.scheme} is not known. Give scalars: {missing}."
            ) from None
        return made
