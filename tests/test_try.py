"""The page "Try it" of the site: a browser answers as Python does, and shows it."""

import json
import re
import runpy
import shutil
import unicodedata
from collections import Counter
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_browser

from arxiv_nbclf import predict, sample
from arxiv_nbclf.classifiers.base import BadBundle
from arxiv_nbclf.classifiers.linear import (
    SOFTMAX_BITS,
    LinearClassifier,
    bucket,
    count_pairs,
    fnv1a,
    tokens,
)
from arxiv_nbclf.data.taxonomy import name_of
from arxiv_nbclf.deployment.prediction import (
    MAX_CROSS_LISTS,
    CompactClassifier,
    Prediction,
    cross_lists,
    describe_model,
    knows_enough,
    load_packaged,
    predict_table,
)
from arxiv_nbclf.preprocessing import (
    LABELS,
    SEPARATOR_TOKEN,
    group_matrix,
    label_ids,
    paper_texts,
)

ROOT = Path(__file__).parents[1]
PAGE, SCRIPT, STYLE = ((ROOT / "nbs" / name).read_text(encoding="utf-8") for name in ("try.qmd", "try/page.js", "try/try.css"))
write_try_model = runpy.run_path(str(ROOT / "tools" / "try_model.py"))["write_try_model"]
browser, opened = test_browser.browser, test_browser.opened

BOUND = 1e-6  # by which probabilities may differ: Python's sums of 32 bits are made in another order
SCORE_BOUND = 1e-5  # scores reach 20 and more
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
<script src="try/model.js"></script><script src="try/model-more.js"></script>
<script src="try/classify.js"></script><script src="cases.js"></script><script>
"use strict";
const first = arxivNbclf.read(arxivNbclfModel), model = arxivNbclf.complete(first, arxivNbclfMore);
document.getElementById("answers").textContent = JSON.stringify({
  texts: cases.texts.map((text) => {
    const {units, ...answer} = arxivNbclf.classify(cases.preview ? first : model, text);
    return {...answer, sum: units.reduce((sum, unit) => sum + unit.contribution, answer.constant), units: units.map((unit) => [unit.unit, unit.times, unit.contribution]).slice(0, 30)};
  }),
  marked: cases.papers.map(([title, summary]) => {
    const {units, constant} = arxivNbclf.classify(model, arxivNbclf.join(model, title, summary)), found = arxivNbclf.highlights(model, title, summary, units);
    const sum = units.reduce((sum, unit) => sum + unit.contribution, 0);
    return {sum, words: found && found.map((field) => field.map(({word, from, to, share}) => [word, from, to, share]))};
  }),
  blocks: cases.blocks.map((text) => arxivNbclf.fnv1a(arxivNbclf.tokens(model, text).join(" "))),
  other: arxivNbclf.complete(first, {...arxivNbclfMore, version: "0"}),
});
</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the page needs beside it."""
    folder = tmp_path_factory.mktemp("site")
    write_try_model(folder / "try")
    return shutil.copytree(ROOT / "nbs" / "try", folder / "try", dirs_exist_ok=True).parent


def answers(browser: str, site: Path, **cases: Any) -> dict[str, Any]:
    """What the browser makes of texts and of blocks of characters."""
    cases = {"texts": [], "blocks": [], "papers": [], "preview": False} | cases
    (site / "cases.js").write_text(f"const cases = {json.dumps(cases)};", encoding="ascii")
    found = re.search(r'<pre id="answers">(.+)</pre>', opened(browser, TEST, site))
    assert found, "the script did not come to its end"
    return json.loads(unescape(found[1]))


def packaged() -> CompactClassifier:
    """The packaged model."""
    model = load_packaged()
    assert isinstance(model, CompactClassifier) and model.softmax_ is not None and model.listed_ is not None
    return model


def packaged_answer(title: str, summary: str, level: str) -> Prediction:
    """What the packaged model answers for one paper."""
    answer = predict(title, summary, level=level)
    assert isinstance(answer, Prediction)
    return answer


def contributions(model: CompactClassifier, text: str, category: int) -> tuple[dict[str, tuple[int, float]], float]:
    """What each word adds to a category's score above the mean of all, and the constant."""
    softmax, n = model.softmax_, len(model.labels_)
    assert softmax is not None
    counts = count_pairs([text])
    values = dict(zip(softmax.features.buckets.tolist(), softmax.features(counts).toarray()[0], strict=True))
    column = softmax.output[:, category] - softmax.output[:, :n].mean(axis=1)
    weights = dict(zip(softmax.features.buckets.tolist(), softmax.embeddings @ column, strict=True))
    times = Counter(tokens(text, pairs=True))
    places = {unit: bucket(unit, SOFTMAX_BITS) for unit in times}
    known = {unit: place for unit, place in places.items() if place in values}
    parts = {unit: (times[unit], float(values[place] * weights[place] * times[unit] / counts[0, place])) for unit, place in known.items()}
    return parts, float(softmax.bias[category] - softmax.bias[:n].mean())


