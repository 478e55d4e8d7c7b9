//! Typed frames on a pair of byte streams: a length, a type, a body. No shell, no quoting.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Largest body in bytes; larger things are sent in pieces.
pub const LARGEST: u32 = 16 * 1024 * 1024;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// JSON text.
    Message(Vec<u8>),
    /// Raw bytes of a blob.
    Data(Vec<u8>),
}

/// Why frames stopped.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The stream broke.
    #[error("the connection broke: {0}")]
    Stream(#[from] std::io::Error),
    /// The other side speaks something else.
    #[error("the other side does not speak frames of this version: {0}")]
    Format(String),
}

/// Writes one frame; the caller flushes.
pub async fn write<W: AsyncWrite + Unpin>(stream: &mut W, frame: &Frame) -> Result<(), FrameError> {
    let (kind, body) = match frame {
        Frame::Message(body) => (0_u8, body),
        Frame::Data(body) => (1_u8, body),
    };
    let length = u32::try_from(body.len())
        .ok()
        .filter(|length| *length <= LARGEST)
        .ok_or_else(|| FrameError::Format(format!("a body of {} bytes is too large", body.len())))?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&[kind]).await?;
    stream.write_all(body).await?;
    Ok(())
}

/// Writes a message and flushes.
pub async fn send<W: AsyncWrite + Unpin>(stream: &mut W, message: &impl Serialize) -> Result<(), FrameError> {
    let body = serde_json::to_vec(message).map_err(|error| FrameError::Format(error.to_string()))?;
    write(stream, &Frame::Message(body)).await?;
    stream.flush().await?;
    Ok(())
}

/// Reads one frame; none at a clean end.
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Option<Frame>, FrameError> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length).await {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let length = u32::from_be_bytes(length);
    if length > LARGEST {
        return Err(FrameError::Format(format!("a frame claims {length} bytes")));
    }
    let kind = stream.read_u8().await?;
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    match kind {
        0 => Ok(Some(Frame::Message(body))),
        1 => Ok(Some(Frame::Data(body))),
        other => Err(FrameError::Format(format!("frame type {other}"))),
    }
}

/// Reads a message of a known type; none at a clean end.
pub async fn receive<R: AsyncRead + Unpin, T: DeserializeOwned>(
    stream: &mut R,
) -> Result<Option<T>, FrameError> {
    match read(stream).await? {
        None => Ok(None),
        Some(Frame::Message(body)) => serde_json::from_slice(&body)
            .map(Some)
            .map_err(|error| FrameError::Format(error.to_string())),
        Some(Frame::Data(_)) => Err(FrameError::Format("data where a message was due".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_back_as_they_went() {
        let mut buffer = Vec::new();
        write(&mut buffer, &Frame::Data(vec![0, 1, 255])).await.unwrap();
        send(&mut buffer, &"hello").await.unwrap();
        let mut reader = buffer.as_slice();
        assert_eq!(
            read(&mut reader).await.unwrap(),
            Some(Frame::Data(vec![0, 1, 255]))
        );
        assert_eq!(
            receive::<_, String>(&mut reader).await.unwrap(),
            Some("hello".into())
        );
        assert_eq!(read(&mut reader).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_login_banner_is_not_taken_for_a_frame() {
        let mut reader = "Welcome to Debian".as_bytes();
        assert!(matches!(read(&mut reader).await, Err(FrameError::Format(_))));
    }
}
