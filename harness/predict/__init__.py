"""Decisions on top of a fit: N*(C), D*(C), and what serving, prices and scarce data do to them.

law = Law(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
law.at_flops(1e21)                       # the compute-optimal model of a budget
serve(law, loss=2.0, inference_tokens=1e13)     # the cheapest one over its whole life
"""

from harness.predict.answer import Answer, Question, ask
from harness.predict.assess import Overtrained, Standing, announce, overtrain
from harness.predict.laws import Law, Optimum, PowerLaws
from harness.predict.repetition import Repetition, repeated_loss, repeated_optimum
from harness.predict.serving import Served, serve
from harness.predict.source import LawConfig, Source, from_fit, from_law

__all__ = [
    "Answer",
    "Law",
    "LawConfig",
    "Optimum",
    "Overtrained",
    "PowerLaws",
    "Question",
    "Repetition",
    "Served",
    "Source",
    "Standing",
    "announce",
    "ask",
    "from_fit",
    "from_law",
    "overtrain",
    "repeated_loss",
    "repeated_optimum",
    "serve",
]
