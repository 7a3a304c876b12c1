// Classifiers of film reviews, and the box in which they judge a reader's (section 9.1).
//
// It extends engine.js, which has the matrices, the GRU and the tokenizer of words.
(() => {
  "use strict";

  const { UNK, add, concat, dot, gruCell, linear, register: registerModel } = LiveModels;
  const { register, say, element, labelled, textField, probability, meter, later, signed } = LiveBoxes;
  const LONGEST = 60;  // words
  const TEXT = "a smart and moving film, though the ending is dull.";

  // utils.models.classifiers.Classifier: an encoder and a linear layer on its vector.
  class TextClassifier {
    constructor({ kernel_sizes: kernelSizes }, tensors) {
      Object.assign(this, { tensors, embedding: tensors["encoder.embedding.weight"] });
      this.filters = kernelSizes?.flatMap((size, group) => this.filtersOf(`encoder.convolutions.${group}`, size));
    }

    // The filters of a group: a bias, and the weights of the vector at each of `size` neighbouring
    // words. torch has them the other way round: for each number of a vector, its weights at all words.
    filtersOf(name, size) {
      const { rows, columns, data } = this.tensors[`${name}.weight`], bias = this.tensors[`${name}.bias`];
      const place = (filter, j) => Float32Array.from(
        { length: columns / size }, (_, e) => data[filter * columns + e * size + j]);
      return Array.from({ length: rows }, (_, filter) => ({
        bias: bias[filter], places: Array.from({ length: size }, (__, j) => place(filter, j)),
      }));
    }

    // The logits of no praise and of praise.
    logits(ids) {
      const vector = this.filters ? this.convolve(ids) : this.read(ids);
      return linear(this.tensors["output.weight"], this.tensors["output.bias"], vector);
    }

    // Each filter's maximum over the windows that contain at least one word, if it is positive.
    convolve(ids) {
      const words = ids.map((id) => this.embedding.row(id));
      return Float32Array.from(this.filters, ({ bias, places }) => {
        let best = 0;
        for (let start = 1 - places.length; start < words.length; start++) {
          let total = bias;
          places.forEach((place, j) => { if (words[start + j]) total += dot(place, words[start + j]); });
          best = Math.max(best, total);
        }
        return best;
      });
    }

    // The states in which a GRU ends that reads forward, and one that reads backward.
    read(ids) {
      const words = ids.map((id) => this.embedding.row(id).map((number) => number * Math.sqrt(this.embedding.columns)));
      const end = (suffix, order) => {
        const weights = (part) => this.tensors[`encoder.rnn.${part}_l0${suffix}`];
        const start = new Float32Array(this.embedding.columns / 2);
        return order.reduce((hidden, word) => gruCell(weights, word, hidden), start);
      };
      return concat(end("", words), end("_reverse", [...words].reverse()));
    }

    // The logarithm of the odds of praise, and how much each word adds: what is lost when the unknown
    // word stands in its place (section 8.2).
    judge(ids) {
      const odds = (some) => { const [no, yes] = this.logits(some); return yes - no; };
      const score = odds(ids);
      return { score, shares: ids.map((_, t) => score - odds(ids.map((id, s) => (s === t ? UNK : id)))) };
    }
  }

  registerModel("classifier", TextClassifier);


  // ---------------------------------------------------------------- 9.1: a review, judged

  function openSentiment(models, tell) {
    const { tokenizer } = models[0];
    const field = textField(TEXT, later(() => show()));
    const columns = element("div", { class: "live-columns" });
    const legend = element("p", { class: "live-note" }, say("shareLegend"));
    const nameOf = (model) => say(model.name.split("-")[1]);

    function column(model, words, ids) {
      const { score, shares } = model.judge(ids), p = 1 / (1 + Math.exp(-score));
      const list = element("ol", { class: "live-pieces", "aria-label": say("shares") },
        ...words.map((word, t) => element("li", { class: shares[t] < 0 ? "live-against" : "live-for" },
          element("span", { class: "live-piece" }, word), element("span", { class: "live-id" }, signed(shares[t])))));
      const node = element("div", { class: "live-column", role: "group", "aria-label": nameOf(model) },
        element("p", { class: "live-heading" }, nameOf(model)),
        element("p", { class: "live-verdict" }, `${say("praise")} ${probability(p)} `, meter(p)), list);
      return { node, line: `${nameOf(model)}: ${say("praise")} ${probability(p)}` };
    }

    function show() {
      const all = tokenizer.words(field.value.toLowerCase()), words = all.slice(0, LONGEST);
      if (!words.length) {
        columns.replaceChildren();
        tell(say("empty"));
        return;
      }
      const shown = models.map((model) => column(model, words, tokenizer.encode(words.join(" "))));
      columns.replaceChildren(...shown.map(({ node }) => node));
      const unknown = tokenizer.unknown(words.join(" ")).slice(0, 20).join(" ");
      const lines = shown.map(({ line }) => `${line}.`);
      if (unknown) lines.push(say("unknown", { characters: unknown }));
      if (all.length > LONGEST) lines.push(say("cutWords", { n: LONGEST, all: all.length }));
      tell(lines.join(" "));
    }

    show();
    return { nodes: [labelled(say("review"), field), legend, columns], stop() {} };
  }

  register("sentiment", { models: ["sentiment-cnn", "sentiment-gru"], open: openSentiment });
})();
