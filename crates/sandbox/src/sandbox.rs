//! The sandbox: takes programs, and runs a few of them at a time on a thread of its own.

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::LocalOptions;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::engine::{Engine, QUICKJS};
use crate::filesystem::Ambient;
use crate::isolation::Cells;
use crate::limits::{
    EVENT_TURNS, HOST_CALLS_AT_ONCE, InTurn, Limits, QUEUE_RUNS_MAX, RUNS_MAX, TIMEOUT_MAX, WAITING_MAX,
};
use crate::monitoring::{Counts, Monitor};
use crate::report::{Program, Reason, Refusal, Report, Stopped};
use crate::run::{Host, Run, perform};

/// Which layers stand. All of them, but in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// A store and an instance for each run.
    pub isolation: bool,
    /// No network.
    pub network: bool,
    /// No files, environment, clock, randomness.
    pub filesystem: bool,
    /// Bounds on what is used.
    pub limits: bool,
    /// A look at what is to be run.
    pub analysis: bool,
    /// Counts of what was used, and a breaker.
    pub monitoring: bool,
}

impl Layers {
    /// All six.
    pub const ALL: Self = Self {
        isolation: true,
        network: true,
        filesystem: true,
        limits: true,
        analysis: true,
        monitoring: true,
    };
    /// None, to begin with in a test.
    #[doc(hidden)]
    pub const NONE: Self = Self {
        isolation: false,
        network: false,
        filesystem: false,
        limits: false,
        analysis: false,
        monitoring: false,
    };
}

/// How it stands with the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether anything was run yet; before that there is neither thread nor engine.
    pub started: bool,
    /// Programs that are running.
    pub running: usize,
    /// Programs that wait.
    pub waiting: usize,
    /// How long it is closed, if it is.
    pub closed_for: Option<Duration>,
    /// What was seen since the start.
    pub counts: Counts,
}

struct Job {
    program: Program,
    host: Option<Arc<dyn Host>>,
    limits: Limits,
    ambient: Ambient,
    reply: oneshot::Sender<Result<Report, Refusal>>,
}

/// Runs programs. The first one starts its thread and makes its engine; until then it costs nothing.
pub struct Sandbox {
    layers: Layers,
    module: &'static [u8],
    granted: Mutex<(Limits, Ambient)>,
    shared: Arc<Shared>,
    queue: Mutex<Queue>,
}

/// What the thread and the callers have in common.
#[derive(Default)]
struct Shared {
    monitor: Monitor,
    running: AtomicUsize,
    waiting: AtomicUsize,
}

/// Dropped, it ends the thread, whatever runs and waits there.
type Ending = oneshot::Sender<()>;

/// The way to the thread.
enum Queue {
    Unused,
    Open(mpsc::Sender<Job>, Ending, std::thread::JoinHandle<()>),
    ShutDown,
}

impl Sandbox {
    /// A sandbox with these limits, whose programs may know this of the machine.
    pub fn new(limits: Limits, ambient: Ambient) -> Self {
        Self::with(Layers::ALL, limits, ambient, QUICKJS)
    }

    /// One with some of its layers switched off, for tests and for those who watch over their programs themselves.
    pub fn layered(layers: Layers, limits: Limits) -> Self {
        Self::with(layers, limits, Ambient::default(), QUICKJS)
    }

    fn with(layers: Layers, limits: Limits, ambient: Ambient, module: &'static [u8]) -> Self {
        let (granted, queue) = (Mutex::new((limits, ambient)), Mutex::new(Queue::Unused));
        Self { layers, module, granted, shared: Arc::default(), queue }
    }

