"""The page "Try it" of the site: a browser answers as Python does, and shows it."""

import json
import re
import runpy
import shutil
import unicodedata
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_browser

from arxiv_nbclf import sample
from arxiv_nbclf.classifiers.base import BadBundle
from arxiv_nbclf.classifiers.calibration import preserve_predictions
from arxiv_nbclf.classifiers.linear import LinearClassifier, fnv1a, tokens
from arxiv_nbclf.deployment.prediction import (
    CompactClassifier,
    describe_model,
    knows_enough,
    load_packaged,
)
from arxiv_nbclf.evaluation.error_analysis import word_contributions
from arxiv_nbclf.preprocessing import LABELS, SEPARATOR_TOKEN, label_ids, paper_texts

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "nbs" / "try.qmd").read_text(encoding="utf-8")
write_try_model = runpy.run_path(str(ROOT / "tools" / "try_model.py"))["write_try_model"]
browser, opened = test_browser.browser, test_browser.opened

BOUND = 1e-12  # by which probabilities and contributions may differ: sums are made in another order, nothing else
HARD = [
    "", " ", SEPARATOR_TOKEN, "\0", "a", "a b c", "the of and", "x\0y nu\0ll",
    "naïve Bäcklund Möbius Erdős–Rényi Poincaré", "Straße STRASSE ẞ ß", "İstanbul ısı Iı İİ",
    "e\u0301tude re\u0301sume\u0301 o\u0308 \u0301\u0301 x\u0344y a\u0591\u0301b",
    "ﬁeld ﬂow eﬃcient ﬆochastic ǆ ĳ ŉ", "ſpin Kelvin Å \u212aelvin \u212bngstrom",
    "深度学习 neural 网络 x光 日本語のtext テキスト 한국어 모델",
    "graph 🧠🕸️ networks 👩‍🔬 2️⃣ 🇩🇪 ①② ½ x² H₂O ™ ℃ ㎏",
    "𝐆𝐫𝐚𝐩𝐡 𝒩=4 𝔰𝔲(2) 𝟚𝟛 ｆｕｌｌ ｗｉｄｔｈ１２",
    "half \ud800 a \udfff pair\ud83d x\udc00y",
    r"$\mathbb{Z}_2$ in $L^p(\Omega)$, $\alpha_{i,j}^{(k)} \leq \frac{1}{2}$ \cite{x2020} Schr\"odinger {\'e} \"o",
    "non-linear U(1) 3-D p<0.05 e-mail C++ x_y snake_case",
    "ΑΣ Σίσυφος ОДЕССА Привет αβγ", "ŁÓDŹ Ørsted Đ ø ł æ œ þ ð",
    "tab\tnew\nline\r\nreturn\u2028sep\u00a0nbsp\u200bzero\ufeffbom\u00adsoft",
    "constructor __proto__ toString hasOwnProperty", "summary summary [SUMMARY] Summary",
    "word " * 300, "neural network " * 20_000, "ab" * 100_000, "q" * 50, " ".join(map(str, range(5000))),
    "<script>alert('x')</script> &amp; &lt;b&gt; \" ' ` ${x} */ </textarea>",
]
TEST = """<!doctype html><meta charset="utf-8"><title>test</title><pre id="answers"></pre>
<script src="try/model.js"></script><script src="try/classify.js"></script><script src="cases.js"></script><script>
"use strict";
const model = arxivNbclf.read(arxivNbclfModel);
document.getElementById("answers").textContent = JSON.stringify({
  texts: cases.texts.map((text) => {
    const {winner, probabilities, scores, units, constant} = arxivNbclf.classify(model, text);
    const sum = units.reduce((sum, unit) => sum + unit.contribution, constant) - scores[winner];
    return {winner, probabilities, scores, off: sum, enough: arxivNbclf.classify(model, text).enough, units: units.map((unit) => [unit.unit, unit.times, unit.contribution]).slice(0, 30)};
  }),
  blocks: cases.blocks.map((text) => arxivNbclf.fnv1a(arxivNbclf.tokens(model, text).join(" "))),
  kept: cases.kept.map(([probabilities, decided]) => arxivNbclf.keepDecision(probabilities, decided, model.hair)),
});
</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the page needs beside it."""
    folder = tmp_path_factory.mktemp("site")
    write_try_model(folder / "try")
    return shutil.copytree(ROOT / "nbs" / "try", folder / "try", dirs_exist_ok=True).parent


