/* The packaged model of arxiv_nbclf in a browser: from a text to words, scores, probabilities and reasons.
 *
 * Pure functions; the page is the business of page.js. Each does what the Python function of that name does (arxiv_nbclf.classifiers.linear,
 * calibrators and explanations), and tests/test_try.py holds the two side by side. Numbers are 64 bits wide, as in Python.
 * `read` unpacks what tools/try_model.py has written; everything else takes its result as `model`.
 */
"use strict";

const arxivNbclf = (() => {
  const ARRAYS = {I8: Int8Array, F16: Uint16Array, F32: Float32Array, F64: Float64Array}; // safetensors' names of types

  /** A number of 16 bits, of which few browsers have an array. */
  const half = (bits) => {
    const exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
    return (bits >> 15 ? -1 : 1) * (exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14);
  };

  const bytesOf = (base64) => {
    const letters = atob(base64), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    return bytes;
  };

  /** The arrays of a safetensors file: eight bytes with the length of a header, the header as JSON, then the numbers. */
  const readArrays = (bytes) => {
    const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
    delete header.__metadata__;
    const array = ({dtype, data_offsets: [from, to]}) => new ARRAYS[dtype](bytes.slice(start + from, start + to).buffer);
    return Object.fromEntries(Object.entries(header).map(([name, entry]) => [name, array(entry)]));
  };

  /** A model to work with, of what model.js holds. */
  const read = (packed) => {
    const arrays = readArrays(bytesOf(packed.weights));
    const {labels, settings: {bits, pairs}, calibration} = packed.bundle, idf = Float32Array.from(arrays.idf, half);
    return {
      labels, bits, pairs, calibration, mark: packed.mark, hair: packed.hair, stopWords: new Set(packed.stop_words),
      separator: packed.separator, withdrawn: {longest: packed.withdrawn.longest, pattern: new RegExp(packed.withdrawn.pattern, "i")},
      known: packed.known, tex: new RegExp(packed.known.tex, "g"), rarest: idf.reduce((most, one) => Math.max(most, one)),
      steps: arrays.weights, scales: arrays.scales, intercepts: arrays.intercepts, idf,
    };
  };

  /** Whether an abstract is a notice that the paper was withdrawn. */
  const isWithdrawn = ({withdrawn: {longest, pattern}}, summary) =>
    [...summary].length <= longest && pattern.test(summary.trim().split(/\s+/).join(" "));

  /** A joined text as the model reads it: the separator token is no word, and a notice is no abstract. */
  const prepare = (model, text) => {
    if (model.separator === model.mark) return text;
    const token = model.mark.trim(), place = text.indexOf(token);
    if (place >= 0 && isWithdrawn(model, text.slice(place + token.length))) return text.slice(0, place).replace(/ +$/, "") + model.separator;
    return text.replaceAll(model.mark, model.separator).replaceAll(token, model.separator);
  };

  /** Text as the tokeniser sees it: lower-case, accents off. */
  const fold = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f]+/g, "").toLowerCase();

  /** Words in order, less stop words; then neighbouring ones as pairs. */
  const tokens = (model, text) => {
    const words = (fold(text).match(/[a-z0-9]{2,}/g) ?? []).filter((word) => !model.stopWords.has(word));
    return model.pairs ? words.concat(words.slice(1).map((word, i) => `${words[i]} ${word}`)) : words;
  };

  /** The 32-bit FNV-1a hash; a token has a byte a letter. */
  const fnv1a = (token) => {
    let value = 0x811c9dc5;
    for (let i = 0; i < token.length; i++) value = Math.imul(value ^ token.charCodeAt(i), 0x01000193);
    return value >>> 0;
  };

  /** The bucket that counts a token: the hash, its high bits folded onto the low ones. */
  const bucket = (token, bits) => {
    const value = fnv1a(token);
    return (value ^ (value >>> bits)) & ((1 << bits) - 1);
  };

  /** The words that a text begins with, without stop words, numbers and TeX; each once. */
  const firstWords = (model, text) => {
    const {first} = model.known, start = [...[...text].slice(0, 40 * first).join("").replace(model.tex, " ")].slice(0, 12 * first).join("");
    return [...new Set(tokens({...model, pairs: false}, start).filter((word) => !/^[0-9]+$/.test(word)))].slice(0, first);
  };

  /** Whether a text has enough words that were common in training. */
  const knowsEnough = (model, text) => {
    const words = firstWords(model, text), {least, share, limit} = model.known;
    const rarity = words.map((word) => model.idf[bucket(word, model.bits)]);
    return rarity.filter((idf) => idf <= limit && idf < model.rarest).length >= Math.max(least, share * words.length);
  };

  const counted = (items) => {
    const times = new Map();
    for (const item of items) times.set(item, (times.get(item) ?? 0) + 1);
    return times;
  };

  /** Sublinear tf-idf of unit length: bucket → value; and how often each bucket and each token occurs. */
  const features = (model, text) => {
    const found = tokens(model, prepare(model, text)), hits = counted(found.map((token) => bucket(token, model.bits))), values = new Map();
    let squares = 0;
    for (const [where, times] of hits) {
      const value = (1 + Math.log(times)) * model.idf[where];
      values.set(where, value);
      squares += value * value;
    }
    const inverse = 1 / Math.max(Math.sqrt(squares), 1e-12);
    for (const [where, value] of values) values.set(where, value * inverse);
    return {values, hits, times: counted(found)};
  };

  /** A weight is a byte times its row's scale, rounded to 32 bits. */
  const weight = (model, group, where) => Math.fround(model.steps[(group << model.bits) + where] * model.scales[group]);

  /** Before calibration; the highest wins. */
  const scores = (model, values) => model.labels.map((_, group) => {
    let sum = 0;
    for (const [where, value] of values) sum += value * weight(model, group, where);
    return sum + model.intercepts[group];
  });

  /** Numbers that may become a label or probabilities: NaN has no place among them. */
  const finite = (numbers) => {
    if (numbers.every(Number.isFinite)) return numbers;
    throw new RangeError("The model is damaged: its scores are not finite numbers, so there is no answer.");
  };

  const argmax = (numbers) => numbers.indexOf(Math.max(...numbers)); // the first of equals

  const softmax = (numbers) => {
    const most = Math.max(...finite(numbers)), powers = numbers.map((number) => Math.exp(number - most));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  };

  /** Move as little probability as lets the decided group lead by a hair. */
  const keepDecision = (probabilities, decided, hair) => {
    const others = probabilities.filter((_, group) => group !== decided).sort((a, b) => b - a);
    let level = probabilities[decided], sum = level, enough = 0; // how many others share with it
    while (enough < others.length && level < others[enough]) {
      sum += others[enough++];
      level = sum / (enough + 1);
    }
    const kept = probabilities.map((p) => (enough ? Math.min(p, level) : p));
    kept[decided] = level + hair;
    return kept.map((p) => p / (1 + hair));
  };

  /** Probabilities of scores: matrix scaling. */
  const calibrate = (model, found) => {
    const {weights, bias} = model.calibration;
    const mixed = bias.map((constant, group) => found.reduce((sum, score, other) => sum + score * weights[other][group], 0) + constant);
    return keepDecision(softmax(mixed), argmax(found), model.hair);
  };

  /** What each word adds to a group's score, the strongest first; in sum with the constant the score itself. */
  const contributions = (model, {values, hits, times}, group) => [...times].map(([unit, often]) => {
    const where = bucket(unit, model.bits);
    return {unit, times: often, contribution: values.get(where) * weight(model, group, where) * often / hits.get(where)};
  }).sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));

  /** A paper as the model sees it. */
  const join = (model, title, summary) => title + model.mark + summary;

  /** Everything about one text. */
  const classify = (model, text) => {
    const seen = features(model, text), found = finite(scores(model, seen.values)), winner = argmax(found);
    const units = contributions(model, seen, winner);
    const enough = knowsEnough(model, prepare(model, text));
    return {winner, scores: found, probabilities: calibrate(model, found), units, constant: model.intercepts[winner], enough};
  };

  return {read, isWithdrawn, prepare, fold, tokens, firstWords, fnv1a, bucket, features, scores, softmax, keepDecision, calibrate,
    contributions, join, classify};
})();
