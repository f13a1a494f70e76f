// Programs that want all memory, of which something else takes most to begin with, so that they come to its end soon.

//// objects in an array => memory
const held = []; for (;;) held.push({})
//// arrays in arrays => memory
let held = []; for (;;) held = [held, new Array(1000).fill(held)]
//// string doubled => memory, exception
let s = 'x'; for (;;) s += s
//// string doubled and looked at => memory, exception
let s = 'x'; for (;;) { s += s; s.charCodeAt(s.length - 1); [...s.slice(0, 1)] }
//// repeat => memory, exception
'x'.repeat(2 ** 30 - 2)
//// padEnd => memory, exception
'x'.padEnd(2 ** 30 - 2, 'y').length
//// join of a sparse array => memory, exception, deadline
Array(1e9).join('x')
//// array of all lengths as the value => memory, deadline
Array(1e9)
//// fill of a sparse array => memory, exception
Array(2 ** 32 - 1).fill(0)
//// Array.from => memory
Array.from({ length: 1e9 }, (_, i) => i)
//// spread of an endless iterator => memory
[...(function* () { for (;;) yield 1 })()]
//// recursion that holds on => exception: stack, memory
(function f(a) { return f([a, a, new Array(100).fill(1)]) })([])
//// typed array => memory, exception
new Uint8Array(2 ** 31 - 1).length
//// typed arrays => memory
const held = []; for (;;) held.push(new Float64Array(10_000))
//// array buffer that grows => memory, exception
const b = new ArrayBuffer(1, { maxByteLength: 2 ** 30 }); b.resize(2 ** 30); b.byteLength
//// array buffer that grows by and by => memory, exception
const b = new ArrayBuffer(0, { maxByteLength: 60e6 });
for (let n = 1; ; n++) b.resize(n * 1e6)
//// weak references => memory
const held = []; for (;;) held.push(new WeakRef({}))
//// finalization registry => memory
const registry = new FinalizationRegistry(() => {}); const held = [];
for (;;) { const o = {}; held.push(o); registry.register(o, o.x) }
//// finalizers that make more of themselves => memory, deadline, = 1
const registry = new FinalizationRegistry(again); const held = [];
function again() { held.push(new Array(1e4).fill(1)); for (let i = 0; i < 3; i++) registry.register({}, 0) }
again(); for (let i = 0; i < 1e3; i++) await null; 1
//// map => memory
const held = new Map(); for (let i = 0; ; i++) held.set(i, {})
//// set => memory
const held = new Set(); for (let i = 0; ; i++) held.add('k' + i)
//// BigInt squared => memory, exception, deadline
let n = 3n; for (;;) n *= n
//// BigInt shifted => memory, exception
1n << 10_000_000_000n
//// registered symbols => memory, deadline
for (let i = 0; ; i++) Symbol.for('s' + i)
//// names of properties => memory
const held = {}; for (let i = 0; ; i++) held['k' + i] = i
//// shapes => memory
const held = []; for (let i = 0; ; i++) held.push({ ['a' + i]: 1, ['b' + i]: 2 })
//// functions => memory, deadline
const held = []; for (let i = 0; ; i++) held.push(new Function('return ' + i))
//// pending promises => memory
const held = []; for (;;) held.push(new Promise(() => {}))
//// microtasks => memory
for (;;) Promise.resolve().then(() => {})
//// suspended generators => memory
const held = []; for (;;) { const g = (function* () { yield 1 })(); g.next(); held.push(g) }
//// regex that grows by its quantifiers => memory, exception, deadline
new RegExp('(?:(?:(?:a{9}){999}){999}){999}(?:'.repeat(20) + ')'.repeat(20)).test('a'.repeat(1e5))
//// regex with many groups => memory, exception
new RegExp('(a)'.repeat(1e5))
//// matches of a regex => memory
'ab'.repeat(1e6).match(/./g)
//// split => memory
'x'.repeat(5e6).split('')
//// JSON.stringify of what is shared => memory, deadline
let a = ['xxxxxxxx']; for (let i = 0; i < 40; i++) a = [a, a]; JSON.stringify(a)
//// value that is shared => memory, deadline
let a = ['xxxxxxxx']; for (let i = 0; i < 40; i++) a = [a, a]; a
//// JSON.stringify with a wide indent => memory, exception
let a = [1]; for (let i = 0; i < 3000; i++) a = [a, i];
const held = []; for (;;) held.push(JSON.stringify(a, null, 10))
//// replacement that grows => memory, exception
let s = 'xx'; for (;;) s = s.replace(/x/g, '$&$`$&')
//// error that holds its cause => memory
let e = new Error('x'); for (;;) e = new Error('y', { cause: e })
//// held by the host's answers => memory, host_calls
const held = []; for (;;) held.push(memory.query(input.question), new Array(1e5).fill(0))
//// arguments of the host => exception: arguments
memory.query('x'.repeat(1e6))
//// many arguments of the host => exception: arguments
memory.query(Array(2e5).fill(0))
//// logged => memory, output
console.log(Array(1e7).fill('x'))
//// caught, and begun again => deadline
const held = []; for (;;) { try { for (;;) held.push(new Array(1000).fill(1)) } catch {} }
//// caught, let go, and gone on => = "went on"
let held = [];
try { for (;;) held.push('x'.repeat(1e5) + held.length) } catch { held = null }
'went on'
//// caught, and rethrown with nothing left => memory
const held = []; let size = 1e6;
for (;;) { try { for (;;) held.push(new Array(size | 0).fill(1)) } catch (e) { if (size < 4) throw e; size /= 2 } }
//// caught, and logged with nothing left => memory, output, deadline
const held = []; for (;;) { try { for (;;) held.push([held]) } catch (e) { console.log(e) } }
