//! The engine: QuickJS as compiled code, and the functions of the host that it is joined to.

use wasmtime::{Caller, Extern, InstancePre, Linker, Memory, Module};

use crate::report::{Reason, Stopped};
use crate::run::{HostFunction, Run};
use crate::sandbox::Layers;
use crate::{analysis, filesystem, network, settings};

/// The engine module as the build made it.
pub(crate) const QUICKJS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/quickjs.cwasm"));

/// The name under which the engine module asks for functions of the host.
pub(crate) const HOST: &str = "host";

/// What comes out of the engine, by the numbers of `harness.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Out,
    Err,
    Value,
    Name,
    Message,
    Stack,
    Module,
    Body,
}

impl Channel {
    fn of(number: i32) -> Option<Self> {
        use Channel::{Body, Err, Message, Module, Name, Out, Stack, Value};
        let all = [Out, Err, Value, Name, Message, Stack, Module, Body];
        usize::try_from(number).ok()?.checked_sub(1).and_then(|place| all.get(place).copied())
    }
}

/// The engine, ready to be instantiated.
pub(crate) struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) pre: InstancePre<Run>,
}

impl Engine {
    /// Makes the engine of a compiled module, unless a layer objects to what the module asks of the host.
    pub(crate) fn load(layers: Layers, compiled: &[u8]) -> Result<Self, String> {
        let engine = wasmtime::Engine::new(&settings::engine()).map_err(|error| error.to_string())?;
        #[expect(unsafe_code, reason = "compiled code can be taken from nowhere else")]
        // SAFETY: these bytes were compiled by the build script of this crate and are part of the program.
        let module = unsafe { Module::deserialize(&engine, compiled) }.map_err(|error| error.to_string())?;
        for import in module.imports() {
            let (from, name) = (import.module(), import.name());
            let objection = (layers.analysis.then(|| analysis::objection(from, name)).flatten())
                .or_else(|| layers.network.then(|| network::objection(from, name)).flatten())
                .or_else(|| layers.filesystem.then(|| filesystem::objection(from, name)).flatten());
            if let Some(objection) = objection {
                return Err(objection);
            }
        }
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(|error| error.to_string())?;
        let pre = linker.instantiate_pre(&module).map_err(|error| error.to_string())?;
        Ok(Self { engine, pre })
    }
}

fn link(linker: &mut Linker<Run>) -> wasmtime::Result<()> {
    linker.func_wrap(HOST, "emit", |mut caller: Caller<'_, Run>, channel: i32, text: u32, length: u32| {
        let channel = Channel::of(channel).ok_or_else(|| wasmtime::Error::msg("no such channel"))?;
        let memory = memory(&mut caller)?;
        let (bytes, run) = memory.data_and_store_mut(&mut caller);
        let text = range(text, length).and_then(|range| bytes.get(range)).ok_or_else(outside)?;
        run.emit(channel, text).map_err(|stopped| run.halt(stopped))
    })?;
    linker.func_wrap_async(
        HOST,
        "call",
        |mut caller: Caller<'_, Run>, (function, text, length): (i32, u32, u32)| {
            Box::new(async move {
                let memory = memory(&mut caller)?;
                let (bytes, run) = memory.data_and_store_mut(&mut caller);
                let text = range(text, length).and_then(|range| bytes.get(range)).ok_or_else(outside)?;
                run.call(HostFunction::of(function), text).await.map_err(|stopped| run.halt(stopped))
            })
        },
    )?;
    linker.func_wrap(HOST, "take", |mut caller: Caller<'_, Run>, into: u32| {
        let memory = memory(&mut caller)?;
        let (bytes, run) = memory.data_and_store_mut(&mut caller);
        let reply = std::mem::take(&mut run.reply);
        let length = u32::try_from(reply.len()).map_err(|_| outside())?;
        let place = range(into, length).and_then(|range| bytes.get_mut(range)).ok_or_else(outside)?;
        place.copy_from_slice(&reply);
        wasmtime::Result::Ok(())
    })?;
    linker.func_wrap(HOST, "clock", |caller: Caller<'_, Run>| caller.data().ambient.now_micros())?;
    linker.func_wrap(HOST, "seed", |caller: Caller<'_, Run>| caller.data().ambient.seed())?;
    Ok(())
}

fn memory(caller: &mut Caller<'_, Run>) -> wasmtime::Result<Memory> {
    caller.get_export("memory").and_then(Extern::into_memory).ok_or_else(outside)
}

fn range(start: u32, length: u32) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(start).ok()?;
    Some(start..start.checked_add(usize::try_from(length).ok()?)?)
}

fn outside() -> wasmtime::Error {
    wasmtime::Error::msg("the engine named memory that is not its own")
}

impl Run {
    /// Notes why the run ends here, and gives the error that ends it.
    fn halt(&mut self, stopped: Stopped) -> wasmtime::Error {
        self.hit.insert(stopped.reason);
        let error = wasmtime::Error::msg(stopped.message.clone());
        self.halted = Some(stopped);
        error
    }
}

/// What ended a run that did not come back from the engine by itself.
pub(crate) fn trapped(error: &wasmtime::Error) -> Stopped {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::OutOfFuel) => {
            Stopped::new(Reason::Deadline, "it ran for more instructions than it may")
        }
        Some(wasmtime::Trap::StackOverflow) => Stopped::new(Reason::Trap, "the stack of the engine is full"),
        Some(trap) => Stopped::new(Reason::Trap, format!("the engine stopped: {trap}")),
        None => Stopped::new(Reason::Trap, format!("the engine stopped: {error}")),
    }
}
