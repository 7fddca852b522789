/* The page "Try it" of a server: what is typed goes to v1/suggest and v1/explain of the server that the page is from.
 * Text from a person or a server only ever becomes textContent. */
"use strict";

(() => {
  const byId = (id) => document.getElementById(`try-${id}`);
  const MODEL = JSON.parse(document.getElementById("model").textContent);
  const MOST = 8; // words that are listed for the winner, and as many against it

  // Made up for this page.
  const EXAMPLE = [
    "Cooling a small cloud of rubidium atoms below the recoil limit with a pair of pulsed lasers",
    "We load a dilute gas of rubidium atoms into an optical lattice and cool it with two pulsed laser beams whose detuning follows the " +
    "measured momentum distribution. After forty pulses the temperature falls below the recoil limit, and a narrow peak in the " +
    "time-of-flight images marks the onset of condensation. A simple rate equation for the occupation of the lowest bands agrees with " +
    "the measured lifetimes.",
  ];

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
  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
  const named = (code) => `${MODEL.names[code] ?? code} (${code})`;

  const shareRow = (code, share, wins) => element("li", wins ? "try-winner" : "", element("span", "try-name", element("b", "", code), " ",
    element("span", "", MODEL.names[code] ?? "")), bar(share), element("span", "try-number", percent(share)));
  const groupList = ({groups, group}) =>
    element("ul", "try-shares", ...Object.entries(groups).map(([code, share]) => shareRow(code, share, code === group)));
  const categoryList = ({level, top}) => level === "group" ? [] : [
    element("h2", "", "Categories"),
    element("ul", "try-shares try-codes", ...top.map(({code, probability}, place) => shareRow(code, probability, place === 0))),
  ];

  const wordList = (title, units, strongest) => {
    const rows = units.slice(0, MOST).map(({unit, times, contribution}) => element("li", "",
      element("span", "try-name", unit, times > 1 ? ` × ${times}` : ""),
      bar(Math.abs(contribution) / strongest, contribution < 0 ? "try-against" : ""), element("span", "try-number", signed(contribution))));
    return element("section", "", element("h2", "", title), rows.length ? element("ul", "try-words", ...rows) : element("p", "try-soft", "None."));
  };
  const reasons = ({explained, units, exact}) => {
    const strongest = Math.abs(units[0]?.contribution ?? 1) || 1;
    const how = exact ? "What each word adds to the score." : "By how much the probability falls without each word.";
    return [element("div", "try-sides", wordList(`For ${explained}`, units.filter((unit) => unit.contribution > 0), strongest),
      wordList(`Against ${explained}`, units.filter((unit) => unit.contribution < 0), strongest)), element("p", "try-soft", how)];
  };

  const ask = async (route, body, signal) => {
    const answer = await fetch(route, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body), signal});
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.detail ?? found.title);
    return found;
  };

  const show = (line, codes, doubt, bars, words) => {
    byId("verdict").textContent = line;
    byId("category").textContent = codes;
    byId("doubt").textContent = doubt;
    byId("doubt").hidden = !doubt;
    byId("bars").replaceChildren(...bars);
    byId("reasons").replaceChildren(...words);
    byId("status").textContent = [line, codes, doubt].filter(Boolean).join(" ");
  };

  let timer = 0, running = new AbortController();
  const answer = async () => {
    running.abort(); // of two answers, that to the newest text counts
    const {signal} = running = new AbortController();
    const paper = {title: byId("title").value, summary: byId("abstract").value};
    if (!paper.title.trim() && !paper.summary.trim()) return show("Waiting for a title or an abstract.", "", "", [], []);
    try {
      const found = await ask("v1/suggest", {...paper, level: MODEL.level, abstain_below: MODEL.abstain_below}, signal);
      const doubt = found.reason ? `Not sure: ${found.reason}.` : "";
      const lists = found.cross_lists.length ? `Cross-lists: ${found.cross_lists.map(named).join(", ")}.` : "";
      const codes = found.level === "group" ? "" : `Category: ${named(found.predicted)}, ${percent(found.probability)}. ${lists}`;
      const line = `${named(found.group)}, ${percent(found.group_probability)}`;
      const bars = [groupList(found), ...categoryList(found)];
      show(line, codes, found.abstained ? doubt : found.reason, bars, []);
      const words = await ask("v1/explain", {...paper, level: MODEL.level, top_k: 60}, signal).catch((error) => {
        if (error.name === "AbortError") throw error;
        return null; // a text without words has no reasons
      });
      if (words) byId("reasons").replaceChildren(...reasons(words));
    } catch (error) {
      if (error.name !== "AbortError") show(`No answer: ${error.message}`, "", "", [], []);
    }
  };
  const typed = () => {
    clearTimeout(timer);
    timer = setTimeout(answer, 250);
  };
  const fill = (title, summary) => {
    [byId("title").value, byId("abstract").value] = [title, summary];
    answer();
  };

  byId("title").addEventListener("input", typed);
  byId("abstract").addEventListener("input", typed);
  byId("example").addEventListener("click", () => fill(...EXAMPLE));
  byId("clear").addEventListener("click", () => { fill("", ""); byId("title").focus(); });
  byId("paper").hidden = false;
  answer(); // of what a browser has kept in the fields over a reload
})();
