/* Addresses, the list of runs, keys. The address says what is open; everything else follows from it. */

const MOST_OPEN = 4;
const NARROW = matchMedia('(max-width: 1099px)');

function start() {
  const data = JSON.parse(document.getElementById('data').textContent);
  const main = document.getElementById('main');
  const panel = document.getElementById('panel');
  const state = { keep: false, curve: 'accuracy', opener: null, redraw: null };
  const places = new Map();
  let first = 0;
  for (const cell of data.cells) {
    cell.first = first;
    first += cell.runs;
    places.set(`run/${cell.name}`, { cell, place: cell.tables[0] });
    for (let index = 0; index < cell.runs; index += 1) {
      const seed = data.runs.seed[cell.first + index];
      places.set(`run/${cell.name}/s${seed}`, { cell, place: cell.tables[0], run: seed });
    }
    for (const place of cell.tables) places.set(place.address, { cell, place });
  }

  const actions = {
    close: () => { history.pushState(null, '', location.pathname + location.search); shut(); },
    keep: (on) => { state.keep = on; },
    keeps: () => state.keep,
    curve: () => state.curve,
    chose: (name) => { state.curve = name; },
    redraw: (draw) => { state.redraw = draw; },
  };

  function opened() {
    let text = location.hash.slice(1);
    try { text = decodeURIComponent(text); } catch { return []; }
    return text.split('&').filter((address) => places.has(address)).map((address) => ({ address, ...places.get(address) }));
  }

  function open(address, opener) {
    const before = state.keep ? opened().map((one) => one.address).filter((one) => one !== address) : [];
    state.opener = opener;
    const wanted = `#${[...before, address].slice(-MOST_OPEN).map(encodeURI).join('&')}`;
    if (location.hash === wanted) show();
    else location.hash = wanted;
  }

  function show() {
    const now = opened();
    if (!now.length) { shut(); unfold(); return; }
    const addresses = new Set(now.map((one) => one.address));
    state.keep = state.keep || now.length > 1;
    panel.hidden = false;
    document.body.classList.add('opened');
    const title = fillPanel(panel, data, now, actions);
    state.redraw?.();
    main.inert = NARROW.matches;
    let button = null;
    for (const each of document.querySelectorAll('[data-address]')) {
      const on = addresses.has(each.dataset.address);
      each.classList.toggle('on', on);
      if (on && each.dataset.address === now[now.length - 1].address) button = each;
    }
    if (!state.opener && button) button.scrollIntoView({ block: 'center', inline: 'center' });
    state.opener = state.opener || button;
    panel.scrollTop = 0;
    title.focus({ preventScroll: true });
    panel.querySelector('details.run[open]')?.scrollIntoView({ block: 'nearest' });
  }

  function shut() {
    if (panel.hidden) return;
    panel.hidden = true;
    state.redraw = null;
    state.keep = false;
    main.inert = false;
    document.body.classList.remove('opened');
    document.querySelectorAll('[data-address].on').forEach((each) => each.classList.remove('on'));
    state.opener?.focus({ preventScroll: true });
    state.opener = null;
  }

  addEventListener('hashchange', show);
  addEventListener('resize', () => { if (!panel.hidden) state.redraw?.(); });
  NARROW.addEventListener('change', () => { main.inert = NARROW.matches && !panel.hidden; });
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-address]');
    if (button) open(button.dataset.address, button);
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !panel.hidden) actions.close();
    else if (event.target.matches?.('td > button.cell')) moveInTable(event);
  });
  runList(data);
  if (location.hash) show();
}

/* What the address names is opened if it is inside of something closed. */
function unfold() {
  const named = document.getElementById(location.hash.slice(1));
  const around = named?.closest('details');
  if (!around || around.open) return;
  around.open = true;
  named.scrollIntoView();
}

/* Arrow keys go to the neighbouring cell. */
function moveInTable(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step) return;
  const cell = event.target.closest('td');
  const rows = [...cell.closest('tbody').rows];
  let [row, column] = [rows.indexOf(cell.parentElement), cell.cellIndex];
  for (;;) {
    row += step[0];
    column += step[1];
    const next = rows[row]?.cells[column];
    if (!next) return;
    const button = next.querySelector('button.cell');
    if (button) {
      event.preventDefault();
      button.focus();
      return;
    }
  }
}

/* One line for each cell; typing hides lines, and never makes them anew. */
function runList(data) {
  const list = document.getElementById('list');
  const find = document.getElementById('find');
  const choice = document.getElementById('state');
  const lines = data.cells.map((cell) => {
    const states = data.runs.state.slice(cell.first, cell.first + cell.runs);
    const scores = data.runs.score.slice(cell.first, cell.first + cell.runs).filter(Boolean);
    const place = cell.tables[0];
    const score = place ? [place.mean, place.std && `±${place.std}`].filter(Boolean).join(' ') : scores.join(', ') || '–';
    const done = states.filter((one) => one === 'done').length;
    const rest = [...new Set(states.filter((one) => one !== 'done'))].join(', ');
    const button = element('button', { type: 'button', tabindex: -1, 'data-address': `run/${cell.name}` },
      element('span', { class: 'title' }, cell.title.join(' · ')), ' ',
      element('span', { class: 'done' }, `${done} of ${states.length} done${rest && `, ${rest}`}`), ' ',
      element('span', { class: 'value' }, score));
    const item = element('li', {}, button);
    return { item, button, states, words: `${cell.name} ${cell.title.join(' ')}`.toLowerCase() };
  });
  list.append(...lines.map((line) => line.item));
  choice.append(...[...new Set(data.runs.state)].sort().map((one) => element('option', { value: one }, one)));

  const visible = () => lines.filter((line) => !line.item.hidden).map((line) => line.button);
  function reach(button) {
    lines.forEach((line) => { line.button.tabIndex = line.button === button ? 0 : -1; });
  }
  function filter() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const line of lines) {
      line.item.hidden = !(words.every((word) => line.words.includes(word)) && (!choice.value || line.states.includes(choice.value)));
    }
    const left = visible();
    reach(left[0]);
    document.getElementById('found').textContent = `${left.length} of ${lines.length} cells`;
  }
  let timer = 0;
  find.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(filter, 150); });
  choice.addEventListener('change', filter);
  list.addEventListener('focusin', (event) => reach(event.target));
  list.addEventListener('keydown', (event) => {
    const left = visible();
    const at = left.indexOf(event.target);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: left.length - 1 }[event.key];
    if (next === undefined || at < 0) return;
    event.preventDefault();
    left[Math.max(0, Math.min(left.length - 1, next))].focus();
  });
  filter();
}

start();
