"""The one tree of errors. A message names the place, the cause and the remedy (DESIGN §14)."""

from __future__ import annotations


class L2LiqError(Exception):
    """Anything l2liq refuses to go on with.

    ``exit_code`` is what the command line ends with: 2 for bad input, 3 for a source or an environment that failed.
    """

    exit_code = 2


class InputError(L2LiqError):
    """A file, an option or a value that cannot be what its place asks for."""


class SourceError(L2LiqError):
    """A node, a file system or a service that did not do its part."""

    exit_code = 3


class LogError(L2LiqError):
    """Logs that cannot be a faithful record of a chain."""


class GapError(LogError):
    """Blocks or addresses that were never looked at."""


class ReorgError(LogError):
    """Two histories of the same blocks."""


class OrderError(LogError):
    """Positions, transactions or times that contradict the order of a chain."""


class DuplicateLogError(LogError):
    """Two different logs at one position."""


class DecodeError(LogError):
    """A log whose topics or data do not fit its event."""


class FilterError(LogError):
    """Logs beyond what was looked at: of a contract or topic that was not asked for, or more than were counted."""


class InterestIndexError(LogError):
    """An interest index that falls."""


class SupplyError(LogError):
    """A token's supply that its mints and burns do not explain."""


class MessageError(LogError):
    """A message of a stream that cannot be what its producer meant."""


class ScenarioError(L2LiqError):
    """A scenario that cannot be run as written."""


class LakeError(L2LiqError):
    """A lake that cannot be read or written as it stands."""

    exit_code = 3


class LockedError(LakeError):
    """Another process is writing there now."""


class FidelityError(L2LiqError):
    """The rebuilt market contradicts its own logs."""

    exit_code = 1


class QualityError(L2LiqError):
    """Data that no chain would give: a critical expectation is not met."""

    exit_code = 1


class CheckError(L2LiqError):
    """A check of data that failed itself, and says nothing about the data."""

    exit_code = 3
