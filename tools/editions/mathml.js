// Each formula becomes MathML, which holds its LaTeX for readers without MathML; then each article
// is written as XHTML.
() => {
  const parser = new DOMParser();
  for (const place of document.querySelectorAll(".math")) {
    const source = [...place.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const text = source.map((node) => node.data).join("");
    const [, tex] = text.match(/\\[(\[]([^]*)\\[)\]]/);
    const mathml = MathJax.tex2mml(tex, { display: place.tagName === "DIV" });
    const math = parser.parseFromString(mathml, "application/xml").documentElement;
    for (const element of [math, ...math.querySelectorAll("*")])
      for (const { name } of [...element.attributes])
        if (name === "class" || name.startsWith("data-")) element.removeAttribute(name);
    // TeX sets a space after the name of a function; readers of MathML do not, before a letter.
    for (const operator of math.querySelectorAll("mo"))
      if (operator.textContent === "\u2061" && !/^[([{|]/.test(operator.nextSibling?.textContent ?? "("))
        operator.setAttribute("rspace", "0.167em");
    math.setAttribute("alttext", tex.trim());
    for (const node of source) node.remove();
    place.append(document.importNode(math, true));
  }
  const serializer = new XMLSerializer();
  const articles = [...document.querySelectorAll("body > article")];
  return articles.map((article) => serializer.serializeToString(article));
}
