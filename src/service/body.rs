//! Bodies of requests, which may hold secrets and may not be too long.

use std::{any::Any, mem, ops::Deref, pin::pin};

use bytes::{Buf as _, Bytes};
use http_body::Body;
use http_body_util::BodyExt as _;
use zeroize::Zeroizing;

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotRead {
    TooLong,
    BrokenOff,
}

/// A whole body.
pub(super) enum Whole {
    /// Where the host has it.
    InPlace(Bytes),
    Copied(Zeroizing<Vec<u8>>),
}

impl Default for Whole {
    fn default() -> Self {
        Self::InPlace(Bytes::new())
    }
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::InPlace(body) => body,
            Self::Copied(body) => body,
        }
    }
}

/// The whole body, if it has no more than `limit` bytes. It is not read at all where it says that it has, by its own hint or by
/// the `Content-Length`.
pub(super) async fn read<B: Body + 'static>(body: B, length: Option<u64>, limit: usize) -> Result<Whole, NotRead> {
    let length = usize::try_from(body.size_hint().lower().max(length.unwrap_or(0))).unwrap_or(usize::MAX);
    if length > limit {
        return Err(NotRead::TooLong);
    }
    let mut body = pin!(body);
    let mut read = Zeroizing::new(Vec::new());
    // Who says that nothing follows, and has given as much as was announced, is not asked again: that is one turn less for nearly every
    // request. A body that was reset says so too, so who has announced nothing has to say in a turn of its own that this is the end.
    while length == 0 || read.len() < length || !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(|_| NotRead::BrokenOff)?;
        // What is no data is trailers, which nothing here looks at.
        let Ok(mut data) = frame.into_data() else { continue };
        if data.remaining() > limit - read.len() {
            return Err(NotRead::TooLong);
        }
        // What comes in one piece is looked at where it is, which leaves no copy of it to be zeroed.
        if read.is_empty() && length > 0 && data.remaining() >= length && body.is_end_stream() {
            let piece: &mut dyn Any = &mut data;
            if let Some(piece) = piece.downcast_mut() {
                return Ok(Whole::InPlace(mem::take(piece)));
            }
        }
        // Who only says that much is not given that much.
        make_room(&mut read, data.remaining(), length.min(16 * 1024));
        while data.has_remaining() {
            let chunk = data.chunk();
            let len = chunk.len();
            read.extend_from_slice(chunk);
            data.advance(len);
        }
    }
    // RFC 9110 §8.6: what is shorter than it was announced to be is not all of it.
    if read.len() < length { Err(NotRead::BrokenOff) } else { Ok(Whole::Copied(read)) }
}

/// Makes room for `more` bytes, for `least` in all, and leaves nothing behind where the others were.
fn make_room(read: &mut Zeroizing<Vec<u8>>, more: usize, least: usize) {
    let needed = read.len() + more;
    if needed > read.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * read.len()).max(least)));
        larger.extend_from_slice(read);
        // The one before is zeroed as it goes.
        *read = larger;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body::{Frame, SizeHint};
    use http_body_util::{Empty, Full};

    use super::*;

    type Part = Result<Frame<Bytes>, &'static str>;

    fn data(len: usize) -> Part {
        Ok(Frame::data(Bytes::from(vec![b'x'; len])))
    }

    /// A body that does not say how long it is.
    struct Parts(std::vec::IntoIter<Part>);

    impl Body for Parts {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Part>> {
            Poll::Ready(self.0.next())
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_to_its_end() {
        let trailers = || Ok(Frame::trailers(http::HeaderMap::new()));
        for (all, expected) in [
            (vec![], Ok(0)),
            (vec![data(10)], Ok(10)),
            (vec![data(0), data(3), data(0), data(7), trailers()], Ok(10)),
            (vec![data(11)], Err(NotRead::TooLong)),
            (vec![data(10), data(0), data(1)], Err(NotRead::TooLong)),
            (vec![data(3), Err("reset")], Err(NotRead::BrokenOff)),
            (vec![Err("reset")], Err(NotRead::BrokenOff)),
            (vec![data(11), Err("reset")], Err(NotRead::TooLong)),
        ] {
            let read = read(Parts(all.into_iter()), None, 10).await.map(|body| body.len());
            assert_eq!(read, expected);
        }
        for (all, announced, expected) in [
            (vec![data(3)], 10, Err(NotRead::BrokenOff)),
            (vec![], 10, Err(NotRead::BrokenOff)),
            (vec![data(3), data(7)], 10, Ok(10)),
            (vec![data(10)], 10, Ok(10)),
            (vec![data(10)], 0, Ok(10)),
        ] {
            let read = read(Parts(all.into_iter()), Some(announced), 10).await.map(|body| body.len());
            assert_eq!(read, expected, "{announced}");
        }
        assert_eq!(*read(Empty::<Bytes>::new(), None, 1).await.unwrap(), *b"");
        assert_eq!(*read(Full::new(&b"grant"[..]), Some(5), 5).await.unwrap(), *b"grant");
    }

    #[tokio::test]
    async fn a_body_that_says_that_it_is_too_long_is_not_read() {
        struct Unread(u64);

        impl Body for Unread {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                panic!("it is read");
            }

            fn size_hint(&self) -> SizeHint {
                SizeHint::with_exact(self.0)
            }
        }

        for (hint, length) in [(11, None), (0, Some(11)), (u64::MAX, None), (0, Some(u64::MAX)), (11, Some(1))] {
            assert_eq!(read(Unread(hint), length, 10).await.err(), Some(NotRead::TooLong));
        }
    }

    #[tokio::test]
    async fn rfc9110_8_6_a_body_that_was_reset_is_not_whole_though_it_says_that_it_has_ended() {
        struct Reset(u8);

        impl Body for Reset {
            type Data = Bytes;
            type Error = &'static str;

            fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Part>> {
                self.0 += 1;
                Poll::Ready(Some(if self.0 == 1 { data(3) } else { Err("reset") }))
            }

            fn is_end_stream(&self) -> bool {
                self.0 > 0
            }
        }

        for announced in [None, Some(0), Some(4), Some(10)] {
            assert_eq!(read(Reset(0), announced, 10).await.err(), Some(NotRead::BrokenOff), "{announced:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_says_that_it_has_ended_is_not_asked_again() {
        struct Once(Option<Bytes>);

        impl Body for Once {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                Poll::Ready(Some(Ok(Frame::data(self.0.take().expect("it has not ended")))))
            }

            fn is_end_stream(&self) -> bool {
                self.0.is_none()
            }
        }

        assert_eq!(*read(Once(Some(Bytes::from_static(b"grant"))), Some(5), 10).await.unwrap(), *b"grant");

        let sent = Bytes::from(vec![b'x'; 10]);
        let whole = read(Once(Some(sent.clone())), Some(10), 10).await.unwrap();
        assert_eq!(whole.as_ptr(), sent.as_ptr(), "what comes in one piece is copied");
        assert_eq!(read(Once(Some(sent)), None, 9).await.err(), Some(NotRead::TooLong));
    }
}
