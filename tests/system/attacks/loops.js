// Programs that never end. `//// NAME => WHAT MUST COME OF IT` begins each; see ../sandbox.rs.

//// plain => deadline
for (;;) {}
//// continue to a label => deadline
outer: for (;;) { for (;;) continue outer }
//// caught and begun again => deadline
for (;;) { try { for (;;) {} } catch {} finally { for (;;) {} } }
//// regex with catastrophic backtracking => deadline
/^(a+)+$/.test('a'.repeat(60) + '!')
//// regex with lookahead and backreference => deadline
/^(?=(a|aa)+$)(\1|a|aa)+b/.test('a'.repeat(80))
//// replacement function => deadline
'a'.replace(/a/, () => { for (;;) {} })
//// getter => deadline
({ get x() { for (;;) {} } }).x
//// reviver of JSON.parse => deadline
JSON.parse('[1]', () => { for (;;) {} })
//// toJSON of the value => deadline
({ toJSON() { for (;;) {} } })
//// toJSON of what is logged => deadline
console.log({ toJSON() { for (;;) {} } })
//// toJSON of an argument of the host => deadline
memory.query({ toJSON() { for (;;) {} } })
//// promise chain => deadline
const next = () => Promise.resolve().then(next); next()
//// promise chain that nobody waits for => deadline
const next = () => { Promise.resolve().then(next) }; next(); 'done'
//// flood of microtasks => deadline
const flood = () => { Promise.resolve().then(flood); Promise.resolve().then(() => {}) }; flood(); 1
//// async function => deadline
for (;;) await null
//// thenable => deadline
await { then() { for (;;) {} } }
//// thenable that settles to itself => deadline
const again = { then(resolve) { resolve({ then: again.then }) } }; await again
//// generator => deadline
for (const x of (function* () { for (;;) yield 1 })()) {}
//// async generator => deadline
for await (const x of (async function* () { for (;;) yield 1 })()) {}
//// iterator helper => deadline
(function* () { for (;;) yield 1 })().filter(() => false).next()
//// trap of a proxy => deadline
new Proxy({}, { get() { for (;;) {} } }).x
//// proxy as the value => deadline
new Proxy({}, { ownKeys() { for (;;) {} } })
//// Symbol.toPrimitive => deadline
`${{ [Symbol.toPrimitive]() { for (;;) {} } }}`
//// toString of what is logged => deadline
const f = () => {}; f.toString = () => { for (;;) {} }; console.log(f)
//// sort comparator => deadline
[3, 1, 2].sort(() => { for (;;) {} })
//// instanceof => deadline
({}) instanceof { [Symbol.hasInstance]() { for (;;) {} } }
//// static block of a class => deadline
class A { static { for (;;) {} } }
//// eval => deadline
eval('for (;;) {}')
//// Function => deadline
Function('for (;;) {}')()
//// module => deadline
export default 1; for (;;) {}
//// search in an endless object => deadline
Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)
//// reversing a sparse array => deadline
Array(2 ** 32 - 1).reverse(); 1
//// copying memory around => deadline
const bytes = new Uint8Array(20e6); for (;;) bytes.copyWithin(0, 1)
//// filling memory => deadline
const bytes = new Uint8Array(20e6); for (;;) bytes.fill(7)
//// message of an error => deadline
class Endless extends Error { get message() { for (;;) {} } } throw new Endless()
//// stack of an error => deadline
throw Object.defineProperty(new Error(), 'stack', { get() { for (;;) {} } })
//// name of an error => deadline
throw Object.defineProperty(new Error(), 'name', { get() { for (;;) {} } })
//// prepareStackTrace => deadline
Error.prepareStackTrace = () => { for (;;) {} }; new Error().stack
//// toJSON of what is thrown => deadline
throw { toJSON() { for (;;) {} } }
//// toJSON of a rejection => deadline
Promise.reject({ toJSON() { for (;;) {} } }); 1
//// rejections without end => deadline
for (;;) Promise.reject(new Error('lost'))
//// rejections that make others while they are told => deadline, output
const reject = () => Promise.reject({ toJSON() { reject(); return 1 } }); reject(); 1
//// overflow caught and begun again => deadline
for (;;) { try { (function f() { f() })() } catch {} }
//// overflow in both arms => deadline
(function f() { try { f() } finally { f() } })()
//// hash flood => deadline
const o = {}; for (let i = 0; ; i++) o[i * 65536 + '_'] = i
//// name of a module => deadline
import({ toString() { for (;;) {} } })
//// promise that never settles => exception: nothing will settle
await new Promise(() => {})
//// busy loop looks at the clock => = [0,0,0]
const looks = [Date.now(), performance.now(), +new Date()];
for (let i = 0; i < 1e5; i++);
[Date.now() - looks[0], performance.now() - looks[1], +new Date() - looks[2]]
//// race between ticks and work => = 0
let ticks = 0; const from = performance.now();
while (performance.now() === from && ticks < 1e5) ticks++;
performance.now() - from
