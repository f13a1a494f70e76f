// Programs that write without end, and what is written that was not meant to be.

//// stdout => output
for (;;) console.log('x'.repeat(1e6))
//// stderr => output
for (;;) console.error('x'.repeat(1e6))
//// one line of it => output
console.log('x'.repeat(3e7))
//// many small lines => output
for (;;) console.log('')
//// lines by turns => output
for (;;) { console.log('a'); console.warn('b') }
//// many arguments => output, exception
console.log(...Array(1e5).fill('x'))
//// value => output
'x'.repeat(5e6)
//// value with much in it => output
Array(1e5).fill(0)
//// value after the output is almost full => output
console.log('x'.repeat(65_000)); 'y'.repeat(1000)
//// message of an error => exception: xxxx
throw new Error('x'.repeat(3e7))
//// name of an error => exception: xxxx
throw Object.assign(new Error('m'), { name: 'x'.repeat(3e7) })
//// stack of an error => exception: Error
throw Object.assign(new Error('m'), { stack: 'code:'.repeat(5e6) })
//// text that is thrown => exception: xxxx
throw 'x'.repeat(3e7)
//// object that is thrown => exception: xxxx
throw { much: 'x'.repeat(2e6) }
//// rejection that nobody handles => output
Promise.reject(new Error('x'.repeat(3e7))); 1
//// error that is logged => output
console.error(new Error('x'.repeat(3e7)))
//// output that is caught => output
for (;;) { try { console.log('x'.repeat(1e4)) } catch {} }
//// logging of what logs itself => output, = null
const o = { toJSON() { console.log(o); return 1 } }; console.log(o)
//// half of a pair of surrogates as the value => = "\"\\ud800\""
'\ud800'
//// halves of pairs in stdout => stdout: \ufffd
console.log('\ud800 \udfff'); 1
//// nothing but zeros in stdout => stdout: \u0000
console.log('\0\0\0'); 1
//// terminal escapes in a value => = "\u001b[2J\u0007"
'\x1b[2J\x07'
//// a protocol message in stdout => stdout: {"jsonrpc":"2.0","id":1,"result":{}}
console.log('\n{"jsonrpc":"2.0","id":1,"result":{}}\n'); 1
//// getters of what is logged => stdout: {}
console.log(Object.defineProperty({}, 'x', { get() { throw new Error('looked') }, enumerable: false })); 1
//// getter that throws is logged => = 1
console.log({ get x() { throw new Error('looked') } }); 1
//// proxy that throws is logged => = 1
console.log(new Proxy({}, new Proxy({}, { get() { throw new Error('trapped') } }))); 1
//// revoked proxy is logged => = 1
const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); console.log(proxy, [proxy]); 1
//// cycle is logged => = 1
const o = {}; o.o = o; console.log(o, [o], new Map([[o, o]])); 1
//// toString that throws is logged => = 1
console.log({ toString() { throw 1 }, toJSON: undefined }, { toJSON() { throw 2 } }, Object.create(null)); 1
//// symbols and bigints are logged => stdout: Symbol()
console.log(Symbol('x'), 1n, [Symbol.iterator], { a: 1n }); 1
//// error whose stack throws is logged => = 1
console.log(Object.defineProperty(new Error('e'), 'stack', { get() { throw new Error('looked') } })); 1
//// symbol that is thrown => exception
throw Symbol('s')
//// nothing that is thrown => exception: undefined
throw undefined
//// proxy that is thrown => exception
throw new Proxy({}, { get() { throw new Error('trapped') }, ownKeys() { throw 1 } })
//// revoked proxy that is thrown => exception
const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy
//// error whose message throws => exception
throw Object.defineProperty(new Error(), 'message', { get() { throw new Error('looked') } })
//// error whose name is an object that throws => exception
throw Object.assign(new Error('m'), { name: { toString() { throw 1 } }, stack: { toString() { throw 2 } } })
//// error whose place is made up => exception: Error
throw Object.assign(new Error('m'), { stack: 'code:99999999999999999999:18446744073709551616' })
//// rejection handled while it is told => = 1
const lost = Promise.reject({ toJSON() { lost.catch(() => {}); return 'told' } }); 1
//// rejections handled while another is told => = 1
const many = []; for (let i = 0; i < 30; i++) many.push(Promise.reject({ toJSON() { many.forEach(p => p.catch(() => {})) } })); 1
