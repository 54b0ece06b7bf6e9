/* The curves of a cell's seeds, of cells that were kept beside it, and all that is known of each run. */

const ACCURACY = 'top1_';
const LOOKS = 4;
const BAD = ['failed', 'invalid', 'damaged', 'hangs'];

function runsOf(data, cell) {
  return Array.from({ length: cell.runs }, (_, index) => {
    const at = cell.first + index;
    return Object.fromEntries(Object.entries(data.runs).map(([column, values]) => [column, values[at]]));
  });
}

/* Name -> points [[place, value], ...] of the curves of a run; the primary accuracy also as "accuracy". */
function curvesOf(data, run) {
  if (run.grid < 0) return { unit: '', curves: new Map() };
  const [unit, shared] = data.grids[run.grid];
  const at = run.best === null ? shared : [...shared, run.best].sort((a, b) => a - b);
  const names = data.columns[run.columns];
  const curves = new Map();
  decode(run.history, names.length, at.length).forEach((column, index) => {
    const points = column.flatMap((value, row) => (value === null ? [] : [[at[row], value]]));
    curves.set(names[index], points);
    if (names[index] === run.primary) curves.set('accuracy', points);
  });
  return { unit, curves };
}

function nameOfCurve(name) {
  if (name === 'accuracy') return 'Top-1 accuracy (%)';
  if (name.startsWith(ACCURACY)) return `Top-1 accuracy (%) of ${name.slice(ACCURACY.length)}`;
  return name === 'loss' ? 'Loss, all terms' : `Loss, ${name}`;
}

/* What titles do not share: the parts after those that all begin with. */
function ownParts(titles) {
  if (titles.length === 1) return [titles[0].slice(-2)];
  let same = 0;
  while (titles.every((title) => title.length > same + 1 && title[same] === titles[0][same])) same += 1;
  return titles.map((title) => title.slice(same));
}

function lineOf(data, cell, look, name) {
  const seeds = runsOf(data, cell).map((run) => {
    const { unit, curves } = curvesOf(data, run);
    return { seed: run.seed, unit, points: curves.get(name) || [], names: [...curves.keys()] };
  });
  return { look, seeds, whole: summary(seeds) };
}

/* Shows `opened`, the last of which is the cell that the panel is about: [{ cell, place, address }, ...]. */
function fillPanel(panel, data, opened, actions) {
  const { cell, place, run } = opened[opened.length - 1];
  const title = element('h2', { id: 'panel-title', tabindex: -1 },
    element('small', {}, cell.title.slice(0, -2).join(' · ')),
    cell.title.slice(-2).join(' · '));
  panel.replaceChildren(
    element('div', { class: 'bar' }, title,
      element('button', { type: 'button', class: 'close', onclick: actions.close, 'aria-label': 'Close' }, '×')),
    numbers(place),
    curves(data, opened, actions),
    element('h3', {}, 'Seeds'),
    ...runsOf(data, cell).map((each) => seed(data, cell, each, run)),
    settings(data, cell),
    element('p', { class: 'files' }, cell.name),
  );
  return title;
}

function numbers(place) {
  if (!place) return element('p', { class: 'reading' }, 'In no table.');
  const list = element('dl', { class: 'facts' });
  const add = (label, text) => list.append(element('div', {}, element('dt', {}, label), element('dd', {}, text)));
  add(`Table ${place.table}`, [place.mean, place.std && `± ${place.std}`, place.note && `(${place.note})`].filter(Boolean).join(' '));
  if (place.published.length) add('Published', place.published.join('; '));
  if (place.gain) add('Gain, paired by seed', place.gain);
  return list;
}

