/* The page of routes of a server: each can be tried. What comes back only ever becomes textContent. */
"use strict";

for (const route of document.querySelectorAll(".route")) {
  const {method, path} = route.dataset, shown = route.querySelector("pre"), given = route.querySelector("textarea");
  const send = async () => {
    const body = given ? {headers: {"Content-Type": "application/json"}, body: given.value} : {};
    const answer = await fetch(path.slice(1) || "./", {method, ...body});
    const text = await answer.text(), json = (answer.headers.get("Content-Type") ?? "").includes("json");
    return `${answer.status}\n${json ? JSON.stringify(JSON.parse(text), null, 2) : text}`.slice(0, 20000);
  };
  route.querySelector("button").addEventListener("click", async () => {
    shown.hidden = false;
    shown.textContent = await send().catch((error) => `no answer: ${error.message}`);
  });
}