    /// Changes what the programs to come may use, and what they may know of the machine.
    pub fn grant(&self, limits: Limits, ambient: Ambient) {
        *self.granted.lock().unwrap_or_else(PoisonError::into_inner) = (limits, ambient);
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let started = matches!(*self.queue.lock().unwrap_or_else(PoisonError::into_inner), Queue::Open(..));
        Status {
            started,
            running: self.shared.running.load(Ordering::Relaxed),
            waiting: self.shared.waiting.load(Ordering::Relaxed),
            closed_for: self.shared.monitor.closed_for(Instant::now()),
            counts: self.shared.monitor.counts(),
        }
    }

    /// Runs a program; `host` answers its calls of the memory. Given up by its caller, it is stopped.
    ///
    /// # Errors
    /// A [`Refusal`], if the program was not begun.
    pub async fn run(&self, program: Program, host: Option<Arc<dyn Host>>) -> Result<Report, Refusal> {
        if self.layers.monitoring
            && let Some(left) = self.shared.monitor.closed_for(Instant::now())
        {
            return Err(Refusal::Closed(left.as_secs() + 1));
        }
        let (reply, answer) = oneshot::channel();
        let (mut limits, ambient) = *self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(timeout) = program.timeout {
            limits.timeout = timeout.min(TIMEOUT_MAX);
        }
        let ambient = if self.layers.filesystem { ambient } else { Ambient::ALL };
        self.send(Job { program, host, limits, ambient, reply })?;
        answer.await.map_err(|_| Refusal::ShutDown)?
    }

    fn send(&self, job: Job) -> Result<(), Refusal> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Queue::Unused = *queue {
            let (sender, receiver) = mpsc::channel(QUEUE_RUNS_MAX);
            let (layers, module) = (self.layers, self.module);
            let calls = Arc::new(Semaphore::new(HOST_CALLS_AT_ONCE));
            let work = Work { layers, module, shared: self.shared.clone(), calls };
            let (ending, ended) = oneshot::channel();
            let thread = std::thread::Builder::new()
                .name("sandbox".to_owned())
                .spawn(move || work.serve(receiver, ended))
                .map_err(|error| Refusal::Broken(error.to_string()))?;
            *queue = Queue::Open(sender, ending, thread);
        }
        let Queue::Open(sender, ..) = &*queue else { return Err(Refusal::ShutDown) };
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        sender.try_send(job).map_err(|error| {
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                mpsc::error::TrySendError::Full(_) => Refusal::Busy(QUEUE_RUNS_MAX),
                mpsc::error::TrySendError::Closed(_) => Refusal::ShutDown,
            }
        })
    }

    /// Stops what runs, refuses what waits, and ends the thread.
    pub async fn shutdown(&self) {
        let queue = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *queue, Queue::ShutDown)
        };
        if let Queue::Open(sender, ending, thread) = queue {
            drop((sender, ending));
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::warn!("the thread of the sandbox did not end in good order");
            }
        }
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sandbox").field("layers", &self.layers).finish_non_exhaustive()
    }
}

/// What the thread works with.
struct Work {
    layers: Layers,
    module: &'static [u8],
    shared: Arc<Shared>,
    /// Turns of calls of the host.
    calls: Arc<Semaphore>,
}

