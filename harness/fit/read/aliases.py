"""The usual names of a table's columns, in plain form: small letters, digits and "_"."""

import re

# By plain name. Of one column's tiers the first that the table has is taken; within a tier names mean the same, and two
# columns with different numbers are asked about.
HELD_OUT = (
    *(
        "l",
        "final_loss",
        "val_loss",
        "validation_loss",
        "valid_loss",
        "eval_loss",
        "test_loss",
        "heldout_loss",
    ),
    *("held_out_loss", "final_val_loss", "final_validation_loss", "final_eval_loss", "final_test_loss"),
)
BITS_PER_BYTE = (
    *(
        "bpb",
        "bits_per_byte",
        "val_bpb",
        "validation_bpb",
        "eval_bpb",
        "test_bpb",
        "final_bpb",
        "final_val_bpb",
    ),
)
SMOOTHED = (
    *("smooth_loss", "smoothed_loss", "loss_smooth", "loss_smoothed", "smooth_lm_loss", "smoothed_lm_loss"),
    *("train_loss_smooth", "train_loss_smoothed", "smooth_train_loss", "smoothed_train_loss", "lm_loss"),
)
TRAINING = ("train_loss", "training_loss", "final_train_loss", "final_training_loss")
ALL_PARAMS = (
    *(
        "n",
        "parameters",
        "model_size",
        "params_total",
        "total_params",
        "num_params",
        "n_params",
        "param_count",
    ),
    *(
        "parameter_count",
        "params_count",
        "total_parameters",
        "num_parameters",
        "n_parameters",
        "model_params",
    ),
    *("model_parameters", "number_of_parameters", "params_active", "active_params", "activated_params"),
)
WITHOUT_EMBEDDING = (
    *("params_non_embedding", "non_embedding_params", "params_non_emb", "non_emb_params", "params_no_embed"),
    *("n_non_embedding", "non_embedding_parameters", "params_without_embedding", "num_non_embedding_params"),
)
ALIASES: dict[str, tuple[tuple[str, ...], ...]] = {
    "params": (ALL_PARAMS, WITHOUT_EMBEDDING),
    "tokens": (
        (
            *(
                "d",
                "training_tokens",
                "train_tokens",
                "num_tokens",
                "n_tokens",
                "tokens_seen",
                "tokens_trained",
            ),
            *("actual_train_tokens", "actual_tokens", "trained_tokens", "total_tokens", "tokens_processed"),
            *("tokens_total", "num_train_tokens", "n_train_tokens", "total_train_tokens", "tokens_consumed"),
            *("consumed_tokens", "total_tokens_seen", "throughput_total_tokens"),
        ),
        ("data",),
    ),
    "flops": (
        (
            *(
                "c",
                "training_flop",
                "training_flops",
                "train_flops",
                "train_flop",
                "compute",
                "flop",
                "total_flops",
            ),
            *(
                "total_flop",
                "total_flos",
                "flos",
                "train_flos",
                "training_compute",
                "train_compute",
                "total_compute",
            ),
            "actual_flops",
        ),
    ),
    "loss": (HELD_OUT, BITS_PER_BYTE, SMOOTHED, TRAINING),
    "budget": (
        (
            *(
                "flop_budget",
                "flops_budget",
                "compute_budget",
                "isoflop_budget",
                "budget_flops",
                "budget_flop",
            ),
            *("isoflop", "target_flops", "target_flop"),
        ),
    ),
    "seed": (("random_seed",),),
    "loss_se": (("loss_stderr", "loss_std_error", "loss_sem"),),
}
# Beside these a batch size may be one device's or one of several steps'.
PARTS_OF_A_BATCH = re.compile(r"(grad|accum|world_size|devices|gpus|micro_batch)")
# Columns that name a run, the first choice first. A generic name does so only where no two rows share one.
RUN_NAMES = ("run_id", "run", "run_name", "id")
GENERIC_NAMES = ("name", "exp_name", "index")
# Why a run ended as it did, in the table's words.
REASON = "reason"

STEPS = (
    *("steps", "step", "train_steps", "training_steps", "num_steps", "n_steps", "total_steps", "iterations"),
    *("num_iterations", "iters", "iter", "global_step"),
)
BATCH_TOKENS = (
    "batch_tokens",
    "tokens_per_batch",
    "tokens_per_step",
    "batch_size_tokens",
    "batch_size_in_tokens",
)
BATCH_SIZE = ("batch_size", "global_batch_size", "train_batch_size", "total_batch_size")
SEQ_LEN = (
    "seq_len",
    "sequence_length",
    "seq_length",
    "context_length",
    "block_size",
    "max_seq_len",
    "ctx_len",
)
