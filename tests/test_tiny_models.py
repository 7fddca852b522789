"""The tiny encoders that notebooks and tests use: their vocabulary, their tokenizer, and that a seed fixes them."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from tiny_models import tiny_encoder, vocabulary, word_piece  # noqa: E402

TEXTS = ["A lemma on graphs", "Graphs of quarks"]


def test_vocabulary() -> None:
    entries = vocabulary(TEXTS)
    assert entries[:6] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "0"] and len(set(entries)) == len(entries)
    assert vocabulary(["b a b", "c c b"], words=0) == vocabulary(["a b c"], words=0)
    assert vocabulary(["bb aa bb cc"], words=2)[-2:] == ["bb", "aa"], "the most frequent first, then by the alphabet"


def test_the_tokenizer_has_this_vocabulary() -> None:
    entries = vocabulary(TEXTS)
    pieces = word_piece(entries, positions=512)
    assert pieces("graphs")["input_ids"] == [2, entries.index("graphs"), 3] and pieces("")["input_ids"] == [2, 3]
    assert pieces.tokenize("Graphs of ÜBER") == ["graphs", "of", "u", "##b", "##e", "##r"]
    assert pieces.tokenize("graphs 漢") == ["graphs", "[UNK]"]
    marks = (pieces.pad_token_id, pieces.unk_token_id, pieces.cls_token_id, pieces.sep_token_id, pieces.mask_token_id)
    assert (*marks, pieces.model_max_length) == (0, 1, 2, 3, 4, 512)
    assert pieces.decode(pieces("Graphs of quarks")["input_ids"]) == "[CLS] graphs of quarks [SEP]"


def test_a_seed_fixes_the_encoder(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    tiny = tiny_encoder(tmp_path / "tiny", TEXTS)
    assert tiny_encoder(tmp_path / "again", TEXTS).digest == tiny.digest
    assert tiny_encoder(tmp_path / "other", TEXTS, seed=1).digest != tiny.digest
    assert torch.equal(torch.get_rng_state(), state)
    assert tiny_encoder(tmp_path / "bert", TEXTS, kind="bert", width=64, layers=1).digest != tiny.digest
