"use strict";
// The theme is set before the page is painted; the rest waits for the page. Nothing is fetched but the site's own search index.
(() => {
  const script = document.currentScript, root = document.documentElement;
  const kept = { get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
                 set: (value) => { try { localStorage.setItem("theme", value); } catch { /* not kept, then */ } } };
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  root.dataset.js = "";
  if (["dark", "light"].includes(kept.get())) root.dataset.theme = kept.get();

  function theme(button) {
    const tell = () => button.setAttribute("aria-pressed", String(dark()));
    button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; kept.set(root.dataset.theme); tell(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
    tell();
  }

  function menu(button) {
    const pages = document.getElementById("site-pages");
    const show = (on) => { document.body.classList.toggle("menu-open", on); button.setAttribute("aria-expanded", String(on)); };
    button.addEventListener("click", () => {
      show(!document.body.classList.contains("menu-open"));
      if (document.body.classList.contains("menu-open")) (pages.querySelector("[aria-current]") ?? pages.querySelector("a, summary"))?.focus();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && document.body.classList.contains("menu-open")) { show(false); button.focus(); }
    });
    document.getElementById("site-content").addEventListener("click", () => show(false));
  }

  function current(toc) {
    const links = new Map([...toc.querySelectorAll("a[href^='#']")].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
    const headings = [...document.querySelectorAll("main :is(h2, h3)[id]")].filter((heading) => links.has(heading.id));
    let waiting = false;
    const mark = () => {
      waiting = false;
      let at = null;
      for (const heading of headings) { if (heading.getBoundingClientRect().top < 120) at = heading; else break; }
      for (const [id, link] of links) { if (at && id === at.id) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current"); }
    };
    addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(mark); } }, { passive: true });
    mark();
  }

  function copying() {
    for (const block of document.querySelectorAll(".cell > .code, article > .code")) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "copy", textContent: "Copy" });
      button.setAttribute("aria-label", "Copy this code");
      button.addEventListener("click", async () => {
        try { await navigator.clipboard.writeText(block.querySelector("pre").innerText); button.textContent = "Copied"; }
        catch { button.textContent = "Not allowed"; }
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
      block.append(button);
    }
  }

  const fold = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();

  const split = (text) => fold(text).split(/[^\p{L}\p{N}_]+/u).filter(Boolean);

  const SMALL = new Set(split("a an and are can do does for have how i in is it me my of on or the this to what where which with you your"));

  // How many letters two words differ by: one more, one less, another one, or two neighbours swapped.
  function edits(one, other) {
    const rows = [Array.from({ length: other.length + 1 }, (_, j) => j)];
    for (let i = 1; i <= one.length; i++) {
      rows.push([i]);
      for (let j = 1; j <= other.length; j++) {
        const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
        rows[i].push(Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (one[i - 1] !== other[j - 1]), swapped ? rows[i - 2][j - 2] + 1 : Infinity));
      }
    }
    return rows[one.length][other.length];
  }

  // A word that the site has, instead of one that it does not: the nearest with the same first letter, the most frequent of equals.
  function respelt(word, site) {
    if (word.length < 4 || site.text.includes(word)) return word;
    let best = word, least = word.length < 8 ? 1 : 2;
    for (const other of site.words) {
      if (other[0] !== word[0] || Math.abs(other.length - word.length) > least) continue;
      const differ = edits(word, other);
      if (differ < least || (differ === least && best === word)) [best, least] = [other, differ];
    }
    return best;
  }

  // All that the site says, and its words, the most frequent first.
  function vocabulary() {
    const text = [...window.siteSearch.map((entry) => entry.folded.slice(1).join(" ")), ...Object.keys(window.siteTerms).map(fold)].join("\n"), times = new Map();
    for (const word of split(text)) times.set(word, (times.get(word) ?? 0) + 1);
    return { text, words: [...times].sort((one, other) => other[1] - one[1]).map(([word]) => word) };
  }

  // How well an entry fits all words, or some: names and headings first, whole words before beginnings before middles.
  function fit(entry, words, some) {
    const [, page, heading, text] = entry.folded;
    let sum = 0;
    for (const word of words) {
      const at = (place, whole, start, middle) => {
        if (place === word) return whole * 2;
        const found = place.indexOf(word);
        if (found < 0) return 0;
        const clear = (index) => index < 0 || index >= place.length || !/[\p{L}\p{N}]/u.test(place[index]);
        return clear(found - 1) ? (clear(found + word.length) ? whole : start) : word.length > 3 ? middle : 0;
      };
      const best = Math.max(at(heading, 60, 40, 3), heading ? at(page, 8, 6, 2) : at(page, 70, 45, 3), at(text, 6, 4, 1));
      if (!best && !some) return 0;
      sum += best;
    }
    return sum;
  }

  // What a page gets for terms that lead to it: all words of the search, its beginning, or a part of it.
  function known(words) {
    const plain = (text) => ` ${text.join(" ").replace(/ies\b/gu, "y").replace(/(?<=\p{L}{2})s\b/gu, "")} `, phrase = plain(words), found = new Map();
    for (const [term, pages] of Object.entries(window.siteTerms ?? {})) {
      const own = plain(split(term));
      const points = own === phrase ? 1000 : phrase.length > 5 && own.startsWith(phrase.trimEnd()) ? 150 : phrase.includes(own) ? 100 : 0;
      pages.forEach((href, at) => { if (points) found.set(href, Math.max(found.get(href) ?? 0, points - 10 * at)); });
    }
    return found;
  }

  function snippet(text, words) {
    const folded = fold(text), first = Math.max(0, Math.min(...words.map((word) => { const at = folded.indexOf(word); return at < 0 ? Infinity : at; })));
    const from = first === Infinity || first < 60 ? 0 : text.indexOf(" ", first - 50) + 1;
    return (from ? "… " : "") + text.slice(from, from + 150) + (text.length > from + 150 ? " …" : "");
  }

  // The words found stand out; text is only ever set as text.
  function marked(text, words) {
    const part = document.createElement("span"), folded = fold(text);
    if (folded.length !== text.length) { part.textContent = text; return part; }
    let at = 0;
    while (at < text.length) {
      let next = Infinity, length = 0;
      for (const word of words) { const found = folded.indexOf(word, at); if (found >= 0 && found < next) { next = found; length = word.length; } }
      if (next === Infinity) break;
      part.append(text.slice(at, next), Object.assign(document.createElement("mark"), { textContent: text.slice(next, next + length) }));
      at = next + length;
    }
    part.append(text.slice(at));
    return part;
  }

  function search(button) {
    const dialog = document.querySelector("dialog.search"), input = dialog.querySelector("input"), list = dialog.querySelector("ul");
    const told = dialog.querySelector(".told");
    let chosen = -1, site = null;
    const load = () => window.siteSearch ? Promise.resolve() : new Promise((done, failed) => {
      const index = Object.assign(document.createElement("script"), { src: `${script.dataset.root}site/search-index.js`, onload: done, onerror: failed });
      document.head.append(index);
    });
    const choose = (number) => {
      const items = [...list.children];
      chosen = items.length ? (number + items.length) % items.length : -1;
      items.forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
      if (chosen >= 0) { input.setAttribute("aria-activedescendant", items[chosen].id); items[chosen].scrollIntoView({ block: "nearest" }); }
      else input.removeAttribute("aria-activedescendant");
    };
    const look = () => {
      if (!window.siteSearch) return;
      for (const entry of window.siteSearch) entry.folded ??= entry.map(fold);
      site ??= vocabulary();
      const typed = split(input.value), meant = typed.map((word) => respelt(word, site)), terms = known(meant);
      const words = meant.some((word) => !SMALL.has(word)) ? meant.filter((word) => !SMALL.has(word)) : meant;
      const fitting = (some) => window.siteSearch.map((entry) => [fit(entry, words, some) + (terms.get(entry[0]) ?? 0), entry]).filter(([how]) => how)
        .sort((one, other) => other[0] - one[0] || one[1][3].length - other[1][3].length);
      const all = words.length && words.every((word) => site.text.includes(word)) ? fitting(false) : [], found = all.length ? all : fitting(true);
      list.replaceChildren(...found.slice(0, 12).map(([, [href, page, heading, text]], number) => {
        const item = Object.assign(document.createElement("li"), { id: `found-${number}` });
        item.setAttribute("role", "option");
        const title = Object.assign(document.createElement("span"), { className: "title" });
        title.append(marked(heading || page, words));
        if (heading) title.append(Object.assign(document.createElement("span"), { className: "in", textContent: page }));
        const line = Object.assign(document.createElement("span"), { className: "line" });
        line.append(marked(snippet(text, words), words));
        item.append(title, line);
        item.dataset.href = href;
        item.addEventListener("click", (event) => {
          if (event.ctrlKey || event.metaKey) { open(script.dataset.root + href); return; }
          dialog.close();
          location.href = script.dataset.root + href;
        });
        return item;
      }));
      input.setAttribute("aria-expanded", String(found.length > 0));
      const heard = `${meant.join(" ") === typed.join(" ") ? "" : ` for “${meant.join(" ")}”`}${all.length ? "" : ", none with all words"}`;
      told.textContent = words.length ? (found.length ? `${found.length} found${heard}` : "Nothing found") : "";
      choose(0);
    };
    const show = async () => {
      if (!dialog.open) dialog.showModal();
      input.select();
      try { await load(); look(); } catch { told.textContent = "The search index cannot be read."; }
    };
    button.addEventListener("click", show);
    input.addEventListener("input", look);
    input.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); choose(chosen + (event.key === "ArrowDown" ? 1 : -1)); }
      if (event.key === "Escape") dialog.close();
      if (event.key === "Enter" && chosen >= 0) list.children[chosen].click();
    });
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable;
      if ((event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) || (event.key === "k" && (event.ctrlKey || event.metaKey))) {
        event.preventDefault();
        show();
      }
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const [selector, start] of [[".theme", theme], [".menu", menu], ["aside.toc", current], [".search-open", search]]) {
      const found = document.querySelector(selector);
      if (found) start(found);
    }
    copying();
    const here = document.querySelector("nav.pages [aria-current]"), pages = document.getElementById("site-pages");
    if (here && here.offsetTop > pages.clientHeight - 60) pages.scrollTop = here.offsetTop - pages.clientHeight / 2;
  });
})();
