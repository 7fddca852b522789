{
const list = document.getElementById("papers");
if (list) {
  const papers = [...list.children], proposals = papers.flatMap((paper) => [...paper.querySelectorAll(".proposals > li")]);
  const bar = document.getElementById("bar"), status = document.getElementById("status");
  const other = document.getElementById("other"), download = document.getElementById("download");
  const codes = new Map([...document.querySelectorAll("#codes option")].map(({value}) => [value.toLowerCase(), value]));
  const storage = "arxiv-nbclf review " + list.dataset.digest;
  const paperOf = (proposal) => proposal.closest("ol > li");
  const isDecision = (one) => Array.isArray(one) && proposals[one[0]] && (["accept", "reject"].includes(one[1]) || codes.has(String(one[1]).toLowerCase()));
  let history = [], at = 0, kept = true;  // history: pairs of a proposal's number and its decision
  try {  // a page from a file has no lasting storage in some browsers, but a state that outlives a reload
    const found = JSON.parse(window.history.state?.[storage] || localStorage.getItem(storage) || "[]");
    history = Array.isArray(found) ? found.filter(isDecision) : [];
  } catch { kept = false; }
  const save = () => {
    const text = JSON.stringify(history);
    try { window.history.replaceState({[storage]: text}, ""); localStorage.setItem(storage, text); } catch { kept = false; }
  };
  const applied = (state, action, code, decision) => {
    const others = state.others.filter((one) => one !== code);
    const typed = decision === "accept" ? code : decision, primary = ["promote", "propose_primary"].includes(action);
    if (decision === "reject") return state;
    if (primary) {
      const rest = state.others.filter((one) => one !== typed);
      if (typed === state.primary) return state;
      return {primary: typed, others: action === "promote" && decision === "accept" ? [state.primary, ...rest] : rest};
    }
    if (action === "reject_secondary" && decision === "accept") return {primary: state.primary, others};
    const rest = (action === "reject_secondary" ? others : state.others).filter((one) => one !== typed);
    return {primary: state.primary, others: typed === state.primary ? rest : [...rest, typed]};
  };
  const stateOf = (paper, decided) => {
    let state = {primary: paper.dataset.primary, others: paper.dataset.secondaries.split(",").filter(Boolean)};
    proposals.forEach((proposal, i) => {
      if (paperOf(proposal) === paper && decided.has(i)) state = applied(state, proposal.dataset.action, proposal.dataset.proposed, decided.get(i));
    });
    return state;
  };
  const show = (i, told = "", focus = true) => {
    at = Math.max(0, Math.min(i, proposals.length - 1));
    const decided = new Map(history), paper = paperOf(proposals[at]);
    papers.forEach((one) => { one.hidden = one !== paper; });
    proposals.forEach((one, n) => {
      if (n === at) one.setAttribute("aria-current", "true"); else one.removeAttribute("aria-current");
      const word = decided.get(n);
      one.querySelector(".decision").textContent = word ? "\u2013 " + ({accept: "accepted", reject: "rejected"}[word] || "instead: " + word) : "";
    });
    const storing = !decided.size || (kept && location.protocol !== "file:") ? "" : " They may be lost with this tab: download the decisions before you leave.";
    status.textContent = `Proposal ${at + 1} of ${proposals.length}, ${decided.size} decided. ${told}${storing}`;
    download.disabled = !decided.size;
    download.textContent = decided.size ? `Download decisions (${decided.size})` : "Download decisions";
    if (!focus) return;
    paper.querySelector("h2").focus({preventScroll: true});
    if (scrollY > list.offsetTop - bar.offsetHeight || told) scrollTo(0, list.offsetTop - bar.offsetHeight);
  };
  const decide = (decision) => {
    const {proposed} = proposals[at].dataset, told = {accept: `${proposed} accepted.`, reject: `${proposed} rejected.`}[decision] || `${decision} instead of ${proposed}.`;
    history.push([at, decision]);
    save();
    const decided = new Map(history), open = proposals.map((_, i) => (at + i) % proposals.length).find((i) => !decided.has(i));
    show(open ?? at, told + (open === undefined ? " All are decided." : ""));
  };
  const undo = () => {
    const last = history.pop();
    save();
    if (last) show(last[0], "Undone."); else show(at, "There is nothing to undo.");
  };
  const field = (text) => {
    const plain = /^'*[=+@\t\r\n-]/.test(text) ? "'" + text : text;
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  const csv = () => {
    const decided = new Map(history), rows = [["aid", "submitted_primary", "action", "proposed", "decision", "main_category", "categories"]];
    proposals.forEach((proposal, i) => {
      if (!decided.has(i)) return;
      const paper = paperOf(proposal), state = stateOf(paper, decided), {aid, submitted} = paper.dataset;
      rows.push([aid, submitted, proposal.dataset.action, proposal.dataset.proposed, decided.get(i), state.primary, [state.primary, ...state.others].join(",")]);
    });
    return rows.map((row) => row.map(field).join(",") + "\n").join("");
  };
  const hand = () => {
    const link = document.createElement("a"), address = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
    link.href = address;
    link.download = "decisions.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  };
  const keys = {
    a: () => decide("accept"), r: () => decide("reject"), n: () => show(at + 1), p: () => show(at - 1), u: undo, o: () => other.focus(),
    j: () => show(at + 1), k: () => show(at - 1), ArrowRight: () => show(at + 1), ArrowLeft: () => show(at - 1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target === other) return;
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });
  other.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { other.value = ""; show(at); }
    if (event.key !== "Enter" || event.isComposing) return;
    const typed = other.value.trim(), code = codes.get(typed.toLowerCase());
    if (code) { other.value = ""; decide(code); } else show(at, typed ? `${typed} is no category of today.` : "Type a category.", false);
  });
  bar.addEventListener("click", ({target}) => {
    const button = target.closest("button[data-key]");
    if (button) keys[button.dataset.key]();
  });
  download.addEventListener("click", hand);
  bar.hidden = false;
  const decided = new Map(history), open = proposals.findIndex((_, i) => !decided.has(i));
  show(open < 0 ? 0 : open, history.length ? "Decisions of before are back." : "", false);
}
}
