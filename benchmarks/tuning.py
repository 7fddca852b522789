"""A search of the hybrid family's settings against its defaults, and what a study costs: prints one JSON line.

    python benchmarks/tuning.py PAPERS.xlsx [--family hybrid] [--trials 200] [--folds 5] [--set NAME=VALUE]

The search judges its trials by folds of the train side (--folds 0: by the validation side); the winner and the untuned family are then
scored on the test side of the seed split, and the difference comes with the ends of its 95 % interval (both models on the same
resampled papers). Encoder features are read from the cache, or encoded before the clock starts. The overhead of a study is measured
with trials that do nothing but draw four numbers, in a file of their own.
"""

import argparse
import json
import logging
import resource
import tempfile
from pathlib import Path
from time import perf_counter

from _origin import origin
from _scores import figures, gains

from arxiv_nbclf.classifiers.base import new_classifier
from arxiv_nbclf.classifiers.selection import parse_settings
from arxiv_nbclf.data.papers import read_papers
from arxiv_nbclf.preprocessing import label_ids, split_papers
from arxiv_nbclf.tuning.search import Search, best_classifier, run_trials
from arxiv_nbclf.tuning.spaces import choose_space
from arxiv_nbclf.tuning.studies import (
    new_sampler,
    open_storage,
    open_study,
    quiet_optuna,
)


def overhead_ms(folder: Path, sampler: str, trials: int = 100) -> float:
    """Milliseconds of bookkeeping in a trial: draw by the sampler, write to SQLite."""
    study = open_study(open_storage(folder / f"{sampler}.db"), "overhead", {})
    start = perf_counter()
    with quiet_optuna():
        for number in range(trials):
            study.sampler = new_sampler(sampler, number)
            study.optimize(lambda trial: sum(trial.suggest_float(name, 0, 1) for name in "abcd"), n_trials=1)
    return round(1000 * (perf_counter() - start) / trials, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("papers", help="a file, a folder of files, or the word sample")
    parser.add_argument("--family", default="hybrid")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--folds", type=int, default=5, help="folds of the train side that judge; 0: the validation side")
    parser.add_argument("--set", action="append", default=[], help="a setting of the family, held fixed")
    parser.add_argument("--verbose", action="store_true", help="tell of the trials on stderr")
    arguments = parser.parse_args()
    if arguments.verbose:
        logging.basicConfig(level="INFO")
    papers = read_papers(arguments.papers).papers
    labels, split = label_ids(papers), split_papers(papers, plan="seed")
    train_papers, validation, test = ((papers[split == side], labels[split == side]) for side in ("train", "validation", "test"))
    settings = parse_settings(arguments.set)
    begin = perf_counter()
    untuned = new_classifier(arguments.family, **settings).fit(*train_papers, validation=validation)
    before = untuned.predict_proba(test[0])
    untuned_s = perf_counter() - begin
    space = choose_space(arguments.family, settings=settings)
    search = Search(space, objective="macro_f1", trials=arguments.trials, folds=arguments.folds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = open_study(open_storage(folder / "study.db"), "search", search.search_request())
        start = perf_counter()
        run_trials(study, search, train_papers, validation, folder / "work")
        search_s = perf_counter() - start
        tuned = best_classifier(study, search, train_papers, validation, folder / "work")
        costs = {sampler: overhead_ms(folder, sampler) for sampler in ("random", "tpe")}
    after = tuned.classifier.predict_proba(test[0])
    result = {
        "benchmark": "tuning",
        "family": arguments.family,
        "trials": arguments.trials,
        "search_s": round(search_s, 1),
        "s_per_trial": round(search_s / arguments.trials, 2),
        "untuned_fit_and_test_s": round(untuned_s, 2),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "study_ms_per_trial": costs,
        "search": search.search_request(),
        "defaults": tuned.record["defaults"],
        "best": tuned.record["best"],
        "check": tuned.record["check"],
        "test": {"untuned": figures(test[1], before), "tuned": figures(test[1], after)},
        "gain": gains(test[1], before.argmax(axis=1), after.argmax(axis=1)),
        **origin(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
