"use strict";
// Reads the tables that report/packing.py wrote: `columns.of(table)` gives rows by trader.
const columns = (() => {
  const TYPES = { f8: Float64Array, f4: Float32Array, u4: Uint32Array, u2: Uint16Array, u1: Uint8Array };
  const array = (type, text) => {
    const letters = atob(text), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    return new TYPES[type](bytes.buffer);
  };
  const NOT_A_NUMBER = 65535;

  const readers = {
    scaled: (column) => {
      const codes = array("u2", column.data), low = array("f8", column.low), step = array("f8", column.step);
      return (n, from, to) => Array.from(codes.subarray(from, to), (code) => (code === NOT_A_NUMBER ? NaN : low[n] + code * step[n]));
    },
    times: (column) => {
      const steps = array("u2", column.data), begin = array("f8", column.begin);
      return (n, from, to) => {
        let at = begin[n];
        return Array.from(steps.subarray(from, to), (each) => (at += each * column.unit));
      };
    },
  };
  const plain = (column) => {
    const values = array(column.type, column.data);
    return (n, from, to) => Array.from(values.subarray(from, to));
  };

  // {column: values} of trader n; a column is read when it is asked for first
  const of = (table) => {
    const ends = [], read = {};
    table.counts.reduce((sum, count) => { ends.push(sum + count); return sum + count; }, 0);
    return (n, ...names) => {
      const from = ends[n] - table.counts[n], found = {};
      for (const name of names.length ? names : Object.keys(table.columns)) {
        const column = table.columns[name];
        read[name] ??= (readers[column.type] || plain)(column);
        found[name] = read[name](n, from, ends[n]);
      }
      return found;
    };
  };
  const begins = (table) => table.counts.map(((sum) => (count) => (sum += count) - count)(0));
  return { of, begins };
})();
