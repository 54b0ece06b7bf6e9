'use strict';

/* The columns that dmix.page.packing packed: an array of numbers and nulls for each. */
function decode(text, columns, rows) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  let at = 0;
  const code = () => {
    let value = 0;
    let shift = 0;
    let byte;
    do {
      byte = bytes[at++];
      value |= (byte & 127) << shift;
      shift += 7;
    } while (byte > 127);
    return value;
  };
  const signed = (zigzag) => (zigzag >>> 1) ^ -(zigzag & 1);
  return Array.from({ length: columns }, () => {
    const decimals = signed(code());
    let last = 0;
    return Array.from({ length: rows }, () => {
      const next = code();
      if (next === 0) return null;
      last += signed(next - 1);
      return decimals >= 0 ? last / 10 ** decimals : last * 10 ** -decimals;
    });
  });
}
