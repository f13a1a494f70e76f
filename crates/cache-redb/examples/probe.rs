// temporary
use std::sync::Arc; use std::time::Instant;
use memory_core::port::*; use memory_core::episode::*; use memory_core::id::*;
use async_trait::async_trait; use jiff::Timestamp; use uuid::Uuid;
struct S(std::sync::atomic::AtomicU64, usize);
#[async_trait] impl ChangeLog for S { async fn change_seq(&self)->Result<u64,StoreError>{Ok(self.0.load(std::sync::atomic::Ordering::SeqCst))}
 async fn changes_after(&self, seq:u64, _m:usize)->Result<Option<Vec<Change>>,StoreError>{ let _=seq; Ok(Some(vec![])) } }
impl Source for S { fn now(&self)->Timestamp{Timestamp::now()} fn id(&self)->Uuid{Uuid::now_v7()} }
#[async_trait] impl EpisodeStore for S {
 async fn insert(&self,_:Vec<Insertion>)->Result<Vec<Inserted>,StoreError>{unimplemented!()}
 async fn append_step(&self,_:EpisodeId,_:StepInsertion)->Result<u32,StoreError>{ Ok(1)}
 async fn complete(&self,_:EpisodeId,_:CompletionInsertion)->Result<(),StoreError>{Ok(())}
 async fn heads(&self,_:&[EpisodeId])->Result<Vec<EpisodeHead>,StoreError>{Ok(vec![])}
 async fn get(&self,id:EpisodeId)->Result<Option<Episode>,StoreError>{
  let size = self.1 * (1 + (id.0.as_u128() % 7) as usize);
  Ok(Some(Episode{ head: EpisodeHead{ id, external_id:None, brief: Brief{ task:"x".repeat(size), scope:Scope::default(), task_type:None,tags:vec![],context:Default::default()}, started_at:Timestamp::UNIX_EPOCH, revision:1, step_count:0, completion:None }, steps:vec![]})) }
}
fn rss()->String{ std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l|l.starts_with("VmRSS")).unwrap().to_string() }
fn main(){
 let size: usize = std::env::args().nth(1).unwrap().parse().unwrap();
 let dir = tempfile::tempdir_in("/tmp").unwrap(); let path = dir.path().join("c.redb");
 let s = Arc::new(S(1.into(), size));
 for held in [false,true] {
  let t=Instant::now();
  let keep = held.then(|| cache_redb::Cache::open(&path, Uuid::nil(), s.clone(), s.clone()));
  let c = cache_redb::Cache::open(&path, Uuid::nil(), s.clone(), s.clone());
  println!("open {:?} {:?} {}", t.elapsed(), c.status().backing, rss());
  let e = c.episodes(s.clone());
  let n=20_000u128; let t=Instant::now();
  for i in 0..n { futures::executor::block_on(e.get(EpisodeId(Uuid::from_u128(i)))).unwrap(); 
    if i%5000==4999 { println!("  {i} file {} KB, {} entries {} KB, {}", std::fs::metadata(&path).unwrap().len()/1024, c.status().entries, c.status().bytes/1024, rss()); } }
  println!("miss+put {:?}", t.elapsed()/n as u32);
  let t=Instant::now();
  for _ in 0..n { futures::executor::block_on(e.get(EpisodeId(Uuid::from_u128(n-1)))).unwrap(); }
  println!("hit {:?}", t.elapsed()/n as u32);
  let t=Instant::now();
  for _ in 0..2000 { s.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst); futures::executor::block_on(e.get(EpisodeId(Uuid::from_u128(n-1)))).unwrap(); }
  println!("advance+hit {:?}", t.elapsed()/2000);
  let t=Instant::now(); c.flush(); println!("flush {:?} {}", t.elapsed(), rss());
  println!("{:?}", c.status());
  if !held { let p2 = path.with_extension("crash"); std::fs::copy(&path,&p2).unwrap(); let t=Instant::now(); let c2 = cache_redb::Cache::open(&p2, Uuid::nil(), s.clone(), s.clone()); println!("crash open {:?} {:?} {} entries", t.elapsed(), c2.status().backing, c2.status().entries); }
  let t=Instant::now(); drop(e); drop(c); drop(keep); println!("close {:?} file {} KB", t.elapsed(), std::fs::metadata(&path).unwrap().len()/1024);
 }
 let t=Instant::now(); let c = cache_redb::Cache::open(&path, Uuid::nil(), s.clone(), s.clone()); println!("warm open {:?} {:?} {} entries", t.elapsed(), c.status().backing, c.status().entries);
}