def check(found: list[dict[str, Any]], texts: list[str], reasons: int = 40) -> dict[str, float]:
    """Hold the browser's answers against Python's, words for some of them; the largest differences."""
    model = packaged()
    assert model.softmax_ is not None and model.listed_ is not None
    labels, seen = model.labels_, model._texts(texts)
    probabilities = model.predict_proba(texts, level="category")
    groups, chances = model.predict_proba(texts, level="group"), model.predict_listed_proba(texts)
    shown = [Prediction(dict(zip(labels, row, strict=True)), level="category") for row in probabilities.tolist()]
    primary = np.array([labels.index(one.predicted) for one in shown])
    wanted = {"probabilities": probabilities, "groups": groups, "chances": chances, "scores": model.softmax_(seen)}
    worst = {name: float(np.abs(np.array([one[name] for one in found]) - array).max()) for name, array in wanted.items()}
    assert max(worst[name] for name in ("probabilities", "groups")) < BOUND and max(worst.values()) < SCORE_BOUND, worst
    assert [one["group"] for one in found] == groups.argmax(axis=1).tolist() == [LABELS.index(one.group) for one in shown]
    for one, prediction in zip(found, shown, strict=True):
        ranked = [labels[i] for i in one["best"]]
        assert ranked[0] == prediction.predicted and len(ranked) == 5
        assert np.allclose([prediction.probabilities[code] for code in ranked], [p for _, p in prediction.top(5)], atol=BOUND)
    others = cross_lists(chances, primary, model.listed_.thresholds)
    assert [one["crossLists"] for one in found] == others and max(map(len, others)) <= MAX_CROSS_LISTS
    assert [one["enough"] for one in found] == knows_enough(model, paper_texts(texts, separator=" ")).tolist()
    for answer, text in list(zip(found, seen, strict=True))[:reasons]:
        parts, constant = contributions(model, text, answer["best"][0])
        assert len(answer["units"]) == min(30, len(parts)) and abs(answer["constant"] - constant) < SCORE_BOUND
        scores = np.array(answer["scores"][: len(labels)])
        assert abs(answer["sum"] - (scores[answer["best"][0]] - scores.mean())) < SCORE_BOUND, "words make up the whole score"
        strongest = sorted((abs(part) for _, part in parts.values()), reverse=True)
        for (unit, often, part), size in zip(answer["units"], strongest, strict=False):
            assert often == parts[unit][0] and abs(part - parts[unit][1]) < SCORE_BOUND
            assert abs(abs(part) - size) < SCORE_BOUND, "words stand in the order of Python's, but for equals"
    return worst


def test_papers_are_answered_as_in_python(browser: str, site: Path) -> None:
    papers, labels = sample(200), np.array(packaged().labels_)
    texts = paper_texts(papers)
    found = answers(browser, site, texts=texts)["texts"]
    assert check(found, texts)["probabilities"] < BOUND
    table = predict_table(packaged(), papers, level="category")
    named = [table["predicted"], *(table[f"top_{k}"] for k in range(2, 6))]
    assert [labels[one["best"]].tolist() for one in found] == np.transpose(named).tolist()
    assert [",".join(labels[one["crossLists"]]) if one["crossLists"] else "" for one in found] == table["cross_lists"].tolist()
    assert [LABELS[one["group"]] for one in found] == table["group"].tolist() == predict_table(packaged(), papers, level="group")["predicted"].tolist()


def test_first_part_gives_a_preview(browser: str, site: Path) -> None:
    """It agrees with the whole model on most papers, knows no cross-lists, and what counts as known is the same."""
    texts = paper_texts(sample(200))
    found, whole = (answers(browser, site, texts=texts, preview=part)["texts"] for part in (True, False))
    assert {one["crossLists"] for one in found} == {None}
    assert [one["enough"] for one in found] == [one["enough"] for one in whole]
    assert np.mean([one["group"] == other["group"] for one, other in zip(found, whole, strict=True)]) > 0.8
    assert np.mean([one["best"][0] in other["best"] for one, other in zip(found, whole, strict=True)]) > 0.8
    assert all(one["known"] <= other["known"] for one, other in zip(found, whole, strict=True))


def test_another_version_is_not_mixed_in(browser: str, site: Path) -> None:
    assert answers(browser, site)["other"] is None


