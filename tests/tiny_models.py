"""Small transformers with random weights: the files, architecture and vocabulary are real, and nothing is downloaded."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as Decoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    PreTrainedTokenizerFast,
)

from arxiv_nbclf.classifiers.encoders import Encoder, find_encoder, quiet_transformers

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def vocabulary(
    texts: Iterable[str],  # words are taken from here
    words: int = 2_000,  # at most so many whole words, the most frequent ones
) -> list[str]:  # entries in the order of their ids
    "A WordPiece vocabulary: special tokens, then single characters (so that any word can be spelt), then words."
    normalizer, parts = BertNormalizer(), BertPreTokenizer()
    counts = Counter(word for text in texts for word, _ in parts.pre_tokenize_str(normalizer.normalize_str(text)))
    letters = sorted({letter for word in counts for letter in word} | set("abcdefghijklmnopqrstuvwxyz0123456789"))
    frequent = sorted((word for word in counts if len(word) > 1), key=lambda word: (-counts[word], word))[:words]
    return [*MARKS, *letters, *(f"##{letter}" for letter in letters), *frequent]


def word_piece(
    entries: list[str],  # the vocabulary, in the order of ids
    positions: int,  # the longest text that the model takes, in tokens
) -> PreTrainedTokenizerFast:
    "A lower-casing WordPiece tokenizer of exactly this vocabulary."
    ids = {entry: i for i, entry in enumerate(entries)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = BertNormalizer(), BertPreTokenizer(), Decoder()
    ends = [(end, ids[end]) for end in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends)
    names = {f"{mark.strip('[]').lower()}_token": mark for mark in MARKS}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=positions, **names)


def tiny_encoder(
    folder: str | Path,  # to write to; it is made
    texts: Iterable[str],  # the vocabulary is taken from them
    kind: str = "distilbert",  # or bert
    width: int = 32,  # of the hidden states; a multiple of 4, the number of heads
    layers: int = 2,
    positions: int = 512,  # the longest text that the model takes, in tokens
    seed: int = 0,  # of the random weights: the same seed makes the same encoder
) -> Encoder:
    "Write a small transformer with random weights."
    entries = vocabulary(texts)
    shared: dict[str, Any] = {"vocab_size": len(entries), "max_position_embeddings": positions, "pad_token_id": 0}
    bert = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers, "num_attention_heads": 4}
    distilbert = {"dim": width, "hidden_dim": 4 * width, "n_layers": layers, "n_heads": 4}
    config = BertConfig(**bert, **shared) if kind == "bert" else DistilBertConfig(**distilbert, **shared)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        torch.manual_seed(seed)
        model = AutoModel.from_config(config)
    with quiet_transformers():
        model.save_pretrained(folder)
    word_piece(entries, positions).save_pretrained(folder)
    return find_encoder(str(folder))
