// The boxes that translate: attention word by word (section 4.2), and beam search (section 6.1).
//
// They are boxes of boxes.js with the model and the searches of translator.js.
(() => {
  "use strict";

  const { GreedySearch, BeamSearch, MAX_LENGTH } = LiveModels;
  const { register, say, isStill, element, button, labelled, textField, range, meter, probability, makeLoop, hidden } = LiveBoxes;
  const { drawTree, listTree, minus } = LiveBoxes;
  const SOURCE_PIECES = 60, STEP_MILLISECONDS = 400, BEAM_SIZES = [1, 2, 3, 5, 8];

  // Sentences for readers who write no German, and what they mean.
  const SENTENCES = [
    ["Ein Hund rennt durch den Schnee.", "A dog is running through the snow."],
    ["Zwei Kinder spielen am Strand mit einem roten Ball.", "Two children are playing on the beach with a red ball."],
    ["Ein Mann mit Bart repariert auf der Straße sein Fahrrad.", "A man with a beard is repairing his bicycle in the street."],
    ["Eine Frau, die einen gelben Hut trägt, fährt Fahrrad.", "A woman who is wearing a yellow hat is riding a bicycle."],
    ["Der Philosoph bezweifelt die Unendlichkeit der Welt.", "The philosopher doubts the infinity of the world."],
  ];

  const pieceOf = (tokenizer, id) => (id === undefined ? say("end") : tokenizer.piece(id));

  // The field for a sentence with examples below, at first one of them. `read()` returns the pieces, and tells what is
  // unusual about them; null for an empty text. `changed` is called when there is another text.
  function makeSource(tokenizer, tell, changed, first = 0) {
    const field = textField(SENTENCES[first][0], () => { select.value = ""; changed(); });
    field.lang = "de";
    const options = SENTENCES.map(([german], i) => element("option", { value: i, lang: "de" }, german));
    const select = element("select", { change: () => {
      if (select.value === "") return;
      const [german, english] = SENTENCES[select.value];
      field.value = german;
      changed();
      tell(say("meaning", { text: english }));
    } }, element("option", { value: "" }, say("ownText")), ...options);
    select.value = String(first);

    function read() {
      const all = field.value.trim() ? tokenizer.encode(field.value.trim()) : [];
      const ids = all.slice(0, SOURCE_PIECES), lines = [];
      const bytes = ids.filter((id) => tokenizer.bytes[id].length === 1 && tokenizer.bytes[id][0] > 127).length;
      lines.push(say(!ids.length ? "empty" : all.length > ids.length ? "cutSource" : "sourceRead",
        { n: ids.length, all: all.length }));
      if (bytes) lines.push(say("bytes", { n: bytes }));
      tell(lines.join(" "));
      return ids.length ? { ids, notes: all.length > ids.length || bytes ? lines.join(" ") : "" } : null;
    }

    const nodes = [labelled(say("sentence"), field), labelled(say("examples"), select)];
    return { nodes, read };
  }

  // ---------------------------------------------------------------- 4.2: attention, word by word

  function openAttention([model], tell) {
    const { tokenizer } = model, loop = makeLoop(STEP_MILLISECONDS);
    const source = makeSource(tokenizer, tell, () => { loop.stop(); search = null; show(); });
    const pieces = element("ol", { class: "live-source", "aria-label": say("source") });
    const target = element("ol", { class: "live-target", "aria-label": say("target") });
    const table = element("table", { class: "live-heat" });
    let search = null, given = null, selected = -1;

    // The weights with which a step looked at the source; its piece is the one that it chose.
    function select(step) {
      selected = step;
      show();
      target.children[step].firstChild.focus();
      const weights = search.weights[step], best = weights.indexOf(Math.max(...weights));
      tell(say("attended", {
        piece: pieceOf(tokenizer, search.ids[step]), source: tokenizer.piece(given.ids[best]), p: probability(weights[best]),
      }));
    }

    function show() {
      const weights = search?.weights[selected], ids = search ? given.ids : [];
      pieces.replaceChildren(...ids.map((id, s) => element("li", {},
        element("span", { class: "live-piece", lang: "de" }, tokenizer.piece(id)),
        meter(weights ? weights[s] : 0), element("span", { class: "live-id" }, weights ? probability(weights[s]) : "–"))));
      target.replaceChildren(...(search?.weights ?? []).map((_, step) => element("li", {},
        element("button", { type: "button", "aria-pressed": String(step === selected), click: () => select(step) },
          pieceOf(tokenizer, search.ids[step])))));
      const head = element("tr", {}, element("th", { scope: "col" }, hidden(say("piece"))),
        ...ids.map((id) => element("th", { scope: "col" }, element("span", {}, tokenizer.piece(id)))));
      const rows = (search?.weights ?? []).map((row, step) => element("tr", step === selected ? { class: "live-row" } : {},
        element("th", { scope: "row" }, pieceOf(tokenizer, search.ids[step])),
        ...Array.from(row, (weight) => element("td", {}, hidden(weight.toFixed(2)),
          element("span", { class: `live-weight live-weight-${Math.round(10 * weight)}` })))));
      table.replaceChildren(element("caption", {}, say("weights")), ...(search ? [head, ...rows] : []));
    }

    // Reads the source, if it has not been read; whether there is anything to translate.
    function begin() {
      if (search && !search.isOver) return true;
      [given, selected] = [source.read(), -1];
      search = given && new GreedySearch(model, given.ids);
      show();
      return Boolean(search);
    }

    async function translate(count) {
      if (!begin()) return;
      const own = search;
      await loop.run(count, () => {
        if (own.isOver) { loop.stop(); return; }
        own.step();
        selected = own.weights.length - 1;
        if (!isStill() || own.isOver || count === 1) show();
      });
      if (search !== own) return;  // the reader has another text by now
      show();
      const text = tokenizer.decode(own.ids), n = own.weights.length;
      if (own.isOver) tell(`${say("translated", { n, text })} ${given.notes}`.trim());
      else if (count === 1) select(n - 1); else tell(say("halted", { n }));
    }

    show();
    const buttons = element("div", { class: "live-buttons" }, button(say("translate"), () => translate(MAX_LENGTH + 1)),
      button(say("next"), () => translate(1)), button(say("stop"), loop.stop));
    const scroll = element("div", { class: "live-scroll", tabindex: 0, role: "group", "aria-label": say("weights") }, table);
    return { nodes: [...source.nodes, buttons, pieces, target, scroll], stop: loop.stop };
  }

  // ---------------------------------------------------------------- 6.1: beam search and its tree

  const cells = (tag, texts) => texts.map((text) => element(tag, tag === "th" ? { scope: "col" } : {}, text));

  function openBeam([model], tell) {
    const { tokenizer } = model, loop = makeLoop(STEP_MILLISECONDS / 2);
    const forget = () => { loop.stop(); search = null; show(); };
    const source = makeSource(tokenizer, tell, forget, 2);
    const size = element("select", { change: forget }, ...BEAM_SIZES.map((n) => element("option", { value: n }, String(n))));
    const penalty = range({ min: 0, max: 2, step: 0.1, value: 1 }, () => { setPenalty(); forget(); });
    const output = element("span", { class: "live-value", "aria-hidden": "true" });
    const greedyLine = element("p", { class: "live-greedy" });
    const table = element("table", { class: "live-hypotheses" });
    const legend = element("p", { class: "live-note" }, say("treeLegend"));
    const drawing = element("div", { class: "live-scroll", tabindex: 0, role: "group", "aria-label": say("tree") });
    const tree = element("ul", { class: "live-tree", "aria-label": say("tree") });
    const list = element("details", {}, element("summary", {}, say("treeList")), tree);
    let search = null, greedy = null, given = null;
    size.value = "5";

    function setPenalty() {
      output.textContent = Number(penalty.value).toFixed(1);
      penalty.setAttribute("aria-valuetext", output.textContent);
    }

    function show() {
      const isShown = search !== null;
      greedyLine.replaceChildren(...(isShown ? [
        element("span", { class: "live-heading" }, say("greedySearch")), ` ${tokenizer.decode(greedy.ids)} `,
        element("span", { class: "live-mark" }, `log p ${minus(greedy.logProb)}`),
      ] : []));
      table.replaceChildren(...(isShown ? [
        element("caption", {}, say("beamSearch")),
        element("tr", {}, ...cells("th", [say("rank"), say("target"), say("logProb"), say("length"), say("score")])),
        ...search.finished.map((found, i) => element("tr", {}, ...cells("td",
          [`${i + 1}`, tokenizer.decode(found.ids), minus(found.logProb), `${found.length}`, minus(found.score)]))),
      ] : []));
      const hasTree = isShown && search.length > 0;
      legend.hidden = list.hidden = !hasTree;
      drawing.replaceChildren(...(hasTree ? [drawTree(search, tokenizer)] : []));
      drawing.scrollLeft = drawing.scrollWidth;  // to the newest step
      tree.replaceChildren(...(hasTree ? listTree(search, tokenizer) : []));
    }

    function begin() {
      if (search && !search.isOver) return true;
      given = source.read();
      search = given && new BeamSearch(model, given.ids, { size: Number(size.value), penalty: Number(penalty.value) });
      greedy = given && new GreedySearch(model, given.ids);
      while (greedy && greedy.step());
      show();
      return Boolean(search);
    }

    async function translate(count) {
      if (!begin()) return;
      const own = search;
      await loop.run(count, () => {
        if (own.isOver) { loop.stop(); return; }
        own.step();
        if (!isStill() || own.isOver || count === 1) show();
      });
      if (search !== own) return;
      show();
      if (own.isOver) {
        tell(`${say("beamDone", { n: own.length, text: tokenizer.decode(own.finished[0].ids) })} ${given.notes}`.trim());
      } else tell(say("beamStep", { n: own.length, open: own.beam.length, ended: own.finished.length }));
    }

    setPenalty();
    show();
    const buttons = element("div", { class: "live-buttons" }, button(say("translate"), () => translate(MAX_LENGTH + 1)),
      button(say("nextStep"), () => translate(1)), button(say("stop"), loop.stop));
    const settings = element("div", { class: "live-sliders" }, labelled(say("beamSize"), size),
      labelled(say("penalty"), element("span", {}, penalty, output)));
    const scroll = element("div", { class: "live-scroll", tabindex: 0, role: "group", "aria-label": say("beamSearch") }, table);
    return { nodes: [...source.nodes, settings, buttons, greedyLine, scroll, legend, drawing, list], stop: loop.stop };
  }

  register("attention", { models: ["translator-de-en"], open: openAttention });
  register("beam", { models: ["translator-de-en"], open: openBeam });
})();