def answers(browser: str, site: Path, **cases: Any) -> dict[str, Any]:
    """What the browser makes of texts, of blocks of characters, and of decisions to keep."""
    cases = {"texts": [], "blocks": [], "kept": []} | cases
    (site / "cases.js").write_text(f"const cases = {json.dumps(cases)};", encoding="ascii")
    found = re.search(r'<pre id="answers">(.+)</pre>', opened(browser, TEST, site))
    assert found, "the script did not come to its end"
    return json.loads(unescape(found[1]))


def check(found: list[dict[str, Any]], texts: list[str]) -> float:
    """Hold the browser's answers against Python's; the largest difference of a probability."""
    model = load_packaged()
    scores, probabilities = model.decision_function(texts), model.predict_proba(texts)
    worst = np.abs(np.array([answer["probabilities"] for answer in found]) - probabilities).max()
    assert worst < BOUND and np.abs(np.array([answer["scores"] for answer in found]) - scores).max() < BOUND
    assert [answer["winner"] for answer in found] == scores.argmax(axis=1).tolist() == probabilities.argmax(axis=1).tolist()
    assert [int(np.argmax(answer["probabilities"])) for answer in found] == [answer["winner"] for answer in found]
    assert isinstance(model, CompactClassifier)
    assert [answer["enough"] for answer in found] == knows_enough(model, paper_texts(texts, separator=" ")).tolist()
    for answer, text in zip(found, texts, strict=True):
        table = word_contributions(model, model._texts([text])[0], answer["winner"]).sort_values("contribution", key=np.abs, ascending=False, kind="stable")
        times, parts = (dict(zip(table["unit"], table[name], strict=True)) for name in ("times", "contribution"))
        assert len(answer["units"]) == min(30, len(table)) and abs(answer["off"]) < BOUND
        for (unit, often, part), strongest in zip(answer["units"], table["contribution"], strict=False):
            assert often == times[unit] and abs(part - parts[unit]) < BOUND
            assert abs(abs(part) - abs(strongest)) < BOUND, "words stand in the order of Python's, but for equals"
    return float(worst)


def test_a_thousand_papers_are_answered_as_in_python(browser: str, site: Path) -> None:
    texts = paper_texts(sample(1000))
    assert check(answers(browser, site, texts=texts)["texts"], texts) < BOUND


def test_hard_texts_are_answered_as_in_python(browser: str, site: Path) -> None:
    texts = HARD + [f"{text}{SEPARATOR_TOKEN}{text}" for text in HARD]
    check(answers(browser, site, texts=texts)["texts"], texts)


NOTICES = [
    "This paper has been withdrawn by the author.", "Withdrawn.", "Removed by arXiv administrators", "The authors have\nwithdrawn this paper",
    "A plate is withdrawn from a bath.", "arXiv admin note: withdrawn by arXiv admin", "withdrawn " * 40, "This\u00a0paper was withdrawn",
]


def test_notices_are_no_abstracts_as_in_python(browser: str, site: Path) -> None:
    texts = [f"{title}{SEPARATOR_TOKEN}{notice}" for title in ("", "Spectral gaps of random regular graphs") for notice in NOTICES]
    check(answers(browser, site, texts=texts)["texts"], texts)


def test_every_character_is_read_as_in_python(browser: str, site: Path) -> None:
    """Those that this Python knows: a browser's Unicode may be younger."""
    known = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")]
    blocks = ["".join(f"a{one}b " for one in known[start : start + 256]) for start in range(0, len(known), 256)]
    found = answers(browser, site, blocks=blocks)["blocks"]
    model = load_packaged()
    assert isinstance(model, CompactClassifier)
    differing = [block for block, hashed in zip(blocks, found, strict=True) if fnv1a(" ".join(tokens(block, model.pairs))) != hashed]
    assert not differing, differing[0][:50]


def test_decisions_are_kept_as_in_python(browser: str, site: Path) -> None:
    """Also where calibration would have decided otherwise, which few papers show."""
    rng = np.random.default_rng(0)
    probabilities, decided = rng.dirichlet(np.full(len(LABELS), 0.4), 500), rng.integers(len(LABELS), size=500)
    found = answers(browser, site, kept=list(zip(probabilities.tolist(), decided.tolist(), strict=True)))["kept"]
    assert np.abs(np.array(found) - preserve_predictions(probabilities, decided)).max() < BOUND


