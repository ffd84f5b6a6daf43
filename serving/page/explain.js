// Why the page is as it is: the rung and its reason, what the stages did, what an item's score is made of.
import { element } from "/page/element.js";

const SOURCES = {
  following: "following", celebrity: "popular account followed", two_hop: "liked by followees",
  similar: "your interests", trending: "trending", popular: "popular now",
};
const REASONS = {
  requested: "as asked for", deadline: "ranking ran out of time", overload: "the service is overloaded",
  breaker_open: "ranking is switched off after errors", model_unavailable: "no model is loaded yet",
  features_unavailable: "the features are missing", redis_unavailable: "the feature store did not answer",
  no_candidates: "there is nothing to rank",
};
const STEPS_DOWN = {
  reduced: "Fewer candidates", light: "Light ranker only", chronological: "Newest first", records: "From the records",
};

const words = (name) => name.replaceAll("_", " ");
const quantity = (count, name) => `${count} ${name}${count === 1 ? "" : "s"}`;

function figure(value) {
  if (value === null) return "missing";
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}

function meter(value, largest, centred) {
  const bar = element("i");
  const share = largest > 0 ? Math.abs(value) / largest : 0;
  if (centred) {
    bar.style.width = `${share * 50}%`;
    bar.style.left = value < 0 ? `${50 - share * 50}%` : "50%";
    if (value < 0) bar.className = "minus";
  } else { bar.style.width = `${share * 100}%`; bar.style.left = "0"; }
  return element("div", { class: "meter", "aria-hidden": "true" }, bar);
}

function term(name, detail, bar, value) {
  return element("div", { class: "term" },
    element("span", { class: "name" }, words(name), " ", element("span", {}, detail)), bar,
    element("span", { class: "figure" }, value));
}

function headTerms(heads) {
  const largest = Math.max(...Object.values(heads).map((head) => Math.abs(head.contribution)));
  return Object.entries(heads).map(([name, head]) => term(
    name, `${(head.probability * 100).toFixed(1)} % × ${head.weight}`, meter(head.contribution, largest, false),
    head.contribution.toFixed(4)));
}

function featureTerms(features) {
  const largest = Math.max(...features.map((feature) => Math.abs(feature.contribution)));
  return features.map((feature) => term(
    feature.name, `= ${figure(feature.value)}`, meter(feature.contribution, largest, true),
    (feature.contribution < 0 ? "−" : "+") + Math.abs(feature.contribution).toFixed(3)));
}

// The score as it is computed: the model's, times each multiplier, is the item's.
function product(item) {
  const { model_score: model, multipliers } = item.explanation;
  if (model === null) return element("p", { class: "sum" }, "Not scored: it stands after everything that is.");
  const factors = Object.entries(multipliers).map(([name, factor]) => ` × ${words(name)} ${factor.toFixed(2)}`);
  return element("p", { class: "sum product" }, `Model ${model.toFixed(4)}${factors.join("")} = `,
    element("strong", {}, `score ${item.score.toFixed(4)}`));
}

export function why(item) {
  if (!item.explanation) return null;
  const { heads, features, propensity, chronological_position: byTime } = item.explanation;
  const details = element("details", { class: "why" }, element("summary", {}, "Why here?"));
  if (Object.keys(heads).length) {
    details.append(element("h3", {}, "What the model expects you to do"), ...headTerms(heads));
  } else details.append(element("p", {}, "Ordered by the light ranker: the heads had no time."));
  details.append(product(item), element("p", { class: "sum" },
    `By time it would be #${byTime + 1}. The chance that it stands here was ${(propensity * 100).toFixed(1)}\u00a0%.`));
  if (features.length) details.append(element("h3", {}, "Strongest features"), ...featureTerms(features));
  return details;
}

// Where an item came from: the source's name and the sentence that the service gives.
export function origin(item) {
  return element("p", { class: "origin" },
    element("span", { class: "source" }, SOURCES[item.source] ?? words(item.source)), " ", item.reason);
}

function table(caption, heads, rows) {
  return element("table", {}, element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows.map(([name, ...cells]) => element("tr", {},
      element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", {}, cell))))));
}

function flow({ removed, stages, formula, policy, out_of_network: share }) {
  const filters = Object.entries(removed).filter(([, count]) => count);
  const parts = [filters.length
    ? table("Removed by the filters", ["Filter", "candidates"], filters.map(([name, count]) => [words(name), String(count)]))
    : element("p", {}, "No filter removed anything.")];
  parts.push(table("Stages", ["Stage", "in", "out", "ms"], stages.map((stage) => [
    words(stage.stage) + (stage.error ? ` (${stage.error})` : ""),
    String(stage.entered), String(stage.left), stage.ms.toFixed(2)])));
  if (policy) {
    parts.push(element("p", {}, `Formula ${formula}, policy ${policy}: at most ${Math.round(share * 100)} % of accounts not followed.`));
  }
  return parts;
}

// The head of a column. A ranked column that steps down the ladder says so and why.
export function describe(column, page) {
  const { rung, reason, model, candidates, ms } = page.ranking;
  const fell = column.algorithm === "ranked" && reason !== null;
  column.part("rung").textContent = rung;
  column.part("rung").dataset.state = fell ? "fallback" : "fine";
  const facts = [model, quantity(candidates, "candidate"), `${ms.toFixed(1)} ms`];
  if (reason && reason !== "requested") facts.unshift(`${STEPS_DOWN[rung] ?? words(rung)}: ${REASONS[reason] ?? words(reason)}`);
  column.part("facts").textContent = facts.filter(Boolean).join(" · ");
  column.part("flow").hidden = !page.explanation;
  if (page.explanation) column.part("flow").lastElementChild.replaceChildren(...flow(page.explanation));
}
