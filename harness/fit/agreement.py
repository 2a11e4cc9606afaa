"""Whether the approaches agree, in their exponents and at a target budget."""

from harness.fit.intervals import Interval
from harness.fit.results import Agreement, Approach

RATIO = 1.5  # between two N* that agree


def compare_approaches(approaches: tuple[Approach, ...], target: float) -> Agreement:
    """Sets the approaches' N* at ``target`` FLOPs and their exponents side by side.

    Two approaches disagree where their intervals of N* at the target or of ``a`` do not overlap, or, without
    intervals, where N* differs by more than a factor of 1.5. Overlap alone is no agreement: wide intervals overlap
    whatever is true, so with N* further apart than that the status is ``unclear``. The factor between the largest and
    the smallest N* is always given.
    """
    predictions = {approach.name: approach.predict(target) for approach in approaches}
    params = {name: prediction.params for name, prediction in predictions.items()}
    known = [approach for approach in approaches if params[approach.name] is not None]
    if len(known) < 2:
        message = f"{len(known)} of {len(approaches)} approaches has an answer; nothing to compare"
        return Agreement(target=target, params_opt=params, ratio=None, status="unknown", message=message)
    values = [value for value in params.values() if value is not None]
    ratio = max(values) / min(values)
    clashes = []
    for i, first in enumerate(known):
        for second in known[i + 1 :]:
            one, two = predictions[first.name], predictions[second.name]
            if _apart(first.a_interval, second.a_interval):
                clashes.append(f"{first.name} and {second.name} on a ({first.a:.3f} against {second.a:.3f})")
            if _apart(one.params_interval, two.params_interval) or (
                (one.params_interval is None or two.params_interval is None)
                and _ratio(one.params, two.params) > RATIO
            ):
                clashes.append(
                    f"{first.name} and {second.name} on N* ({one.params:.3g} against {two.params:.3g})"
                )
    told = f"at C = {target:.3g} the largest N* is {ratio:.2f} x the smallest; "
    if clashes:
        status, told = "disagree", told + f"beyond their intervals: {'; '.join(clashes)}"
    elif ratio > RATIO:
        status, told = (
            "unclear",
            told + "their intervals overlap, being wide: whether they agree cannot be told",
        )
    else:
        status, told = "agree", told + "their intervals overlap"
    return Agreement(target=target, params_opt=params, ratio=ratio, status=status, message=told)


def _apart(one: Interval | None, two: Interval | None) -> bool:
    return one is not None and two is not None and (one[1] < two[0] or two[1] < one[0])


def _ratio(one: float | None, two: float | None) -> float:
    return max(one, two) / min(one, two) if one and two else 1.0