def shown(browser: str, site: Path, script: str = "") -> str:
    """The page after a script has run on it; a browser that obeys the policy loads nothing that is not a file beside it."""
    block = re.search(r"```\{=html\}\n(.*?)```", PAGE, re.DOTALL)
    assert block
    (site / "press.js").write_text(script, encoding="utf-8")
    policy = "default-src 'none'; script-src file:; style-src file:"
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    body = f'{block[1]}<script src="press.js"></script>'
    return opened(browser, f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>', site)


def part(page: str, name: str) -> str:
    """The text of one element of the page."""
    found = re.search(rf'<(\w+) id="try-{name}".*?>(.*?)</\1>', page, re.DOTALL)
    assert found
    return unescape(re.sub("<[^>]+>", " ", found[2])).replace("\N{NO-BREAK SPACE}", " ").strip()


def test_page_waits_for_a_text(browser: str, site: Path) -> None:
    page = shown(browser, site)
    assert part(page, "verdict") == "Waiting for a title or an abstract."
    assert part(page, "model") == describe_model(load_packaged())
    assert part(page, "reasons") == ""


def test_page_shows_the_answer_as_somebody_types(browser: str, site: Path) -> None:
    title, summary = "Galaxies <b>and</b> dark matter halos", "We measure the redshift of galaxies in a deep survey."
    page = shown(browser, site, typed(title, summary))
    proba = load_packaged().predict_proba([title + SEPARATOR_TOKEN + summary])[0]
    assert part(page, "verdict") == f"Physics (physics), {proba.max():.1%}".replace("%", " %")
    assert page.count("<li") >= len(LABELS) and "galaxies × 2" in part(page, "reasons") and "<b>and</b>" not in page


def typed(title: str, summary: str) -> str:
    """A script that types a paper."""
    return f"""for (const [id, text] of {json.dumps([["try-title", title], ["try-abstract", summary]])}) {{
      document.getElementById(id).value = text;
      document.getElementById(id).dispatchEvent(new Event("input"));
    }}"""


@pytest.mark.parametrize(
    ("title", "summary", "doubt"),
    [
        ("Graphs", "", "Not sure. There are too few words here that the model knows."),
        ("Spectral gaps of random regular graphs", "Withdrawn.", "Withdrawn: the abstract is a notice, so only the title counts."),
        ("深層学習 deep", "画像 1984", "Not sure. There are too few words here that the model knows."),
    ],
)
def test_page_says_what_it_cannot_rest_on(browser: str, site: Path, title: str, summary: str, doubt: str) -> None:
    assert part(shown(browser, site, typed(title, summary)), "doubt").startswith(doubt)


@pytest.mark.parametrize("text", ["深層学習", "Глубокое обучение", "N/A", "-", "the of and"])
def test_page_gives_no_answer_without_a_word(browser: str, site: Path, text: str) -> None:
    assert part(shown(browser, site, typed(text, text)), "verdict") == "No word yet that the model could lean on."


@pytest.mark.parametrize("example", ["example", "doubtful"])
def test_page_has_examples(browser: str, site: Path, example: str) -> None:
    page = shown(browser, site, f'document.getElementById("try-{example}").click();')
    unsure = f"Not sure. At {load_packaged().threshold():.1%} or more, at least 94 %".replace("%", " %", 1)
    assert part(page, "doubt").startswith(unsure) == (example == "doubtful")
    group = re.search(r"\((.+)\)", part(page, "verdict"))
    assert group and f"For {group[1]}" in part(page, "reasons") and f"Against {group[1]}" in part(page, "reasons")


def test_nothing_is_fetched_or_kept() -> None:
    written = PAGE + "".join(path.read_text(encoding="utf-8") for path in (ROOT / "nbs" / "try").iterdir())
    assert not re.search(r"https?:|\bfetch\b|XMLHttpRequest|\bimport\b|innerHTML|\beval\b|Storage\b|cookie|url\(", written)


def test_model_fits_the_page(site: Path, tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in (site / "try").iterdir()) < 1e6
    papers = sample(300)
    words = LinearClassifier(bits=10).fit(papers, label_ids(papers)).save(tmp_path / "words")
    with pytest.raises(BadBundle, match="no model that a browser can run"):
        write_try_model(tmp_path / "try", words)


@pytest.mark.parametrize("spoilt", ["bias[0] = NaN", "bias[3] = Infinity", "weights[2][5] = -1e309"])
def test_page_gives_no_label_where_numbers_are_none(browser: str, site: Path, spoilt: str) -> None:
    script = f"arxivNbclfModel.bundle.calibration.{spoilt};" + typed("Galaxies and dark matter halos", "We measure the redshift of galaxies.")
    page = shown(browser, site, script)
    assert part(page, "verdict").startswith("The model is damaged: its scores are not finite numbers")
    assert part(page, "reasons") == "" and "%" not in part(page, "bars")
