//! The service on a small store, with models that do as they are told, and with a real one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use memory_core::port::{EmbedError, Semantics};
use testkit::TestSource;
use tokio::time::{Instant, timeout};

use crate::fixture::{FakeEmbedder, FakeModels, Store, a_while, note, until};
use crate::library::Library;
use crate::limits::{LOCAL_BATCH_TEXTS, SETTLE_WAIT, SETTLE_WAIT_ENDPOINT};
use crate::service::{Service, ServiceConfig, State};
use crate::weights::WEIGHTS_FILE;

/// What processes on one machine share.
#[derive(Default)]
struct Bench {
    store: Arc<Store>,
    models: Arc<FakeModels>,
    source: Arc<TestSource>,
}

impl Bench {
    /// A bench with a model in use.
    fn with_model() -> (Self, Arc<FakeEmbedder>) {
        let bench = Self::default();
        let model = bench.models.add("a");
        bench.models.put_in_use(Some("a"));
        (bench, model)
    }

    fn start(&self) -> Arc<Service> {
        self.start_with(&self.models)
    }

    fn start_with(&self, models: &Arc<FakeModels>) -> Arc<Service> {
        Service::start(models.clone(), self.store.clone(), self.store.clone(), self.source.clone())
    }

    fn serving(&self) -> Option<String> {
        self.store.contents().serving().map(|space| space.name)
    }
}

async fn ready(service: &Service) {
    until(|| service.status().state == State::Ready).await;
}

fn space_of(service: &Service) -> Option<String> {
    service.space().map(|space| space.name)
}

async fn asked(service: &Service) -> Option<String> {
    service.query_vector("what?").await.map(|(space, _)| space.name)
}

fn broken() -> Option<EmbedError> {
    Some(EmbedError::Unusable("it is broken".into()))
}

