//! How the engine's code is compiled and run. Shared with the build script: code compiled with other settings is refused.

/// Stack of compiled code, in bytes.
pub(crate) const WASM_STACK_BYTES: usize = 1024 * 1024;
/// Stack of a run: that of compiled code and what the functions of the host need above it, in bytes.
const RUN_STACK_BYTES: usize = WASM_STACK_BYTES + 512 * 1024;

/// The settings of wasmtime.
pub(crate) fn engine() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        // Counted in instructions, so that a run is stopped at the same place each time, and yields in between.
        .consume_fuel(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(RUN_STACK_BYTES)
        .async_stack_zeroing(true)
        // What the module does not use, it cannot be attacked through.
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        // Nobody follows the stack into compiled code.
        .generate_address_map(false)
        .native_unwind_info(cfg!(windows));
    config
}
