/* Elements are made here, with text as text: nothing that a file says is ever read as HTML. */
function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, '');
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== ''));
  return made;
}

/* Round numbers between two limits, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  return found.map((tick) => Number(tick.toPrecision(12)));
}

const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 4, notation: 'compact' });

/* At each place where every seed has a value: their mean, least and greatest. */
function summary(seeds) {
  const there = seeds.filter((seed) => seed.points.length);
  if (!there.length) return [];
  const others = there.slice(1).map((seed) => new Map(seed.points));
  return there[0].points.flatMap(([x, y]) => {
    const all = [y, ...others.map((values) => values.get(x))];
    if (all.includes(undefined)) return [];
    return [{ x, mean: all.reduce((a, b) => a + b) / all.length, low: Math.min(...all), high: Math.max(...all) }];
  });
}

/*
 * Draws lines into `box` and returns a function that moves the cursor to a place.
 * lines: [{ look, seeds: [{ points: [[x, y], ...] }], whole: as of summary }]; look is 0, 1, 2, 3.
 */
function chart(box, lines, unit, label) {
  const width = Math.max(260, box.clientWidth);
  const height = Math.round(Math.min(340, Math.max(220, width * 0.6)));
  const room = { left: 46, right: 10, top: 24, bottom: 36 };
  const points = lines.flatMap((line) => line.seeds.flatMap((seed) => seed.points));
  const [x0, x1] = limits(points.map(([x]) => x), 0);
  const [y0, y1] = limits(points.map(([, y]) => y), 0.06);
  const px = (x) => room.left + ((x - x0) / (x1 - x0)) * (width - room.left - room.right);
  const py = (y) => height - room.bottom - ((y - y0) / (y1 - y0)) * (height - room.top - room.bottom);
  const path = (pairs) => `M${pairs.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join('L')}`;

  const picture = drawn('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': label });
  for (const y of ticks(y0, y1, height / 56)) {
    picture.append(
      drawn('line', { class: 'grid', x1: room.left, x2: width - room.right, y1: py(y), y2: py(y) }),
      drawn('text', { class: 'tick', x: room.left - 7, y: py(y) + 4, 'text-anchor': 'end' }, short.format(y)),
    );
  }
  for (const x of ticks(x0, x1, width / 80)) {
    picture.append(
      drawn('text', { class: 'tick', x: px(x), y: height - room.bottom + 17, 'text-anchor': 'middle' }, short.format(x)),
    );
  }
  picture.append(
    drawn('text', { class: 'tick', x: room.left - 38, y: 13 }, label),
    drawn('text', { class: 'tick', x: width - room.right, y: height - 4, 'text-anchor': 'end' }, unit),
  );
  for (const line of lines) {
    const many = line.seeds.length > 1 && line.whole.length > 1;
    if (many) {
      const upper = line.whole.map(({ x, high }) => [x, high]);
      const lower = line.whole.map(({ x, low }) => [x, low]).reverse();
      picture.append(drawn('path', { class: `band look${line.look}`, d: `${path([...upper, ...lower])}Z` }));
    }
    for (const seed of line.seeds) {
      if (many && seed.points.length) picture.append(drawn('path', { class: `seed look${line.look}`, d: path(seed.points) }));
    }
    const middle = many ? line.whole.map(({ x, mean }) => [x, mean]) : line.seeds.flatMap((seed) => seed.points);
    if (middle.length) picture.append(drawn('path', { class: `mean look${line.look}`, d: path(middle) }));
    if (middle.length === 1) {
      picture.append(drawn('circle', { class: `dot look${line.look}`, cx: px(middle[0][0]), cy: py(middle[0][1]), r: 4 }));
    }
  }
  const cursor = drawn('line', { class: 'cursor', y1: room.top, y2: height - room.bottom });
  picture.append(cursor);
  box.replaceChildren(picture);
  return {
    place(pointer) {
      const inside = (pointer.clientX - picture.getBoundingClientRect().left - room.left) / (width - room.left - room.right);
      return x0 + inside * (x1 - x0);
    },
    move(x) {
      cursor.setAttribute('x1', px(x));
      cursor.setAttribute('x2', px(x));
    },
  };
}

/* Least and greatest value with a margin, never equal. */
function limits(values, margin) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const more = high > low ? (high - low) * margin : Math.max(Math.abs(high), 1) * 0.05;
  return [low - more, high + more];
}
