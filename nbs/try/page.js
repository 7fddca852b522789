/* The page that runs the packaged model as somebody types: what it shows, and when. What the model says is the business of
 * classify.js. Text from the visitor only ever becomes textContent, and nothing here asks for anything over a network. */
"use strict";

(() => {
  const byId = (id) => document.getElementById(`try-${id}`);
  const MOST = 8; // words that are listed for the winner, and as many against it
  const LONG = 20000; // characters; a longer text is answered when there is a pause in the typing

  // Made up for this page.
  const EXAMPLES = {
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

  /** What is said of an answer: the winner, and whether it is sure. */
  const verdict = ({bundle: {labels}, names, sure}, {winner, probabilities, enough}, gone) => {
    const group = labels[winner], share = probabilities[winner];
    const [second] = [...labels.keys()].filter((i) => i !== winner).sort((a, b) => probabilities[b] - probabilities[a]);
    const notice = gone ? "Withdrawn: the abstract is a notice, so only the title counts. " : "";
    const doubt = notice + (!enough ? "Not sure. There are too few words here that the model knows." : share >= sure.threshold ? "" :
      `Not sure. At ${percent(sure.threshold)} or more, at least ${whole(sure.accuracy)} of the answers were right on papers that the model had ` +
      `not learnt from; this one is below. Next is ${labels[second]} with ${percent(probabilities[second])}.`);
    return {line: `${names[group]} (${group}), ${percent(share)}`, doubt};
  };

  /** The eight groups, always in the same order, so that nothing jumps about while somebody types. */
  const groupList = ({bundle: {labels}, names}, answer) => element("ul", "try-groups", ...labels.map((group, i) => {
    const share = answer ? answer.probabilities[i] : 0;
    return element("li", answer && i === answer.winner ? "try-winner" : "", element("span", "try-name", element("b", "", group), " ",
      element("span", "", names[group])), bar(share), element("span", "try-number", answer ? percent(share) : "–"));
  }));

  /** Words of one sign with what they add to the score. */
  const wordList = (title, units, strongest) => {
    const rows = units.slice(0, MOST).map(({unit, times, contribution}) => element("li", "",
      element("span", "try-name", unit, times > 1 ? ` × ${times}` : ""),
      bar(Math.abs(contribution) / strongest, contribution < 0 ? "try-against" : ""), element("span", "try-number", signed(contribution))));
    return element("section", "", element("h2", "", title), rows.length ? element("ul", "try-words", ...rows) : element("p", "try-soft", "None."));
  };

  /** The words for and against the winner, and how they make up its score. */
  const reasons = (packed, {winner, units, scores, constant}) => {
    const group = packed.bundle.labels[winner];
    const sides = [units.filter((unit) => unit.contribution > 0), units.filter((unit) => unit.contribution < 0)];
    const strongest = Math.abs(units[0].contribution) || 1;
    const rest = sides.reduce((sum, side) => sum + Math.max(0, side.length - MOST), 0);
    return [
      element("div", "try-sides", wordList(`For ${group}`, sides[0], strongest), wordList(`Against ${group}`, sides[1], strongest)),
      element("p", "try-soft", `The score of ${group} is ${signed(scores[winner])}: ${signed(constant)} for any paper, and what each word or pair of ` +
        `neighbouring words adds${rest ? `, ${rest.toLocaleString("en")} weaker ones included` : ""}.`),
    ];
  };

  const start = () => {
    if (typeof arxivNbclfModel === "undefined") {
      byId("verdict").textContent = "The model is not here: the file try/model.js is missing beside this page.";
      return;
    }
    const packed = arxivNbclfModel, model = arxivNbclf.read(packed);
    let timer = 0, speech = 0;

    const show = () => {
      const title = byId("title").value, summary = byId("abstract").value;
      const text = arxivNbclf.join(model, title, summary), words = arxivNbclf.tokens(model, arxivNbclf.prepare(model, text));
      const gone = arxivNbclf.isWithdrawn(model, summary), found = words.length ? answerTo(model, text) : null;
      const failed = found instanceof RangeError, answer = failed ? null : found;
      const {line, doubt} = answer ? verdict(packed, answer, gone) :
        failed ? {line: found.message, doubt: ""} : {line: title.trim() || summary.trim() ? "No word yet that the model could lean on." : "Waiting for a title or an abstract.", doubt: ""};
      byId("verdict").textContent = line;
      byId("doubt").textContent = doubt;
      byId("doubt").hidden = !doubt;
      byId("bars").replaceChildren(groupList(packed, answer));
      byId("reasons").replaceChildren(...(answer ? reasons(packed, answer) : []));
      clearTimeout(speech); // read aloud once the typing stops
      speech = setTimeout(() => { byId("status").textContent = doubt ? `${line}. ${doubt}` : line; }, 800);
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

    byId("model").textContent = packed.told;
    byId("title").addEventListener("input", typed);
    byId("abstract").addEventListener("input", typed);
    byId("example").addEventListener("click", () => fill(...EXAMPLES.clear));
    byId("doubtful").addEventListener("click", () => fill(...EXAMPLES.doubtful));
    byId("clear").addEventListener("click", () => { fill("", ""); byId("title").focus(); });
    byId("paper").hidden = false;
    show(); // of what a browser has kept in the fields over a reload
  };

  start();
})();
