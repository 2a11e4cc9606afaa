"""Decisions on top of a fit: N*(C), D*(C), and what serving, its cost and limited data change about them.

law = Law(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
law.at_flops(1e21)                       # the compute-optimal model of a budget
serve(law, loss=2.0, inference_tokens=1e13)     # the cheapest one over its whole life
"""

from harness.fit.estimate import FrontierSource, OptimumEstimate
from harness.fit.laws import Law, Optimum, PowerLaws
from harness.predict.assess import Assessment, GivenModel, Overtrained, assess, overtrain
from harness.predict.question import Question, ask
from harness.predict.repetition import Repetition, repeated_loss, repeated_optimum
from harness.predict.serving import Served, serve
from harness.predict.source import LawConfig, from_fit, from_law, published_law

__all__ = [
    "Assessment",
    "FrontierSource",
    "GivenModel",
    "Law",
    "LawConfig",
    "Optimum",
    "OptimumEstimate",
    "Overtrained",
    "PowerLaws",
    "Question",
    "Repetition",
    "Served",
    "ask",
    "assess",
    "from_fit",
    "from_law",
    "overtrain",
    "published_law",
    "repeated_loss",
    "repeated_optimum",
    "serve",
]
