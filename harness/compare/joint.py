"""Laws of arms that share their exponents, where a test allows it: ``isoflop compare … joint=exponents``."""

from collections.abc import Mapping
from dataclasses import replace

from harness.compare.assess import JointLaws
from harness.errors import UserError
from harness.fit import FitOptions, Points
from harness.fit.groups import Sharing, share_exponents
from harness.fit.status import is_serious, plain

EXPONENTS = "exponents"


def check_joint(joint: str) -> None:
    """Refuse anything but ``exponents``.

    Raises:
        UserError: it is something else.
    """
    if joint != EXPONENTS:
        raise UserError(f"joint: '{joint}' is nothing that arms can share; there is {EXPONENTS}")


def joint_laws(tables: Mapping[str, Points], options: FitOptions, level: float) -> JointLaws:
    """Approach 3 of every arm with alpha and beta in common; without laws where the test speaks against that.

    Args:
        tables: the runs that each arm's fit used, as it counts them.
        level: of the arms' intervals.

    Raises:
        UserError: an arm has too few runs, or the options have a form that cannot share.
    """
    laws, sharing = share_exponents(tables, replace(options, level=level))
    if sharing.p is None:
        return JointLaws(
            {}, f"joint=exponents: not tested ({sharing.note}), so savings are by laws of their own."
        )
    if "not_shared" in sharing.flags:
        return JointLaws(
            {},
            f"joint=exponents: refused, {_apart(sharing)} (p = {sharing.p:.2g}); savings are by laws of their own.",
        )
    doubted = [f"{plain(law.status)} in {arm}" for arm, law in laws.items() if is_serious(law.status)]
    if doubted:
        return JointLaws(
            {},
            f"joint=exponents: refused, the law with common exponents is {', '.join(doubted)}; savings are by laws of "
            "their own.",
        )
    alpha, beta = (next(iter(laws.values())).parameters[name] for name in ("alpha", "beta"))
    return JointLaws(
        laws,
        f"joint=exponents: laws share alpha = {alpha:.3f} and beta = {beta:.3f}, which the runs do not speak against "
        f"(p = {sharing.p:.2g}).",
    )


def _apart(sharing: Sharing) -> str:
    ranges = (
        f"{name} is {', '.join(f'{value:.3f} in {arm}' for arm, value in values.items())}"
        for name, values in (("alpha", sharing.alpha), ("beta", sharing.beta))
    )
    return "for " + " and ".join(ranges)
