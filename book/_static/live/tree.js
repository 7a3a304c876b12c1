// The tree of beam search (section 5.2) in two forms: a drawing, and a list that says the same.
//
// In the drawing a column is a step with all hypotheses that it kept or ended, the most probable on
// top. tools/live/beam_tree.py draws the stored example in the same way.
(() => {
  "use strict";

  const { runsOf } = LiveModels;
  const { say, element } = LiveBoxes;
  const CHARACTER = 7, FEWEST = 6, PADDING = 12, HEIGHT = 36, ROW = 44, GAP = 18, START = 8;  // pixels; FEWEST: characters
  const LINES = { fill: "none", stroke: "currentColor" };

  const minus = (number) => number.toFixed(2).replace("-", "−");

  function drawn(tag, attributes, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  // Some pieces as text; a hyphen in front says that they continue a word.
  function runText(tokenizer, ids) {
    const text = tokenizer.decode(ids), first = tokenizer.piece(ids.find((id) => id > 3) ?? ids[0]);
    return `${!first.startsWith("▁") && /^[\p{L}\p{N}]/u.test(text) ? "-" : ""}${text || "▁"}`;
  }

  // The nodes from one up to the root.
  function pathOf(node) {
    const path = [];
    for (; node; node = node.parent) path.push(node);
    return path;
  }

  // What became of the hypotheses: `kindOf` an item of a step is a class name.
  function judge({ finished, beam }) {
    const best = new Set(finished.length ? pathOf(finished[0].node) : []), open = new Set(beam.map(({ node }) => node));
    const alive = new Set([...finished.map(({ node }) => node), ...open].flatMap(pathOf));
    return ({ node, end }) => {
      if (end) return end === finished[0] ? "live-ended live-best" : finished.includes(end) ? "live-ended" : "live-given-up";
      return best.has(node) ? "live-best" : open.has(node) ? "live-open" : alive.has(node) ? "live-kept" : "live-given-up";
    };
  }

  // The drawing of a search; `steps` has the items {node, end, logProb} of each, best first.
  function drawTree(search, tokenizer) {
    const kindOf = judge(search), lines = [], boxes = [], places = new Map([[search.root, { right: START, middle: ROW / 2 }]]);
    let left = START + GAP, rows = 1;
    for (const items of search.steps) {
      const texts = items.map(({ node, end }) => {
        const rank = search.finished.indexOf(end) + 1;
        return end ? say(rank ? "rankOf" : "unranked", { rank }) : runText(tokenizer, [node.id]);
      });
      const numbers = items.map(({ logProb }) => minus(logProb));
      const width = CHARACTER * Math.max(FEWEST, ...[...texts, ...numbers].map((text) => Array.from(text).length)) + PADDING;
      items.forEach((item, row) => {
        const top = ROW * row + (ROW - HEIGHT) / 2, middle = ROW * row + ROW / 2, center = left + Math.floor(width / 2);
        const kind = kindOf(item), from = places.get(item.end ? item.node : item.node.parent), turn = left - GAP / 2;
        lines.push(drawn("path", {
          class: kind, d: `M${from.right} ${from.middle}C${turn} ${from.middle} ${turn} ${middle} ${left} ${middle}`,
        }));
        boxes.push(drawn("g", { class: kind },
          drawn("rect", { x: left, y: top, width, height: HEIGHT, rx: item.end ? HEIGHT / 2 : 4, ...LINES }),
          drawn("text", { x: center, y: top + 15 }, texts[row]), drawn("text", { x: center, y: top + 30 }, numbers[row])));
        if (!item.end) places.set(item.node, { right: left + width, middle });
      });
      rows = Math.max(rows, items.length);
      left += width + GAP;
    }
    const width = left - GAP + START, height = ROW * rows;
    return drawn("svg", {
      class: "live-drawing", role: "img", "aria-label": say("treeDrawn"), width, height, viewBox: `0 0 ${width} ${height}`,
      fill: "currentColor", "font-family": "monospace", "font-size": 12, "text-anchor": "middle",
    }, drawn("circle", { cx: START, cy: ROW / 2, r: 4 }), drawn("g", LINES, ...lines), ...boxes);
  }

  // The items of the list: a run of pieces without a branch, its log p, and what became of it.
  function listTree(search, tokenizer) {
    const item = ({ ids, logProb, end, isOpen, children }) => {
      const rank = search.finished.indexOf(end) + 1, isOut = !end && !isOpen && !children.length;
      const note = end ? say(rank ? "ended" : "endedLower", { rank }) : isOpen ? say("open") : isOut ? say("givenUp") : "";
      const kind = rank === 1 ? "live-best" : isOut || (end && !rank) ? "live-given-up" : "";
      return element("li", { class: kind }, element("span", { class: "live-run", lang: "en" }, runText(tokenizer, ids)),
        ` ${minus(logProb)}`, ...(note ? [" ", element("span", { class: "live-mark" }, note)] : []),
        end ? ` ${minus(end.logProb)}` : "", ...(children.length ? [element("ul", {}, ...children.map(item))] : []));
    };
    const root = runsOf(search.root, search.beam.map(({ node }) => node));
    return (root.ids.length > 1 ? [root] : root.children).map(item);
  }

  Object.assign(LiveBoxes, { drawTree, listTree, minus });
})();
