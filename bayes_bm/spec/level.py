"""The level of every interval that is shown, chosen once in a spec: its ends as shares and as names of columns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """Hold the share that a central interval covers, 0.95 by default.

    >>> Level().tails, Level().names, Level().words
    ((0.025, 0.975), ('q2_5', 'q97_5'), '95 %')
    >>> Level(0.9).names, Level(0.8).names
    (('q5', 'q95'), ('q10', 'q90'))
    """

    share: float = 0.95

    @property
    def tails(self) -> tuple[float, float]:
        """Return the shares of draws below the lower and the upper end."""
        tail = round((1 - self.share) / 2, 9)
        return tail, round(1 - tail, 9)

    @property
    def names(self) -> tuple[str, str]:
        """Return the columns of tables that hold the ends."""
        low, high = (f"q{100 * tail:.6g}".replace(".", "_") for tail in self.tails)
        return low, high

    @property
    def words(self) -> str:
        """Return the level as text."""
        return f"{100 * self.share:.6g} %"

    @property
    def quantiles(self) -> tuple[float, float, float]:
        """Return the shares of the lower end, the median and the upper end."""
        low, high = self.tails
        return low, 0.5, high


USUAL = Level()
"""The level of a spec that names none."""
