// The few lines of DOM handling that the pages share. Text only ever goes in as
// text: there is no innerHTML here, and the content policy forbids it.

/** Makes an element: h('p', {class: 'x', onclick: f}, 'text', child). */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Makes an SVG element. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function fill(el, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) el.addEventListener(key.slice(2), value);
    else el.setAttribute(key, value === true ? '' : value);
  }
  el.append(...children.flat(2).filter((c) => c !== undefined && c !== null && c !== false));
  return el;
}

/** Sets an element's text, if it is another one. */
export function put(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

/** Sets or removes an attribute, if that changes it. */
export function mark(el, name, value) {
  if (value === undefined || value === null || value === false) {
    if (el.hasAttribute(name)) el.removeAttribute(name);
  } else {
    const text = value === true ? '' : String(value);
    if (el.getAttribute(name) !== text) el.setAttribute(name, text);
  }
}

/** Gives a style property, if that changes it. */
export function style(el, name, value) {
  if (el.style.getPropertyValue(name) !== value) el.style.setProperty(name, value);
}

/** Runs draw soon, and once, however often it is asked for. */
export function onceAFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    const run = () => { if (asked) { asked = false; draw(); } };
    requestAnimationFrame(run);
    setTimeout(run, 250); // a hidden page gets no frames
  };
}
