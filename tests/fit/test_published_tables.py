"""Tables as groups publish them are read as they are: which columns, which numbers, and the law that is in them."""

from pathlib import Path

import numpy as np
import pytest

from harness.fit import FitOptions, fit_points, read_points
from tests.fit.published_tables import LAW, PUBLISHED, RUNS, Published, written


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_it_is_read_as_it_is(table: Published, tmp_path: Path) -> None:
    points = read_points(written(table, tmp_path), columns=table.columns, where=table.where)
    assert dict(points.read_as) == table.read_as
    assert table.note in points.notes
    assert len(points) == len(RUNS)
    np.testing.assert_allclose(points.params, [r.params for r in RUNS], rtol=table.tolerance)
    np.testing.assert_allclose(points.tokens, [r.tokens for r in RUNS], rtol=table.tolerance)
    np.testing.assert_allclose(points.loss, [r.loss for r in RUNS], rtol=1e-5)
    again = read_points(tmp_path / table.name, columns=points.read_as, where=points.where)
    assert again.loss.tolist() == points.loss.tolist()
    assert again.params.tolist() == points.params.tolist()


@pytest.mark.parametrize("table", PUBLISHED, ids=lambda table: table.name)
def test_its_law_is_found(table: Published, tmp_path: Path) -> None:
    """All of them are of one noiseless law, so that a mistaken unit or column shows in the exponents."""
    points = read_points(written(table, tmp_path), columns=table.columns, where=table.where)
    fit = fit_points(points, FitOptions(draws=0, backtest=False))
    a, b = LAW.exponents
    assert fit.approach_3.a == pytest.approx(a, abs=2e-3)
    assert fit.approach_3.b == pytest.approx(b, abs=2e-3)
    assert pytest.approx(1.69, abs=0.01) == fit.approach_3.E
    assert fit.approach_2.a == pytest.approx(a, abs=0.02)
    assert (fit.columns, fit.where) == (table.read_as, table.where or "")