impl Work {
    fn serve(self, queue: mpsc::Receiver<Job>, ended: oneshot::Receiver<()>) {
        give_way();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            // Programs run in short turns; what has come in between is looked at after each few of them.
            .event_interval(EVENT_TURNS)
            .build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => runtime.block_on(async {
                tokio::select! {
                    () = self.receive(queue) => {}
                    _ = ended => {}
                }
            }),
            // Dropped with the runtime, what still runs is stopped where it is.
            Err(error) => tracing::error!(%error, "failed to start the sandbox"),
        }
    }

    async fn receive(self, mut queue: mpsc::Receiver<Job>) {
        let engine = Engine::load(self.layers, self.module).map(Arc::new);
        if let Err(error) = &engine {
            tracing::error!(error, "the sandbox does not work");
        }
        let engine = engine.map(|engine| Rc::new(Cells::new(engine, self.layers.isolation)));
        let (work, turns) = (Rc::new(self), Arc::new(Semaphore::new(RUNS_MAX)));
        while let Some(mut job) = queue.recv().await {
            let turn = tokio::select! {
                turn = turns.clone().acquire_owned() => turn.ok(),
                () = job.reply.closed() => None,
            };
            work.shared.waiting.fetch_sub(1, Ordering::Relaxed);
            let Some(turn) = turn else { continue };
            let (work, engine) = (work.clone(), engine.clone());
            tokio::task::spawn_local(async move {
                let _turn = turn;
                let _running = Running::begin(work.shared.clone());
                work.one(engine, job).await;
            });
        }
    }

    fn in_turn(&self, host: Arc<dyn Host>) -> Arc<dyn Host> {
        if self.layers.limits { Arc::new(InTurn { host, turns: self.calls.clone() }) } else { host }
    }

    /// Runs one program, for as long as somebody waits for it.
    async fn one(&self, engine: Result<Rc<Cells>, String>, job: Job) {
        let Job { program, host, limits, ambient, mut reply } = job;
        let cells = match engine {
            Ok(cells) => cells,
            Err(why) => return drop(reply.send(Err(Refusal::Broken(why)))),
        };
        let host = host.filter(|_| program.grants.memory).map(|host| self.in_turn(host));
        let run = Run::new(host, ambient, self.layers.limits.then_some(limits));
        let waiting = limits.timeout + WAITING_MAX;
        let result = tokio::select! {
            result = tokio::time::timeout(waiting, perform(&cells, self.layers, &program, run)) => result,
            () = reply.closed() => return,
        };
        let result = match result {
            Ok(Ok(mut report)) => {
                if self.layers.monitoring {
                    self.shared.monitor.note(&report, Instant::now());
                } else {
                    report.usage = crate::Usage::default();
                }
                Ok(report)
            }
            Ok(Err(error)) => Err(Refusal::Broken(error.to_string())),
            Err(_) => {
                let seconds = WAITING_MAX.as_secs();
                let message =
                    format!("it waited longer than {seconds} s for the memory and for other programs");
                Ok(Report { stopped: Some(Stopped::new(Reason::Deadline, message)), ..Report::default() })
            }
        };
        // Whoever asked may have gone.
        let _ = reply.send(result);
    }
}

/// A program that runs, for as long as this is there.
struct Running(Arc<Shared>);

impl Running {
    fn begin(shared: Arc<Shared>) -> Self {
        shared.running.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets every other thread go first: programs may take what is left of the machine.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "failed to lower the priority of the sandbox");
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Layers, Sandbox};
    use crate::filesystem::Ambient;
    use crate::limits::Limits;
    use crate::report::{Program, Refusal, Report};

    /// Modules that ask for what they must not get.
    pub(crate) mod hostile {
        pub(crate) const NETWORK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/network.cwasm"));
        pub(crate) const FILESYSTEM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/filesystem.cwasm"));
        pub(crate) const UNKNOWN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/unknown.cwasm"));
    }

    pub(crate) fn only(layers: Layers) -> Sandbox {
        Sandbox::layered(layers, Limits::default())
    }

    impl Sandbox {
        pub(crate) fn of_module(layers: Layers, module: &'static [u8]) -> Self {
            Self::with(layers, Limits::default(), Ambient::default(), module)
        }

        pub(crate) fn monitor(&self) -> &crate::monitoring::Monitor {
            &self.shared.monitor
        }

        pub(crate) async fn evaluate(&self, code: &str) -> Result<Report, Refusal> {
            self.run(Program::new(code), None).await
        }
    }

    /// The value of a program that comes to its end, as JSON.
    pub(crate) async fn value(sandbox: &Sandbox, code: &str) -> String {
        let report = sandbox.evaluate(code).await.unwrap();
        assert_eq!(report.stopped, None, "{code}");
        report.value.unwrap_or_default()
    }
}
