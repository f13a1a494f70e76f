//! The first layer: every program gets a store and an instance of its own, made for it and dropped after it. Nothing that one
//! leaves behind is there for the next.

use std::sync::Arc;

use wasmtime::{Instance, Store};

use crate::engine::Engine;
use crate::limits::FUEL_PER_TURN;
use crate::run::Run;

/// A store with the one instance in it.
pub(crate) struct Cell {
    pub(crate) store: Store<Run>,
    pub(crate) instance: Instance,
    /// Whether the engine in it was made ready.
    pub(crate) prepared: bool,
}

/// Gives each program its cell.
pub(crate) struct Cells {
    engine: Arc<Engine>,
    /// The cell that all programs share where this layer is switched off.
    shared: Option<std::cell::RefCell<Option<Cell>>>,
}

impl Cells {
    pub(crate) fn new(engine: Arc<Engine>, isolated: bool) -> Self {
        Self { engine, shared: (!isolated).then(Default::default) }
    }

    /// A cell for this run.
    pub(crate) async fn take(&self, run: Run) -> wasmtime::Result<Cell> {
        let fuel = run.limits.map_or(u64::MAX, |limits| limits.fuel);
        let kept = self.shared.as_ref().and_then(|shared| shared.borrow_mut().take());
        let mut cell = match kept {
            Some(mut cell) => {
                *cell.store.data_mut() = run;
                cell
            }
            None => {
                let mut store = Store::new(&self.engine.engine, run);
                store.limiter(|run| run);
                store.set_fuel(fuel)?;
                let instance = self.engine.pre.instantiate_async(&mut store).await?;
                Cell { store, instance, prepared: false }
            }
        };
        cell.store.set_fuel(fuel)?;
        cell.store.fuel_async_yield_interval(Some(FUEL_PER_TURN))?;
        Ok(cell)
    }

    /// Takes the cell back: into the shared place, if there is one, and else to nothing.
    pub(crate) fn give_back(&self, cell: Cell) {
        if let Some(shared) = &self.shared {
            *shared.borrow_mut() = Some(cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sandbox::Layers;
    use crate::sandbox::tests::{only, value};

    const ALONE: Layers = Layers { isolation: true, ..Layers::NONE };

    const POLLUTE: &str = "
        globalThis.left = 1;
        Object.prototype.left = 1;
        Array.prototype.map = () => 'mine';
        JSON.parse = () => 'mine';
        Promise.prototype.then = null;
        const kept = new WeakRef({});
        Symbol.for('left').description";
    const LOOK: &str = "
        [typeof globalThis.left, typeof ({}).left, [1].map(x => x + 1), JSON.parse('3'), typeof Promise.prototype.then]";

    #[tokio::test]
    async fn a_program_finds_nothing_of_the_one_before() {
        let sandbox = only(ALONE);
        value(&sandbox, POLLUTE).await;
        assert_eq!(value(&sandbox, LOOK).await, r#"["undefined","undefined",[2],3,"function"]"#);
    }

    #[tokio::test]
    async fn without_this_layer_it_would() {
        let sandbox = only(Layers::NONE);
        value(&sandbox, "globalThis.left = 1").await;
        assert_eq!(value(&sandbox, "typeof globalThis.left").await, "\"number\"");
    }
}
