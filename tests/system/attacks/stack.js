// Programs that go too deep.

//// recursion => exception: stack
(function f() { f() })()
//// recursion of two => exception: stack
const a = () => b(), b = () => a(); a()
//// constructor => exception: stack
class A { constructor() { new A() } } new A()
//// getter => exception: stack
const o = { get x() { return o.x } }; o.x
//// toString => exception: stack
const o = { toString() { return '' + o } }; '' + o
//// toPrimitive => exception: stack
const o = { [Symbol.toPrimitive]() { return +o } }; +o
//// proxy of a proxy => exception: stack
let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); p.x
//// proxy that is its own prototype => exception, trap
const p = new Proxy({}, {}); Object.setPrototypeOf(p, Object.create(p)); p.nothing
//// bound functions => exception: stack, memory
let f = () => 1; for (let i = 0; i < 1e5; i++) f = f.bind(null); f()
//// reviver => exception: stack
const f = () => JSON.parse('[1]', f); f()
//// JSON.stringify => exception, trap
let a = []; for (let i = 0; i < 1e5; i++) a = [a]; JSON.stringify(a)
//// value => exception, trap
let a = []; for (let i = 0; i < 1e5; i++) a = [a]; a
//// value that is logged => trap, = 1
let a = []; for (let i = 0; i < 1e5; i++) a = [a]; console.log(a); 1
//// toJSON => exception: stack
const o = { toJSON() { return JSON.stringify(o) } }; o
//// JSON.parse => exception, trap
JSON.parse('['.repeat(1e6))
//// JSON.parse of objects => exception, trap
JSON.parse('{"a":'.repeat(1e6))
//// argument of the host => exception, trap
let a = []; for (let i = 0; i < 1e5; i++) a = [a]; memory.query(a)
//// argument of the host that JSON can say => exception, trap
let a = []; for (let i = 0; i < 500; i++) a = [a]; memory.query({ query: a })
//// groups of a regex => exception, trap
new RegExp('('.repeat(1e5) + ')'.repeat(1e5))
//// lookaheads of a regex => exception, trap
new RegExp('(?='.repeat(1e5) + ')'.repeat(1e5))
//// classes of a regex => exception, trap
new RegExp('['.repeat(1e5) + ']'.repeat(1e5), 'v')
//// backtracking of a regex => = true
new RegExp('(?:a|b)*').test('ab'.repeat(3e5))
//// brackets => exception, trap
eval('['.repeat(1e5))
//// parentheses => exception, trap
eval('('.repeat(1e5) + '1' + ')'.repeat(1e5))
//// blocks => exception, trap
eval('{'.repeat(1e5))
//// signs => exception, trap
eval('!'.repeat(1e5) + '1')
//// arrow functions => exception, trap
eval('a=>'.repeat(1e5) + '1')
//// functions => exception, trap
eval('(function(){'.repeat(1e4) + '})'.repeat(1e4))
//// templates => exception, trap
eval('`${'.repeat(1e5))
//// conditions => exception, trap
eval('1?'.repeat(1e5) + '1' + ':1'.repeat(1e5))
//// ifs => exception, trap
eval('if(1)'.repeat(1e5) + ';')
//// powers => exception, trap
eval('2**'.repeat(1e5) + '1')
//// assignments => exception, trap
eval('a='.repeat(1e5) + '1')
//// new => exception, trap
eval('new '.repeat(1e5) + 'Object')
//// classes => exception, trap
eval('class A extends '.repeat(1e5) + 'Object{}')
//// patterns => exception, trap
eval('var ' + '['.repeat(1e5) + 'a' + ']'.repeat(1e5) + '=1')
//// labels => exception, trap
eval(Array.from({ length: 1e5 }, (_, i) => `l${i}:`).join('') + ';')
//// long sum => exception, trap, = 100001
eval('1+'.repeat(1e5) + '1')
//// long chain of members => exception, trap
eval('a' + '.b'.repeat(1e5))
//// spread of a million arguments => exception, memory
Math.max(...Array(1e6).fill(1))
//// apply with a million arguments => exception, memory
Math.max.apply(null, Array(1e6).fill(1))
//// call with many arguments written out => exception, trap
eval('Math.max(' + '1,'.repeat(1e5) + '1)')
//// delegated generators => exception: stack
let g = (function* () { yield 1 })(); for (let i = 0; i < 1e5; i++) { const inner = g; g = (function* () { yield* inner })() } g.next().value
//// flat => exception, trap
let a = []; for (let i = 0; i < 1e5; i++) a = [a]; a.flat(Infinity)
//// text of nested arrays => exception, trap
let a = []; for (let i = 0; i < 1e5; i++) a = [a]; String(a)
//// comparator => exception: stack
const f = () => [2, 1].sort(f); f()
//// replacement function => exception: stack
const f = () => 'a'.replace(/a/, f); f()
//// async function => exception: stack
const f = async () => { await f() }; await f()
//// promises within promises => = 1
let p = Promise.resolve(1); for (let i = 0; i < 1e4; i++) { const inner = p; p = new Promise(resolve => resolve(inner)) } await p
//// long promise chain => = 10000
let p = Promise.resolve(0); for (let i = 0; i < 1e4; i++) p = p.then(x => x + 1); await p
//// long list let go => = "freed"
let list = null; for (let i = 0; i < 3e5; i++) list = { list }; list = null; 'freed'
//// deep arrays let go => = "freed"
let a = []; for (let i = 0; i < 3e5; i++) a = [a]; a = null; 'freed'
//// long prototype chain => deadline, = "undefined"
let o = {}; for (let i = 0; i < 1e5; i++) o = Object.create(o); typeof o.nothing
//// ropes to the left => = 1100000
let s = ''; for (let i = 0; i < 1e5; i++) s = s + 'xxxxxxxxxxx'; [...s].length
//// ropes to the right => = 1100000
let s = ''; for (let i = 0; i < 1e5; i++) s = 'xxxxxxxxxxx' + s; [...s].length
//// scopes of with => exception, trap
Function('o', 'with(o)'.repeat(1e5) + '{}')({})
//// errors and their causes => exception, trap
let e = new Error('x'); for (let i = 0; i < 1e5; i++) e = new Error('y', { cause: e }); throw e
//// getter that is the prototype => exception, trap
const o = {}; Object.defineProperty(o, 'x', { get() { return Reflect.get(o, 'x', o) } }); o.x
//// iterator that closes itself => exception: stack
const i = { [Symbol.iterator]() { return this }, next() { return { done: false } }, return() { for (const x of i) break; return {} } };
for (const x of i) break