def test_hard_texts_are_answered_as_in_python(browser: str, site: Path) -> None:
    texts = HARD + [f"{text}{SEPARATOR_TOKEN}{text}" for text in HARD]
    check(answers(browser, site, texts=texts)["texts"], texts, len(texts))


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
    differing = [block for block, hashed in zip(blocks, found, strict=True) if fnv1a(" ".join(tokens(block, pairs=True))) != hashed]
    assert not differing, differing[0][:50]


def plain(text: str) -> str:
    """Text as words are compared: accents off, lower-case."""
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one)).lower()


def test_words_are_marked_where_they_stand(browser: str, site: Path) -> None:
    """Every word of title and abstract that the model reads, with parts that add up to the whole score; none of a notice."""
    papers = [*zip(sample(20).title, sample(20).summary, strict=True), *((text, text[::-1]) for text in HARD)]
    found = answers(browser, site, papers=papers)["marked"]
    for fields, one in zip(papers, found, strict=True):
        if one["words"] is None:
            assert SEPARATOR_TOKEN.strip() in "".join(fields), "only the mark itself is no word where it stands"
            continue
        assert abs(sum(share for field in one["words"] for *_, share in field) - one["sum"]) < SCORE_BOUND
        for field, words in zip(fields, one["words"], strict=True):
            units = field.encode("utf-16-le", "surrogatepass")
            cut = [units[2 * start : 2 * end].decode("utf-16-le", "surrogatepass") for _, start, end, _ in words]
            assert [plain(text) for text in cut] == [word for word, *_ in words]
    (one,) = answers(browser, site, papers=[["Spectral gaps", "This paper has been withdrawn by the author."]])["marked"]
    assert [len(field) for field in one["words"]] == [2, 0]


