/* The page that runs the packaged model as somebody types: what it shows, and when. What the model says is the business of
 * classify.js. Text from the visitor only ever becomes textContent. The page opens with an example, loads one file of its own, the other
 * part of the model, and sends nothing. */
"use strict";

(() => {
  const byId = (id) => document.getElementById(`try-${id}`);
  const LEVELS = [0.2, 0.45, 0.7]; // shares of the strongest word's part from which a word is marked, and marked more
  const MOST = 8; // words that are listed for the winner, and as many against it
  const SCRIPT = document.currentScript.src; // the other part of the model is beside it
  const LONG = 20000; // characters; a longer text is answered when there is a pause in the typing

  // Made up for this page.
  const EXAMPLES = {
    first: [
      "How many neighbours does a rumour need? Spreading times on random graphs",
      "We study how long a rumour takes to reach all vertices of a random graph when each vertex passes it on to a few random neighbours in " +
      "every round. For random regular graphs we prove upper and lower bounds on the spreading time that differ by a constant, using the " +
      "spectral gap of the random walk. The proof couples the process with a branching process. Simulations suggest that the bounds also " +
      "hold for graphs with power-law degrees.",
    ],
    clear: [
      "Cooling a small cloud of rubidium atoms below the recoil limit with a pair of pulsed lasers",
      "We load a dilute gas of rubidium atoms into an optical lattice and cool it with two pulsed laser beams whose detuning follows the " +
      "measured momentum distribution. After forty pulses the temperature falls below the recoil limit, and a narrow peak in the " +
      "time-of-flight images marks the onset of condensation. A simple rate equation for the occupation of the lowest bands agrees with " +
      "the measured lifetimes.",
    ],
    doubtful: [
      "How many labels does a ranking need? Sample sizes for comparing noisy judges",
      "Several judges order the same items, each with errors of an unknown rate. We estimate the common order by a penalised likelihood, " +
      "derive a bound on the number of comparisons that keeps the error below a given level, and propose an algorithm that chooses the " +
      "next pair to ask about. Simulations and a data set of school essays show that about half of the labels can be saved.",
    ],
  };

  /** An element with children, which are elements or text. */
  const element = (tag, name, ...children) => {
    const made = document.createElement(tag);
    made.className = name;
    made.append(...children);
    return made;
  };

  const bar = (share, name = "") => {
    const made = element("span", `try-bar ${name}`, element("span", ""));
    made.setAttribute("aria-hidden", "true"); // the number beside it says the same
    made.firstChild.style.width = `${100 * share}%`;
    return made;
  };

  const percent = (share) => {
    const digits = (100 * share).toFixed(1);
    return share > 0 && digits === "0.0" ? "<\u00a00.1\u00a0%" : share < 1 && digits === "100.0" ? ">\u00a099.9\u00a0%" : `${digits}\u00a0%`;
  };
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)}\u00a0MB`;
  const count = (number) => number.toLocaleString("en");
  const whole = (share) => `${Math.round(100 * share)}\u00a0%`;
  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;

  /** The answer to a text, or an error with the sentence that is shown instead. */
  const answerTo = (model, text) => {
    try {
      return arxivNbclf.classify(model, text);
    } catch (error) {
      if (error instanceof RangeError) return error;
      throw error;
    }
  };

  /** What is said of an answer: the group, and whether it is sure. */
  const verdict = ({groups, names, sure}, answer, gone) => {
    const group = groups[answer.group], share = answer.groups[answer.group];
    const [second] = [...groups.keys()].filter((i) => i !== answer.group).sort((a, b) => answer.groups[b] - answer.groups[a]);
    const notice = gone ? "Withdrawn: the abstract is a notice, so only the title counts. " : "";
    const doubt = notice + (!answer.enough ? "Not sure. There are too few words here that the model knows." : share >= sure.threshold ? "" :
      `Not sure. At ${percent(sure.threshold)} or more, at least ${whole(sure.accuracy)} of the groups were right on papers that the model had ` +
      `not learnt from; this one is below. Next is ${groups[second]} with ${percent(answer.groups[second])}.`);
    return {line: `${names[group]} (${group}), ${percent(share)}`, doubt};
  };

  /** The primary category and the cross-lists in words, a sentence each. */
  const named = ({labels, titles}, {best: [primary], probabilities, crossLists}) => {
    const code = (i) => `${titles[i]} (${labels[i]})`, line = `Category: ${code(primary)}, ${percent(probabilities[primary])}.`;
    if (crossLists === null) return [line];
    return [line, crossLists.length ? `Cross-lists: ${crossLists.map(code).join(", ")}.` : "No cross-lists."];
  };

  /** A name, what it stands for, and its probability as a bar. */
  const shareRow = (name, about, share, wins) => element("li", wins ? "try-winner" : "", element("span", "try-name", element("b", "", name), " ",
    element("span", "", about)), bar(share ?? 0), element("span", "try-number", share === null ? "–" : percent(share)));

  /** The eight groups, always in the same order, so that nothing jumps about while somebody types. */
  const groupList = ({groups, names}, answer) => element("ul", "try-shares", ...groups.map((group, i) =>
    shareRow(group, names[group], answer ? answer.groups[i] : null, answer !== null && i === answer.group)));

  /** The most probable categories: first that of the most probable group. */
  const categoryList = ({labels, titles}, {best, probabilities}) => [
    element("h2", "", "Categories"),
    element("ul", "try-shares try-codes", ...best.map((i, place) => shareRow(labels[i], titles[i], probabilities[i], place === 0))),
  ];

  /** A text with its words marked by what they add: by a colour and a line below, fuller where it is more. */
  const markedText = (name, text, words, strongest) => {
    const parts = [];
    let at = 0;
    for (const {from, to, share} of words) {
      const level = LEVELS.filter((least) => Math.abs(share) >= least * strongest).length;
      if (!level || !share) continue;
      parts.push(text.slice(at, from), element("mark", `try-${share < 0 ? "minus" : "plus"} try-level-${level}`, text.slice(from, to)));
      at = to;
    }
    return element("p", name, ...parts, text.slice(at));
  };

  /** Title and abstract with the words that spoke for the primary category and against it, and what the marks mean. */
  const wordsInText = ({labels}, {best: [primary]}, texts, found) => {
    const code = labels[primary], strongest = Math.max(...found.flat().map(({share}) => Math.abs(share)));
    const sign = (name) => element("mark", `try-${name} try-level-${LEVELS.length}`, name === "plus" ? "for" : "against");
    return [
      element("h2", "", "Words in the text"),
      element("p", "try-legend try-soft", "Marked are words ", sign("plus"), " and ", sign("minus"), ` ${code}: the fuller the colour, the more a word adds. ` +
        "A pair of neighbouring words counts half for each of the two. The lists below have the numbers."),
      ...texts.map((text, i) => markedText(i ? "try-text" : "try-text try-title", text, found[i], strongest)),
    ];
  };

  /** Words of one sign with what they add to the score. */
  const wordList = (title, units, strongest) => {
    const rows = units.slice(0, MOST).map(({unit, times, contribution}) => element("li", "",
      element("span", "try-name", unit, times > 1 ? ` × ${times}` : ""),
      bar(Math.abs(contribution) / strongest, contribution < 0 ? "try-against" : ""), element("span", "try-number", signed(contribution))));
    return element("section", "", element("h2", "", title), rows.length ? element("ul", "try-words", ...rows) : element("p", "try-soft", "None."));
  };

  /** The words for and against the primary category, and how they make up its score. */
  const reasons = ({labels}, {best: [primary], units, constant}) => {
    const code = labels[primary], score = units.reduce((sum, {contribution}) => sum + contribution, constant);
    const sides = [units.filter((unit) => unit.contribution > 0), units.filter((unit) => unit.contribution < 0)];
    const strongest = Math.abs(units[0].contribution) || 1;
    const rest = sides.reduce((sum, side) => sum + Math.max(0, side.length - MOST), 0);
    return [
      element("div", "try-sides", wordList(`For ${code}`, sides[0], strongest), wordList(`Against ${code}`, sides[1], strongest)),
      element("p", "try-soft", `The score of ${code} is ${signed(score)} above the mean of all categories: ${signed(constant)} for any paper, and ` +
        `what each word or pair of neighbouring words adds${rest ? `, ${count(rest)} weaker ones included` : ""}.`),
    ];
  };

  /** How much of the model is loaded, and what that means for the answer. */
  const loaded = ({features: [some, all], bytes, weights}, state) => {
    const first = `${count(some)} most frequent of ${count(all)} words and pairs`;
    return {
      first: `Loaded are the ${first} (${megabytes(weights.length)}). The others (${megabytes(bytes)}) are loaded once there is a text, or by the button.`,
      loading: `A preview from the ${first}. The others (${megabytes(bytes)}) are being loaded; then the answer is final.`,
      failed: `The answer is provisional: it rests on the ${first}, for the others (${megabytes(bytes)}) could not be loaded.`,
      other: "The answer is provisional: the other part of the model is of another version. Load this page anew.",
      whole: `The whole model is loaded (${count(all)} words and pairs, ${megabytes(weights.length + bytes)}): the answer is final.`,
    }[state];
  };

  const start = () => {
    if (typeof arxivNbclfModel === "undefined") {
      byId("verdict").textContent = "The model is not here: the file try/model.js is missing beside this page.";
      return;
    }
    const packed = arxivNbclfModel;
    let model = arxivNbclf.read(packed), state = "first", timer = 0, speech = 0;

    const show = () => {
      const title = byId("title").value, summary = byId("abstract").value;
      const text = arxivNbclf.join(model, title, summary), words = arxivNbclf.tokens(model, arxivNbclf.prepare(model, text));
      const gone = arxivNbclf.isWithdrawn(model, summary), given = words.length ? answerTo(model, text) : null;
      const found = given?.known === 0 ? null : given; // words, but none that the model knows
      const failed = found instanceof RangeError, answer = failed ? null : found;
      const {line, doubt} = answer ? verdict(packed, answer, gone) :
        {line: failed ? found.message : title.trim() || summary.trim() ? "No word yet that the model could lean on." : "Waiting for a title or an abstract.", doubt: ""};
      const codes = answer ? named(packed, answer) : [], part = loaded(packed, state);
      byId("verdict").textContent = line;
      byId("category").replaceChildren(...codes.map((sentence) => element("span", "", sentence, " ")));
      byId("doubt").textContent = doubt;
      byId("doubt").hidden = !doubt;
      byId("part").textContent = part;
      byId("more").hidden = state === "whole" || state === "loading" || state === "other";
      byId("bars").replaceChildren(groupList(packed, answer), ...(answer ? categoryList(packed, answer) : []));
      const marked = answer && arxivNbclf.highlights(model, title, summary, answer.units);
      byId("words").replaceChildren(...(marked ? wordsInText(packed, answer, [title, summary], marked) : []));
      byId("reasons").replaceChildren(...(answer ? reasons(packed, answer) : []));
      clearTimeout(speech); // read aloud once the typing stops
      speech = setTimeout(() => {
        byId("status").textContent = [line, ...codes, doubt, answer && state !== "whole" ? part : ""].filter(Boolean).join(" ");
      }, 800);
      if (words.length && state === "first" && !navigator.connection?.saveData) load();
    };
    const settle = (now) => {
      state = now;
      show();
    };
    const load = () => {
      const script = document.createElement("script");
      script.src = SCRIPT.replace(/[^/]*$/, "model-more.js");
      script.addEventListener("error", () => settle("failed"));
      script.addEventListener("load", () => {
        if (typeof arxivNbclfMore === "undefined") return settle("failed"); // it came in part
        const completed = arxivNbclf.complete(model, arxivNbclfMore);
        model = completed ?? model;
        settle(completed ? "whole" : "other");
      });
      state = "loading";
      document.head.append(script);
      byId("part").textContent = loaded(packed, state);
      byId("more").hidden = true;
    };
    const typed = () => {
      clearTimeout(timer);
      if (byId("title").value.length + byId("abstract").value.length < LONG) show();
      else timer = setTimeout(show, 300);
    };
    const fill = (title, summary) => {
      [byId("title").value, byId("abstract").value] = [title, summary];
      show();
    };

    byId("model").textContent = packed.about;
    byId("title").addEventListener("input", typed);
    byId("abstract").addEventListener("input", typed);
    byId("example").addEventListener("click", () => fill(...EXAMPLES.clear));
    byId("doubtful").addEventListener("click", () => fill(...EXAMPLES.doubtful));
    byId("more").addEventListener("click", load);
    byId("clear").addEventListener("click", () => { fill("", ""); byId("title").focus(); });
    byId("paper").hidden = false;
    if (byId("title").value || byId("abstract").value) show(); // a browser has kept them over a reload
    else fill(...EXAMPLES.first);
  };

  start();
})();
