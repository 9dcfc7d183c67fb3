"""The errors that reach a user: one message that names the place, what was found, what is allowed and what to do."""


class BayesBmError(Exception):
    """Base of every error this package raises on purpose; `exit_status` is what the command line returns."""

    exit_status = 2


class InputError(BayesBmError):
    """The input or the call is wrong (exit status 2).

    >>> str(InputError("points.csv, row 3, column survival", found="1.2", allowed="0 to 1", hint="give a proportion"))
    'points.csv, row 3, column survival: found 1.2; allowed: 0 to 1; give a proportion'
    """

    def __init__(self, where: str, *, found: object = None, allowed: object = None, hint: str = "") -> None:
        parts = [
            f"found {found}" if found is not None else "",
            f"allowed: {allowed}" if allowed is not None else "",
            hint,
        ]
        self.where, self.found, self.allowed, self.hint = where, found, allowed, hint
        super().__init__(f"{where}: " + "; ".join(part for part in parts if part))


class GateRefused(BayesBmError):
    """A gate refused: no usable evidence, no convergence, a red reconciliation row (exit status 1)."""

    exit_status = 1
