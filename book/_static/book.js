// Previews of formulas, terms and references on hover and focus; wide boxes reachable by keyboard.
// Everything comes from the site itself: preview-texts.js is written when the site is built.
(() => {
  const here = document.currentScript.src;
  let texts, box, wanted, timer;

  const load = () => (texts ??= new Promise((done) => {
    const script = document.createElement("script");
    script.src = here.replace(/book\.js.*/, "preview-texts.js");
    script.onload = () => done(window.previewTexts);
    script.onerror = () => done({});
    document.head.append(script);
  }));

  const hide = () => { clearTimeout(timer); wanted = null; box?.remove(); box = null; };
  const later = () => { clearTimeout(timer); timer = setTimeout(hide, 250); };

  async function show(link) {
    clearTimeout(timer);
    if (link === wanted) return;
    hide();
    wanted = link;
    const html = (await load())[decodeURIComponent(link.hash.slice(1))];
    if (!html || link !== wanted) return;
    box = document.createElement("div");
    box.className = "preview";
    box.id = "preview";
    box.setAttribute("role", "tooltip");
    box.innerHTML = html;  // our own page, taken over when the site was built
    box.onmouseenter = () => clearTimeout(timer);
    box.onmouseleave = later;
    document.body.append(box);
    link.setAttribute("aria-describedby", "preview");
    if (box.querySelector(".math")) await window.MathJax?.typesetPromise?.([box]);
    if (link === wanted) place(link);
  }

  function place(link) {
    const at = link.getBoundingClientRect(), own = box.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left), document.documentElement.clientWidth - own.width - 8);
    const above = at.bottom + own.height + 12 > window.innerHeight && at.top > own.height;
    box.style.left = `${Math.max(8, left) + window.scrollX}px`;
    box.style.top = `${(above ? at.top - own.height - 4 : at.bottom + 4) + window.scrollY}px`;
  }

  const chosen = 'a.reference[href*="#equation-eq-"], a.reference[href*="#term-"], a.reference[href*="references.html#id"]';
  const linkOf = (event) => event.target.closest?.(`article :is(${chosen})`);
  if (matchMedia("(hover: hover)").matches) {
    document.addEventListener("mouseover", (event) => linkOf(event) && show(linkOf(event)));
    document.addEventListener("mouseout", (event) => linkOf(event) && later());
  }
  document.addEventListener("focusin", (event) => (linkOf(event) ? show(linkOf(event)) : hide()));
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());

  // From the file system, a page may not read the others: search shows titles only.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  // What scrolls sideways in its own box must be reachable without a mouse.
  function reach() {
    for (const wide of document.querySelectorAll("div.math, div.highlight pre, .cell_output, figure")) {
      if (wide.scrollWidth > wide.clientWidth + 1) wide.tabIndex = 0;
      else if (wide.tabIndex === 0) wide.removeAttribute("tabindex");
    }
  }
  window.addEventListener("load", () => {
    reach();
    window.MathJax?.startup?.promise?.then(reach);
  });
  window.addEventListener("resize", reach);
})();
