"""The dev score of a model in training: greedy decoding at dynamic context, word errors by slice.

Serving has its own decoder; this one runs where the training model is. Knows nothing of optimisers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import jiwer
import numpy as np
import torch
from transformers import WhisperForConditionalGeneration, WhisperTokenizerFast

from medstt.feature import scale
from medstt.train.augment import FLOOR, add_silence
from medstt.train.cache import FeatureCache
from medstt.train.model import encode
from medstt.train.tokenizer import END, NO_TIMESTAMPS, START, TRANSCRIBE

LEAD = 20  # frames of silence around each clip, about what segmentation leaves


@torch.no_grad()
def greedy(
    model: WhisperForConditionalGeneration, features: torch.Tensor, prompt: list[int], end: int, limit: int
) -> list[list[int]]:
    """Return the greedy tokens of each clip of a batch, without prompt and end token; at most ``limit``."""
    states = encode(model, features)
    tokens = torch.tensor([prompt] * len(features), device=features.device)
    done = torch.zeros(len(features), dtype=torch.bool, device=features.device)
    cache, step, found = None, tokens, []
    for _ in range(limit):
        output = model.model.decoder(
            input_ids=step, encoder_hidden_states=states, past_key_values=cache, use_cache=True
        )
        cache = output.past_key_values
        step = model.proj_out(output.last_hidden_state[:, -1:]).argmax(-1)
        step = torch.where(done[:, None], end, step)
        done |= step[:, 0] == end
        found.append(step)
        if bool(done.all()):
            break
    rows = torch.cat(found, 1).tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]


def transcribe_cache(
    model: WhisperForConditionalGeneration, tokenizer: WhisperTokenizerFast, cache: FeatureCache, indices: Sequence[int]
) -> dict[int, str]:
    """Return the text of each utterance, batched by language and length."""
    model.eval()
    ids = tokenizer.convert_tokens_to_ids
    texts: dict[int, str] = {}
    order = sorted(indices, key=lambda index: (cache.utterances[index].lang, cache.frames[index]))
    for start in range(0, len(order), 16):
        by_lang: dict[str, list[int]] = defaultdict(list)
        for index in order[start : start + 16]:
            by_lang[cache.utterances[index].lang].append(index)
        for lang, part in by_lang.items():
            clips = [add_silence(cache.features(index), LEAD, LEAD) for index in part]
            length = max(len(clip) for clip in clips)
            batch = np.full((len(clips), clips[0].shape[1], length + length % 2), FLOOR, np.float32)
            for row, clip in enumerate(clips):
                batch[row, :, : len(clip)] = clip.T
                batch[row] = scale(batch[row])
            prompt = ids([START, f"<|{lang}|>", TRANSCRIBE, NO_TIMESTAMPS])
            features = torch.from_numpy(batch).to(model.device)
            for index, tokens in zip(part, greedy(model, features, prompt, ids(END), 100), strict=True):
                texts[index] = tokenizer.decode(tokens).strip()
    return texts


def missed_terms(cache: FeatureCache, texts: dict[int, str]) -> float:
    """Return the share (0-1) of the utterances' terms missing in their texts; whole words, case aside."""
    found = missed = 0
    for index, text in texts.items():
        said = f" {' '.join(text.lower().split())} "
        for term in cache.utterances[index].terms:
            heard = f" {' '.join(term.lower().split())} " in said
            found, missed = found + heard, missed + (not heard)
    return missed / max(1, found + missed)


def word_error_rates(cache: FeatureCache, texts: dict[int, str], key: str) -> dict[str, float]:
    """Return the word error rate (0-1, verbatim but for case) by ``lang`` and the value of tag ``key``."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index in texts:
        row = cache.utterances[index]
        groups[f"{row.lang} {row.tags.get(key, '')}".strip()].append(index)
    rates = {}
    for name, part in sorted(groups.items()):
        references = [cache.utterances[index].text.lower() for index in part]
        rates[name] = float(jiwer.wer(references, [texts[index].lower() for index in part]))
    return rates
