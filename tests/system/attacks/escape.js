// Programs that look for a way out.

//// what there is beside the language => = ["console","input","memory"]
const language = new Set(`AggregateError Array ArrayBuffer AsyncDisposableStack AsyncIterator Atomics BigInt BigInt64Array
BigUint64Array Boolean DOMException DataView Date DisposableStack Error EvalError FinalizationRegistry Float16Array Float32Array
Float64Array Function Infinity Int16Array Int32Array Int8Array InternalError Iterator JSON Map Math NaN Number Object Promise
Proxy RangeError ReferenceError Reflect RegExp Set SharedArrayBuffer String SuppressedError Symbol SyntaxError TypeError URIError
Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakRef WeakSet atob btoa decodeURI decodeURIComponent encodeURI
encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt performance queueMicrotask undefined unescape
`.split(/\s+/));
Object.getOwnPropertyNames(globalThis).filter(name => !language.has(name)).sort()
//// names of other worlds => = []
`WebAssembly process require module exports Deno Bun fetch XMLHttpRequest WebSocket Worker importScripts setTimeout setInterval
std os scriptArgs print load read bjson navigator window self document __dirname __filename gc $262`
    .split(/\s+/).filter(name => typeof globalThis[name] !== 'undefined')
//// up the constructors => = true
(() => {}).constructor.constructor('return this')() === globalThis
//// up the constructors of a host function => = "undefined"
memory.query.constructor('return typeof process')()
//// GeneratorFunction => = "undefined"
Object.getPrototypeOf(function* () {}).constructor('yield typeof require')().next().value
//// AsyncFunction => = "undefined"
await Object.getPrototypeOf(async () => {}).constructor('return typeof require')()
//// indirect eval => = "undefined"
(0, eval)('typeof process + ""')
//// this of a sloppy function => = true
(function () { return this })() === globalThis
//// callers of a function => exception, trap, = null
(function f() { return f.caller })()
//// callee of arguments => = "function"
(function () { return typeof arguments.callee })()
//// with and a proxy that has everything => = "mine"
Function('p', 'with (p) { return secret }')(new Proxy({}, { has: () => true, get: (_, k) => k === Symbol.unscopables ? undefined : 'mine' }))
//// places in stacks name no files of the host => = false
new Error().stack.includes('/')
//// functions in stacks are those of the program => = ["own","<eval>"]
function own() { Error.prepareStackTrace = (_, sites) => sites.map(site => site.getFunction()?.name).filter(Boolean); return new Error().stack }
own()
//// static import => import: fs
import fs from 'fs'; fs.readFileSync('/etc/passwd')
//// static import of a path => import: /etc/passwd
import x from '/etc/passwd'
//// static import of an address => import: https://example.com
import x from 'https://example.com/x.js'
//// static import of data => import: data:
import x from 'data:text/javascript,export default 1'
//// static import with attributes => import, syntax, exception
import x from '/etc/passwd' with { type: 'json' }
//// static import of everything => import: std
export * from 'std'
//// import of the memory => = 3
import * as all from 'memory'; import { query, episode, patterns } from 'memory'; export default [query, episode, patterns].length
//// import() of a file => exception: no module
await import('/etc/passwd')
//// import() of a native module => exception: no module
await import('./x.so')
//// import() with attributes => exception
await import('memory2', { with: { type: 'json' } })
//// import() of the memory as JSON => exception, = "function"
typeof (await import('memory', { with: { type: 'json' } })).query
//// import() of names of all kinds => = "Error,Error,Error,Error,Error"
const names = ['', '\0', '../memory', 'x'.repeat(1e5), 'MEMORY'];
(await Promise.allSettled(names.map(name => import(name)))).map(r => r.status === 'rejected' ? 'Error' : 'module').join()
//// import.meta => = []
export default Object.keys(import.meta)
//// import of itself => exception, import
await import('code')
//// shared memory => = true
typeof SharedArrayBuffer === 'undefined' || new SharedArrayBuffer(8).byteLength === 8
//// waiting on shared memory => exception
Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0, Infinity)
//// memory is what it is => = [true,"function",3]
try { memory.query = null; delete memory.episode; memory.more = 1 } catch {}
[Object.isFrozen(memory), typeof memory.query, Object.keys(memory).length]
//// host function as a constructor => exception: constructor
new memory.query('x')
//// host function with another this => exception
memory.episode.call({ domain: 'another' }, 'x')
//// host function with no argument => exception
memory.query()
//// host function over a proxy => exception
new Proxy(memory.query, {}).call(null)
//// array prototype takes the arguments => = "object"
let taken; Object.defineProperty(Array.prototype, 0, { set(x) { taken = x }, configurable: true });
try { memory.query(input.question) } catch {} typeof input
//// toJSON of all objects => exception
Object.prototype.toJSON = () => 'mine'; memory.query(input.question)
//// then of all objects => = null
Object.prototype.then = function (resolve) { resolve('mine') }; 1
//// then of all objects loops => deadline
Object.prototype.then = function () { for (;;) {} }; 1
//// value of all objects => = 1, = "mine"
Object.defineProperty(Object.prototype, 'value', { get() { return 'mine' }, set() {} }); 1
//// prototype in the input => = [false,true,"undefined"]
[({}).polluted === true, Object.hasOwn(input, '__proto__'), typeof input.polluted]
//// prototype in the value => = {"__proto__":{"polluted":true},"constructor":{"prototype":1}}
JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":1}}')
//// prototype in what is asked => exception
memory.query(JSON.parse('{"query":"x","__proto__":{"domain":"another"}}'))
//// answers of the host are plain => = true
Object.getPrototypeOf(memory.query(input.question)) === Object.prototype
//// answers of the host are made anew => = false
memory.query(input.question).hits === memory.query(input.question).hits
//// episode by a number => exception
memory.episode(1)
//// episode by nothing => exception
memory.episode(null)
//// episode by a list => exception
memory.episode([input.question])
//// episode by an object that changes its mind => exception
let looks = 0; memory.episode({ toString: () => looks++ ? '../../etc/passwd' : 'x', toJSON: () => ({ id: looks++ }) })
//// episode by a path => exception
memory.episode('../../../etc/passwd')
//// episode by zeros => exception
memory.episode('00000000-0000-0000-0000-000000000000')
//// episode by an id of nobody => exception
memory.episode('01890000-0000-7000-8000-000000000000')
//// episode by a zero byte => exception
memory.episode('01890000-0000-7000-8000-000000000000\0')
//// episode by SQL => exception
memory.episode("' OR 1=1 --")
//// episode by much => exception
memory.episode('0'.repeat(50_000))
//// episode by half a pair => exception
memory.episode('\ud800')
//// patterns with what is unknown => exception
memory.patterns({ sql: 'DROP TABLE episode' })
//// patterns by a text => exception
memory.patterns('x')
//// query with a hostile limit => exception
memory.query('x', { limit: 1e308 })
//// query below zero => exception
memory.query('x', { limit: -1 })
//// query that writes => exception
memory.query({ query: 'x', supersedes: ['y'], text: 'planted' })
//// query by a bigint => exception: BigInt
memory.query(1n)
//// query by a cycle => exception: circular
const o = {}; o.o = o; memory.query(o)
//// query by a symbol => exception
memory.query(Symbol('x'))
//// flood of the host => host_calls
for (;;) { try { memory.episode('x') } catch {} }
//// flood of the host by promises => host_calls
const flood = async () => { for (;;) { try { memory.episode('x') } catch {} await null } }; flood(); flood(); await flood()
//// flood of the host in a reviver => host_calls
JSON.parse(JSON.stringify(Array(5000).fill(1)), () => { try { memory.patterns({ x: 1 }) } catch {} })
//// host within the host => exception
memory.query({ toJSON() { return memory.query({ toJSON() { return memory.query('x', 1) } }) } })
//// chance is the same each time => = true
Math.random() === Math.random() || new Set(Array.from({ length: 100 }, Math.random)).size === 100
//// source of a host function => = true
memory.query.toString().includes('native code')
//// what is compiled stays in its run => = "undefined"
typeof globalThis.__left
//// return from the outside of a function => = null
return 1; })(); (() => {
//// body that ends its function => exception, syntax, = 1
return 1 })(); process.exit(); (async () => {
//// comment that does not end => syntax
return 1; /*
//// nothing but a string with return => = "return"
'return'
//// html comments => = 1
<!-- x
1
--> y
//// hashbang => = 1
#!/bin/sh
1
//// end of the source in the middle => syntax
if (1) {