function curves(data, opened, actions) {
  const looks = opened.map((one, index) => ({ cell: one.cell, look: (opened.length - 1 - index) % LOOKS }));
  const names = [...new Set(looks.flatMap(({ cell }) => lineOf(data, cell, 0, '').seeds.flatMap((seed) => seed.names)))];
  const part = element('section', { class: 'curves', 'aria-label': 'Curves' });
  if (!names.length) {
    part.append(element('p', { class: 'reading' }, 'No curve yet: no run of this cell has been evaluated.'));
    return part;
  }
  const order = (name) => (name === 'accuracy' ? 0 : name === 'loss' ? 1 : name.startsWith(ACCURACY) ? 3 : 2);
  const primaries = new Set(looks.flatMap(({ cell }) => runsOf(data, cell).map((run) => run.primary)));
  const shown = names
    .filter((name) => !(names.includes('accuracy') && primaries.size === 1 && primaries.has(name)))
    .sort((a, b) => order(a) - order(b));
  const choice = element('select', { onchange: draw },
    ...shown.map((name) => element('option', { value: name }, nameOfCurve(name))));
  if (shown.includes(actions.curve())) choice.value = actions.curve();
  const box = element('div', { class: 'box' });
  const legend = element('ul', { class: 'legend' });
  const slider = element('input', { type: 'range', min: 0, step: 1 });
  const where = element('output', {});
  const values = element('details', {}, element('summary', {}, 'Values'));
  const keep = element('input', { type: 'checkbox', onchange: () => actions.keep(keep.checked) });
  keep.checked = actions.keeps();
  part.append(
    element('div', { class: 'choose' }, element('label', {}, 'Curve ', choice)),
    box,
    element('label', { class: 'slider' }, where, slider),
    legend,
    element('label', { class: 'keep' }, keep, ' Keep these curves when another cell is opened'),
    values,
  );
  let lines = [];
  let places = [];
  let picture = null;

  function draw() {
    actions.chose(choice.value);
    lines = looks.map(({ cell, look }) => lineOf(data, cell, look, choice.value));
    const all = lines.flatMap((line) => line.seeds.flatMap((seed) => seed.points.map(([x]) => x)));
    places = [...new Set(all)].sort((a, b) => a - b);
    slider.max = Math.max(0, places.length - 1);
    slider.value = slider.max;
    const unit = lines.flatMap((line) => line.seeds.map((seed) => seed.unit)).find(Boolean) || '';
    if (places.length) picture = chart(box, lines, unit, nameOfCurve(choice.value));
    else box.replaceChildren(element('p', { class: 'reading' }, 'None of these runs has this curve.'));
    slider.setAttribute('aria-label', `Place of the values, in ${unit}s`);
    read(unit);
    values.replaceChildren(values.firstChild);
    values.open = false;
  }

  function read() {
    const unit = lines.flatMap((line) => line.seeds.map((seed) => seed.unit)).find(Boolean) || '';
    const x = places[slider.value];
    where.textContent = x === undefined ? '' : `${unit} ${x}`;
    if (x !== undefined) {
      picture.move(x);
      slider.setAttribute('aria-valuetext', `${unit} ${x}`);
    }
    const parts = ownParts(looks.map(({ cell }) => cell.title));
    legend.replaceChildren(...lines.map((line, index) => element('li', {},
      drawn('svg', { class: 'swatch', viewBox: '0 0 28 8', width: 28, height: 8, 'aria-hidden': 'true' },
        drawn('line', { class: `mean look${line.look}`, x1: 0, x2: 28, y1: 4, y2: 4 })),
      element('span', { class: 'label' }, parts[index].join(' · ')),
      element('span', { class: 'value' }, valueAt(line, x, choice.value)))));
  }

  slider.addEventListener('input', read);
  box.addEventListener('pointermove', (event) => {
    if (!picture || !places.length) return;
    const wanted = picture.place(event);
    const near = places.reduce((best, x, index) => (Math.abs(x - wanted) < Math.abs(places[best] - wanted) ? index : best), 0);
    slider.value = near;
    read();
  });
  values.addEventListener('toggle', () => {
    if (values.open) values.replaceChildren(values.firstChild, valueTable(lines, places, ownParts(looks.map(({ cell }) => cell.title)), choice.value));
  });
  actions.redraw(draw);
  return part;
}

function valueAt(line, x, name) {
  const summed = line.whole.find((row) => row.x === x);
  if (summed && line.seeds.length > 1 && summed.low !== summed.high) {
    return `${digits(summed.mean, name)} (${digits(summed.low, name)} to ${digits(summed.high, name)})`;
  }
  const found = line.seeds.flatMap((seed) => seed.points.filter((point) => point[0] === x).map(([, y]) => digits(y, name)));
  return found.length ? [...new Set(found)].join(', ') : '–';
}

/* Accuracies as tables print them; anything else with four digits. */
function digits(value, name) {
  if (name === 'accuracy' || name.startsWith(ACCURACY)) return value.toFixed(2);
  return Math.abs(value) >= 1000 ? short.format(value) : value.toPrecision(4);
}

function valueTable(lines, places, parts, name) {
  const columns = lines.flatMap((line, index) => line.seeds.map((seed) => ({
    head: `${lines.length > 1 ? `${parts[index].join(' · ')}, ` : ''}seed ${seed.seed}`,
    values: new Map(seed.points),
  })));
  const unit = lines.flatMap((line) => line.seeds.map((seed) => seed.unit)).find(Boolean) || '';
  return element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Values of the curves' },
    element('table', { class: 'plain' },
      element('thead', {}, element('tr', {},
        element('th', { scope: 'col' }, unit),
        ...columns.map(({ head }) => element('th', { scope: 'col', class: 'n' }, head)))),
      element('tbody', {}, ...places.map((x) => element('tr', {},
        element('th', { scope: 'row' }, String(x)),
        ...columns.map(({ values }) => element('td', { class: 'n' }, values.has(x) ? digits(values.get(x), name) : '–')))))));
}

function seed(data, cell, run, wanted) {
  const facts = element('dl', { class: 'facts' });
  const add = (label, text) => facts.append(element('div', {}, element('dt', {}, label), element('dd', {}, text)));
  if (run.detail) add('Status', run.detail);
  data.labels[run.labels].forEach((label, index) => add(label, run.own[index]));
  data.made[run.made].forEach(([label, text]) => add(label, text));
  const name = `${cell.name}/s${run.seed}`;
  if (run.digests) add('Digests of settings and code', run.digests.replace('-', ', '));
  if (run.digests) add('Folder', `results/${data.tier}/records/${name}-${run.digests}`);
  const log = run.log && element('pre', { tabindex: 0, 'aria-label': `End of the log of seed ${run.seed}` }, run.log);
  return element('details', { class: 'run', open: wanted === run.seed },
    element('summary', {},
      element('span', {}, `Seed ${run.seed}`),
      element('span', { class: BAD.includes(run.state) ? 'state bad' : 'state' }, run.state),
      element('span', { class: 'value' }, run.score)),
    facts,
    log && element('h4', {}, 'End of its log'),
    log);
}

function settings(data, cell) {
  const rows = cell.sections.flatMap((section) => data.sections[section]).map((index) => data.settings[index]);
  return element('details', { class: 'settings' },
    element('summary', {}, `Settings, each with the line that set it (${rows.length})`),
    element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Settings' },
      element('table', { class: 'plain' },
        element('thead', {}, element('tr', {}, ...['Setting', 'Value', 'Set by'].map((head) => element('th', { scope: 'col' }, head)))),
        element('tbody', {}, ...rows.map(([key, value, where, why]) => element('tr', {},
          element('th', { scope: 'row' }, key),
          element('td', { class: 'long' }, value),
          element('td', {}, where, why && element('span', { class: 'why' }, why))))))));
}
