// Parts of the page that know nothing of feeds.

// A DOM node with attributes, listeners ("onclick") and children; text goes in as text, never as markup.
export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export function ago(iso) {
  const seconds = Math.max(0, (Date.now() - Date.parse(iso)) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  if (seconds < 86400 * 30) return `${Math.floor(seconds / 86400)} d`;
  return new Date(iso).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}

export function paint(node, user) {
  let hue = 0;
  for (const digit of user.id) hue = (hue * 31 + digit.charCodeAt(0)) % 9973;
  node.style.setProperty("--hue", Math.round(hue * 137.5) % 360);
  node.textContent = [...(user.display_name || user.handle)][0]?.toUpperCase() ?? "?";
  return node;
}
export const avatar = (user) => paint(element("span", { class: "avatar", "aria-hidden": "true" }), user);

export function marked(text) {
  const parts = text.split(/([#@][\p{L}\p{N}_]+)/u);
  return parts.map((part) => (/^[#@]./u.test(part) ? element("span", { class: "tag" }, part) : part));
}

export function heart() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", "M12 20s-7-4.6-9-9a5 5 0 0 1 9-4 5 5 0 0 1 9 4c-2 4.4-9 9-9 9z");
  svg.append(path);
  return svg;
}
