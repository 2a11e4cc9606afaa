"""Laws to test with: published ones and any plausible one."""

import numpy as np
from hypothesis import strategies as st

from harness.fit.laws import CostLaw, Law

HOFFMANN = Law(
    E=float(np.exp(0.5267228)),
    A=float(np.exp(6.0073404)),
    B=float(np.exp(6.0179186)),
    alpha=0.33917084,
    beta=0.2849083,
)
SARDANA = Law(E=1.69, A=406.4, B=410.7, alpha=0.336, beta=0.283)
# A law of small models whose compute is not 6ND: attention and head weigh more at the foot of the ladder.
SMALL = Law(E=1.2, A=60.0, B=300.0, alpha=0.31, beta=0.37, cost=CostLaw(kappa=31.0, power=0.93))

exponents = st.floats(0.15, 0.8)


@st.composite
def laws(draw: st.DrawFn) -> Law:
    """Any law whose terms are of a size that training could show, with any cost law near 6ND."""
    alpha, beta = draw(exponents), draw(exponents)
    # Each term is between .05 and 5 nats at a million parameters, and at ten million tokens.
    size, data = draw(st.floats(0.05, 5)), draw(st.floats(0.05, 5))
    cost = CostLaw(kappa=draw(st.floats(2.0, 40.0)), power=draw(st.floats(0.8, 1.1)))
    floor = draw(st.floats(0.0, 2.0))
    return Law(E=floor, A=size * 1e6**alpha, B=data * 1e7**beta, alpha=alpha, beta=beta, cost=cost)


budgets = st.floats(1e12, 1e25)
volumes = st.floats(8, 16).map(lambda exponent: 10.0**exponent)
