// The page is whole without this: it only adds the theme switch, the filter, the copy buttons, and opens what a link points to.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  const themes = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  const remember = (theme) => { try { localStorage.setItem("logitfuzz-theme", theme); } catch { /* a private window */ } };
  const recall = () => { try { return localStorage.getItem("logitfuzz-theme"); } catch { return null; } };
  const show = (theme) => { root.dataset.theme = theme; button.textContent = "Theme: " + theme; };
  show(themes.includes(recall()) ? recall() : "auto");
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(root.dataset.theme) + 1) % themes.length];
    show(next);
    remember(next);
  });

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("button.copy");
    if (!copy) return;
    const code = copy.previousElementSibling;
    const done = (word) => { copy.textContent = word; setTimeout(() => { copy.textContent = "Copy"; }, 1500); };
    const select = () => { getSelection().selectAllChildren(code); done("Selected"); };
    if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(() => done("Copied"), select);
    else select();
  });

  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  const filter = document.getElementById("filter");
  const items = [...document.querySelectorAll("[data-k]")];
  // Findings are matched by all words; rows and kernels, which have a name only, by the words that are of some kernel's name.
  const isFinding = (item) => item.classList.contains("finding");
  const names = items.filter((item) => !isFinding(item)).map((item) => item.dataset.k.toLowerCase());
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const nameWords = words.filter((word) => names.some((name) => name.includes(word)));
    for (const item of items) {
      const text = item.dataset.k.toLowerCase();
      item.hidden = !(isFinding(item) ? words : nameWords).every((word) => text.includes(word));
    }
    // A table or group shows, and is open, while anything in it is found.
    for (const group of document.querySelectorAll("details.group, table")) {
      const found = group.querySelector("[data-k]:not([hidden])") !== null;
      group.hidden = words.length > 0 && !found;
      if (words.length > 0 && found) group.open = true;
    }
  });
})();
