"""Which columns hold what: those that are named, those that are understood, those that are asked about."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.config.compose import compose_config
from harness.config.predict import PredictConfig
from harness.errors import UserError
from harness.fit import ColumnNames, FitOptions, fit_points, read_points

BASE: dict[str, Any] = {"params": [1e8, 2e8], "tokens": [2e9, 3e9], "loss": [3.0, 2.9]}


def without(*names: str, **more: Any) -> dict[str, Any]:
    return {name: values for name, values in BASE.items() if name not in names} | more


def test_any_column_is_named_as_written_or_in_plain_form() -> None:
    table = {
        "Größe [N]": [1e8, 2e8],
        "seen.tokens": [2e9, 3e9],
        "Validierung / Verlust": [3.0, 2.9],
        "Exp.": ["a", "b"],
        "C*": [1e18, 3e18],
        "s": [0, 1],
        "sd": [0.1, 0.2],
    }
    named = ColumnNames(
        params="Größe [N]",
        tokens="seen_tokens",
        loss="validierung_verlust",
        run="exp",
        budget="C*",
        seed="s",
        loss_se="sd",
    )
    points = read_points(table, columns=named)
    assert points.run_id == ("a", "b")
    assert points.params.tolist() == [1e8, 2e8]
    assert points.loss.tolist() == [3.0, 2.9]
    assert points.budget is not None
    assert points.seed is not None
    assert points.loss_se is not None
    assert points.budget.tolist() == [1e18, 3e18]
    assert (points.seed.tolist(), points.loss_se.tolist()) == ([0, 1], [0.1, 0.2])
    assert points.column("Validierung / Verlust").tolist() == [3.0, 2.9]
    assert points.column("validierung_verlust").tolist() == [3.0, 2.9]


def test_a_named_column_comes_before_the_fits_own_name() -> None:
    points = read_points({**BASE, "active": [5e7, 1e8]}, columns={"params": "active"})
    assert points.params.tolist() == [5e7, 1e8]
    assert points.flops.tolist() == [6 * 5e7 * 2e9, 6 * 1e8 * 3e9]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"loss": "val los"},
            "columns.loss: table has no column 'val los'; did you mean 'val_loss'?; it has ",
        ),
        ({"params": "xyz"}, "columns.params: table has no column 'xyz'; it has params, tokens, val_loss"),
        ({"size": "x"}, "columns: there is no key 'size'; there are params, tokens, flops, loss, run"),
        ({"params": 3}, "columns.params: a int is no name of a column"),
        ({"decimal": "dot"}, "columns.decimal: 'dot' is none of auto, point, comma"),
        ("params", "columns: a str is no mapping"),
        (
            {"run": "model"},
            "columns.run: 'model' names no runs: rows of 'big' differ in params (1e+08 and 2e+08)",
        ),
    ],
)
def test_what_is_named_and_is_not_there_is_one_line(columns: Any, said: str) -> None:
    table = without("loss", val_loss=[3.0, 2.9], model=["big", "big"])
    with pytest.raises(UserError, match=re.escape(said)):
        read_points(table, columns=columns)


@pytest.mark.parametrize(
    ("names", "column"),
    [
        (("total_params", "num_params", "N", "Model Size", "parameter count", "config/n_params"), "params"),
        (("tokens_trained", "actual_train_tokens", "D", "Tokens seen", "summary.total_tokens"), "tokens"),
        (
            (
                "val_loss",
                "final_val_loss",
                "test loss",
                "smoothed loss",
                "smooth_loss",
                "train/loss",
                "val/bpb",
            ),
            "loss",
        ),
    ],
)
def test_usual_names_are_understood(names: tuple[str, ...], column: str) -> None:
    for name in names:
        points = read_points(without(column) | {name: BASE[column]})
        assert getattr(points, column).tolist() == BASE[column]
        assert points.read_as == {column: name}


@pytest.mark.parametrize("name", ["total_flos", "C", "training FLOPs", "compute", "summary/total_flops"])
def test_usual_names_of_compute(name: str) -> None:
    points = read_points({**BASE, name: [1.3e18, 3.7e18]})
    assert points.flops.tolist() == [1.3e18, 3.7e18]


def test_the_canonical_name_always_wins() -> None:
    points = read_points({**BASE, "val_loss": [9, 9], "N": [1, 1], "test_loss": [8, 8], "D": [5, 5]})
    assert points.loss.tolist() == BASE["loss"]
    assert points.notes == ("read as: flops from 6 x params x tokens",)


@pytest.mark.parametrize(
    ("more", "column", "said"),
    [
        ({"val_loss": [3.0, 2.9], "test_loss": [3.1, 2.9]}, "loss", "'val_loss' and 'test_loss'"),
        ({"val_loss": [3.0, np.nan], "test_loss": [np.nan, 2.9]}, "loss", "'val_loss' and 'test_loss'"),
        (
            {"total_params": [1e8, 2e8], "active_params": [1e7, 2e7]},
            "params",
            "'total_params' and 'active_params'",
        ),
        (
            {"train_tokens": [1e9, 2e9], "total_tokens": [2e9, 2e9]},
            "tokens",
            "'train_tokens' and 'total_tokens'",
        ),
        ({"N": [1e8, 2e8], "n": [2e8, 2e8]}, "params", "'N' and 'n'"),
    ],
)
def test_two_that_differ_are_asked_about(more: dict[str, Any], column: str, said: str) -> None:
    table = without(column) | more
    with pytest.raises(UserError) as caught:
        read_points(table)
    assert f"table: {said} can each be the column {column}, and differ (row " in str(caught.value)
    for name in more:
        assert f"columns.{column}='{name}'" in str(caught.value)
        picked = getattr(read_points(table, columns={column: name}), column)
        assert picked.tolist() == [value for value in more[name] if value == value]


def test_two_with_the_same_numbers_are_one() -> None:
    points = read_points(
        without("loss", val_loss=[3.0, 2.9], eval_loss=["3.00001", "2.9"], train_loss=[2.0, 1.9])
    )
    assert points.loss.tolist() == [3.0, 2.9]
    assert read_points(without("loss", val_loss=[3.0, 2.9], test_loss=["", ""])).loss.tolist() == [3.0, 2.9]


def test_a_training_loss_and_bits_per_byte_are_said_to_be_such() -> None:
    assert "loss = 'train_loss' (a training loss)" in read_points(without("loss", train_loss=[3, 2])).notes[0]
    both = read_points(without("loss", train_loss=[3, 2], val_bpb=[1.1, 1.0]))
    assert both.loss.tolist() == [1.1, 1.0]
    assert "in bits per byte, not nats per token" in both.notes[0]
    named = read_points(without("loss", paloma_bpb=[1.1, 1.0]), columns={"loss": "paloma_bpb"})
    assert "in bits per byte, not nats per token" in named.notes[0]
    with pytest.raises(UserError, match="is a perplexity"):
        read_points(without("loss", val_ppl=[20, 18]), columns={"loss": "val_ppl"})


def test_only_parameters_without_embeddings_are_said_to_be_such() -> None:
    points = read_points(without("params", non_embedding_params=[1e8, 2e8]))
    assert "params = 'non_embedding_params' (without embeddings)" in points.notes[0]
    points = read_points(without("params", non_embedding_params=[1e8, 2e8], total_params=[2e8, 3e8]))
    assert points.params.tolist() == [2e8, 3e8]
    assert points.column("non_embedding_params").tolist() == [1e8, 2e8]


def test_the_standard_error_is_of_the_loss_that_is_read() -> None:
    table = {
        **BASE,
        "loss_se": [0.1, 0.1],
        "val_loss": [4.0, 3.9],
        "val_loss_se": [0.2, 0.2],
        "other": [5, 5],
    }
    read = {
        name: read_points(table, columns={"loss": name}).loss_se for name in ("loss", "val_loss", "other")
    }
    assert read["loss"] is not None
    assert read["val_loss"] is not None
    assert (read["loss"].tolist(), read["val_loss"].tolist(), read["other"]) == ([0.1, 0.1], [0.2, 0.2], None)


def test_what_follows_from_the_rest_is_not_asked_for() -> None:
    whole = {"params": [1e8], "tokens": [1e9], "flops": [6e17], "loss": [3.0]}
    for first, second in (("tokens", "flops"), ("params", "flops"), ("params", "tokens")):
        with pytest.raises(UserError, match=f"missing column {first} or {second}; it has"):
            read_points({name: values for name, values in whole.items() if name not in (first, second)})
    with pytest.raises(UserError) as caught:
        read_points({"n": [1e8], "D": [1e9], "nll": [3.0]})
    assert str(caught.value) == (
        "table: missing column loss; it has n, D, nll; name one that is called otherwise with columns.loss=NAME, "
        "perhaps 'nll'"
    )


def test_tokens_are_steps_times_a_batch_where_nothing_else_gives_them() -> None:
    table = without("tokens", steps=[1000, 2000], batch_size=[64, 64], seq_len=[2048, 2048])
    points = read_points(table)
    assert points.tokens.tolist() == [1000 * 64 * 2048, 2000 * 64 * 2048]
    assert "tokens = 'steps' x 'batch_size' x 'seq_len'" in points.notes[0]
    with pytest.raises(UserError, match="missing column tokens or flops"):
        read_points({**table, "gradient_accumulation_steps": [8, 8]})
    flops = read_points({**table, "flops": [6e17, 6e17]})
    assert flops.tokens.tolist() == [1e9, 5e8], "as C = 6ND says"


def test_a_budget_is_the_compute_where_nothing_else_gives_it() -> None:
    points = read_points(without("tokens", budget_flops=[6e17, 1.2e18]))
    assert points.flops.tolist() == [6e17, 1.2e18]
    assert points.budget is not None
    assert points.budget.tolist() == [6e17, 1.2e18]
    assert read_points({**BASE, "budget_flops": [6e17, 1.2e18]}).flops.tolist() == [1.2e18, 3.6e18]


@pytest.mark.parametrize("name", ["Smoothed CE", "smoothed_ce"])
def test_what_the_options_name_needs_no_other(name: str) -> None:
    n = np.geomspace(1e7, 1e9, 12)
    table = pd.DataFrame(
        {"Active N": n, "D": 2e16 / n, "Smoothed CE": 1.7 + 400 / n**0.3 + 300 / (2e16 / n) ** 0.3}
    )
    with pytest.raises(UserError, match="missing column loss and column params or flops"):
        read_points(table)
    options = FitOptions(loss=name, count="active_n", draws=0, backtest=False)
    points = read_points(table, options=options)
    assert points.params.tolist() == n.tolist()
    fit = fit_points(points, options)
    assert fit.n_points == 12
    assert (fit.loss, fit.count) == (name, "active_n")
    assert fit.columns == {"params": "Active N", "tokens": "D", "loss": "Smoothed CE"}
    # an option that names another column than the usual one leaves the usual one in its place
    more = table.assign(loss=table["Smoothed CE"] + 1, params=2 * n)
    points = read_points(more, options=options)
    assert points.params.tolist() == (2 * n).tolist()
    assert fit_points(points, options).n_points == 12


def test_an_option_that_names_no_column_is_one_line() -> None:
    with pytest.raises(UserError, match=r"analysis\.loss: table has no column 'smooth'; it has params"):
        read_points(without("loss", nll=[3, 2]), options=FitOptions(loss="smooth"))
    points = read_points({**BASE, "val_loss": [3, 2]}, options=FitOptions(loss="val_los"))
    with pytest.raises(UserError, match=r"no column 'val_los'; the table has .*did you mean 'val_loss'\?"):
        fit_points(points, FitOptions(loss="val_los"))


def test_an_index_of_names_names_the_runs() -> None:
    frame = pd.DataFrame(BASE, index=["small", "large"])
    assert read_points(frame).run_id == ("small", "large")
    assert read_points(frame.reset_index(drop=True)).run_id == ("row 0", "row 1")
    assert read_points(frame.set_index(pd.Index(["a", "a"]))).run_id == ("row 0", "row 1")
    assert read_points(pd.DataFrame(BASE, index=[5, 9])).lines == (0, 1)


def test_keys_of_both_configurations() -> None:
    config, _ = compose_config(["experiment=demo", "columns.params=Size (M)", "columns.decimal=comma"])
    assert (config.columns.params, config.columns.decimal) == ("Size (M)", "comma")
    asked, _ = compose_config(
        ["points=t.csv", "budget=1e20", "columns.run=ID", "where=a > 1"], "predict", PredictConfig
    )
    assert (asked.columns.run, asked.where) == ("ID", "a > 1")
    with pytest.raises(UserError, match=r"did you mean 'columns\.params'"):
        compose_config(["experiment=demo", "columns.param=N"])


def test_long_tables_of_curves_are_said_to_be_such(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for header, said in (
        ("Wall time,Step,Value", "TensorBoard's export of one run's curve, not a table of runs"),
        (
            '"Step","a - val_loss","a - val_loss__MIN","b - val_loss","b - val_loss__MIN"',
            "with curves of 2 runs",
        ),
    ):
        path.write_text(f"{header}\n" + ",".join(["1"] * (header.count(",") + 1)) + "\n")
        with pytest.raises(UserError, match=said):
            read_points(path)
    path.write_text("[[1700000000.5, 1, 3.2], [1700000001.5, 2, 3.1]]")
    with pytest.raises(UserError, match="TensorBoard"):
        read_points(path)


def test_a_column_in_millions_without_a_word_of_it_is_told_how_to_say_so() -> None:
    table = {**BASE, "params": [70, 160]}
    with pytest.raises(
        UserError, match=r"no usable runs .*write plain numbers.*columns\.params='NAME \* 1e6' says"
    ):
        fit_points(read_points(table))
    points = read_points(table, columns={"params": "params * 1e6"})
    assert points.params.tolist() == [70e6, 160e6]
    assert points.notes[0] == "read as: params = 'params' in millions, flops from 6 x params x tokens"
    assert read_points(table, columns=points.read_as).params.tolist() == [70e6, 160e6]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Loss (nats)", ""),
        ("val loss (nats/token)", ""),
        ("test_loss_in_nats_per_token", ""),
        ("val loss (bpb)", " in bits per byte, not nats per token"),
        ("eval_loss (bits/byte)", " in bits per byte, not nats per token"),
        ("loss (bits)", " in bits, not nats per token"),
        ("eval loss (bits per token)", " in bits, not nats per token"),
    ],
)
def test_the_unit_of_a_loss_in_its_name(name: str, said: str) -> None:
    points = read_points(without("loss") | {name: [3.0, 2.9]})
    assert points.loss.tolist() == [3.0, 2.9]
    assert f"loss = '{name}'{said}" in points.notes[0]
    assert ("nats per token (so is every loss" in points.notes[0]) == bool(said)
