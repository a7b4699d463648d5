// SPDX-License-Identifier: Apache-2.0
// A publisher in Node: 20,000 routes in blocks of 2,048, several requests in flight.
//
//     npm install zeromq
//     nsplane agent &
//     node examples/blocks.mjs ipc:///run/nsplane/bus.sock
//
// The interface is a bridge that nsplane makes in a namespace of its own; all of it is removed at the end. A program of your own takes a
// package for msgpack (`msgpackr`, `@msgpack/msgpack`); what a request needs of it are the few lines here.

import { Dealer } from "zeromq"

const ROUTES = 20_000
const PART = 2_048

// ---- msgpack ----

/** A number up to `most` goes into the first byte of its type; a larger one follows in four, behind another first byte. */
function head(short, most, long, number) {
  if (number <= most) return Buffer.from([short | number])
  const bytes = Buffer.from([long, 0, 0, 0, 0])
  bytes.writeUInt32BE(number, 1)
  return bytes
}

/** Text, whole numbers up to 2^32, bytes, arrays and plain objects. */
function encode(value) {
  if (typeof value === "string") return Buffer.concat([head(0xa0, 31, 0xdb, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === "number") return head(0x00, 127, 0xce, value)
  if (value instanceof Uint8Array) return Buffer.concat([head(0, -1, 0xc6, value.length), value])
  if (Array.isArray(value)) return Buffer.concat([head(0x90, 15, 0xdd, value.length), ...value.map(encode)])
  const pairs = Object.entries(value)
  return Buffer.concat([head(0x80, 15, 0xdf, pairs.length), ...pairs.flatMap((pair) => pair.map(encode))])
}

/** Reads a value of a reply: what there can be. */
function decode(data, at = { offset: 0 }) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const take = (bytes) => (at.offset += bytes) - bytes
  const text = (length) => data.toString("utf8", take(length), at.offset)
  const array = (length) => Array.from({ length }, () => decode(data, at))
  const map = (length) => Object.fromEntries(Array.from({ length }, () => [decode(data, at), decode(data, at)]))
  const number = { 1: "getUint8", 2: "getUint16", 4: "getUint32" }
  const length = (bytes) => view[number[bytes]](take(bytes))
  const byte = view.getUint8(take(1))
  if (byte < 0x80) return byte
  if (byte < 0x90) return map(byte & 15)
  if (byte < 0xa0) return array(byte & 15)
  if (byte < 0xc0) return text(byte & 31)
  switch (byte) {
    case 0xc0: return null
    case 0xc2: return false
    case 0xc3: return true
    case 0xcb: return view.getFloat64(take(8))
    case 0xcc: return length(1)
    case 0xcd: return length(2)
    case 0xce: return length(4)
    case 0xcf: return Number(view.getBigUint64(take(8)))
    case 0xd9: return text(length(1))
    case 0xda: return text(length(2))
    case 0xdb: return text(length(4))
    case 0xdc: return array(length(2))
    case 0xdd: return array(length(4))
    case 0xde: return map(length(2))
    case 0xdf: return map(length(4))
  }
  throw new Error(`a reply has no byte ${byte.toString(16)} there`)
}

// ---- requests ----

/** {"kind": "route", ..., "block": {"dst": 4 bytes each, "dst_len": 24}}: 100.64.0.0/24, 100.64.1.0/24, ... */
function block(first, count) {
  const dst = Buffer.alloc(4 * count)
  for (let i = 0; i < count; i++) dst.writeUInt32BE(((100 << 24) | (64 << 16)) + ((first + i) << 8), 4 * i)
  return { kind: "route", interface: "blocks-br", gateway: "10.0.0.2", block: { dst, dst_len: 24 } }
}

const bus = new Dealer({ linger: 0, receiveTimeout: 20_000 })
bus.connect(process.argv[2] ?? "ipc:///run/nsplane/bus.sock")

/** Replies come as requests are done: they are told apart by their id. */
async function ask(requests) {
  const counts = {}
  for (const [id, request] of requests.entries()) await bus.send(encode({ id, source: "blocks", ...request }))
  for (const _ of requests) {
    const [frame] = await bus.receive()
    const reply = decode(frame)
    if (!reply.ok) throw new Error(`${reply.error.message} (${reply.error.code} at ${reply.error.path})`)
    for (const [state, count] of Object.entries(reply.counts)) counts[state] = (counts[state] ?? 0) + count
    for (const entry of reply.items) console.log(`${entry.key}: ${entry.state}: ${entry.message ?? entry.missing}`)
  }
  return counts
}

const namespace = { type: "name", name: "nsplane-blocks" }
const bridge = { kind: "bridge", name: "blocks-br", namespace, addresses: ["10.0.0.1/24"] }
const parts = []
for (let first = 0; first < ROUTES; first += PART) parts.push({ op: "put", items: [block(first, Math.min(PART, ROUTES - first))] })
try {
  await ask([{ op: "put", items: [bridge] }])
  console.log(await ask(parts))
} finally {
  console.log(await ask([{ op: "replace", items: [] }]))
  bus.close()
}
