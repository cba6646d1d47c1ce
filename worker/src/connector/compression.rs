//! Gzip and zstd around line formats, chosen by the file's extension.
//!
//! Several gzip members or zstd frames behind each other are one stream, as `cat a.gz b.gz` and log rotation make them.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Read ahead of a decompressor, and gathered behind a compressor.
const BUFFER_BYTES: usize = 256 << 10;

/// How a file's bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the last extension.
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(gz) if gz.eq_ignore_ascii_case("gz") => Self::Gzip,
            Some(zst) if zst.eq_ignore_ascii_case("zst") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// What is added to a file's name.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// The decompressed bytes of `file`.
    pub(crate) fn reader(self, file: File) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::None => Box::new(file),
            Self::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, file))),
            Self::Zstd => {
                let buffered = BufReader::with_capacity(BUFFER_BYTES, file);
                Box::new(BrokenAsInvalid(zstd::stream::read::Decoder::with_buffer(buffered)?))
            }
        })
    }

    pub(crate) fn writer(self, file: File) -> io::Result<Compressor> {
        let buffered = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(match self {
            Self::None => Compressor::None(buffered),
            Self::Gzip => Compressor::Gzip(GzEncoder::new(buffered, flate2::Compression::default())),
            Self::Zstd => {
                Compressor::Zstd(zstd::stream::write::Encoder::new(buffered, zstd::DEFAULT_COMPRESSION_LEVEL)?)
            }
        })
    }

    /// `bytes` as one gzip member or zstd frame of their own, so that a file of several may end after any of them.
    pub(crate) fn member(self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&bytes)?;
                encoder.finish()
            }
            Self::Zstd => zstd::encode_all(&bytes[..], zstd::DEFAULT_COMPRESSION_LEVEL),
        }
    }
}

/// Maps zstd's `Other` to `InvalidData`, so that a broken file is not reported as an unavailable disk.
struct BrokenAsInvalid<R>(R);

impl<R: Read> Read for BrokenAsInvalid<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Other => io::Error::new(io::ErrorKind::InvalidData, error),
            _ => error,
        })
    }
}

pub(crate) enum Compressor {
    None(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<File>>),
}

impl Compressor {
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::None(writer) => writer.write_all(bytes),
            Self::Gzip(writer) => writer.write_all(bytes),
            Self::Zstd(writer) => writer.write_all(bytes),
        }
    }

    /// Hands what is gathered to the file; compressors keep theirs, since a flush would cost their ratio.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(writer) => writer.flush(),
            Self::Gzip(_) | Self::Zstd(_) => Ok(()),
        }
    }

    /// Ends the stream and gives the file back.
    pub(crate) fn finish(self) -> io::Result<File> {
        let buffered = match self {
            Self::None(writer) => writer,
            Self::Gzip(writer) => writer.finish()?,
            Self::Zstd(writer) => writer.finish()?,
        };
        buffered.into_inner().map_err(io::IntoInnerError::into_error)
    }
}
