// The box that opens the attention heads of the GPT (sections 7.3 and 8.2): where each head looks in
// a text of the reader, and what the model loses without it.
(() => {
  "use strict";

  const { softmax } = LiveModels;
  const { register, say, element, button, labelled, textField, probability, makeLoop, hidden, signed } = LiveBoxes;
  const PIECES = 40, LOSERS = 5;
  const TEXT = "I know what you mean.\n\nROMEO:\nWhat do I mean?";
  const NO_HEAD = () => false;

  const mean = (numbers) => numbers.reduce((total, number) => total + number, 0) / numbers.length;

  // Reads a text. `weights[t][layer][head]` are the weights with which piece t looks at those up to
  // itself, `probabilities[t]` is that of piece t + 1.
  function readText(model, ids, isOut = NO_HEAD) {
    const weights = [], probabilities = [];
    let state = model.start(), logits;
    ids.forEach((id, t) => {
      const trace = [];
      ({ logits, state } = model.step(id, state, { trace, isOut }));
      weights.push(trace);
      if (t + 1 < ids.length) probabilities.push(softmax(logits)[ids[t + 1]]);
    });
    return { weights, probabilities, bits: mean(probabilities.map((p) => -Math.log2(p))) };
  }

  function openHeads([model], tell) {
    const { tokenizer, numHeads, layers } = model, loop = makeLoop(), all = layers.length * numHeads;
    const field = textField(TEXT, () => { loop.stop(); whole = null; show(); });
    const grid = element("table", { class: "live-grid" }), heat = element("table", { class: "live-heat" });
    const losers = element("ol", { class: "live-distribution", "aria-label": say("headLosers") });
    const losersTitle = element("p", { class: "live-heading" });
    let ids = [], whole = null, without = [], chosen = 0;

    const nameOf = (n) => say("headName", { layer: Math.floor(n / numHeads) + 1, head: n % numHeads + 1 });
    const changeOf = (n) => without[n].bits - whole.bits;

    function choose(n) {
      chosen = n;
      show();
      grid.querySelectorAll("button")[n].focus();
      tell(say("headChosen", { head: nameOf(n), change: signed(changeOf(n)) }));
    }

    function cell(n) {
      const text = signed(changeOf(n)), click = () => choose(n);
      return element("td", {}, element("button", {
        type: "button", "aria-pressed": String(n === chosen), "aria-label": `${nameOf(n)}: ${text}`, click,
      }, text));
    }

    function showGrid() {
      const columns = Array.from({ length: numHeads }, (_, head) =>
        element("th", { scope: "col" }, say("headColumn", { n: head + 1 })));
      const rows = layers.map((_, layer) => element("tr", {},
        element("th", { scope: "row" }, say("layerRow", { n: layer + 1 })),
        ...columns.map((_, head) => cell(layer * numHeads + head))));
      grid.replaceChildren(element("caption", {}, say("headsGrid")), element("tr", {}, element("td"), ...columns), ...rows);
    }

    function showHeat() {
      const pieces = ids.map((id) => tokenizer.piece(id));
      const [layer, head] = [Math.floor(chosen / numHeads), chosen % numHeads];
      const rows = whole.weights.map((trace, t) => element("tr", {}, element("th", { scope: "row" }, pieces[t]),
        ...Array.from(trace[layer][head], (weight) => element("td", {}, hidden(weight.toFixed(2)),
          element("span", { class: `live-weight live-weight-${Math.round(10 * weight)}` })))));
      heat.replaceChildren(element("caption", {}, say("headWeights", { head: nameOf(chosen) })),
        element("tr", {}, element("th", { scope: "col" }, hidden(say("piece"))),
          ...pieces.map((piece) => element("th", { scope: "col" }, element("span", {}, piece)))), ...rows);
    }

    function showLosers() {
      const losses = whole.probabilities.map((p, t) => ({ t: t + 1, p, q: without[chosen].probabilities[t] }));
      const worst = losses.filter(({ p, q }) => q < p).sort((a, b) => b.p / b.q - a.p / a.q).slice(0, LOSERS);
      losersTitle.textContent = say("headLosers");
      losers.replaceChildren(...worst.map(({ t, p, q }) => element("li", {},
        element("span", { class: "live-piece" }, tokenizer.piece(ids[t])),
        element("span", {}, say("headLoser", { p: probability(p), q: probability(q) })))));
    }

    function show() {
      const isShown = whole !== null && without.length === all;
      losersTitle.textContent = "";
      [grid, heat, losers].forEach((node) => node.replaceChildren());
      if (isShown) { showGrid(); showHeat(); showLosers(); }
    }

    // Reads the text once with all heads, then without each.
    async function read() {
      loop.stop();
      const given = tokenizer.encode(field.value), texts = [];
      if (given.length < 2) { tell(say(given.length ? "headsTooShort" : "empty")); return; }
      ids = given.slice(-PIECES);
      [whole, without] = [null, []];
      show();
      const { isWhole } = await loop.run(all + 1, () => {
        const out = texts.length - 1;
        texts.push(readText(model, ids, (layer, head) => layer * numHeads + head === out));
        if (texts.length <= all) tell(say("headsStep", { n: texts.length, all }));
      });
      if (!isWhole) return;
      [whole, ...without] = texts;
      chosen = without.reduce((best, { bits }, n) => (bits > without[best].bits ? n : best), 0);
      show();
      const cut = given.length > PIECES ? `${say("cutPieces", { n: PIECES, all: given.length })} ` : "";
      tell(cut + say("headsDone", {
        n: ids.length, bits: whole.bits.toFixed(2), head: nameOf(chosen), change: signed(changeOf(chosen)),
      }));
    }

    const buttons = element("div", { class: "live-buttons" }, button(say("readHeads"), read), button(say("stop"), loop.stop));
    const scroll = (table, label) =>
      element("div", { class: "live-scroll", tabindex: 0, role: "group", "aria-label": say(label) }, table);
    return {
      nodes: [labelled(say("text"), field), buttons, scroll(grid, "headsGrid"), scroll(heat, "weights"), losersTitle, losers],
      stop: loop.stop,
    };
  }

  register("heads", { models: ["gpt-pieces"], open: openHeads });
})();
