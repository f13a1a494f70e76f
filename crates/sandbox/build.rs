//! Compiles the engine module for the target, so that the program carries no compiler.

use std::path::Path;
use std::{env, fs};

#[path = "src/settings.rs"]
mod settings;

fn main() {
    println!("cargo::rerun-if-changed=src/settings.rs");
    compile("engine/quickjs.wasm");
    // For the tests: modules that ask for what they must not get.
    for hostile in ["network", "filesystem", "unknown"] {
        compile(&format!("tests/modules/{hostile}.wat"));
    }
}

/// Compiles a module into the output directory, under its own name.
#[expect(clippy::expect_used, reason = "a build script says what is wrong by ending")]
fn compile(path: &str) {
    println!("cargo::rerun-if-changed={path}");
    let mut config = settings::engine();
    config.target(&env::var("TARGET").expect("cargo names the target")).expect("the target is supported");
    let engine = wasmtime::Engine::new(&config).expect("the settings hold together");
    let module = fs::read(path).expect("the module is there");
    let compiled = engine.precompile_module(&module).expect("the module is valid");
    let name = Path::new(path).with_extension("cwasm");
    let name = name.file_name().expect("it is a file");
    let out = env::var_os("OUT_DIR").expect("cargo names the output directory");
    fs::write(Path::new(&out).join(name), compiled).expect("the output directory can be written");
}
