"""How good the proposals of a review are, on papers that the judging model has not learnt from: prints one JSON line.

    python benchmarks/review.py PAPERS

The test papers of the seed split that the packaged model has not learnt from are judged by it, the papers that it has learnt from out of fold,
as `review` does. Nobody has corrected the labels, so a proposal for a paper as it is filed counts as a false alarm, right as it may be. Measured are: how many proposals
for the primary are among the paper's cross-lists; whether `add_secondary` finds a cross-list that is hidden, and `reject_secondary` one that is made up;
whether a paper is found whose primary is exchanged for another, drawn by frequency from all categories, or from those of other groups. A paper's
judge has not seen the paper, so exchanging each paper's label in turn is as good as fitting anew; `noisy` does fit anew, with five per cent exchanged.
Intervals (95 %) are of a bootstrap over papers. The policy is arXiv's; no threshold is chosen here.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from _origin import origin

from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.data.taxonomy import group_of
from arxiv_nbclf.deployment.prediction import load_packaged
from arxiv_nbclf.deployment.review import (
    Action,
    Filing,
    Policy,
    Rules,
    _read_filings,
    find_judges,
    paper_actions,
    review_table,
)
from arxiv_nbclf.preprocessing import split_papers

FLIPPED = 0.05  # of a table
RESAMPLES = 2_000
PRIMARY = ("promote", "propose_primary")
LIMITS = (0.0003, 0.001, 0.003, 0.01, 0.03)  # of reject_secondary, for the table of what others would do


@dataclass(frozen=True)
class Scored:
    """A paper with what its judge makes of it."""

    row: int
    filed: Filing
    rules: Rules
    shares: np.ndarray
    chances: np.ndarray

    def actions(self, **changes: Any) -> list[Action]:
        """The actions, if the paper were filed otherwise."""
        return paper_actions(self.rules, replace(self.filed, **changes), self.shares, self.chances)


def score(papers: pd.DataFrame) -> dict[str, list[Scored]]:
    """Papers judged by the packaged model, and out of fold."""
    filings, found = _read_filings(papers), dict[str, list[Scored]](unseen=[], out_of_fold=[])
    test = (split_papers(papers, plan="seed") == "test").to_numpy()
    for judge in find_judges(papers, filings, load_packaged()):
        shares, chances = judge.classifier.predict_with_listed(papers.iloc[judge.rows])
        assert chances is not None
        rules = Rules.of(judge.classifier, Policy())
        side = found["out_of_fold" if judge.out_of_fold else "unseen"]
        for at, row in enumerate(judge.rows.tolist()):
            if not filings[row].problem and filings[row].primary in rules.place and (judge.out_of_fold or test[row]):
                side.append(Scored(row, filings[row], rules, shares[at], chances[at]))
    return found


def interval(table: np.ndarray, figure: Callable[[np.ndarray], float]) -> dict[str, Any]:
    """A figure of the columns' sums, with its interval over resampled rows."""
    rng, n = np.random.default_rng(0), len(table)
    drawn = [figure(table[rng.integers(0, n, n)].sum(axis=0)) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return {"value": round(figure(table.sum(axis=0)), 4), "interval": [round(float(low), 4), round(float(high), 4)]}


def share(hits: Sequence[bool] | np.ndarray, of: Sequence[bool] | np.ndarray | None = None) -> dict[str, Any]:
    """A share of papers, or of some of them."""
    every = np.ones(len(hits)) if of is None else np.asarray(of, float)
    table = np.column_stack([np.asarray(hits, float) * every, every])
    return interval(table, lambda sums: sums[0] / sums[1] if sums[1] else float("nan")) | {"n": int(every.sum())}


def primary_of(actions: list[Action]) -> str:
    """The primary that is proposed; "" for none."""
    return actions[0].proposed if actions[0].action in PRIMARY else ""


def as_filed(papers: list[Scored]) -> dict[str, Any]:
    """Actions for papers as they are, and how many primaries are among the cross-lists."""
    actions = [one.actions() for one in papers]
    proposed = [bool(primary_of(some)) for some in actions]
    listed = [some[0].action == "promote" for some in actions]
    crossed = [bool(one.filed.secondaries) for one in papers]
    # what chance would reach: the same proposals, dealt to other papers that get one
    dealt = np.random.default_rng(0).permutation([primary_of(some) for some, any_ in zip(actions, proposed, strict=True) if any_])
    to = [one for one, any_ in zip(papers, proposed, strict=True) if any_]
    return {
        "papers": len(papers),
        "actions": Counter(one.action for some in actions for one in some),
        "primary_proposed": share(proposed),
        "among_cross_lists": share(listed, proposed),
        "among_cross_lists_if_there_are_any": share(listed, [p and c for p, c in zip(proposed, crossed, strict=True)]),
        "among_cross_lists_by_chance": share([code in one.filed.secondaries for code, one in zip(dealt.tolist(), to, strict=True)]),
    }


def hidden(papers: list[Scored]) -> dict[str, Any]:
    """Whether a cross-list that is hidden is proposed again."""
    rng, found, named, ruled = np.random.default_rng(0), [], [], []
    for one in papers:
        known = [code for code in one.filed.secondaries if code in one.rules.place]
        if not known:
            continue
        gone = known[rng.integers(len(known))]
        actions = one.actions(secondaries=tuple(code for code in one.filed.secondaries if code != gone))
        by_rule = [some.proposed for some in actions if "cross-list each other" in some.reason]
        added = [some.proposed for some in actions if some.action == "add_secondary" and some.proposed not in by_rule]
        found.append(gone in added)
        ruled.append(gone in by_rule)
        named.append(len(added))
    table = np.column_stack([found, named]).astype(float)
    return {
        "recall": share(np.array(found) | np.array(ruled)),
        "recall_without_pairs": share(found, ~np.array(ruled)),
        "precision_without_pairs": interval(table, lambda sums: sums[0] / sums[1]) | {"n": int(sum(named))},
    }


def made_up(papers: list[Scored], codes: list[str]) -> dict[str, Any]:
    """How many cross-lists are rejected: of those that are listed, and of those that were drawn."""
    rng, tried = np.random.default_rng(0), []
    real = [one.chances[one.rules.place[code]] for one in papers for code in one.filed.secondaries if code in one.rules.place]
    for one in papers:
        drawn = codes[rng.integers(len(codes))]
        if drawn in one.rules.place and drawn not in (one.filed.primary, *one.filed.secondaries):
            tried.append((one, drawn))
    rejected = [any(some[:2] == ("reject_secondary", code) for some in one.actions(secondaries=(*one.filed.secondaries, code))) for one, code in tried]
    real_rejected = [any(some.action == "reject_secondary" for some in one.actions()) for one in papers]
    fake = np.array([one.chances[one.rules.place[code]] for one, code in tried])
    at = [{"limit": limit, "listed": round(float(np.mean(np.array(real) < limit)), 4), "made_up": round(float(np.mean(fake < limit)), 4)} for limit in LIMITS]
    return {"made_up_rejected": share(rejected), "papers_with_a_rejected_one": share(real_rejected, [bool(one.filed.secondaries) for one in papers]), "by_limit": at}


def other_code(filed: Filing, codes: list[str], rng: np.random.Generator, elsewhere: bool) -> str:
    """Another category by frequency; of another group, if it is to be elsewhere."""
    while True:
        code = codes[rng.integers(len(codes))]
        if code != filed.primary and not (elsewhere and group_of(code) == group_of(filed.primary)):
            return code


def flipped(papers: list[Scored], codes: list[str], elsewhere: bool) -> dict[str, Any]:
    """Recall of exchanged labels, and precision where FLIPPED of all are exchanged."""
    rng, rows = np.random.default_rng(0), []
    for one in papers:
        code = other_code(one.filed, codes, rng, elsewhere)
        # the other codes stay; the true one is not left among them
        others = tuple(known for known in one.filed.secondaries if known != code)
        now, before = primary_of(one.actions(primary=code, secondaries=others)), primary_of(one.actions())
        rows.append((bool(now), now == one.filed.primary, now in (one.filed.primary, *others), bool(before), before in one.filed.secondaries, 1))
    table = np.array(rows, float)

    def precision(sums: np.ndarray) -> float:
        return FLIPPED * sums[0] / (FLIPPED * sums[0] + (1 - FLIPPED) * sums[3])

    def lenient(sums: np.ndarray) -> float:
        right = FLIPPED * sums[0] + (1 - FLIPPED) * sums[4]
        return right / (FLIPPED * sums[0] + (1 - FLIPPED) * sums[3])

    return {
        "n": len(papers),
        "recall": interval(table, lambda sums: sums[0] / sums[5]),
        "true_category_proposed": interval(table, lambda sums: sums[1] / sums[5]),
        "true_or_listed_category_proposed": interval(table, lambda sums: sums[2] / sums[5]),
        "false_alarms": interval(table, lambda sums: sums[3] / sums[5]),
        "precision": interval(table, precision),
        "precision_with_cross_lists": interval(table, lenient),
    }


def noisy(papers: pd.DataFrame, learnt: list[int], codes: list[str]) -> dict[str, Any]:
    """Five per cent exchanged, half of them to other groups, and everything fitted anew."""
    rng, filings = np.random.default_rng(1), _read_filings(papers)
    rows = rng.choice(learnt, round(FLIPPED * len(learnt)), replace=False)
    changed = papers.copy()
    for number, row in enumerate(rows):
        code = other_code(filings[row], codes, rng, number % 2 == 0)
        others = [known for known in filings[row].secondaries if known != code]
        changed.loc[row, ["main_category", "categories"]] = code, ",".join([code, *others])
    start = process_time()
    review = review_table(changed)
    seconds = process_time() - start
    found = review.actions[review.actions["action"].isin(PRIMARY) & review.actions.index.isin(learnt)]
    wrong = {row: filings[row].primary for row in rows.tolist()}
    order = [row in wrong for row in found.index]
    hit = dict(zip(found.index, found["proposed"], strict=True))
    kinds = {name: rows[first::2].tolist() for name, first in (("to_another_group", 0), ("by_frequency", 1))}
    return {
        "papers": len(learnt), "exchanged": len(rows), "proposals": len(found), "cpu_s": round(seconds, 1),
        "recall": share([row in hit for row in wrong]),
        "true_category_proposed": share([hit.get(row) == code for row, code in wrong.items()]),
        **{f"recall_{name}": share([row in hit for row in some]) for name, some in kinds.items()},
        "precision": share(order),
        "precision_of_first": {str(n): round(float(np.mean(order[:n])), 4) for n in (50, 100, 200, 400) if n <= len(order)},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="the table whose seed split the packaged model was scored on")
    options = parser.parse_args()
    papers = read_papers(options.papers).papers
    start = process_time()
    sides = score(papers)
    result: dict[str, Any] = {"benchmark": "review", "judging_cpu_s": round(process_time() - start, 1), "flipped": FLIPPED}
    codes = [filed.primary for filed in _read_filings(papers) if filed.primary]
    for name, some in sides.items():
        result[name] = {
            "as_filed": as_filed(some), "hidden_cross_list": hidden(some), "made_up_cross_list": made_up(some, codes),
            "flipped_by_frequency": flipped(some, codes, False), "flipped_to_another_group": flipped(some, codes, True),
        }  # fmt: skip
        print(name, json.dumps(result[name]), file=sys.stderr, flush=True)
    learnt = sorted(one.row for one in sides["out_of_fold"])
    result["noisy_out_of_fold"] = noisy(papers, learnt, codes)
    print(json.dumps(result | origin()))


if __name__ == "__main__":
    main()
