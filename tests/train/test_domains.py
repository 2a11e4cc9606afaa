"""Scores on further texts: the run is the same run, and each score is the loss of its model on that text."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from harness.cli import main
from harness.data import open_corpus
from harness.fit import FitOptions, fit_points, read_points
from harness.runs.record import read_record
from harness.runs.table import write_table
from harness.train.run import train_cell
from tests.data.texts import write_texts
from tests.device import EXACT, about
from tests.train.small import overrides, small_jobs
from tests.train.test_run import elsewhere


def test_a_model_is_scored_on_every_domain(tmp_path: Path, text_folder: Path) -> None:
    prose = write_texts(tmp_path / "prose", 30, seed=3)
    domains = (f"+data.domains.prose={prose}", f"+data.domains.code={text_folder}")
    _, jobs = small_jobs(tmp_path, text_folder, *domains, "train.export=true")
    _, plain = small_jobs(tmp_path, text_folder)
    job = jobs[0]
    assert [job.cell for job in jobs] == [job.cell for job in plain], (
        "domains are no part of a run's identity"
    )
    record = train_cell(job)
    assert record == read_record(job.folder.record, job.cell.run_id)
    assert set(record.domains) == {"prose", "code"}
    assert record.loss == about(train_cell(elsewhere(plain[0], tmp_path / "plain")).loss)

    model = AutoModelForCausalLM.from_pretrained(job.folder.model)
    corpus = open_corpus(job.domains["prose"])
    sequences, _ = corpus.heldout_sequences(job.cell.spec.seq_len, job.cell.spec.eval_tokens)
    batch = torch.from_numpy(sequences)
    with torch.no_grad():
        logits = model(input_ids=batch[:, :-1]).logits
    loss = float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()))
    score = record.domains["prose"]
    assert score.loss == pytest.approx(loss, rel=1e-5 if EXACT else 1e-4)
    assert score.bits_per_byte == pytest.approx(corpus.bits_per_byte(loss), rel=1e-5 if EXACT else 1e-4)
    assert score.tokens == batch[:, 1:].numel()
    assert score.loss_se is not None
    assert score.loss > record.loss, "other words than it was trained on"


def test_domains_are_columns_that_can_be_fitted(tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, f"+data.domains.code={text_folder}", "grid.sizes=5")
    found = [train_cell(job) for job in jobs]
    older = replace(found[0], domains={})  # trained before anyone asked for the domain
    write_table(tmp_path / "runs.csv", [older, *found[1:]])
    with (tmp_path / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["loss_code"] for row in rows] == ["", *(repr(r.domains["code"].loss) for r in found[1:])]
    points = read_points(tmp_path / "runs.csv")
    fit = fit_points(points, FitOptions(loss="loss_code", draws=0))
    assert fit.n_points == len(jobs) - 1
    assert [(gone.run, gone.reason) for gone in fit.excluded] == [
        (older.run_id, "loss_code is missing or not positive")
    ]
    assert fit.loss == "loss_code"
    assert fit.approach_1.status == "no_curves"
    other = fit_points(points, FitOptions(draws=0))
    assert other.n_points == len(jobs)
    assert fit.approach_3.objective != other.approach_3.objective


@pytest.mark.parametrize("command", ["plan", "sweep"])
def test_a_missing_domain_is_found_before_anything_is_trained(
    command: str, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, *overrides(tmp_path, text_folder, "+data.domains.prose=nowhere/")])
    assert left.value.code == 2
    printed = capsys.readouterr().err
    assert "data.domains.prose: data.path: there is no file or folder 'nowhere'" in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.rglob("cells"))
