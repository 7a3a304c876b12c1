// Makes formulas and tables that are wider than the page smaller, and returns what still is wider,
// and pictures that have lost their shape.
// The glyphs of a formula are not read aloud: its LaTeX is, which stands beside it, too small to see.
(width) => {
  for (const fold of document.querySelectorAll("details")) fold.open = true;
  for (const formula of MathJax.startup.document.math) {
    const latex = document.createElement("span");
    latex.className = "latex";
    latex.textContent = formula.math.trim();
    formula.typesetRoot.prepend(latex);
  }
  // What has a text alternative is the picture in it.
  for (const figure of document.querySelectorAll("figure")) figure.role = "presentation";
  for (const diagram of document.querySelectorAll("svg[aria-labelledby]")) {
    const names = diagram.getAttribute("aria-labelledby").split(" ");
    const texts = names.map((name) => document.getElementById(name).textContent);
    diagram.setAttribute("aria-label", texts.join(" "));
    diagram.removeAttribute("aria-labelledby");
  }

  function shrink(element, available, needed) {
    if (needed <= available) return;
    const size = parseFloat(getComputedStyle(element).fontSize);
    element.style.fontSize = `${(0.98 * size * available) / needed}px`;
  }
  for (const formula of document.querySelectorAll("mjx-container")) {
    const isDisplayed = formula.hasAttribute("display");
    const block = isDisplayed ? formula : formula.closest("p, li, td, th, dd, div");
    const needed = formula.querySelector("mjx-math").getBoundingClientRect().width;
    shrink(formula, block.clientWidth, needed);
  }
  for (const table of document.querySelectorAll("table"))
    shrink(table, table.parentElement.clientWidth, table.scrollWidth);

  const shape = (image) => (image.width / image.height) * (image.naturalHeight / image.naturalWidth);
  const misshapen = [...document.querySelectorAll("article img")]
    .filter((image) => image.naturalWidth > 0 && Math.abs(shape(image) - 1) > 0.02);
  const wide = [...document.querySelectorAll("article *, .contents *")]
    .filter((element) => element.getBoundingClientRect().right > width + 4);
  return [...misshapen, ...wide].map(
    (element) => `${element.closest("article, nav").id}: ${element.alt ?? element.textContent}`.slice(0, 100));
}
