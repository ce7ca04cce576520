//! What a device does to its engine, within the time that each call has.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::engine::{Container, Engine, EngineError, LocalImage, Progress};
use crate::image::Image;
use crate::memory::Pull;
use crate::moment::{Moment, Time};
use crate::plan::Call;
use crate::platform::Platform;
use crate::timing::Timing;

/// A result of the engine.
type Answer<T> = BoxFuture<'static, Result<T, EngineError>>;

/// The engine as one device uses it.
pub(super) struct Hands {
    engine: Arc<dyn Engine>,
    platform: Platform,
    timing: Arc<Timing>,
    time: Time,
    pull: Option<UnderWay>,
}

/// The pull that is under way.
struct UnderWay {
    image: Image,
    progress: Arc<Progress>,
    beats: u64,
    moved: Moment,
    work: Answer<()>,
}

/// What happens by itself.
pub(super) enum Event {
    /// The pull ended.
    Pulled(PullEnd),
    /// The pull moved.
    Moved,
    /// Something else may have changed.
    Changed,
}

/// How a pull ended.
pub(super) struct PullEnd {
    pub(super) call: Call,
    pub(super) result: Result<(), EngineError>,
}

impl Hands {
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        platform: Platform,
        timing: &Arc<Timing>,
        time: Time,
    ) -> Self {
        Self { engine, platform, timing: Arc::clone(timing), time, pull: None }
    }

    pub(super) fn containers(&self) -> Answer<Vec<Container>> {
        let (engine, time, limit) = self.bound();
        async move { time.within(limit, engine.containers()).await.unwrap_or(Err(EngineError::Hung)) }
            .boxed()
    }

    pub(super) fn images(&self) -> Answer<Vec<LocalImage>> {
        let (engine, time, limit) = self.bound();
        async move { time.within(limit, engine.images()).await.unwrap_or(Err(EngineError::Hung)) }
            .boxed()
    }

    fn bound(&self) -> (Arc<dyn Engine>, Time, Duration) {
        (Arc::clone(&self.engine), self.time.clone(), self.timing.engine_read)
    }

    /// Makes a call that ends soon.
    pub(super) fn call(&self, call: Call) -> Answer<()> {
        let (engine, time, _) = self.bound();
        let limit = self.timing.engine_write;
        async move {
            let (limit, work) = match &call {
                Call::Create(container) => (limit, engine.create(container)),
                Call::Start(id) => (limit, engine.start(id)),
                Call::Stop(id, grace) => (limit + *grace, engine.stop(id, *grace)),
                Call::Remove(id) => (limit, engine.remove(id)),
                Call::RemoveImage(identity) => (limit, engine.remove_image(identity)),
                Call::Pull(_) | Call::CancelPull => return Ok(()),
            };
            time.within(limit, work).await.unwrap_or(Err(EngineError::Hung))
        }
        .boxed()
    }

    /// Begins a pull, in place of one that is under way.
    pub(super) fn begin_pull(&mut self, image: &Image, now: Moment) {
        let progress = Arc::new(Progress::default());
        let (engine, platform) = (Arc::clone(&self.engine), self.platform.clone());
        let work = pull(engine, image.clone(), Arc::clone(&progress), platform);
        self.pull = Some(UnderWay { image: image.clone(), progress, beats: 0, moved: now, work });
    }

    /// Ends the pull that is under way.
    pub(super) fn cancel_pull(&mut self) {
        self.pull = None;
    }

    /// How far the pull is.
    pub(super) fn pull(&mut self, now: Moment) -> Option<Pull> {
        let pull = self.pull.as_mut()?;
        let beats = pull.progress.beats();
        if beats != pull.beats {
            (pull.beats, pull.moved) = (beats, now);
        }
        Some(Pull {
            identity: pull.image.identity(),
            percent: pull.progress.percent(),
            moved: pull.moved,
        })
    }

    /// Waits until the pull ends; for ever when there is none.
    pub(super) async fn pulled(&mut self) -> PullEnd {
        let Some(pull) = &mut self.pull else { return std::future::pending().await };
        let result = (&mut pull.work).await;
        let call = Call::Pull(pull.image.clone());
        self.pull = None;
        PullEnd { call, result }
    }

    /// Waits until anything happens.
    pub(super) async fn event(&mut self) -> Event {
        let Some(pull) = &mut self.pull else {
            self.engine.changed().await;
            return Event::Changed;
        };
        let result = tokio::select! {
            biased;
            result = &mut pull.work => result,
            () = pull.progress.moved() => return Event::Moved,
            () = self.engine.changed() => return Event::Changed,
        };
        let call = Call::Pull(pull.image.clone());
        self.pull = None;
        Event::Pulled(PullEnd { call, result })
    }
}

/// Pulls an image and believes only what the engine then shows. What is not what was asked for is
/// removed at once.
fn pull(
    engine: Arc<dyn Engine>,
    image: Image,
    progress: Arc<Progress>,
    platform: Platform,
) -> Answer<()> {
    async move {
        engine.pull(&image, &progress).await?;
        let Some(local) = engine.inspect(&image).await? else {
            let why = "the engine says that it pulled, and does not show the image".to_owned();
            return Err(EngineError::PullFailed(why));
        };
        let wrong = if !image.digest.is_empty() && local.digest != image.digest {
            EngineError::DigestMismatch(image.reference.clone())
        } else if !platform.runs(&local.platform) {
            EngineError::WrongPlatform(format!(
                "{} is for {} and the device is {platform}",
                image.reference, local.platform
            ))
        } else {
            return Ok(());
        };
        engine.remove_image(&image.identity()).await?;
        Err(wrong)
    }
    .boxed()
}