def shown(browser: str, site: Path, script: str = "", more: bool = True, saving: bool = False) -> str:
    """The page after a script has run on it; a browser that obeys the policy loads nothing that is not a file beside it."""
    block = re.search(r"```\{=html\}\n(.*?)```", PAGE, re.DOTALL)
    assert block
    (site / "press.js").write_text(script, encoding="utf-8")
    policy = "default-src 'none'; script-src file:; style-src file:"
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    (site / "saving.js").write_text("Object.defineProperty(navigator, 'connection', {value: {saveData: true}});" if saving else "", encoding="utf-8")
    body = f'<script src="saving.js"></script>{block[1]}<script src="press.js"></script>'
    if not more:
        (site / "try" / "model-more.js").rename(site / "away.js")
    try:
        return opened(browser, f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>', site)
    finally:
        if not more:
            (site / "away.js").rename(site / "try" / "model-more.js")


def part(page: str, name: str) -> str:
    """The text of one element of the page."""
    found = re.search(rf'<(\w+) id="try-{name}".*?>(.*?)</\1>', page, re.DOTALL)
    assert found
    return unescape(re.sub("<[^>]+>", " ", found[2])).replace("\N{NO-BREAK SPACE}", " ").strip()


CLEAR = 'document.getElementById("try-clear").click();'


def marks(page: str, sign: str) -> list[str]:
    """The words of the text that are marked as for or against."""
    return [unescape(word) for word in re.findall(rf'<mark class="try-{sign} try-level-\d">([^<]*)</mark>', page)]


def test_page_opens_with_an_example_answered(browser: str, site: Path) -> None:
    """Group, category, cross-lists, and the words in the text, as Python has them; signs are told by more than colour."""
    page = shown(browser, site)
    title, summary = (re.search(rf"first: \[\s*{line}", SCRIPT, re.S)[1] for line in (r'"([^"]*)"', r'"[^"]*",\s*(".*?"),\s*\]'))  # type: ignore[index]
    summary = "".join(re.findall(r'"([^"]*)"', summary))
    answer, group = (packaged_answer(title, summary, level) for level in ("category", "group"))
    assert group.probability > 0.8 and len(answer.cross_lists) >= 2, "an answer that is clear, and shows what there is"
    assert part(page, "verdict") == f"{name_of(group.predicted)} ({group.predicted}), {group.probability:.1%}".replace("%", " %")
    for code in (answer.predicted, *answer.cross_lists):
        assert f"{name_of(code)} ({code})" in part(page, "category")
    text = f"{title} {summary}"
    plus, minus = marks(page, "plus"), marks(page, "minus")
    assert plus[0] == "for" and minus[0] == "against", "the legend"
    assert {"graphs", "vertices", "random"} < set(plus[1:]) < set(re.findall(r"\w+", text)) and {"Simulations"} <= set(minus[1:])
    assert len(plus) + len(minus) < 0.6 * len(text.split()), "what adds little is not marked"
    lines = {sign: re.search(rf"\.try-{sign} \{{[^}}]*border-bottom-style: (\w+)", STYLE) for sign in ("plus", "minus")}
    assert {sign: line and line[1] for sign, line in lines.items()} == {"plus": "solid", "minus": "dashed"}


def test_page_waits_for_a_text(browser: str, site: Path) -> None:
    page = shown(browser, site, CLEAR)
    assert part(page, "verdict") == "Waiting for a title or an abstract."
    assert part(page, "model") == describe_model(load_packaged())
    assert part(page, "reasons") == ""


def test_page_shows_the_answer_as_somebody_types(browser: str, site: Path) -> None:
    title, summary = "Galaxies <b>and</b> dark matter halos", "We measure the redshift of galaxies in a deep survey."
    page = shown(browser, site, typed(title, summary))
    text, model = title + SEPARATOR_TOKEN + summary, packaged()
    groups, codes = model.predict_proba([text], level="group")[0], model.predict_proba([text], level="category")[0]
    best = Prediction(dict(zip(model.labels_, codes.tolist(), strict=True)), level="category")
    assert part(page, "verdict") == f"Physics (physics), {groups.max():.1%}".replace("%", " %")
    wanted = f"Category: {name_of(best.predicted)} ({best.predicted}), {best.probability:.1%}.".replace("%", " %")
    assert part(page, "category").startswith(wanted) and "ross-lists" in part(page, "category")
    assert part(page, "part").startswith("The whole model is loaded") and part(page, "part").endswith("the answer is final.")
    assert page.count("<li") >= len(LABELS) + 5 and "galaxies × 2" in part(page, "reasons") and "<b>and</b>" not in page
    assert f"For {best.predicted}" in part(page, "reasons") and np.isclose((codes @ group_matrix(model.labels_)).max(), groups.max())


def test_page_says_how_much_of_the_model_is_loaded(browser: str, site: Path) -> None:
    features = len(packaged().softmax_.features.buckets)  # type: ignore[union-attr]
    saving, pressed = (shown(browser, site, CLEAR + script, saving=True) for script in ("", 'document.getElementById("try-more").click();'))
    assert f"most frequent of {features:,} words and pairs" in part(saving, "part") and "once there is a text" in part(saving, "part")
    assert part(pressed, "part").startswith("The whole model is loaded") and part(pressed, "verdict") == "Waiting for a title or an abstract."
    assert 'model-more.js"></script>' not in saving and 'model-more.js"></script>' in pressed
    opened_page = shown(browser, site)
    assert part(opened_page, "part").startswith("The whole model is loaded") and 'model-more.js"></script>' in opened_page


def test_page_gives_a_preview_where_the_rest_does_not_come(browser: str, site: Path) -> None:
    page = shown(browser, site, typed("Galaxies and dark matter halos", "We measure the redshift of galaxies in a deep survey."), more=False)
    assert part(page, "part").startswith("The answer is provisional") and part(page, "part").endswith("could not be loaded.")
    assert part(page, "verdict").startswith("Physics (physics), ") and "ross-lists" not in part(page, "category")
    assert not re.search(r'id="try-more"[^>]*hidden', page), "the button tries again"


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
    unsure = f"Not sure. At {packaged().threshold(level='group'):.1%} or more, at least 94 %".replace("%", " %", 1)
    assert part(page, "doubt").startswith(unsure) == (example == "doubtful")
    code = re.search(r"\(([^()]+)\), ", part(page, "category"))
    assert code and f"For {code[1]}" in part(page, "reasons") and f"Against {code[1]}" in part(page, "reasons")


def test_nothing_is_sent_or_kept() -> None:
    written = PAGE + "".join(path.read_text(encoding="utf-8") for path in (ROOT / "nbs" / "try").iterdir())
    assert not re.search(r"https?:|\bfetch\b|XMLHttpRequest|\bimport\b|innerHTML|\beval\b|Storage\b|cookie|url\(", written)


def test_model_fits_the_page(site: Path, tmp_path: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in (site / "try").iterdir()}
    rest = sizes.pop("model-more.js")
    assert sum(sizes.values()) < 1.1e6 and rest < 11e6
    papers = sample(300)
    words = LinearClassifier(bits=10).fit(papers, label_ids(papers)).save(tmp_path / "words")
    with pytest.raises(BadBundle, match="no model that a browser can run"):
        write_try_model(tmp_path / "try", words)


@pytest.mark.parametrize("spoilt", ["bias[0] = NaN", "bias[3] = Infinity", "temperature = 0", "top[0] = NaN"])
def test_page_gives_no_label_where_numbers_are_none(browser: str, site: Path, spoilt: str) -> None:
    script = f"arxivNbclfModel.calibration.{spoilt};" + typed("Galaxies and dark matter halos", "We measure the redshift of galaxies.")
    page = shown(browser, site, script)
    assert part(page, "verdict").startswith("The model is damaged: its scores are not finite numbers")
    assert part(page, "reasons") == "" and "%" not in part(page, "bars")
