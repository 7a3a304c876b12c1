// The boxes in which a reader uses the models of engine.js.
//
// A page has <div class="live-box" data-live="KIND"> around a stored example, which stays as it is
// without scripts, in print, and until the reader asks for the models. Words come from one table.
// translation.js adds the boxes that translate.
(() => {
  "use strict";

  const { descriptions, load, release, sizeOf, pause } = LiveModels;
  const { ranking, without, shape, draw, softmax, makeRandom } = LiveModels;
  const SPECIAL = [0, 1, 2, 3];  // never continue a text
  const SHOWN = { characters: 2000, letters: 12, pieces: 8, promptPieces: 256 };
  const TOP_K = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 0];  // 0: all
  const LENGTHS = { characters: 100, pieces: 60 };
  const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // What the boxes say, in English and in Chinese.
  const WORDS = {
    load: ["Try it here (loads {size})", "在此试用（加载 {size}）"],
    loading: ["Loading", "正在加载"],
    stop: ["Stop", "停止"],
    close: ["Close", "关闭"],
    ready: ["The model is ready.", "模型已就绪。"],
    stopped: ["Loading was stopped.", "加载已停止。"],
    missing: [
      "A file of the model could not be loaded. Is the page still connected?",
      "模型的一个文件无法加载。页面的连接还在吗？",
    ],
    damaged: [
      "The model's files do not fit together. Reload the page, and try again.",
      "模型的文件彼此不符。请重新加载页面再试。",
    ],
    memory: ["The browser has too little memory for this model.", "浏览器的内存不足以运行此模型。"],
    text: ["Text", "文本"],
    order: ["Order n of the model", "模型的阶数 n"],
    orderItem: ["{n}: reads {context}", "{n}：读取{context}"],
    contextNone: ["nothing", "零个字符"],
    contextOne: ["1 character", "1 个字符"],
    contextMany: ["{n} characters", "{n} 个字符"],
    drawOne: ["Draw one", "抽取一个"],
    writeMany: ["Write {n}", "写 {n} 个"],
    clear: ["Clear", "清空"],
    nextCharacter: ["The next character", "下一个字符"],
    nextPiece: ["The next piece", "下一个子词"],
    others: ["{n} others", "其余 {n} 个"],
    append: ["append {piece}, probability {p}", "添加 {piece}，概率 {p}"],
    drawn: ["Drawn: {piece}, probability {p}.", "抽到：{piece}，概率 {p}。"],
    written: ["Written: {n}.", "已写：{n}。"],
    halted: ["Stopped after {n}.", "写了 {n} 个后停止。"],
    seen: [
      "Longest context in the training text: “{context}”, {n} times.",
      "训练文本中出现过的最长上文：“{context}”，{n} 次。",
    ],
    seenNone: [
      "No context is used: these are the probabilities of single characters.",
      "没有使用上文：这些是单个字符的概率。",
    ],
    unknown: ["Not in the training text, read as unknown: {characters}", "训练文本中没有，按未知符号读取：{characters}"],
    pieces: ["Pieces and their ids", "子词及其编号"],
    counts: [
      "{characters} characters, {bytes} bytes, {pieces} pieces.",
      "{characters} 个字符，{bytes} 个字节，{pieces} 个子词。",
    ],
    cutCharacters: ["Only the first {n} of {all} characters are shown.", "只显示 {all} 个字符中的前 {n} 个。"],
    cutPieces: ["Only the last {n} of {all} pieces are read.", "只读取 {all} 个子词中的最后 {n} 个。"],
    empty: ["The text is empty.", "文本为空。"],
    prompt: ["Prompt", "提示"],
    temperature: ["Temperature", "温度"],
    topK: ["Top-k", "Top-k"],
    topP: ["Top-p", "Top-p"],
    minP: ["Min-p", "Min-p"],
    all: ["all", "全部"],
    greedy: ["0 (greedy)", "0（贪心）"],
    seed: ["Seed", "随机种子"],
    again: ["Start over", "重新开始"],
    next: ["Next piece", "下一个子词"],
    reading: ["Reading the prompt", "正在读取提示"],
    wasRead: ["The prompt has {n} pieces.", "提示有 {n} 个子词。"],
    gpt: ["GPT", "GPT"],
    lstm: ["LSTM", "LSTM"],
    ngram: ["Counts (n = {n})", "计数（n = {n}）"],
    bits: ["{bits} bits per character on the validation text", "验证文本上每字符 {bits} 比特"],
    left: ["left out", "已排除"],
    both: ["{piece}: model {p}, drawn with {q}", "{piece}：模型 {p}，抽取时 {q}"],
    speed: ["Written by each: {n}. Pieces per second: {rate}.", "每个模型写了：{n}。每秒子词数：{rate}。"],
    legend: [
      "Below each text: the next piece, its probability in the model, and the one with which it is drawn.",
      "每段文本下方：下一个子词、它在模型中的概率，以及抽取时的概率。",
    ],
    sentence: ["A German sentence", "德语句子"],
    examples: ["Or take one of these", "或选用其中一句"],
    ownText: ["your own", "自己输入"],
    meaning: ["In English: {text}", "英语意思：{text}"],
    translate: ["Translate", "翻译"],
    nextStep: ["Next step", "下一步"],
    source: ["Pieces of the source, with their weights", "源句的子词及其权重"],
    target: ["Translation", "译文"],
    weights: ["Weights of attention", "注意力权重"],
    rank: ["Rank", "名次"],
    end: ["end", "结束"],
    piece: ["Piece", "子词"],
    attended: [
      "{piece}: most attention to {source}, weight {p}.",
      "{piece}：注意力最多的是 {source}，权重 {p}。",
    ],
    translated: ["Translated in {n} steps: {text}", "用 {n} 步译完：{text}"],
    sourceRead: ["The source has {n} pieces.", "源句有 {n} 个子词。"],
    cutSource: ["Only the first {n} of {all} pieces are read.", "只读取 {all} 个子词中的前 {n} 个。"],
    bytes: [
      "Pieces that are single bytes, as the training captions hardly have such letters: {n}.",
      "其中单个字节的子词有 {n} 个，训练图片说明中几乎没有这些字母。",
    ],
    beamSize: ["Beam size", "束宽"],
    penalty: ["Length penalty", "长度惩罚"],
    greedySearch: ["Greedy search", "贪心搜索"],
    beamSearch: ["Beam search, the best hypotheses", "束搜索，最佳假设"],
    tree: ["The tree of hypotheses", "假设树"],
    treeDrawn: ["The tree of hypotheses, drawn; the list after it says the same", "假设树的图，其后的列表内容相同"],
    treeList: ["The tree as a list", "列表形式的假设树"],
    treeLegend: [
      "A column is a step, with its hypotheses from the most probable down; below each piece, log p up to there. Dashed and grey: given up. Round: ended, with its rank. Bold: the best.",
      "一列是一步，假设从上到下按概率由高到低排列；子词下方是到此为止的 log p。灰色虚线：已放弃。圆框：已结束，附名次。粗体：最佳。",
    ],
    rankOf: ["rank {rank}", "第 {rank} 名"],
    unranked: ["lower", "落选"],
    logProb: ["log p", "log p"],
    length: ["Pieces", "子词数"],
    score: ["Score", "得分"],
    ended: ["ends, rank {rank}", "结束，第 {rank} 名"],
    endedLower: ["ends, not among the best", "结束，未入最佳"],
    open: ["goes on", "继续"],
    givenUp: ["given up", "已放弃"],
    beamStep: ["Step {n}: {open} partial hypotheses, {ended} ended.", "第 {n} 步：{open} 个部分假设，{ended} 个已结束。"],
    headName: ["Layer {layer}, head {head}", "第 {layer} 层，第 {head} 个头"],
    readHeads: ["Read the text", "读取文本"],
    headsStep: ["Reading without head {n} of {all}", "正在读取，去掉第 {n} 个头（共 {all} 个）"],
    headsDone: [
      "{n} pieces, {bits} bits for each after the first. Most costly to leave out: {head}, {change} bits.",
      "共 {n} 个子词，第一个之后平均每个 {bits} 比特。去掉后损失最大的是{head}：{change} 比特。",
    ],
    headChosen: ["{head}: without it {change} bits per piece.", "{head}：去掉它，每个子词 {change} 比特。"],
    headsTooShort: ["The text needs two pieces or more.", "文本至少要有两个子词。"],
    headsGrid: ["Without a head: change of the loss in bits per piece", "去掉一个头后损失的变化（每个子词的比特数）"],
    layerRow: ["Layer {n}", "第 {n} 层"],
    headColumn: ["Head {n}", "第 {n} 个头"],
    headWeights: ["{head}: from the piece of each row to those before it", "{head}：每行的子词对前面各子词的权重"],
    headLosers: ["Pieces that become less probable without it", "去掉它后概率下降最多的子词"],
    headLoser: ["p {p} becomes {q}", "p 由 {p} 变为 {q}"],
    review: ["A sentence about a film", "一句影评"],
    praise: ["praise", "好评"],
    cnn: ["CNN", "CNN"],
    gru: ["GRU", "GRU"],
    shares: ["Words with their shares", "各词及其贡献"],
    shareLegend: [
      "Below each word: how much the log-odds of praise fall when the unknown word takes its place.",
      "每个词下方：用未登录词替换这个词之后，好评的对数几率下降多少。",
    ],
    cutWords: ["Only the first {n} of {all} words are read.", "只读取 {all} 个词中的前 {n} 个。"],
    beamDone: ["Ended after {n} steps. The best: {text}", "{n} 步后结束。最佳：{text}"],
  };
  const language = document.documentElement.lang.startsWith("zh") ? 1 : 0;
  const say = (key, values = {}) => WORDS[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name]);

  // ---------------------------------------------------------------- parts of a page

  // An element; attributes that are functions are listeners. Texts are never read as HTML.
  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") node.addEventListener(name, value); else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  }

  const button = (text, click) => element("button", { type: "button", class: "live-button", click }, text);
  const labelled = (text, control) => element("label", { class: "live-field" }, element("span", {}, text), control);
  const textField = (value, input) => {
    const field = element("textarea", { rows: 3, spellcheck: "false", input });
    field.value = value;
    return field;
  };
  const probability = (p) => p.toFixed(3);
  const hidden = (text) => element("span", { class: "live-hidden" }, text);  // for listeners
  const signed = (number) => {
    const text = Math.abs(number).toFixed(2);
    return Number(text) === 0 ? text : `${number < 0 ? "−" : "+"}${text}`;
  };
  const meter = (p) => element("meter", { min: 0, max: 1, value: p, "aria-hidden": "true" });
  const range = (attributes, input) => element("input", { type: "range", ...attributes, input });
  const later = (act) => { let timer; return () => { clearTimeout(timer); timer = setTimeout(act, 250); }; };

  // Does something again and again, and lets the page draw in between, until it is stopped. There
  // may be some milliseconds between two times.
  function makeLoop(milliseconds = 0) {
    const wait = () => (milliseconds ? new Promise((go) => { setTimeout(go, milliseconds); }) : pause());
    let current = 0;
    return {
      stop: () => { current += 1; },
      async run(count, act) {
        const own = ++current;
        let done = 0;
        for (; done < count && own === current; done++) { act(); await (isStill() ? pause() : wait()); }
        return { done, isWhole: own === current };
      },
    };
  }

  // ---------------------------------------------------------------- the life of a box

  // The boxes of a kind: the models that it loads, and a function from these and from one that
  // tells something to {nodes, stop}.
  function register(name, kind) {
    document.querySelectorAll(`.live-box[data-live="${name}"]`).forEach((box) => makeBox(box, kind));
  }

  // Firefox throws no error when memory ends, but a text.
  const isMemory = (error) => error instanceof RangeError || /out of memory/i.test(error);

  function makeBox(box, kind) {
    if (!kind.models.every((name) => descriptions[name])) return;  // the example remains
    const parts = element("div", { class: "live-parts" });
    const status = element("p", { class: "live-status", role: "status" });
    const tell = (text) => { status.textContent = text; };
    let loading = null, opened = null;
    box.append(parts, status);

    function offer(text = "") {
      const size = `${(sizeOf(kind.models) / 1e6).toFixed(sizeOf(kind.models) < 1e5 ? 2 : 1)} MB`;
      box.dataset.state = "closed";
      parts.replaceChildren(button(say("load", { size }), start));
      tell(text);
    }

    function start() {
      if (loading) return;
      const progress = element("progress", { max: 1, value: 0, "aria-label": say("loading") });
      const stop = button(say("stop"), () => loading?.stop());
      box.dataset.state = "loading";
      parts.replaceChildren(progress, stop);
      tell(say("loading"));
      stop.focus();
      loading = load(kind.models, (share) => { progress.value = share; });
      loading.done.then(open).catch((error) => {
        const reason = error.reason ?? (isMemory(error) ? "memory" : "damaged");
        release(reason === "stopped" ? [] : kind.models);
        offer(say(reason));
        parts.firstChild.focus();
      }).finally(() => { loading = null; });
    }

    function open(models) {
      tell(say("ready"));
      opened = kind.open(models, tell);
      parts.replaceChildren(...opened.nodes, button(say("close"), close));
      box.dataset.state = "open";
      parts.querySelector("textarea").focus({ preventScroll: true });
    }

    function close() {
      opened.stop();
      opened = null;
      release(kind.models);
      offer();
      parts.firstChild.focus();
    }

    window.addEventListener("pagehide", () => { loading?.stop(); opened?.stop(); });
    offer();
  }

  // ---------------------------------------------------------------- 2.1: write with an n-gram

  function openNGram([model], tell) {
    const { tokenizer } = model, loop = makeLoop(), random = makeRandom(Date.now());
    const contextText = (n) => (n === 0 ? say("contextNone") : n === 1 ? say("contextOne") : say("contextMany", { n }));
    const field = textField("To be, or not to b", () => change(field.value));
    field.addEventListener("focus", loop.stop);  // who edits the text ends the writing
    const order = element("select", { change: () => show() });
    for (let n = model.order; n > 0; n--) {
      order.append(element("option", { value: n }, say("orderItem", { n, context: contextText(n - 1) })));
    }
    const list = element("ol", { class: "live-distribution", "aria-label": say("nextCharacter") });
    const note = element("p", { class: "live-note" });

    const toEnd = () => { field.scrollTop = field.scrollHeight; };
    let changes = 0;  // by the reader

    // Takes over a text of the reader, which ends what the model is writing.
    function change(text) {
      loop.stop();
      changes += 1;
      if (field.value !== text) field.value = text;
      show();
    }

    function distribution(text = field.value) {
      const ids = tokenizer.encode(text || "\n");
      const context = [...model.start(), ...ids].slice(1 - model.order);
      const logits = model.distribution(context, Number(order.value)).map(Math.log);
      return { context, probabilities: softmax(without(logits, SPECIAL)) };
    }

    function append(id, p) {
      change(field.value + tokenizer.decode([id]));
      toEnd();
      tell(say("drawn", { piece: tokenizer.piece(id), p: probability(p) }));
    }

    function describeContext(context) {
      for (let length = Number(order.value) - 1; length > 0; length--) {
        const ids = context.slice(-length), n = model.count(ids);
        if (n > 0) return say("seen", { context: ids.map((id) => tokenizer.piece(id)).join(""), n });
      }
      return say("seenNone");
    }

    function show() {
      const { context, probabilities } = distribution(), ranks = ranking(probabilities);
      const shown = ranks.slice(0, SHOWN.letters), rest = ranks.slice(SHOWN.letters, -SPECIAL.length);
      const rows = shown.map((id) => {
        const p = probabilities[id], piece = tokenizer.piece(id);
        const click = element("button", {
          type: "button", "aria-label": say("append", { piece, p: probability(p) }),
          click: () => { append(id, p); list.querySelector("button").focus(); },
        }, element("span", { class: "live-piece" }, piece), meter(p), element("span", {}, probability(p)));
        return element("li", {}, click);
      });
      const total = rest.reduce((sum, id) => sum + probabilities[id], 0);
      const others = `${say("others", { n: rest.length })} ${probability(total)}`;
      list.replaceChildren(...rows, element("li", { class: "live-rest" }, others));
      const unknown = tokenizer.unknown(field.value).slice(0, 20).join(" ");
      note.textContent = `${describeContext(context)} ${unknown ? say("unknown", { characters: unknown }) : ""}`;
    }

    function drawOne() {
      const { probabilities } = distribution(), id = draw(probabilities, random);
      append(id, probabilities[id]);
    }

    async function write() {
      const before = changes;
      let text = field.value;
      const { done, isWhole } = await loop.run(LENGTHS.characters, () => {
        text += tokenizer.decode([draw(distribution(text).probabilities, random)]);
        if (!isStill()) field.value = text;
      });
      if (changes > before) return;  // the reader has another text by now
      field.value = text;
      toEnd();
      show();
      tell(say(isWhole ? "written" : "halted", { n: done }));
    }

    function clear() {
      change("");
      field.focus();
    }

    show();
    const buttons = element("div", { class: "live-buttons" },
      button(say("drawOne"), drawOne),
      button(say("writeMany", { n: LENGTHS.characters }), write),
      button(say("stop"), loop.stop), button(say("clear"), clear));
    const fields = [labelled(say("text"), field), labelled(say("order"), order)];
    return { nodes: [...fields, buttons, note, list], stop: loop.stop };
  }

  // ---------------------------------------------------------------- 2.2: pieces and their ids

  function openPieces([{ tokenizer }], tell) {
    const field = textField("Unbelievably, 语言模型 read naïve text. 🙂", later(() => show()));
    const list = element("ol", { class: "live-pieces", "aria-label": say("pieces") });

    function show() {
      const all = Array.from(field.value), text = all.slice(0, SHOWN.characters).join("");
      const ids = tokenizer.encode(text);
      list.replaceChildren(...ids.map((id) => element("li", {},
        element("span", { class: "live-piece" }, tokenizer.piece(id)),
        element("span", { class: "live-id" }, String(id)))));
      const bytes = new TextEncoder().encode(text).length, characters = Math.min(all.length, SHOWN.characters);
      const counts = text ? say("counts", { characters, bytes, pieces: ids.length }) : say("empty");
      const isCut = all.length > SHOWN.characters;
      tell(`${counts} ${isCut ? say("cutCharacters", { n: SHOWN.characters, all: all.length }) : ""}`);
    }

    show();
    return { nodes: [labelled(say("text"), field), list], stop() {} };
  }

  // ---------------------------------------------------------------- 6.2: one prompt, three models

  const modelLabel = (model) => say(model.name.split("-")[0], { n: model.order });

  // One model: its text, and the distribution of its next piece before and after the rules.
  function makeColumn(model, rules) {
    const { tokenizer } = model, prompt = element("span"), added = element("span", { class: "live-new" });
    const list = element("ol", { class: "live-distribution", "aria-label": say("nextPiece") });
    const bits = model.facts?.valid_bits_per_character;
    const node = element("div", { class: "live-column", role: "group", "aria-label": modelLabel(model) },
      element("p", { class: "live-heading" }, modelLabel(model)),
      element("p", { class: "live-note" }, bits ? say("bits", { bits: bits.toFixed(2) }) : ""),
      element("p", { class: "live-text", lang: "en" }, prompt, added), list);
    let ids, promptLength, logits, state, random;

    function take(id) { ({ logits, state } = model.step(id, state)); }

    function show() {
      const start = tokenizer.decode(ids.slice(0, promptLength));
      prompt.textContent = start;
      added.textContent = tokenizer.decode(ids).slice(start.length);
      const allowed = without(logits, SPECIAL), before = softmax(allowed), after = shape(allowed, rules());
      list.replaceChildren(...ranking(before).slice(0, SHOWN.pieces).map((id) => {
        const piece = tokenizer.piece(id), isLeft = after[id] === 0;
        const [p, q] = [before[id], after[id]].map(probability);
        return element("li", { class: isLeft ? "live-left-out" : "" },
          element("span", { class: "live-hidden" }, say("both", { piece, p, q: isLeft ? say("left") : q })),
          element("span", { class: "live-piece", "aria-hidden": "true" }, piece), meter(after[id]),
          element("span", { class: "live-number", "aria-hidden": "true" }, p),
          element("span", { class: "live-number", "aria-hidden": "true" }, isLeft ? "–" : q));
      }));
    }

    return {
      node, show,
      begin(seed) { [ids, state, random] = [[], model.start(), makeRandom(seed)]; },
      readPiece(id) { ids.push(id); take(id); promptLength = ids.length; },
      write() {
        const id = draw(shape(without(logits, SPECIAL), rules()), random);
        ids.push(id);
        take(id);
      },
    };
  }

  function openSampling(models, tell) {
    const loop = makeLoop(), { tokenizer } = models[0];
    const rules = () => ({
      temperature: Number(temperature.value), topK: TOP_K[topK.value],
      topP: Number(topP.value), minP: Number(minP.value),
    });
    const field = textField("KING RICHARD:\nMy lord, I am", later(() => restart()));
    const seed = element("input", { type: "number", min: 0, max: 999999, value: 0, change: () => restart() });
    const columns = models.map((model) => makeColumn(model, rules));
    const temperature = range({ min: 0, max: 2, step: 0.05, value: 0.8 }, setRules);
    const topK = range({ min: 0, max: TOP_K.length - 1, step: 1, value: TOP_K.length - 1 }, setRules);
    const topP = range({ min: 0.05, max: 1, step: 0.05, value: 0.9 }, setRules);
    const minP = range({ min: 0, max: 0.5, step: 0.01, value: 0 }, setRules);
    const sliders = Object.entries({ temperature, topK, topP, minP }).map(([key, slider]) => {
      const output = element("span", { class: "live-value", "aria-hidden": "true" });
      return { key, slider, output, node: labelled(say(key), element("span", {}, slider, output)) };
    });
    let isReady = false;

    function valueText(key, slider) {
      if (key === "topK") return TOP_K[slider.value] ? String(TOP_K[slider.value]) : say("all");
      return key === "temperature" && slider.value === "0" ? say("greedy") : Number(slider.value).toFixed(2);
    }

    function setRules() {
      for (const { key, slider, output } of sliders) {
        output.textContent = valueText(key, slider);
        slider.setAttribute("aria-valuetext", output.textContent);
      }
      if (isReady) columns.forEach((column) => column.show());
    }

    // Reads the prompt, a piece at a time in all three; an empty one is a line break.
    async function restart() {
      const all = tokenizer.encode(field.value || "\n"), ids = all.slice(-SHOWN.promptPieces);
      isReady = false;
      columns.forEach((column) => column.begin(Number(seed.value) || 0));
      tell(say("reading"));
      let at = 0;
      const { isWhole } = await loop.run(Math.ceil(ids.length / 4), () => {
        for (const end = Math.min(at + 4, ids.length); at < end; at++) {
          columns.forEach((column) => column.readPiece(ids[at]));
        }
      });
      if (!isWhole) return false;
      isReady = true;
      columns.forEach((column) => column.show());
      const isCut = all.length > ids.length;
      tell(!field.value ? say("empty") : say(isCut ? "cutPieces" : "wasRead", { n: ids.length, all: all.length }));
      return true;
    }

    async function write(count) {
      if (!isReady && !await restart()) return;
      const start = performance.now();
      const { done, isWhole } = await loop.run(count, () => columns.forEach((column) => {
        column.write();
        if (!isStill()) column.show();
      }));
      if (!isReady) return;  // the prompt was changed meanwhile
      columns.forEach((column) => column.show());
      const rate = Math.round(models.length * done / (performance.now() - start) * 1000);
      tell(isWhole ? say("speed", { n: done, rate }) : say("halted", { n: done }));
    }

    setRules();
    restart();
    const buttons = element("div", { class: "live-buttons" }, button(say("next"), () => write(1)),
      button(say("writeMany", { n: LENGTHS.pieces }), () => write(LENGTHS.pieces)),
      button(say("stop"), loop.stop), button(say("again"), restart));
    const settings = element("div", { class: "live-sliders" },
      ...sliders.map(({ node }) => node), labelled(say("seed"), seed));
    const results = element("div", { class: "live-columns" }, ...columns.map(({ node }) => node));
    const legend = element("p", { class: "live-note" }, say("legend"));
    return { nodes: [labelled(say("prompt"), field), settings, buttons, legend, results], stop: loop.stop };
  }

  register("ngram", { models: ["ngram-characters"], open: openNGram });
  register("pieces", { models: ["tokenizer-pieces"], open: openPieces });
  register("sampling", { models: ["gpt-pieces", "lstm-pieces", "ngram-pieces"], open: openSampling });

  globalThis.LiveBoxes = {
    register, say, isStill, element, button, labelled, textField, range, meter, probability, makeLoop, later, hidden, signed,
  };
})();
