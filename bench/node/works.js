// The works on Node:  node works.js WORK N
//
// Node has no queue, so this is the one that one writes by hand on promises. The idiom is
// that of the MDN reference, "Promise() constructor", "async function" and "Promise.race()",
// and of the Node.js documentation, "Timers" (setTimeout, clearTimeout).
'use strict';
const fs = require('fs');

// First in, first out, without Array.shift, which moves a long array at each call.
class Fifo {
  constructor() { this.list = []; this.first = 0; }
  get length() { return this.list.length - this.first; }
  push(value) { this.list.push(value); }
  shift() {
    const value = this.list[this.first];
    this.list[this.first++] = undefined;
    if (this.first > 64 && this.first * 2 > this.list.length) {
      this.list = this.list.slice(this.first);
      this.first = 0;
    }
    return value;
  }
}

class Queue {
  constructor(maxsize = Infinity) {
    this.maxsize = maxsize;
    this.items = new Fifo();
    this.getters = new Fifo(); // resolve functions
    this.putters = new Fifo(); // [resolve, item]
  }

  putNowait(item) {
    if (this.getters.length > 0) this.getters.shift()(item);
    else if (this.items.length < this.maxsize) this.items.push(item);
    else throw new Error('QueueFull');
  }

  getNowait() {
    if (this.items.length === 0) throw new Error('QueueEmpty');
    const item = this.items.shift();
    if (this.putters.length > 0) {
      const [resolve, next] = this.putters.shift();
      this.items.push(next);
      resolve();
    }
    return item;
  }

  async put(item) {
    if (this.getters.length === 0 && this.items.length >= this.maxsize) {
      await new Promise((resolve) => this.putters.push([resolve, item]));
    } else {
      this.putNowait(item);
    }
  }

  async get() {
    if (this.items.length > 0) return this.getNowait();
    return new Promise((resolve) => this.getters.push(resolve));
  }
}

async function within(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('TimeoutError')), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const now = () => process.hrtime.bigint();
const seconds = (start, stop) => Number(stop - start) * 1e-9;
const resident = () => Number(fs.readFileSync('/proc/self/statm', 'ascii').split(' ')[1]) * 4096;
const cpu = () => { const u = process.cpuUsage(); return u.user + u.system; };

async function echo(n, ping, pong) {
  for (let i = 0; i < n; i++) await pong.put(await ping.get());
}

async function produce(first, n, step, q) {
  for (let i = first; i <= n; i += step) await q.put(i);
}

async function consume(n, q) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += await q.get();
  return sum;
}

async function pipe(n, maxsize) {
  const q = new Queue(maxsize);
  produce(1, n, 1, q);
  const start = now();
  const sum = await consume(n, q);
  return [seconds(start, now()), sum];
}

async function spawn(n, batch) {
  const q = new Queue();
  let sum = 0;
  const start = now();
  for (let first = 1; first <= n; first += batch) {
    for (let i = first; i < first + batch; i++) produce(i, i, 1, q);
    for (let i = 0; i < batch; i++) sum += await q.get();
  }
  return [seconds(start, now()), sum];
}

async function ring(n, size) {
  const queues = Array.from({ length: size }, () => new Queue(1));
  const finished = new Queue();
  let sum = 0;
  async function member(from, to) {
    for (;;) {
      const hops = await from.get();
      sum += hops;
      if (hops === 1) await finished.put(true);
      else await to.put(hops - 1);
    }
  }
  for (let i = 0; i < size; i++) member(queues[i], queues[(i + 1) % size]);
  await queues[0].put(size); // one lap before the clock starts
  await finished.get();
  sum = 0;
  const start = now();
  await queues[0].put(n);
  await finished.get();
  return [seconds(start, now()), sum];
}

const works = {
  async nowait(n) {
    const q = new Queue();
    let sum = 0;
    const start = now();
    for (let i = 1; i <= n; i++) {
      q.putNowait(i);
      sum += q.getNowait();
    }
    return [seconds(start, now()), sum];
  },

  async await(n) {
    const q = new Queue();
    let sum = 0;
    const start = now();
    for (let i = 1; i <= n; i++) {
      await q.put(i);
      sum += await q.get();
    }
    return [seconds(start, now()), sum];
  },

  async pingpong(n) {
    const ping = new Queue(1), pong = new Queue(1);
    echo(n, ping, pong);
    let sum = 0;
    const start = now();
    for (let i = 1; i <= n; i++) {
      await ping.put(i);
      sum += await pong.get();
    }
    return [seconds(start, now()), sum];
  },

  pipe100: (n) => pipe(n, 100),
  pipe1: (n) => pipe(n, 1),

  async mpmc(n) {
    const q = new Queue(10), consumers = [];
    const start = now();
    for (let p = 1; p <= 10; p++) {
      produce(p, n, 10, q);
      consumers.push(consume(Math.floor(n / 10), q));
    }
    const sums = await Promise.all(consumers);
    return [seconds(start, now()), sums.reduce((a, b) => a + b)];
  },

  spawn100: (n) => spawn(n, 100),
  spawn: (n) => spawn(n, 100000),

  async ready(n) {
    const q = new Queue();
    let sum = 0;
    const start = now();
    for (let i = 1; i <= n; i++) {
      await q.put(i);
      sum += await within(q.get(), 1000);
    }
    return [seconds(start, now()), sum];
  },

  async timeout(n) {
    const ping = new Queue(1), pong = new Queue(1);
    echo(n, ping, pong);
    let sum = 0;
    const start = now();
    for (let i = 1; i <= n; i++) {
      await ping.put(i);
      sum += await within(pong.get(), 1000);
    }
    return [seconds(start, now()), sum];
  },

  ring100: (n) => ring(n, 100),
  ring10000: (n) => ring(n, 10000),
  ring100000: (n) => ring(n, 100000),

  async memory(n) { // gc: node --expose-gc
    const q = new Queue(), tasks = [];
    let sum = 0;
    async function blocked() {
      const i = await q.get();
      sum += i;
    }
    gc();
    const before = resident(), start = now();
    for (let i = 0; i < n; i++) tasks.push(blocked());
    gc();
    const bytes = (resident() - before) / n;
    for (let i = 1; i <= n; i++) await q.put(i);
    await Promise.all(tasks);
    return [seconds(start, now()), sum, `,"bytes_per_op":${bytes.toFixed(1)}`];
  },

  async sleepers(n) {
    let sum = 0, last;
    async function sleeper(i) {
      if (i === n) last = now(); // tasks start in order of creation
      await new Promise((resolve) => setTimeout(resolve, 1000));
      sum += i;
    }
    const start = now(), before = cpu(), tasks = [];
    for (let i = 1; i <= n; i++) tasks.push(sleeper(i));
    await Promise.all(tasks);
    const stop = now(), us = (cpu() - before) / n;
    return [seconds(start, stop), sum,
      `,"cpu_us_per_op":${us.toFixed(3)},"wall_s":${seconds(last, stop).toFixed(4)}`];
  },
};

async function main() {
  const work = process.argv[2], n = Number(process.argv[3]);
  const [time, sum, extra = ''] = await works[work](n);
  if (sum !== n * (n + 1) / 2) throw new Error('checksum');
  console.log(`{"work":"${work}","ops":${n},"ns_per_op":${(time / n * 1e9).toFixed(3)},"checksum":${sum}${extra}}`);
  process.exit(0);
}

main();
