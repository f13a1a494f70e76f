//! Builds the module of the sandbox's JavaScript engine from its C source, and says whether the committed one is that.
//!
//! The source of QuickJS, and the C library for it, come from the package `rquickjs-sys`, whose version and hash are in
//! `Cargo.lock` and of which nothing is compiled into the program. Built by clang 19 and the linker of the Rust toolchain, the
//! module is the same byte for byte wherever it is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::root;

/// The package that brings the source.
const PACKAGE: &str = "rquickjs-sys";
/// Other compilers make other code.
const CLANG: &str = "clang-19";
/// What is part of the engine.
const SOURCES: [&str; 4] = ["quickjs", "libregexp", "libunicode", "dtoa"];
/// The stack of the C code within the module's memory, in bytes. It lies at its start, so that what overflows it traps.
const STACK_BYTES: u32 = 1024 * 1024;

/// Writes the module, its hash and the licences of what is in it; or compares.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let engine = root().join("crates/sandbox/engine");
    let package = package()?;
    let module = build(&package, &engine.join("harness.c"))?;
    let files = [
        ("quickjs.wasm.sha256", format!("{}  quickjs.wasm\n", hex(&Sha256::digest(&module))).into_bytes()),
        ("quickjs.wasm", module),
        ("LICENSE-QUICKJS", fs::read(package.join("quickjs/LICENSE"))?),
        ("NOTICE-WASI-LIBC.md", fs::read(package.join("vendor/wasi-libc/NOTICE.md"))?),
    ];
    for (name, content) in files {
        let path = engine.join(name);
        if check {
            let committed = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
            ensure!(committed == content, "{name} is not what its source makes; run `cargo xtask engine`");
        } else {
            fs::write(path, content)?;
        }
    }
    Ok(())
}

/// Where cargo keeps the package.
fn package() -> anyhow::Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        manifest_path: PathBuf,
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root());
    let metadata: Metadata = serde_json::from_slice(&output(cargo)?)?;
    let package = metadata.packages.into_iter().find(|package| package.name == PACKAGE);
    let manifest = package.with_context(|| format!("{PACKAGE} is no dependency any more"))?.manifest_path;
    Ok(manifest.parent().context("a manifest is in a directory")?.to_owned())
}

/// Compiles and links.
fn build(package: &Path, harness: &Path) -> anyhow::Result<Vec<u8>> {
    let out = tempfile::tempdir()?;
    let mut objects = Vec::new();
    let sources = SOURCES.iter().map(|name| package.join("quickjs").join(name).with_extension("c"));
    for source in sources.chain([harness.to_owned()]) {
        let object = out.path().join(source.file_stem().context("a source has a name")?).with_extension("o");
        let mut clang = Command::new(CLANG);
        clang
            .args(["--target=wasm32-unknown-unknown", "-O2", "-std=gnu11", "-nostdlibinc", "-w", "-c"])
            .args(["-mbulk-memory", "-msign-ext", "-mnontrapping-fptoint"])
            .args(["-fno-strict-aliasing", "-ffunction-sections", "-fdata-sections"])
            // QuickJS knows Emscripten, which is nearest to having no operating system at all.
            .args(["-D_GNU_SOURCE", "-DNDEBUG", "-DEMSCRIPTEN=1", "-DFE_DOWNWARD=0", "-DFE_UPWARD=0"])
            .arg("-isystem")
            .arg(package.join("vendor/wasi-libc/include"))
            .arg("-I")
            .arg(package.join("quickjs"))
            .arg(source)
            .arg("-o")
            .arg(&object);
        output(clang)
            .with_context(|| format!("failed to compile; {CLANG} is a package of Debian and its kin"))?;
        objects.push(object);
    }
    let module = out.path().join("quickjs.wasm");
    let mut linker = Command::new(linker()?);
    linker
        .args(["-flavor", "wasm", "--no-entry", "--gc-sections", "--strip-all", "--stack-first"])
        .args(["-z", &format!("stack-size={STACK_BYTES}")])
        .args(objects)
        .arg(package.join("vendor/wasi-libc/lib/libc.a"))
        .arg("-o")
        .arg(&module);
    output(linker)?;
    Ok(fs::read(module)?)
}

/// The linker that comes with the Rust toolchain.
fn linker() -> anyhow::Result<PathBuf> {
    let asked = |argument: &[&str]| {
        let mut rustc = Command::new("rustc");
        rustc.args(argument).current_dir(root());
        anyhow::Ok(String::from_utf8(output(rustc)?)?)
    };
    let version = asked(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let sysroot = asked(&["--print", "sysroot"])?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld"))
}

/// What a command writes, if it succeeds.
fn output(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("failed to start {name}"))?;
    ensure!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
