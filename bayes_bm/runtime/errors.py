"""The errors that reach a user: one message that names the place, what was found, what is allowed and what to do."""

from collections.abc import Sequence


class BayesBmError(Exception):
    """Report something that this package refuses on purpose; the base of all its errors.

    Attributes
    ----------
    exit_status : int
        What the command line returns: 2 where the input or the call is wrong, 1 where a gate refused.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> issubclass(bb.InputError, bb.BayesBmError), issubclass(bb.GateRefused, bb.BayesBmError)
    (True, True)
    """

    exit_status = 2


class InputError(BayesBmError):
    """Report that the input or the call is wrong (exit status 2).

    Parameters
    ----------
    where : str
        The place: a file with row and column, a key of a spec, an option or an argument.
    found : object, optional
        What stands there.
    allowed : object, optional
        What may stand there.
    hint : str, optional
        What to do.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> place = "points.csv, row 3, column survival"
    >>> str(bb.InputError(place, found="1.2", allowed="0 to 1", hint="give a proportion"))
    'points.csv, row 3, column survival: found 1.2; allowed: 0 to 1; give a proportion'
    """

    def __init__(self, where: str, *, found: object = None, allowed: object = None, hint: str = "") -> None:
        parts = [
            f"found {found}" if found is not None else "",
            f"allowed: {allowed}" if allowed is not None else "",
            hint,
        ]
        self.where: str = where
        self.found: object = found
        self.allowed: object = allowed
        self.hint: str = hint
        super().__init__(f"{where}: " + "; ".join(part for part in parts if part))


class InputErrors(InputError):
    """Report everything that is wrong with one input (exit status 2).

    Parameters
    ----------
    where : str
        The input: a file, an argument.
    errors : sequence of InputError
        What is wrong, each with its own place.

    Examples
    --------
    >>> import bayes_bm as bb
    >>> both = [bb.InputError("a.toml, seed", found="-1"), bb.InputError("a.toml, name", found="nothing")]
    >>> print(bb.InputErrors("a.toml", both))
    a.toml: 2 errors
      seed: found -1
      name: found nothing
    """

    def __init__(self, where: str, errors: Sequence[InputError]) -> None:
        super().__init__(where, found=f"{len(errors)} errors")
        self.errors: Sequence[InputError] = errors
        lines = [f"  {str(error).removeprefix(f'{where}, ').removeprefix(f'{where}: ')}" for error in errors]
        self.args = ("\n".join([f"{where}: {len(errors)} errors", *lines]),)


class GateRefused(BayesBmError):
    """Report that a gate refused: no usable evidence, no convergence, a red reconciliation row (exit status 1).

    Examples
    --------
    >>> import bayes_bm as bb
    >>> bb.GateRefused.exit_status
    1
    """

    exit_status = 1
