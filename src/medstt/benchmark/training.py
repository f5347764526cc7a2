"""What a training step costs, by shape, method and context: wall and CPU seconds, peak memory of a fresh process.

Random weights of the true shape and made-up clips; the steps are those of `medstt train`. Knows nothing of accuracy.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medstt.benchmark.model import SHAPES, RandomShape, find_shape
from medstt.process import end_with_parent

if TYPE_CHECKING:
    from medstt.train.loop import Trainer
    from medstt.train.model import Batch

Method = Literal["full", "lora", "lora+distil", "frozen-encoder"]
METHODS: tuple[Method, ...] = ("full", "lora", "lora+distil", "frozen-encoder")
FULL_FRAMES = 3000
TOKENS_PER_SECOND = 5  # of clinical dictation, about
CHARACTERS_PER_SECOND = 15
BEGIN, END = "<!-- training costs -->", "<!-- end of training costs -->"


@dataclass(frozen=True, slots=True)
class StepCase:
    """One kind of step: ``clips`` of ``seconds`` at their own length, or padded to 30 s (``padded``)."""

    shape: str
    method: Method
    seconds: float
    clips: int
    padded: bool


@dataclass(frozen=True, slots=True)
class StepCost:
    """Seconds of a step, wall and CPU, and the peak memory of a process that does nothing else."""

    case: StepCase
    wall_s: float
    cpu_s: float
    peak_gb: float

    @property
    def minutes_per_1000(self) -> float:
        """Minutes for a thousand clips."""
        return self.wall_s / self.case.clips * 1000 / 60


def measure_steps(cases: Sequence[StepCase], steps: int, repeat: int) -> list[StepCost]:
    """Measure every case ``repeat`` times, interleaved, each in a process of its own; medians of steps, most memory."""
    found: dict[StepCase, list[tuple[list[float], list[float], float]]] = {case: [] for case in cases}
    for _ in range(repeat):
        for case in cases:
            with ProcessPoolExecutor(1, get_context("spawn"), initializer=end_with_parent) as pool:
                found[case].append(pool.submit(time_steps, case, steps).result())
    return [
        StepCost(
            case,
            statistics.median(value for walls, _, _ in runs for value in walls),
            statistics.median(value for _, cpus, _ in runs for value in cpus),
            max(peak for _, _, peak in runs),
        )
        for case, runs in found.items()
    ]


def time_steps(case: StepCase, steps: int) -> tuple[list[float], list[float], float]:
    """Return wall and CPU seconds of each step but a first one that warms up, and the process's peak memory in GB."""
    shape = find_shape(case.shape)
    with tempfile.TemporaryDirectory(prefix="medstt-steps-") as folder:
        trainer = open_random_trainer(shape, case.method, Path(folder))
        batch = random_batch(shape, case)
        if case.method == "frozen-encoder":
            batch = with_states(trainer, batch)
        walls, cpus = [], []
        for number in range(steps + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            take_step(trainer, batch)
            if number:
                walls.append(time.perf_counter() - wall)
                cpus.append(time.process_time() - cpu)
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return walls, cpus, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def open_random_trainer(shape: RandomShape, method: Method, folder: Path) -> Trainer:
    """Return the trainer of a model with random weights, as a fine-tune by ``method`` opens it."""
    import copy

    from medstt.train.adapter import add_adapters
    from medstt.train.loop import Trainer
    from medstt.train.model import CtcHead
    from medstt.train.recipe import DataSource, Loss, Recipe

    distil = method == "lora+distil"
    recipe = Recipe(
        name="steps", steps=1, method="full" if method == "full" else "frozen-encoder", dropout=0.0,
        loss=Loss(distil=0.5 if distil else 0.0), train=[DataSource(manifest="none")],
    )  # fmt: skip
    model = _random_model(shape)
    teacher = copy.deepcopy(model) if distil else None
    if method.startswith("lora"):
        add_adapters(model, recipe.lora_rank)
    elif method == "frozen-encoder":
        model.model.encoder.requires_grad_(False)
    head = CtcHead(shape.width).requires_grad_(method != "frozen-encoder")
    return Trainer(model, head, recipe, folder, teacher)


def _random_model(shape: RandomShape) -> Any:
    from transformers import WhisperForConditionalGeneration

    return WhisperForConditionalGeneration(_config(shape))


def _config(shape: RandomShape) -> Any:
    from transformers import WhisperConfig

    ids = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    return WhisperConfig(
        vocab_size=shape.vocabulary, d_model=shape.width, encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers, encoder_attention_heads=shape.heads, decoder_attention_heads=shape.heads,
        encoder_ffn_dim=4 * shape.width, decoder_ffn_dim=4 * shape.width, num_mel_bins=shape.n_mels,
        suppress_tokens=None, begin_suppress_tokens=None, **ids,
    )  # fmt: skip


def random_batch(shape: RandomShape, case: StepCase) -> Batch:
    """Return a batch of noise with as many tokens and characters as speech of that length has."""
    import torch

    from medstt.engine.letter import CHARACTERS
    from medstt.train.model import Batch

    own, clips = round(case.seconds * 50) * 2, case.clips
    frames = FULL_FRAMES if case.padded else own
    width, letters = round(case.seconds * TOKENS_PER_SECOND) + 4, round(case.seconds * CHARACTERS_PER_SECOND)
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, shape.vocabulary, (clips, width), generator=draw)
    return Batch(
        torch.randn(clips, shape.n_mels, frames, generator=draw), torch.full((clips,), own), tokens, tokens.roll(-1, 1),
        torch.randint(1, len(CHARACTERS), (clips * letters,), generator=draw), torch.full((clips,), letters),
        torch.full((clips, width), -1.0), torch.full((clips,), own / 2),
    )  # fmt: skip