#[tokio::test(start_paused = true)]
async fn without_a_model_search_is_by_words() {
    let bench = Bench::default();
    bench.store.write_notes(1..5);
    let service = bench.start();
    service.written(note(1));
    service.looked().await;
    service.settled().await;
    assert_eq!((space_of(&service), asked(&service).await), (None, None));
    let status = service.status();
    assert_eq!((status.model, status.state, status.waiting), (None, State::NoModel, 0));
    assert_eq!(service.settle_all().await, Ok(()));
    assert!(bench.store.contents().states.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_embedded_and_serves_when_all_of_it_is() {
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..=40);
    bench.store.write(41, &["some", "passages", "of a thing"]);
    model.close();
    let service = bench.start();
    until(|| model.calls() == 1).await;
    model.gate.add_permits(1);
    until(|| model.calls() == 2).await;
    assert_eq!(
        (space_of(&service), asked(&service).await),
        (None, None),
        "not before everything has its vectors"
    );
    assert_eq!(service.status().state, State::Filling { done: LOCAL_BATCH_TEXTS as u64 });
    // Whoever writes now does not wait for it.
    bench.store.write(42, &["written meanwhile"]);
    service.written(note(42));
    service.settled().await;
    model.open();
    ready(&service).await;
    assert_eq!(bench.store.lacking(), 0);
    assert_eq!(space_of(&service).as_deref(), Some("a@0"));
    assert_eq!(asked(&service).await.as_deref(), Some("a@0"));
    a_while().await;
    assert_eq!((model.seen().len(), service.status().embedded), (44, 44), "each text once");
}

#[tokio::test(start_paused = true)]
async fn the_vectors_of_another_model_serve_until_the_new_ones_are_complete() {
    let (bench, _) = Bench::with_model();
    bench.store.write_notes(1..40);
    let service = bench.start();
    ready(&service).await;
    let other = bench.models.add("b");
    other.close();
    bench.models.put_in_use(Some("b"));
    let chosen_at = Instant::now();
    until(|| other.calls() == 1).await;
    assert!(chosen_at.elapsed() < Duration::from_secs(3), "it is noticed soon");
    a_while().await;
    assert_eq!(asked(&service).await.as_deref(), Some("a@0"));
    assert_eq!(bench.serving().as_deref(), Some("a@0"));
    // A process that is started now has to find the model of that space.
    let late = bench.start();
    late.looked().await;
    assert_eq!(asked(&late).await.as_deref(), Some("a@0"));
    other.open();
    until(|| bench.serving().as_deref() == Some("b@0")).await;
    ready(&service).await;
    ready(&late).await;
    assert_eq!((asked(&service).await.as_deref(), asked(&late).await.as_deref()), (Some("b@0"), Some("b@0")));
    assert_eq!(bench.store.lacking(), 0);
    assert_eq!(other.seen().len(), 39);
}

#[tokio::test(start_paused = true)]
async fn what_this_process_writes_comes_before_what_others_wrote() {
    let (bench, model) = Bench::with_model();
    let service = bench.start();
    ready(&service).await;
    model.close();
    bench.store.write_notes(1..=100);
    until(|| model.calls() == 1).await;
    let mine = bench.store.write(999, &["mine"]);
    service.written(mine);
    // The batch that is under way, and then mine.
    model.gate.add_permits(2);
    service.settled().await;
    assert_eq!(model.seen().len(), LOCAL_BATCH_TEXTS + 1);
    assert_eq!(model.seen().last().unwrap(), "mine");
    model.open();
    until(|| bench.store.lacking() == 0).await;
    a_while().await;
    assert_eq!(model.seen().len(), 101);
}

#[tokio::test(start_paused = true)]
async fn a_write_comes_before_the_rest_of_one_long_thing() {
    let (bench, model) = Bench::with_model();
    let service = bench.start();
    ready(&service).await;
    model.close();
    let texts: Vec<String> = (0..100).map(|n| format!("step {n}")).collect();
    bench.store.write(1, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    until(|| model.calls() == 1).await;
    service.written(bench.store.write(2, &["mine"]));
    model.gate.add_permits(2);
    service.settled().await;
    assert_eq!(model.seen().last().unwrap(), "mine");
    model.open();
    until(|| bench.store.lacking() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn who_has_written_waits_for_the_vectors_but_not_for_long() {
    let (bench, model) = Bench::with_model();
    let service = bench.start();
    ready(&service).await;
    model.close();
    service.written(bench.store.write(1, &["mine"]));
    let begun = Instant::now();
    service.settled().await;
    assert_eq!(begun.elapsed().as_secs(), SETTLE_WAIT.as_secs());
    assert_eq!((bench.store.lacking(), service.status().waiting), (1, 1));
    let (settled, ()) = tokio::join!(timeout(SETTLE_WAIT / 2, service.settled()), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        model.open();
    });
    assert!(settled.is_ok());
    assert_eq!((bench.store.lacking(), service.status().waiting), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_is_not_waited_for_as_long() {
    let bench = Bench::default();
    let model = bench.models.add_remote("far");
    bench.models.put_in_use(Some("far"));
    bench.store.write_notes(1..=100);
    let service = bench.start();
    ready(&service).await;
    assert_eq!(model.calls(), 2, "it gets more texts at once");
    model.close();
    service.written(bench.store.write(101, &["mine"]));
    let begun = Instant::now();
    service.settled().await;
    assert_eq!(begun.elapsed().as_secs(), SETTLE_WAIT_ENDPOINT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_keeps_nobody_and_works_again_when_it_is_mended() {
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..5);
    let service = bench.start();
    ready(&service).await;
    model.fail(broken());
    service.written(bench.store.write(5, &["mine"]));
    let begun = Instant::now();
    service.settled().await;
    assert!(begun.elapsed() < Duration::from_secs(1), "what fails is not waited for");
    assert_eq!((space_of(&service), asked(&service).await), (None, None));
    let status = service.status();
    assert!(
        matches!(&status.state, State::Unusable { reason } if reason.contains("it is broken")),
        "{status:?}"
    );
    assert!(status.last_error.unwrap().error.contains("it is broken"));
    assert!(service.settle_all().await.unwrap_err().contains("it is broken"));
    a_while().await;
    assert!(model.calls() < 10, "the work is not tried again and again");
    model.fail(None);
    let mended = Instant::now();
    ready(&service).await;
    assert!(mended.elapsed() < Duration::from_secs(3), "it is noticed soon");
    service.settled().await;
    assert_eq!(bench.store.lacking(), 0);
    assert_eq!(asked(&service).await.as_deref(), Some("a@0"));
}

#[tokio::test(start_paused = true)]
async fn one_failed_query_does_not_cost_the_next_ones() {
    let (bench, model) = Bench::with_model();
    let service = bench.start();
    ready(&service).await;
    model.fail(Some(EmbedError::Unreachable("a mischance".into())));
    assert_eq!(asked(&service).await, None);
    assert_eq!(asked(&service).await, None, "it is not asked before it is known to work again");
    // Nor is anybody kept.
    service.written(bench.store.write(1, &["mine"]));
    let begun = Instant::now();
    service.settled().await;
    model.fail(None);
    until(|| space_of(&service).is_some()).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(asked(&service).await.as_deref(), Some("a@0"));
    // A single mischance is over at once.
    model.fail(Some(EmbedError::Unreachable("a mischance".into())));
    assert_eq!(asked(&service).await, None);
    model.fail(None);
    let begun = Instant::now();
    until(|| space_of(&service).is_some()).await;
    assert!(begun.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_taken_out_of_use_leaves_the_words() {
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..5);
    let service = bench.start();
    ready(&service).await;
    bench.models.put_in_use(None);
    until(|| service.status().state == State::NoModel).await;
    assert_eq!((space_of(&service), asked(&service).await), (None, None));
    bench.store.write_notes(5..9);
    service.written(note(5));
    service.settled().await;
    a_while().await;
    assert_eq!(model.seen().len(), 4);
    // Back in use, it catches up and embeds nothing twice.
    bench.models.put_in_use(Some("a"));
    until(|| bench.store.lacking() == 0 && space_of(&service).is_some()).await;
    assert_eq!(model.seen().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn processes_share_the_work() {
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..=200);
    let services = [bench.start(), bench.start(), bench.start()];
    for service in &services {
        ready(service).await;
    }
    for round in 0..10 {
        for (nth, service) in services.iter().enumerate() {
            let id = 1_000 + 10 * round + nth as u128;
            service.written(bench.store.write(id, &[&format!("note {id}")]));
        }
        tokio::time::sleep(Duration::from_secs(round as u64)).await;
    }
    a_while().await;
    assert_eq!(bench.store.lacking(), 0);
    assert_eq!(model.seen().len(), 230, "each text once");
    let seq_and_completions = || {
        let contents = bench.store.contents();
        (contents.seq, contents.completions)
    };
    let before = seq_and_completions();
    a_while().await;
    assert_eq!(seq_and_completions(), before, "then it is quiet");
    assert_eq!(bench.store.contents().states[0].seq, Some(before.0), "and written down");
}

#[tokio::test(start_paused = true)]
async fn what_another_process_is_about_to_embed_is_left_to_it() {
    let (bench, mine) = Bench::with_model();
    let models = Arc::new(FakeModels::default());
    let theirs = models.add("a");
    models.put_in_use(Some("a"));
    let (me, them) = (bench.start(), bench.start_with(&models));
    ready(&me).await;
    ready(&them).await;
    for id in 1..10 {
        // Its lease has ended long ago.
        bench.source.advance(SignedDuration::from_secs(31));
        mine.close();
        me.written(bench.store.write(id, &[&format!("note {id}")]));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        mine.open();
        a_while().await;
    }
    assert_eq!((mine.seen().len(), theirs.seen().len()), (9, 0));
    // What it does not get done is done by others.
    bench.source.advance(SignedDuration::from_secs(31));
    mine.close();
    me.written(bench.store.write(10, &["note 10"]));
    until(|| theirs.seen().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn processes_with_different_models_do_not_fight() {
    let (bench, a) = Bench::with_model();
    bench.store.write_notes(1..=20);
    let first = bench.start();
    ready(&first).await;
    let models = Arc::new(FakeModels::default());
    let b = models.add("b");
    models.put_in_use(Some("b"));
    let second = bench.start_with(&models);
    ready(&second).await;
    a_while().await;
    first.written(bench.store.write(21, &["note 21"]));
    first.settled().await;
    a_while().await;
    assert_eq!(bench.serving().as_deref(), Some("b@0"), "what was put in place last stays");
    assert_eq!((a.seen().len(), b.seen().len()), (20, 21));
    assert_eq!(asked(&first).await, None, "it does not know this model");
    let status = first.status();
    assert!(matches!(&status.state, State::Unusable { reason } if reason.contains("b@0")), "{status:?}");
    assert!(first.settle_all().await.is_err());
    // Started anew, it has its way.
    drop(first);
    let first = bench.start();
    ready(&first).await;
    a_while().await;
    assert_eq!(bench.serving().as_deref(), Some("a@0"));
    assert_eq!(b.seen().len(), 21);
}

#[tokio::test(start_paused = true)]
async fn who_is_overtaken_while_it_fills_gives_way() {
    let (bench, a) = Bench::with_model();
    bench.store.write_notes(1..=40);
    a.close();
    let first = bench.start();
    until(|| a.calls() == 1).await;
    let models = Arc::new(FakeModels::default());
    models.add("b");
    models.put_in_use(Some("b"));
    let second = bench.start_with(&models);
    ready(&second).await;
    // Before it looks again, its last batches go through.
    a.open();
    a_while().await;
    assert_eq!(bench.serving().as_deref(), Some("b@0"), "half of the vectors of the other are gone");
    assert_eq!(bench.store.lacking(), 0);
    assert!(matches!(first.status().state, State::Unusable { .. }));
}

#[tokio::test(start_paused = true)]
async fn whatever_call_of_the_store_fails_the_work_goes_on() {
    for seed in 0..20 {
        let (bench, model) = Bench::with_model();
        bench.store.write_notes(1..=50);
        bench.store.contents().fails = Some((2, fastrand::Rng::with_seed(seed)));
        let service = bench.start();
        for _ in 0..30 {
            a_while().await;
        }
        assert_eq!(service.status().state, State::Ready, "seed {seed}");
        service.written(bench.store.write(51, &["mine"]));
        for _ in 0..30 {
            a_while().await;
        }
        assert_eq!(bench.store.lacking(), 0);
        assert!(
            model.seen().len() < 250,
            "only what could not be put is embedded again: {}",
            model.seen().len()
        );
        assert!(service.status().last_error.unwrap().error.contains("busy"));
        bench.store.contents().fails = None;
        assert_eq!(service.settle_all().await, Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_everything_is_told_of_a_store_that_stays_away() {
    let (bench, _) = Bench::with_model();
    bench.store.write_notes(1..=5);
    bench.store.contents().fails = Some((10, fastrand::Rng::new()));
    let service = bench.start();
    assert!(service.settle_all().await.unwrap_err().contains("busy"));
    // The same when it goes away in the middle.
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..=5);
    model.close();
    let service = bench.start();
    let (settled, ()) = tokio::join!(timeout(Duration::from_secs(100), service.settle_all()), async {
        until(|| model.calls() == 1).await;
        bench.store.contents().fails = Some((10, fastrand::Rng::new()));
        model.open();
    });
    assert!(settled.unwrap().unwrap_err().contains("busy"));
}

#[tokio::test(start_paused = true)]
async fn what_a_process_that_died_left_is_finished_by_the_next() {
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..=50);
    model.close();
    let service = bench.start();
    until(|| model.calls() == 1).await;
    model.gate.add_permits(1);
    until(|| model.calls() == 2).await;
    service.kill();
    drop(service);
    let next = bench.start();
    model.open();
    a_while().await;
    assert_eq!(model.seen().len(), LOCAL_BATCH_TEXTS, "its lease has not ended");
    bench.source.advance(SignedDuration::from_secs(31));
    ready(&next).await;
    assert_eq!(bench.store.lacking(), 0);
    assert_eq!(model.seen().len(), 50, "what it had put is not embedded again");
    // The same while it serves: what it wrote and did not embed is found by the change log.
    model.close();
    next.written(bench.store.write(51, &["mine"]));
    until(|| model.calls() > 5).await;
    next.kill();
    drop(next);
    model.open();
    bench.source.advance(SignedDuration::from_secs(31));
    let last = bench.start();
    until(|| bench.store.lacking() == 0).await;
    ready(&last).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_shut_down_leaves_in_good_order() {
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..=50);
    let service = bench.start();
    ready(&service).await;
    service.written(bench.store.write(51, &["mine"]));
    service.settle_all().await.unwrap();
    service.shutdown(Duration::from_secs(1)).await.unwrap();
    let contents = bench.store.contents().states[0].seq;
    assert!(contents >= Some(51), "{contents:?}");
    // Who asks too late is not kept.
    service.settled().await;
    service.looked().await;
    assert!(service.settle_all().await.is_err());
    // Nobody has to wait for the end of a lease.
    bench.store.write(52, &["yours"]);
    let next = bench.start();
    until(|| bench.store.lacking() == 0).await;
    assert_eq!(model.seen().len(), 52);
    drop(next);
}

#[tokio::test(start_paused = true)]
async fn things_that_change_and_go_meanwhile() {
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..=40);
    model.close();
    let service = bench.start();
    until(|| model.calls() == 1).await;
    bench.store.delete(1);
    bench.store.write(2, &["another text"]);
    bench.store.delete(40);
    model.open();
    service.settle_all().await.unwrap();
    assert_eq!(bench.store.lacking(), 0);
    assert!(model.seen().contains(&"another text".to_owned()));
    // The same while it serves.
    model.close();
    service.written(bench.store.write(3, &["a third text"]));
    let calls = model.calls();
    until(|| model.calls() > calls).await;
    service.written(bench.store.write(3, &["a fourth text"]));
    service.written(bench.store.write(4, &["a fifth text"]));
    bench.store.delete(4);
    model.open();
    service.settled().await;
    assert_eq!(bench.store.lacking(), 0);
    assert!(model.seen().contains(&"a fourth text".to_owned()));
    a_while().await;
    assert_eq!(bench.store.contents().vectors[&service.space().unwrap()].len(), 37);
}

#[tokio::test(start_paused = true)]
async fn changes_that_are_forgotten_are_found_by_going_through_everything() {
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..=20);
    let service = bench.start();
    ready(&service).await;
    a_while().await;
    bench.store.write_notes(21..=40);
    bench.store.contents().changes.clear();
    until(|| bench.store.lacking() == 0).await;
    assert_eq!(service.settle_all().await, Ok(()));
    assert_eq!(model.seen().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_refused_keeps_nothing_else() {
    let bench = Bench::default();
    let model = bench.models.add_remote("far");
    bench.models.put_in_use(Some("far"));
    *model.refuses.lock().unwrap() = Some("too long".into());
    bench.store.write_notes(1..=10);
    bench.store.write(11, &["too long"]);
    bench.store.write(12, &["short", "too long"]);
    let service = bench.start();
    ready(&service).await;
    a_while().await;
    assert_eq!(bench.store.lacking(), 2);
    assert_eq!(bench.store.contents().vectors[&service.space().unwrap()].len(), 11);
    let calls = model.calls();
    a_while().await;
    assert_eq!(model.calls(), calls, "it is not tried again");
    assert!(asked(&service).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn everything_is_done_for_who_waits_for_it() {
    let (bench, model) = Bench::with_model();
    bench.store.write_notes(1..=100);
    let service = bench.start();
    assert_eq!(service.settle_all().await, Ok(()));
    assert_eq!((bench.store.lacking(), model.seen().len()), (0, 100));
    // What others wrote is not left to them.
    bench.store.write_notes(101..=200);
    let begun = Instant::now();
    assert_eq!(service.settle_all().await, Ok(()));
    assert_eq!((bench.store.lacking(), model.seen().len()), (0, 200));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

/// Puts another file in place of one, as whoever mends or damages it should.
fn replace(path: &Path, contents: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, contents).unwrap();
    std::fs::rename(&new, path).unwrap();
}

#[tokio::test]
async fn a_real_model_is_followed_through_its_life() {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::new(dir.path().join("models"));
    let (store, source) = (Arc::new(Store::default()), Arc::new(TestSource::default()));
    store.write_notes(1..=20);
    let service = Service::spawn(ServiceConfig {
        library: library.clone(),
        model_dir: None,
        key: Arc::new(|_| None),
        corpus: store.clone(),
        vectors: store.clone(),
        source,
    });
    service.looked().await;
    assert_eq!(service.status().state, State::NoModel);
    for (name, seed) in [("one", 1), ("two", 2)] {
        testkit::model::write(&dir.path().join(name), seed);
        library.add(&dir.path().join(name), None).unwrap();
    }
    library.put_in_use(Some(&"one".parse().unwrap())).unwrap();
    ready(&service).await;
    assert!(asked(&service).await.unwrap().starts_with("one@"));
    // Damaged, then mended.
    let weights = library.dir().join("one").join(WEIGHTS_FILE);
    let good = std::fs::read(&weights).unwrap();
    replace(&weights, &good[8..]);
    assert_eq!(asked(&service).await, None);
    let unusable =
        || matches!(&service.status().state, State::Unusable { reason } if reason.contains(WEIGHTS_FILE));
    assert!(service.space().is_none() && unusable());
    replace(&weights, &good);
    ready(&service).await;
    assert!(asked(&service).await.unwrap().starts_with("one@"));
    // Another one, whose predecessor is gone at once.
    library.put_in_use(Some(&"two".parse().unwrap())).unwrap();
    library.remove(&"one".parse().unwrap(), false).unwrap();
    until(|| service.status().model.as_deref() == Some("two")).await;
    ready(&service).await;
    assert!(asked(&service).await.unwrap().starts_with("two@"));
    assert_eq!(store.lacking(), 0);
    // Its files vanish, then it is taken out of use.
    std::fs::rename(library.dir().join("two"), dir.path().join("away")).unwrap();
    until(|| matches!(service.status().state, State::Unusable { .. })).await;
    assert_eq!((service.space(), asked(&service).await), (None, None));
    std::fs::rename(dir.path().join("away"), library.dir().join("two")).unwrap();
    ready(&service).await;
    assert!(asked(&service).await.is_some());
    library.remove(&"two".parse().unwrap(), true).unwrap();
    until(|| service.status().state == State::NoModel).await;
    assert_eq!(asked(&service).await, None);
}

#[tokio::test]
async fn a_directory_whose_model_becomes_another_is_another_space() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("mine");
    testkit::model::write(&model, 1);
    let (store, source) = (Arc::new(Store::default()), Arc::new(TestSource::default()));
    store.write_notes(1..=5);
    let service = Service::spawn(ServiceConfig {
        library: Library::new(dir.path().join("models")),
        model_dir: Some(model.clone()),
        key: Arc::new(|_| None),
        corpus: store.clone(),
        vectors: store.clone(),
        source,
    });
    service.settle_all().await.unwrap();
    let before = asked(&service).await.unwrap();
    testkit::model::write(&dir.path().join("other"), 2);
    replace(&model.join(WEIGHTS_FILE), &std::fs::read(dir.path().join("other").join(WEIGHTS_FILE)).unwrap());
    until(|| store.contents().serving().is_some_and(|space| space.name != before)).await;
    ready(&service).await;
    assert_ne!(asked(&service).await.unwrap(), before);
}
