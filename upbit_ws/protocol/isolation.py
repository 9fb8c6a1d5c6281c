"""Which part of a rejected request is guilty? Found by asking for less, since the exchange does not say.

An error frame refuses a request as a whole and ends the connection (measured on the wire). The parts known to be good
stay in every further request, so that innocent streams go on flowing while the suspects are halved: one connection per
question. A part that cannot be halved any more and is still refused is blamed, excluded and reported to those who
want it.

When two codes of one type object are refused and none was accepted, the object is what is wrong (a type unknown to the
region, a level where there are none) and all of it is blamed: asking for each of 800 codes would be an attack.
"""

from __future__ import annotations

from collections.abc import Hashable

from attrs import evolve

from upbit_ws.protocol.subscription_plan import Plan, bisect
from upbit_ws.records import frozen
from upbit_ws.types import StreamKey

__all__ = ["Isolation", "is_blameable"]

_NOT_OUR_REQUEST = frozenset({"INVALID_AUTH", "TOO_MANY_REQUEST", "Too Many Requests", "I'm a teapot"})
_ENOUGH = 2

Keys = frozenset[StreamKey]


def is_blameable(error_name: str) -> bool:
    """Whether an error frame of this name is about what was asked for, and not about who asks or how often."""
    return error_name not in _NOT_OUR_REQUEST


def _object(key: StreamKey) -> Hashable:
    """What may be wrong as a whole. For indicators that is each combination by itself."""
    return key.data_type, key.variant


@frozen
class Isolation:
    """The search at one moment; each answer of the exchange gives the next one.

    Attributes:
        good: Streams that were part of an accepted request.
        suspects: Sets of streams still to be asked for; the last one is next.
        blamed: Streams found guilty.
    """

    good: Keys = frozenset()
    suspects: tuple[Keys, ...] = ()
    blamed: Keys = frozenset()

    @classmethod
    def of_rejected(cls, plan: Plan) -> Isolation:
        """The search after `plan` was refused, with nothing known to be good."""
        return cls(suspects=(plan.keys,)).rejected(plan)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be asked."""
        return not self.suspects

    def adjusted(self, wanted: Keys) -> Isolation:
        """After the wishes changed: what nobody wants any more is no suspect, what is new is one, asked for last.

        `wanted` leaves out what is excluded, so a blamed stream in it has been let free and counts as new.
        """
        suspects = tuple(part for part in (keys & wanted for keys in self.suspects) if part)
        fresh = wanted - self.good.union(*suspects)
        return evolve(
            self,
            good=self.good & wanted,
            suspects=(fresh, *suspects) if fresh else suspects,
            blamed=self.blamed - wanted,
        )

    def doubted(self, key: StreamKey) -> Isolation:
        """A stream is wanted in another way now: what was known about it is void (see `adjusted`)."""
        return evolve(self, good=self.good - {key}, suspects=tuple(part - {key} for part in self.suspects))

    def attempt(self, plan: Plan) -> Plan | None:
        """The part of the whole plan to be asked for now."""
        return plan.only(self.good | self.suspects[-1] if self.suspects else self.good)

    def accepted(self) -> Isolation:
        """The attempt brought data, or no error for a while."""
        if not self.suspects:
            return self
        return evolve(self, good=self.good | self.suspects[-1], suspects=self.suspects[:-1])

    def rejected(self, plan: Plan) -> Isolation:
        """The attempt was refused; `plan` is the whole plan. Halve the suspects, or blame the one that is left."""
        if not self.suspects:
            return Isolation.of_rejected(plan)  # what was right is wrong now
        suspected = plan.only(self.suspects[-1])
        rest = self.suspects[:-1]
        if suspected is None:
            return evolve(self, suspects=rest)
        if len(suspected) > 1:
            first, second = bisect(suspected)
            return evolve(self, suspects=(*rest, second.keys, first.keys))
        return self._blame(suspected.wants[0].key, rest)

    def _blame(self, key: StreamKey, rest: tuple[Keys, ...]) -> Isolation:
        blamed = self.blamed | {key}
        alike = _object(key)
        is_hopeless = sum(_object(other) == alike for other in blamed) >= _ENOUGH and all(
            _object(other) != alike for other in self.good
        )
        if is_hopeless:
            guilty = frozenset(other for part in rest for other in part if _object(other) == alike)
            blamed |= guilty
            rest = tuple(part for part in (keys - guilty for keys in rest) if part)
        return evolve(self, suspects=rest, blamed=blamed)
