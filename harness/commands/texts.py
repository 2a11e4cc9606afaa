"""What ``--help`` says of every command, with examples: read by people, tried by tests."""

COMMANDS = {
    "plan": """The grid of an experiment with the size, tokens, steps and estimated time of every cell; trains nothing.
Tokenises the corpus if that was not done before, and writes plan.json.

  isoflop plan experiment=demo
  isoflop plan experiment=demo grid.budgets=[1e11,2e11] grid.sizes=5
  isoflop plan experiment=demo data=text path=books/""",
    "sweep": """Train the cells of an experiment that are not finished, several at once, long ones first.
Ctrl-C, SIGTERM and kill -9 lose no finished cell; the same command goes on where it stopped.
With launcher=slurm it submits one job array and returns at once. A dependent job continues as 'reproduce' when the
array has ended: it submits the follow-ups with another such job, or fits and reports. What failed is not submitted
again until the same command is given by hand.

  isoflop sweep experiment=demo
  isoflop sweep experiment=demo launcher.workers=1 tracker=none
  isoflop sweep experiment=demo launcher=slurm launcher.partition=gpu launcher.gres=gpu:1""",
    "train": """Train one cell of the plan in this process, or continue it from its checkpoint.
SIGTERM and SIGUSR1 write a checkpoint and exit with status 75: run it again to continue.
RUN_ID is an id of the table that 'isoflop plan' prints, or the beginning of one.

  isoflop train experiment=demo run=RUN_ID
  torchrun --nproc_per_node 2 -m harness train experiment=demo run=RUN_ID""",
    "tune": """Tune the recipe at a few sizes: on a grid of peak learning rate × batch, or in rounds.
With tune=sequential every round trains what the surface fitted so far asks for, over tune.axes: rate, batch,
weight_decay, embedding and head (multiples of the learning rate), muon and muon_weight_decay; several of them cost
about as many runs as a grid of two. Trains into runs/NAME-tune, fits the response surfaces and the rules through
their minima, draws them, and writes the tuned recipe (write=MINE puts it into configs/recipe/MINE.yaml, for
recipe=MINE). Resumable; nothing finished is repeated. With launcher=slurm it returns at once, and the dependent job
goes on; see 'isoflop status name=NAME-tune'.

  isoflop tune experiment=demo tune=demo write=mine
  isoflop tune experiment=demo tune.params=[1e4,3e4] tune.rates=[0.25,0.5,1,2] tune.batches=[1]
  isoflop tune experiment=demo tune=sequential tune.axes=[rate,embedding,weight_decay] tune.params=[1e4,4e4]""",
    "calibrate": """Time this device on an experiment's models, alone and side by side, by seconds of real training.
Writes configs/throughput/NAME.yaml here (write=NAME; otherwise the device's name), for throughput=NAME: time
estimates, and how many runs share a GPU. Resumable; keeps no run.

  isoflop calibrate experiment=one_gpu
  isoflop calibrate experiment=demo write=mine calibrate.seconds=1 calibrate.sizes=3""",
    "status": """Every cell: finished, running and by whom, queued, requeued, failed and why, or pending.
Follow-ups are among them, and those that may come are counted; also the jobs that depend on others. The overrides that
the sweep was begun with need not be given again: its folder knows them. An experiment with arms shows every arm
('compare'); a tuning is a sweep of its own, NAME-tune.

  isoflop status experiment=demo
  isoflop status experiment=ablations
  isoflop status name=demo-tune""",
    "watch": """The report page of a sweep that trains, in a browser: states, curves, profiles, time and cost.
As soon as enough runs have finished it has the report of a provisional fit of these, made in memory: nothing is written
into the sweep's folder, and training is not disturbed. The page keeps itself up to date, every interval= seconds.
It is served on 127.0.0.1 alone, at port= (0 takes any that is free), until Ctrl-C, which ends no training. To see it
from your own machine, forward the port: run 'ssh -L 8765:127.0.0.1:8765 HOST' there, and open http://127.0.0.1:8765/.
Other users of HOST can open it, too.

  isoflop watch experiment=demo
  isoflop watch experiment=demo port=0 interval=1
  isoflop watch name=demo-tune""",
    "cancel": """Cancel the jobs that this sweep submitted, and no other; finished cells are kept.
Of an experiment with arms, those of every arm; of a tuning, by its name.

  isoflop cancel experiment=demo
  isoflop cancel experiment=ablations
  isoflop cancel name=demo-tune""",
    "clean": """What sweeps have on disk, by kind, and what of it nothing needs any more; removes that with yes=true.
Of one sweep and its arms, or without a name of all sweeps in runs_dir. what= chooses kinds: checkpoints of runs that
have ended and leftovers (unfinished writes and claims of killed processes), which are the default, and models and logs,
only where they are named: without its model no run can be scored on tasks any more. Records, curves, plans, fits,
reports and scores are never removed, nor anything of a run that is not finished or that somebody trains, nor files that
are not this program's. Symbolic links are not followed; models of runs that a sweep beside it has links to are kept.

  isoflop clean
  isoflop clean experiment=demo yes=true
  isoflop clean name=demo what=[checkpoints,models,logs]""",
    "fit": """Fit the compute-optimal frontier to the finished runs, or to any table of runs.
A table has params, tokens, flops and loss under any usual names (docs/tables.md); columns.loss=NAME and the like name
others, and where= keeps some rows; curves= gives their training curves, for approach 1 (docs/curves.md). fit.json and
draws.npz are written. With source=wandb the runs are read back from a W&B project (group: the sweep's name), or without
project= from W&B's files on disk: those below path=, else the experiment's. Table, fit and draws then go to out=, by
default runs/GROUP-wandb.

  isoflop fit experiment=demo
  isoflop fit points=table.csv out=somewhere
  isoflop fit points=table.csv out=somewhere columns.loss=loss "where=params > 30M and tokens < 1e13"
  isoflop fit source=wandb project=ENTITY/PROJECT group=demo
  isoflop fit source=wandb path=runs/demo/wandb
  isoflop fit points=table.csv curves=curves.csv out=somewhere
  isoflop fit points=table.csv out=somewhere analysis.cells=best
  isoflop fit experiment=demo analysis.draws=4000 analysis.count=params_non_embedding

Any form of the law: analysis.form=tied|kappa|interaction|farseer|kaplan, parameters fixed (analysis.fix.E=1.69) or tied
(analysis.tie=[alpha,beta]); compare=true ranks the forms. by=COLUMN fits each group of the table by itself, and
joint=exponents laws that share alpha and beta.

  isoflop fit experiment=demo analysis.form=tied
  isoflop fit points=table.csv out=somewhere by=dataset joint=exponents""",
    "report": """Figures, tables and report.html from the finished runs and the fit.

  isoflop report experiment=demo

With fit= it is the report of a fit that exists, by its folder or as the name of a sweep in runs/; of a table's fit,
points= names the table. With points= and out= it is the report of a table; a folder that has no fit yet gets one first,
as 'isoflop fit' with the same points=, curves=, out= and analysis.* would write it.

Each figure is a PNG, a PDF, an SVG whose letters are text, and a CSV of the numbers in it. style=paper makes them for a
column or a page of a journal, style=slides for a talk; the page keeps its own.""",
    "predict": """What to train by a fit: N*, D* and loss at a budget, with intervals, and what moves the answer.
That is serving, money, data that runs out, a given model to assess. --json prints the answer for programs.

  isoflop predict fit=runs/demo/fit.json budget=1e13
  isoflop predict fit=hoffmann2022 budget=1e21 inference_tokens=1e12
  isoflop predict fit=hoffmann2022 params=70e9 tokens=1.4e12
  isoflop predict fit=hoffmann2022 gpu_hours=10000 device=h100 mfu=0.4""",
    "compare": """Train and fit one experiment in several arms, and say whether their frontiers differ.
Arms differ in a few overrides; each is a sweep, runs/NAME-ARM. Their frontiers are set side by side, and it is said
whether they differ beyond their intervals: by exponents, by runs in pairs, and in the compute that each arm saves,
at the budgets and at budget=C. joint=exponents tells savings by laws that share alpha and beta, if a test allows it.
Resumable; nothing finished is repeated. With launcher=slurm every arm is a job array, followed by its
follow-ups, and one more job compares when all of them have ended.

  isoflop compare experiment=ablations
  isoflop compare experiment=domains "arms.prose=['data=text','path=books/']"

Was a change worth it? Runs of one budget, shape and seed are paired, and it is told how much compute an arm saves, at
every budget and at budget=. With gate=true only what it takes is trained: the cheapest two budgets, sizes and seeds
that would show a saving of speedup= with a probability of power=; the plan and the rule are registered before the first
run, in runs/NAME-gate. The exit status is 1 unless every arm passed. Where it cannot be told, look=2 adds seeds.

  isoflop compare experiment=ablations gate=true speedup=1.2 fit=runs/demo

With fits= it compares fits that exist, by their folders or as names of sweeps in runs/, and trains nothing; what else
they differ in, or share, is said. With out= the comparison is written there.

  isoflop compare fits=[results/kaplan-fixed,results/kaplan-matched] out=somewhere/compared
  isoflop compare fits=[results/kaplan-fixed,results/kaplan-matched] budget=6e12 joint=exponents""",
    "validate": """Train a predicted optimum and larger and smaller models at the same compute.
The budget is larger than any of the fit: held-out validation of its prediction. The prediction is written and hashed
before anything is trained; then measured loss is compared with predicted loss, and the sizes with each other.
Resumable; a prediction that was altered, or would be another now, is refused. With launcher=slurm it is registered
before it is submitted, and the dependent job compares.

  isoflop validate experiment=demo name=larger validate.fit=runs/demo validate.budget=1.5e12
  isoflop reproduce experiment=cpu_frontier train.compile=on
  isoflop validate experiment=validate""",
    "evaluate": """Score the finished runs' models on benchmark tasks.
EleutherAI's lm-eval (pip install lm-eval) scores what train.export=all, or best, left of the runs. tasks=
names any of its tasks, or YAML files of your own; without it, questions are made from the held-out documents of the
experiment. Every run gets tasks.json beside its record, and the table of runs gets columns; accuracy is fitted to
compute (docs/tasks.md). Resumable by run and task; with launcher=slurm one job array scores. What questions share
with the training text is measured first.

  isoflop sweep experiment=demo train.export=all
  isoflop evaluate experiment=demo
  isoflop evaluate experiment=demo tasks=[arc_easy,my_task.yaml] evaluate.limit=500""",
    "next": """Which runs to train next: those that narrow the answer the most for what they cost; trains nothing.
By the finished runs of an experiment, whose ladder, recipe and corpus make the candidates, or by any table of runs
(docs/design.md). aim=params (N*), loss (L*) or exponent; budget= is where N* or L* is wanted, by default ten times the
largest of the runs; spend= is FLOPs, or gpu_hours= or dollars= by the estimated times. At least a third of it stays
near the predicted optimum. --json prints the answer for programs.

  isoflop next experiment=demo spend=2e12
  isoflop next experiment=demo aim=exponent gpu_hours=0.1 design.extend=3
  isoflop next points=table.csv aim=loss budget=1e22 spend=1e20""",
    "reproduce": """All of it: plan, sweep, fit, report; each stage does only what is missing.
With launcher=slurm it submits and returns at once; the dependent jobs do the later stages. With design=active not
the grid is trained but an initial design of it, and then in rounds what 'isoflop next' says, until spend= is used.
With notify.command=PROGRAM it is told how this ended, as by sweep, tune, validate and compare; see README.

  isoflop reproduce experiment=demo
  isoflop reproduce experiment=demo name=demo-active design=active spend=5e12
  isoflop reproduce experiment=chinchilla points=table.csv""",
    "fetch": """Fetch a large corpus from the packages of Debian or Ubuntu, and clean it.
Choose data=linux, the C of the Linux kernel (a package of about 140 MB, the release's own: linux-source-6.1 on
Debian 12; another release is another text, with another fingerprint), or data=rfc, the RFC series, technical English
(about 480 MB of packages, doc-rfc-*, of the component non-free). Packages come by apt from the archives that this
system uses; nothing is installed, no file of the system changes, root is not needed. The text is one document a line of
JSON, in path=FOLDER/text or else where data=NAME looks for it. A second call finds it finished.

  isoflop fetch data=linux
  isoflop fetch data=rfc path=corpora/rfc --keep
  isoflop fetch data=linux --source linux-6.1/""",
}

COMPLETION = """Print the script by which a shell completes commands, options, keys and names at a TAB.

  eval "$(isoflop completion bash)"            in ~/.bashrc
  eval "$(isoflop completion zsh)"             in ~/.zshrc, after compinit
  isoflop completion fish | source             in ~/.config/fish/config.fish"""
SHELLS = ("bash", "zsh", "fish")

RENAMED = {"rematch": "validate"}
"""Commands of earlier versions by their names now: they work, and say so."""

ABOUT = (
    "How large a model on how many tokens? Plan a grid, train it, fit the compute-optimal frontier, report."
)

FIRST_STEPS = """To begin with: isoflop plan experiment=demo
More: isoflop --help, isoflop COMMAND --help"""

OVERRIDES = """Hydra overrides choose and change the configuration: 'group=option' picks a file of configs/ (experiment,
data, tokenizer, model, ladder, recipe, schedule, tune, throughput, tracker, launcher), 'key=value' sets one value.
--config prints the composed configuration and does nothing else. A folder configs/ in the working
directory is searched too."""

PREDICT_OVERRIDES = """'key=value' sets one of these keys:

{keys}

'group=option' picks a file of configs/ for law, device, ladder, model, recipe or schedule.
--config prints the composed configuration and does nothing else."""