def with_states(trainer: Trainer, batch: Batch) -> Batch:
    """Return a batch with the encoder's states in place of features, as a run with a frozen encoder keeps them."""
    from dataclasses import replace

    import torch

    from medstt.train.model import encode

    trainer.model.eval()
    with torch.no_grad():
        states = encode(trainer.model, batch.features.to(trainer.accelerator.device)).half().cpu()
    return replace(batch, features=torch.zeros(len(states), 0, 0), states=states)


def take_step(trainer: Trainer, batch: Batch) -> None:
    """Forward, backward, clip, update: what the training loop does in a step."""
    from torch import nn

    trainer.model.train()
    batch = batch.to(trainer.accelerator.device)
    with trainer.accelerator.autocast():
        loss, ctc = trainer.losses(batch)
    (0.9 * loss + 0.1 * ctc).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([*trainer.model.parameters(), *trainer.head.parameters()], 1.0)
    trainer.optimizer.step()
    trainer.optimizer.zero_grad(set_to_none=True)


def format_steps(costs: Sequence[StepCost]) -> str:
    """Return the Markdown table; "padded" says how many times a step at 30 s costs one at the clips' own length."""
    own = {(cost.case.shape, cost.case.method): cost for cost in costs if not cost.case.padded}
    lines = [
        "| model shape | method | clips in a step | context | s a step | CPU s a step | minutes per 1,000 clips "
        "| peak memory GB | against own length | on a GPU |",
        "|---|---|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for cost in costs:
        case = cost.case
        reference = own.get((case.shape, case.method))
        ratio = f"{cost.cpu_s / reference.cpu_s:.2f}" if reference else "-"
        lines.append(
            f"| {case.shape} | {case.method} | {case.clips} of {case.seconds:g} s "
            f"| {'30 s' if case.padded else 'own length'} | {cost.wall_s:.2f} | {cost.cpu_s:.2f} "
            f"| {cost.minutes_per_1000:.1f} | {cost.peak_gb:.2f} | {ratio} | not measured |"
        )
    return "\n".join(lines)


def format_estimates(seconds: float, clips: int) -> str:
    """Return the memory that `memory_gb` reckons with for every shape, as a Markdown table; nothing is measured."""
    from medstt.train.memory import estimate_gb
    from medstt.train.recipe import DataSource, Loss, Recipe

    methods: dict[str, dict[str, Any]] = {
        "full": {"method": "full"},
        "frozen encoder": {"method": "frozen-encoder"},
        "LoRA": {"method": "lora"},
        "LoRA, distillation": {"method": "lora", "loss": Loss(distil=0.5)},
    }
    lines = [
        f"| estimated GB, {clips} clips of {seconds:g} s | {' | '.join(methods)} |",
        f"|---|{'---:|' * len(methods)}",
    ]
    frames = round(seconds * 100) * clips
    for name, shape in SHAPES.items():
        cells = []
        for values in methods.values():
            recipe = Recipe(name="steps", steps=1, train=[DataSource(manifest="none")], **values)
            cells.append(f"{estimate_gb(_config(shape), recipe, frames):.1f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def describe_host() -> str:
    """Return processor, cores in use and torch's version, in one sentence."""
    from importlib.metadata import version

    from medstt.evaluate.environment import describe_environment

    found = describe_environment()
    return f"{found['processor']}, {os.cpu_count()} cores, float32, torch {version('torch')}."


def replace_between(text: str, content: str) -> str | None:
    """Return a document with what stands between our marks replaced; None if it has no marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{content}\n{end}{after}" if begin and end else None
