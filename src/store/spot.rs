//! Where a request's file lies, packed: most files of a source lie at their request's id between the
//! same two texts, which are then kept once.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::{Origin, RequestId, SourceName};

/// Where the file of a request lies, for whoever knows its id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spot(Packed);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Packed {
    /// The id stands in the path, and this around it.
    Around(Arc<Frame>),
    /// The path is of another pattern.
    Whole(Arc<Origin>),
}

/// What stands around ids.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Frame {
    source: SourceName,
    before: Box<str>,
    after: Box<str>,
}

/// Frames that are in use already.
#[derive(Clone, Default, Debug)]
pub struct Frames {
    known: HashSet<Arc<Frame>>,
    last: Option<Arc<Frame>>,
}

impl Frames {
    /// Packs where the file of `id` lies.
    pub fn pack(&mut self, id: &RequestId, source: &SourceName, path: &str) -> Spot {
        let Some((before, after)) = path.split_once(id.as_str()) else {
            let origin = Origin { source: source.clone(), path: path.into() };
            return Spot(Packed::Whole(Arc::new(origin)));
        };
        let is_it =
            |f: &&Arc<Frame>| f.source == *source && *f.before == *before && *f.after == *after;
        if let Some(last) = self.last.as_ref().filter(is_it) {
            return Spot(Packed::Around(last.clone()));
        }
        let frame = Frame { source: source.clone(), before: before.into(), after: after.into() };
        let frame = self.known.get(&frame).cloned().unwrap_or_else(|| {
            let frame = Arc::new(frame);
            self.known.insert(frame.clone());
            frame
        });
        self.last = Some(frame.clone());
        Spot(Packed::Around(frame))
    }
}

impl Spot {
    /// The configured source.
    pub fn source(&self) -> &SourceName {
        match &self.0 {
            Packed::Around(frame) => &frame.source,
            Packed::Whole(origin) => &origin.source,
        }
    }

    /// All of it, for the request that it was packed for.
    pub fn origin(&self, id: &RequestId) -> Origin {
        match &self.0 {
            Packed::Around(frame) => {
                let path = format!("{}{id}{}", frame.before, frame.after);
                Origin { source: frame.source.clone(), path: path.into() }
            }
            Packed::Whole(origin) => Origin::clone(origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks() {
        let id = RequestId::parse("orders/prod/events").unwrap();
        let mut frames = Frames::default();
        let paths = [
            "requests/orders/prod/events.yaml",
            "orders/prod/events/orders/prod/events.yaml",
            "prod/orders/events.yaml",
            "orders/prod/events",
        ];
        for path in paths {
            let source = SourceName::new("requests");
            let spot = frames.pack(&id, &source, path);
            assert_eq!(spot.source(), &source);
            assert_eq!(&*spot.origin(&id).path, path);
            assert_eq!(frames.pack(&id, &source, path), spot, "one place is packed one way");
        }
    }

    #[test]
    fn files_of_one_pattern_share_what_stands_around_their_ids() {
        let mut frames = Frames::default();
        let source = SourceName::new("requests");
        let spot = |name: &str, frames: &mut Frames| {
            let id = RequestId::parse(name).unwrap();
            frames.pack(&id, &source, &format!("requests/{name}.yaml"))
        };
        let (a, b) = (spot("orders/prod/a", &mut frames), spot("orders/prod/b", &mut frames));
        assert_eq!(a, b);
        assert_eq!(frames.known.len(), 1);
    }
}
