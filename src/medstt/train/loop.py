"""The training loop: optimiser, schedule, losses, checkpoints that survive a kill, a log of every report.

Knows nothing of recipes' files, registries or export.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import nn
from transformers import WhisperForConditionalGeneration

from medstt.disk import naming_disk_errors
from medstt.train.alignment import GuidedAttention
from medstt.train.batch import TextSampler
from medstt.train.model import Batch, CtcHead, attention_loss, decode, hear
from medstt.train.recipe import Recipe
from medstt.train.stop import DEV_SCORE, EarlyStop, resume_stop

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"  # weights at the best dev score, kept where a run may stop early
LOG = "log.jsonl"


@dataclass(slots=True)
class Progress:
    """Running means since the last report."""

    step: int = 0
    loss: float = 0.0
    ctc: float = 0.0
    count: int = 0
    waited_s: float = 0.0
    started: float = field(default_factory=time.monotonic)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the rate at a step: linear warm-up, then linear decay to ``final_rate``."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    left = max(0.0, (recipe.steps - step) / max(1, recipe.steps - recipe.warmup))
    return recipe.learning_rate * max(recipe.final_rate, left)


def ramp(recipe: Recipe, step: int, start: float, end: float) -> float:
    """Return a weight on its straight way from ``start`` to ``end``, which it reaches at ``ctc_until`` of the steps."""
    share = min(1.0, step / max(1.0, recipe.loss.ctc_until * recipe.steps))
    return start + (end - start) * share


def ctc_weight(recipe: Recipe, step: int) -> float:
    """Return the weight of the CTC loss (the decoder's is 1 minus it)."""
    return ramp(recipe, step, recipe.loss.ctc_start, recipe.loss.ctc_end)


def guide_weight(recipe: Recipe, step: int) -> float:
    """Return the weight of guided attention."""
    return ramp(recipe, step, recipe.loss.guide_start, recipe.loss.guide_end)


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return AdamW groups: matrices decay, norms, biases and embeddings don't."""
    trained = [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]
    decayed = [weight for name, weight in trained if weight.ndim >= 2 and "embed" not in name]
    kept = [weight for name, weight in trained if weight.ndim < 2 or "embed" in name]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint; the last one stands until this one is whole. Raises ResourceError when the disk is full."""
    partial = path.with_name(path.name + ".partial")
    with naming_disk_errors(path):
        try:
            with partial.open("wb") as out:
                try:
                    torch.save(state, out)
                except RuntimeError as error:  # torch's writer hides the system's error behind one of its own
                    raise error.__context__ if isinstance(error.__context__, OSError) else error from None
                out.flush()
                os.fsync(out.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


class Trainer:
    """One run: a model, its side head and optimiser, in a folder that can be resumed."""

    def __init__(
        self,
        model: WhisperForConditionalGeneration,
        head: CtcHead,
        recipe: Recipe,
        folder: Path,
        teacher: WhisperForConditionalGeneration | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        on_gpu = torch.cuda.is_available()
        if not on_gpu:
            torch.set_num_threads(1 if recipe.processes > 1 else os.cpu_count() or 1)
        self.accelerator = Accelerator(
            mixed_precision="bf16" if on_gpu else "no", cpu=not on_gpu, gradient_accumulation_steps=recipe.accumulate
        )
        self.recipe, self.folder, self.step = recipe, folder, 0
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        self.model = model.to(self.accelerator.device)
        self.head = head.to(self.accelerator.device)
        self.teacher = None if teacher is None else teacher.to(self.accelerator.device).eval()
        self.guide = GuidedAttention(self.model) if recipe.loss.guide_start > 0 else None
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.model, recipe.weight_decay) + parameter_groups(self.head, 0.0),
            betas=(0.9, 0.98),
            fused=True,
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        state = torch.load(path, map_location=self.accelerator.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    def save(self) -> None:
        """Write the checkpoint (first process only); the last one stands until this one is whole."""
        if self.rank:
            return
        write_state({**self._weights(), "optimizer": self.optimizer.state_dict()}, self.folder / CHECKPOINT)

    def _weights(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "head": self.head.state_dict(), "step": self.step}

    def load_best(self) -> None:
        """Take the weights with the best dev score, where a run that may stop early kept them."""
        path = self.folder / BEST
        if path.exists():
            state = torch.load(path, map_location=self.accelerator.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.head.load_state_dict(state["head"])

    def losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the decoder's loss (with distillation, if any) and the CTC loss of a batch."""
        if self.guide is not None:
            self.guide.clear()
        states = hear(self.model, batch)
        logits = decode(self.model, states, batch.tokens)
        loss = attention_loss(logits, batch.labels, self.recipe.loss.smoothing)
        if self.teacher is not None and self.recipe.loss.distil > 0:
            with torch.no_grad():  # kept states are the teacher's too: it is the base, whose encoder stays
                target = decode(self.teacher, hear(self.teacher, batch), batch.tokens).float().log_softmax(-1)
            kept = batch.labels != -100
            distance = nn.functional.kl_div(
                logits.float().log_softmax(-1)[kept], target[kept], reduction="batchmean", log_target=True
            )
            loss = loss + self.recipe.loss.distil * distance
        if self.guide is not None:
            loss = loss + guide_weight(self.recipe, self.step) * self.guide.loss(batch)
        return loss, self._ctc_loss(states, batch)

    @property
    def _head_trained(self) -> bool:
        return any(weight.requires_grad for weight in self.head.parameters())

    def _ctc_loss(self, states: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the head's loss: 0 where it is kept as it is, without effect on the model where CTC has no weight."""
        if not self._head_trained:
            return states.new_zeros(())
        return cast(torch.Tensor, self.head(states if self._ctc_weight() > 0 else states.detach(), batch))

    def _ctc_weight(self) -> float:
        return ctc_weight(self.recipe, self.step) if self._head_trained else 0.0

    def text_loss(self, texts: TextSampler) -> torch.Tensor:
        """Return the decoder's loss on bare text, told apart from audio by a single state of zeros."""
        tokens, labels = (part.to(self.accelerator.device) for part in texts.make(self.step, self.rank))
        nothing = torch.zeros(len(tokens), 1, self.model.config.d_model, device=tokens.device)
        return attention_loss(decode(self.model, nothing, tokens), labels, self.recipe.loss.smoothing)

    def train(
        self,
        batches: Iterator[Batch],
        *,
        texts: TextSampler | None = None,
        report: Callable[[dict[str, float]], None] = lambda row: None,
        evaluate: Callable[[], dict[str, float]] | None = None,
        report_steps: int = 50,
    ) -> None:
        """Run to the recipe's last step, reporting every ``report_steps`` and scoring every ``dev_steps``."""
        recipe, state = self.recipe, Progress()
        stop = resume_stop(recipe.patience, self.folder / LOG, self.step)
        if evaluate and recipe.patience and self._to_score() and stop.last_step < self.step:
            # killed between checkpoint and score
            state = self._score(state, report, evaluate, stop)
        # Dropout's chance must not depend on where a run was interrupted.
        self.model.train()
        while self.step < recipe.steps and not stop.stopped:
            torch.manual_seed((recipe.seed * 1_000_003 + self.step) * self.world + self.rank)
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(recipe, self.step)
            weight = self._ctc_weight()
            for _ in range(recipe.accumulate):
                waiting = time.monotonic()
                batch = next(batches).to(self.accelerator.device)
                state.waited_s += time.monotonic() - waiting
                with self.accelerator.autocast():
                    loss, ctc = self.losses(batch)
                    # Without a weight the head alone learns, so that it still fits the encoder.
                    total = ((1 - weight) * loss + (weight or 1.0) * ctc) / recipe.accumulate
                    if texts is not None:
                        total = total + recipe.loss.text * self.text_loss(texts) / recipe.accumulate
                total.backward()  # type: ignore[no-untyped-call]
                state.loss += float(loss.detach())
                state.ctc += float(ctc.detach())
                state.count += 1
            self._average_gradients()
            nn.utils.clip_grad_norm_([*self.model.parameters(), *self.head.parameters()], recipe.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.step += 1
            if self.step % report_steps == 0 or self.step == recipe.steps:
                state = self._report(state, report, {})
            if self.step % recipe.checkpoint_steps == 0 or self.step == recipe.steps:
                self.save()
            if evaluate and self._to_score():
                state = self._score(state, report, evaluate, stop)
        if stop.stopped and self.step % recipe.checkpoint_steps:
            self.save()

    def _to_score(self) -> bool:
        recipe = self.recipe
        return self.step > 0 and (self.step % recipe.dev_steps == 0 or self.step == recipe.steps)

    def _score(
        self,
        state: Progress,
        report: Callable[[dict[str, float]], None],
        evaluate: Callable[[], dict[str, float]],
        stop: EarlyStop,
    ) -> Progress:
        """Score the dev sets in the first process; all of them learn whether to stop."""
        if self.rank == 0:
            scores = evaluate()
            self.model.train()
            if self.recipe.patience and stop.take(self.step, scores[DEV_SCORE]):
                write_state(self._weights(), self.folder / BEST)
            state = self._report(state, report, scores)
        if self.recipe.patience and self.world > 1:
            worse = torch.tensor(stop.worse)
            dist.broadcast(worse, 0)
            stop.worse = int(worse)
        return state

    def _average_gradients(self) -> None:
        """Average gradients over the processes, as one message."""
        if self.world == 1:
            return
        gradients = [
            weight.grad
            for module in (self.model, self.head)
            for weight in module.parameters()
            if weight.grad is not None
        ]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.world
        for gradient, part in zip(
            gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))

    def _report(
        self, state: Progress, report: Callable[[dict[str, float]], None], scores: dict[str, float]
    ) -> Progress:
        elapsed = time.monotonic() - state.started
        row: dict[str, float] = {"step": self.step, "rate": learning_rate(self.recipe, self.step)}
        if state.count:
            row |= {
                "loss": state.loss / state.count, "ctc": state.ctc / state.count,
                "seconds_per_step": elapsed / state.count, "waiting_share": state.waited_s / max(elapsed, 1e-9),
            }  # fmt: skip
        row |= scores
        if self.rank == 0:
            with (self.folder / LOG).open("a", encoding="utf-8") as log:
                log.write(json.dumps(row) + "\n")
            report(row)
        return Progress()
